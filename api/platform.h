/*
 * What the faces need of the place where they stand: an arena for the process, and what it costs. One implementation is
 * linked in: platform/linux or platform/kernel/malloc_glue.c.
 */
#ifndef WEIR_API_PLATFORM_H
#define WEIR_API_PLATFORM_H

#include "weir/heap.h"

/* Makes the process's arena; called once, by whoever allocates first, perhaps before any constructor has run. Must not
 * allocate. Null without memory: it is asked again then. */
struct weir_arena *platform_arena(void);

/* Hands free memory to the operating system or host now, but for `keep` bytes. True if there was any. */
bool platform_give_back(size_t keep);

/* What the system knows of the process; 0 where it does not say. */
struct platform_usage {
    size_t resident, peak_resident; /* bytes */
    uint64_t faults;                /* page faults */
    uint64_t user_ms, system_ms;    /* time spent on CPUs */
};

void platform_usage(struct platform_usage *usage);

#endif
