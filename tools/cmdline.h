/*
 * The guest's kernel command line: options for weir, then " -- ", then the program's arguments, quoted as a shell
 * would read them.
 *
 *     weir.tool=1 weir.name=lua env.LANG=C -- script.lua 'two words' ''
 *
 * A word that holds anything but letters, digits and harmless punctuation stands in single quotes; a single quote in it
 * ends them, is escaped, and begins them anew ('\''). Three things a VMM does to the line must not change it:
 *  - Firecracker cuts the line at " -- " and puts words of its own before it: inside quotes the sequence " -- " is
 *    broken by an empty pair of quotes (' --'' '), so that it stands in the line only once, where it belongs;
 *  - it takes no " -- " for the separator that an odd number of double quotes stands before: a value with such a number
 *    is followed by the word '"', which the kernel ignores;
 *  - it trims blanks at both ends: a quoted word ends with its quote.
 */
#ifndef WEIR_TOOLS_CMDLINE_H
#define WEIR_TOOLS_CMDLINE_H

#include "tools/words.h"

#include <stdbool.h>
#include <stddef.h>

/* What goes into the line. */
struct guest_words {
    const char *name;     /* argv[0] of the program */
    struct words options; /* weir.x=y, as given */
    struct words env;     /* NAME=VALUE */
    struct words args;    /* argv[1…] */
};

/* The whole line, for free(). */
char *cmdline_build(const struct guest_words *guest);

/* How many words the line has: the kernel takes COMMAND_WORDS. */
size_t cmdline_words(const struct guest_words *guest);

/* `word` quoted as above, for free(). */
char *cmdline_quote(const char *word);

/* Whether `line` holds only what Firecracker takes, printable ASCII. */
bool cmdline_is_ascii(const char *line);

#endif
