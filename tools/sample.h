/*
 * The host's memory behind the guest: what the kernel says of the VMM's process, over time.
 */
#ifndef WEIR_TOOLS_SAMPLE_H
#define WEIR_TOOLS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SAMPLE_LIMIT 8192 /* even */

struct sample {
    double time; /* host clock, seconds */
    uint64_t rss;
    uint64_t balloon;
};

/*
 * A series that never grows beyond its bound: when it is full, every other sample goes and the interval doubles. So
 *     (1) count ≤ SAMPLE_LIMIT
 *     (2) two neighbours are at least `interval` apart, but for those taken by hand.
 */
struct series {
    struct sample *samples;
    size_t count;
    double interval; /* seconds between samples */
    double next;     /* host clock: when the next is due */
};

/* Seconds on a clock that never jumps. */
double clock_now(void);

/* Resident bytes now and at most so far (VmRSS, VmHWM); false if the process is gone. */
bool resident_bytes(pid_t pid, uint64_t *now, uint64_t *peak);

void series_start(struct series *series, double interval);
void series_add(struct series *series, const struct sample *sample);
void series_free(struct series *series);

#endif
