/*
 * What weir takes of its surroundings: one small table of functions.
 *
 * A platform is constant after init and may be shared by any number of instances. Each function must be callable from
 * any thread, must not call back into the instance that called it (but for `heartbeat`, see there), and receives
 * `context` as its first argument.
 */
#ifndef WEIR_PLATFORM_H
#define WEIR_PLATFORM_H

#include "weir/status.h"

struct weir_platform {
    void *context;

    /* A small number that tells CPUs (or threads) apart: a hint that spreads contention, never a proof of ownership. */
    unsigned (*slot)(void *context);

    /* Called in a loop that waits for another CPU; `round` counts from 0. A kernel yields when it grows large. */
    void (*relax)(void *context, unsigned round);

    /* Monotonic time in nanoseconds. */
    uint64_t (*now)(void *context);

    /* 64 unpredictable bits. */
    uint64_t (*random)(void *context);

    /* Misuse by the caller, see weir/status.h. May return (the operation then fails without harm) or not. */
    void (*error)(void *context, const struct weir_error *error);

    /* An invariant of weir itself is broken. Does not return. */
    void (*panic)(void *context, const char *message);

    /* Called now and then from slow paths, with no lock held, so that a guest without interrupts can poll its devices.
     * May call into the frame table and into reclaim, not into the heap. May be null. */
    void (*heartbeat)(void *context);
};

#endif
