/*
 * Options: what the user of a process can set of weir's malloc.
 *
 * One table (options.c) holds each option's name, default, range, unit and meaning. The environment is read once, by
 * whoever asks for an option first, which is before the first allocation; a process that runs with more privileges
 * than its user (AT_SECURE) ignores it. In a guest the environment comes from the kernel's command line:
 * env.NAME=VALUE. An unknown name or a bad value is one line on stderr, and the default holds. Nothing here allocates.
 */
#ifndef WEIR_API_OPTIONS_H
#define WEIR_API_OPTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "src/base/bits.h"

enum option {
    OPTION_HELP,          /* 0, 1 */
    OPTION_VERBOSE,       /* 0, 1 */
    OPTION_STATS,         /* enum option_stats */
    OPTION_STATS_FILE,    /* a text */
    OPTION_ABORT,         /* 0, 1 */
    OPTION_LIMIT,         /* bytes; 0: none */
    OPTION_RESERVE,       /* bytes; 0: by the machine's memory */
    OPTION_KEEP,          /* bytes; SIZE_MAX: everything */
    OPTION_KEEP_PART,     /* percent of what is in use */
    OPTION_COLD_MS,       /* milliseconds */
    OPTION_MADVISE,       /* enum option_madvise */
    OPTION_HUGE,          /* enum option_huge */
    OPTION_BACKGROUND,    /* 0, 1 */
    OPTION_BACKGROUND_MS, /* milliseconds */
    OPTIONS
};

enum option_stats {
    STATS_OFF,
    STATS_TEXT,
    STATS_JSON,
};

enum option_madvise {
    MADVISE_DONTNEED,
    MADVISE_FREE,
};

enum option_huge {
    HUGE_DEFAULT, /* for what a process needs beyond its first 4 MiB */
    HUGE_NEVER,
    HUGE_ALWAYS,
    HUGE_SYSTEM, /* as the system is set */
};

extern _Atomic(size_t) option_values[OPTIONS];
extern atomic_bool options_known;

/* Reads the environment, unless that was done. */
void options_read(void);

/* The value in force. */
static inline size_t option(enum option option)
{
    if (unlikely(!atomic_load_explicit(&options_known, memory_order_acquire)))
        options_read();
    return atomic_load_explicit(&option_values[option], memory_order_relaxed);
}

/* Changes a value while the program runs. False if it is out of the option's range. What was read at start (limit,
 * range of addresses, help …) does not change by that. */
bool option_set(enum option option, size_t value);

/* The value of an option that is a text; "" if it is not set. */
const char *option_text(enum option option);

#endif
