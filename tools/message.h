/*
 * What the tool says itself: one line each on stderr, "weir: …", so that the guest has stdout to itself.
 */
#ifndef WEIR_TOOLS_MESSAGE_H
#define WEIR_TOOLS_MESSAGE_H

#include <stddef.h>

/* How the tool ends when no guest's exit code can be passed on; the numbers are those of env(1) and timeout(1). */
enum tool_exit {
    EXIT_TIMEOUT = 124,    /* the guest was killed after --timeout */
    EXIT_TOOL = 125,       /* the tool itself failed: bad options, no memory, a VMM that broke, a failed build */
    EXIT_CANNOT_RUN = 126, /* found, but not something that runs: not an image, not executable */
    EXIT_NOT_FOUND = 127,  /* an image, a source, a compiler or a VMM that does not exist */
    EXIT_SIGNAL = 128      /* + the number of the signal that ended the program or the tool */
};

/* Prints "weir: " and the message and a newline to stderr. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* say(), then returns `code`, for the line `return fail(EXIT_TOOL, …)`. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Shows what another program said, each of its lines behind `prefix`. */
void quote_output(const char *prefix, const char *text);

/* The tool cannot go on without memory: these end it with a line where malloc would answer null. */
void *must_alloc(size_t size);
void *must_realloc(void *pointer, size_t size);
char *must_duplicate(const char *text);
char *must_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
