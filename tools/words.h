/*
 * A growing list of strings, null-terminated: the argument vector of a program to start, or a list of files.
 */
#ifndef WEIR_TOOLS_WORDS_H
#define WEIR_TOOLS_WORDS_H

#include <stddef.h>

/* All zero is the empty list. `items[count]` is null once a word was added. The list owns its strings. */
struct words {
    char **items;
    size_t count;
};

void words_add(struct words *words, const char *word);
void words_addf(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
void words_add_all(struct words *words, const struct words *more);

/* Adds each part of `text` between blanks: CC="ccache gcc", --cflags="-O3 -Wall". */
void words_add_split(struct words *words, const char *text);

/* Says them in one line, as --verbose does before starting a program. */
void say_words(const struct words *words);

void words_free(struct words *words);

#endif
