/*
 * The command line: options ` -- ` arguments.
 *
 * Words are separated by white space. Double quotes, single quotes and a backslash quote as in a shell, in arguments
 * and in the values of options: env.NAME="a b". Freestanding: tests/kernel/command_line_test.c runs it on the host.
 */
#ifndef WEIR_KERNEL_COMMAND_LINE_H
#define WEIR_KERNEL_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_LINE_MAX 4096
#define COMMAND_WORDS    256

struct command_line {
    char text[COMMAND_LINE_MAX]; /* the words, unquoted, each NUL-terminated */
    const char *words[COMMAND_WORDS];
    unsigned n;       /* words in all */
    unsigned options; /* words before `--`: words[options] is the first argument */
    bool cut;         /* it was too long */
};

/* Takes `text` apart. An unfinished quote ends at the end of the line. */
void command_line_parse(struct command_line *line, const char *text);

/* The value of the last option `name=value`, "" for a bare `name`, null if there is none. */
const char *command_line_option(const struct command_line *line, const char *name);

/* The value if `word` is `name=value`, "" if it is `name`, else null. */
const char *command_word_value(const char *word, const char *name);

#endif
