/* What the guest programs of these tests share: time, memory that is really touched, and milestones for `weir run`. */
#ifndef TESTS_RECLAIM_GUEST_H
#define TESTS_RECLAIM_GUEST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "platform/kernel/devices.h"

#define MIB ((size_t)1 << 20)

struct weir_frames *weir_kernel_frames(void);

static inline double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline void rest(double duration)
{
    struct timespec time = {(time_t)duration, (long)((duration - (double)(time_t)duration) * 1e9)};
    nanosleep(&time, NULL);
}

/* One write in each frame. */
static inline void touch(void *memory, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 4096)
        ((volatile char *)memory)[i] = 1;
}

/* The instance, which comes up a little after the program; ends the program if there is none. */
static inline struct weir_reclaim *reclaim_wait(void)
{
    for (unsigned i = 0; i < 2000 && weir_kernel_reclaim() == NULL; i++)
        rest(0.001);
    if (weir_kernel_reclaim() == NULL)
        exit(3);
    return weir_kernel_reclaim();
}

static inline struct weir_reclaim_stats reclaim_stats(void)
{
    struct weir_reclaim_stats stats = {0};
    if (weir_kernel_reclaim() != NULL)
        weir_reclaim_stats(weir_kernel_reclaim(), &stats);
    return stats;
}

/* A milestone, with what the guest knows. */
static inline void phase(const char *name)
{
    struct weir_reclaim_stats stats = reclaim_stats();
    struct weir_frames_stats frames;
    weir_frames_stats(weir_kernel_frames(), &frames);
    printf("\x1eweir phase %s free_mib=%zu ballooned_mib=%zu reported_mib=%llu bounced_mib=%llu hold_off_ms=%llu\n",
           name, frames.free >> 8, stats.ballooned >> 8, (unsigned long long)stats.reported >> 8,
           (unsigned long long)stats.bounced >> 8, (unsigned long long)stats.hold_off / 1000000);
    fflush(stdout);
}

/* The same, and time for the host to look at the guest's memory before the guest goes on. */
static inline void phase_seen(const char *name)
{
    phase(name);
    rest(0.5);
}

static inline size_t argument(int argc, char **argv, int n, size_t otherwise)
{
    return argc > n ? (size_t)strtoull(argv[n], NULL, 10) : otherwise;
}

#endif
