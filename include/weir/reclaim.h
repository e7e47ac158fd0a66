/*
 * Reclaim: what to hand to the host, when, and what to take back.
 *
 * One instance connects a frame table to a balloon device. It has no thread and no interrupt: the surroundings call
 * weir_reclaim_poll from the idle loop, from blocking calls and from the heartbeat of the allocators; each call does a
 * bounded piece of work and never waits. Free memory that stayed free for the hold-off time is reported to the host;
 * the balloon follows the host's target; statistics are answered. docs/reclaim.md explains the policy and its figures.
 *
 * All functions are thread safe. None may be called with a lock of the frame table held.
 */
#ifndef WEIR_RECLAIM_H
#define WEIR_RECLAIM_H

#include "weir/balloon.h"
#include "weir/frames.h"

#define WEIR_RECLAIM_MEMORY ((size_t)3 * 4096) /* state of one instance */

struct weir_reclaim;

struct weir_reclaim_config {
    void *memory;                         /* WEIR_RECLAIM_MEMORY bytes, 64-byte aligned, zero-filled */
    struct weir_frames *frames;           /* outlives the instance */
    struct weir_balloon *balloon;         /* outlives the instance, used by nobody else */
    const struct weir_platform *platform; /* outlives the instance */

    /* The bus address of `address`, and how many of the `bytes` from there are contiguous on the bus (a multiple of
     * WEIR_FRAME_SIZE, at least one frame). */
    size_t (*bus_range)(void *bus_context, uintptr_t address, size_t bytes, uint64_t *bus);
    void *bus_context;

    bool no_reporting;     /* report nothing, even if the host asks for it */
    unsigned report_order; /* report free blocks of 2^order frames and more, those below 2 MiB later */
    size_t reserve;        /* bytes that inflation leaves free; 0: the policy's default */
};

/* A good report_order: 64 KiB. On a host that gives its guests hugetlbfs memory: 9, since it can take only whole 2 MiB
 * (Firecracker logs an error for each piece that is smaller). */
#define WEIR_RECLAIM_REPORT_ORDER 4

/* Makes an instance. Null if the configuration is refused. */
struct weir_reclaim *weir_reclaim_init(const struct weir_reclaim_config *config);

/* Does what is due. Returns the time (of platform->now) at which it wants to be called again; calling earlier is cheap,
 * calling later delays only the return of memory to the host. */
uint64_t weir_reclaim_poll(struct weir_reclaim *reclaim);

/* The time that the last poll returned: for callers that want to know whether a call is worthwhile. Lock-free. */
uint64_t weir_reclaim_due(const struct weir_reclaim *reclaim);

/* The guest is out of memory: makes room for `bytes`. Waits (for a bounded time) for reports in flight to come back,
 * and takes memory out of the balloon if the host allows that (DEFLATE_ON_OOM) or wants less in it than there is. True
 * if an allocation that failed is worth another try. For weir_arena_config.reclaim and for whoever asks the frame
 * table. */
bool weir_reclaim_relieve(struct weir_reclaim *reclaim, size_t bytes);

/* Reports at the next polls everything free and backed, without hold-off, once: the program said that it is done
 * (malloc_trim). */
void weir_reclaim_hasten(struct weir_reclaim *reclaim);

/* Turns reporting on or off while running. */
void weir_reclaim_set_reporting(struct weir_reclaim *reclaim, bool on);

struct weir_reclaim_stats {
    bool reporting, failed;
    uint64_t hold_off;           /* nanoseconds that memory has to stay free now before it is reported */
    size_t target;               /* frames that the host wants in the balloon, as last read */
    size_t ballooned;            /* frames in it, requests in flight included */
    size_t in_flight;            /* frames isolated for reports */
    size_t lost;                 /* frames that a failed device may still hold: never used again */
    uint64_t reports, reported;  /* requests; frames */
    uint64_t inflated, deflated; /* frames, in all */
    uint64_t relieved;           /* part of deflated: because the guest was out of memory */
    uint64_t bounced;            /* frames taken again soon after they were reported */
};

void weir_reclaim_stats(struct weir_reclaim *reclaim, struct weir_reclaim_stats *stats);

/* Tests the instance's invariants; the caller sees to it that nobody polls meanwhile. As weir_frames_check. */
enum weir_status weir_reclaim_check(struct weir_reclaim *reclaim, const char **what);

#endif
