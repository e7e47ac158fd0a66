/*
 * How an example tells whoever measures it where it stands.
 *
 * Each example works in the same order: it takes memory, stands at its peak, gives everything back. With WEIR_PHASES=1
 * in its environment it says so on its console, in lines that start with the byte 0x1e, which `weir run` takes out:
 *
 *     weir phase before                          nothing is allocated yet; 300 ms follow in which nothing happens
 *     weir phase peak live=BYTES                 about the most is allocated
 *     weir phase freed seconds=S live=BYTES      all is freed: the time from "before", and the most bytes at once
 *
 * and then waits for a line on its standard input, so that what becomes of the freed memory can be watched. BYTES are
 * what the program asked for, not what the allocator made of it. Without the variable nothing is printed and nothing
 * waits.
 */
#ifndef WEIR_EXAMPLES_PHASES_H
#define WEIR_EXAMPLES_PHASES_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct timespec phases_start;
static double phases_paused; /* seconds spent on telling */

static inline int phases_wanted(void)
{
    const char *value = getenv("WEIR_PHASES");
    return value != NULL && *value == '1';
}

static inline double phases_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) * 1e-9;
}

static inline void phases_before(void)
{
    if (phases_wanted()) {
        const struct timespec pause = {0, 300000000};
        printf("\x1eweir phase before\n");
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &phases_start);
}

static inline void phases_peak(size_t live)
{
    if (!phases_wanted())
        return;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    printf("\x1eweir phase peak live=%zu\n", live);
    fflush(stdout);
    phases_paused += phases_since(&start);
}

static inline void phases_freed(size_t most_live)
{
    double seconds = phases_since(&phases_start) - phases_paused;
    fflush(stdout);
    if (!phases_wanted())
        return;
    printf("\x1eweir phase freed seconds=%.6f live=%zu\n", seconds, most_live);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
        ;
}

#endif
