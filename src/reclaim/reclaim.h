/*
 * The state of one reclaim instance, and how its files divide the work.
 *
 *     reclaim.c   init, poll, relief, statistics, failure
 *     fault.c     what it costs to touch memory that the host took
 *     report.c    free memory → report → free memory, unbacked
 *     inflate.c   free memory → balloon, balloon → free memory, towards the host's target
 *     numbers.c   the buffers of page numbers that inflation and deflation send
 *
 * A frame that passes through is in one of these states (states of the frame table in brackets):
 *
 *     S0 free [free] → S1 in a report in flight [isolated] → S0, unbacked
 *     S0 free [free] → S2 in an inflate request in flight [ballooned] → S3 in the balloon [ballooned]
 *     S3 → S4 in a deflate request in flight [ballooned] → S0, unbacked
 *
 * Invariants, under the lock:
 *
 *     (1)  frames isolated in the table = sum of the frames of all reports in flight
 *     (2)  frames ballooned in the table = balloon.held
 *     (3)  elements free + elements in flight = elements in all
 *     (4)  inflation and deflation are never in flight together
 *     (5)  a failed device has nothing in flight; what it may still hold is counted in `lost`
 */
#ifndef WEIR_RECLAIM_RECLAIM_H
#define WEIR_RECLAIM_RECLAIM_H

#include <assert.h>

#include "weir/reclaim.h"

#include "src/base/lock.h"
#include "src/reclaim/policy.h"

enum {
    REPORTS = 2,            /* most reports in flight */
    NUMBER_FRAMES = 64,     /* most frames that hold page numbers */
    DEFLATION_RANGES = 256, /* most ranges of one deflation: fragmented memory comes back 1 MiB at a time */
    BALLOON_RANGES = 32,    /* ranges taken from the frame table at a time */
};

/* S1: one report. `count` 0: not in flight. */
struct report {
    struct weir_range ranges[WEIR_BALLOON_REPORT_SEGMENTS];
    unsigned count;
};

/* What is looked for: free, backed, cold blocks of 2^order frames and more. */
struct sieve {
    unsigned order;
    bool exhausted;  /* the last look found nothing */
    uint64_t looked; /* the last look took what was freed before this time */
};

struct reporting {
    bool on;
    bool hasten;     /* report without hold-off until nothing is left */
    bool unpunished; /* a report came back since the hold-off was last raised */
    struct sieve coarse, fine;
    uint64_t hold_off;   /* in [HOLD_OFF_FIRST, HOLD_OFF_MOST] */
    uint64_t halve;      /* time before which it does not halve */
    uint64_t look;       /* time of the next look */
    uint64_t freed;      /* time at which the table's count of frees was last seen to change */
    uint64_t frees;      /* that count */
    uint64_t retaken;    /* the table's count of frames taken again, as last seen */
    uint64_t accounted;  /* time up to which debt was worked off */
    uint64_t fault_cost; /* nanoseconds for a frame that the host took back; 0: not measured yet */
    unsigned probes;     /* how often it was measured */
    uint64_t debt;       /* nanoseconds that bouncing cost and that are not yet worked off */
    /* Frames reported in this window and in the one before: what can bounce. */
    uint64_t window, recent, recent_before;
    struct report reports[REPORTS];
    size_t in_flight; /* frames */
};

/* Elements: buffers of numbers_max page numbers each. */
struct numbers {
    uint32_t *frame[NUMBER_FRAMES]; /* [0] is the device's spare, the others come from the frame table */
    uint64_t bus[NUMBER_FRAMES];
    unsigned frames;
    unsigned per_frame;                  /* elements */
    uint8_t free[WEIR_BALLOON_ELEMENTS]; /* a stack of elements */
    unsigned free_count;
};

struct balloon {
    size_t target;                                 /* as last read */
    uint64_t target_due;                           /* time of the next look at it */
    size_t held;                                   /* S2 + S3 + S4 */
    size_t actual;                                 /* as last told */
    uint64_t actual_due;                           /* time from which it may be told again */
    size_t wanted;                                 /* frames that inflation could take at the last step */
    uint64_t patience;                             /* until when inflation lets reports go first */
    size_t reserve;                                /* frames */
    uint64_t rest;                                 /* no inflation before this time */
    uint64_t rest_length;                          /* of the next rest */
    unsigned inflating;                            /* elements in flight */
    unsigned deflating;                            /* elements in flight */
    struct weir_range deflation[DEFLATION_RANGES]; /* S4 */
    unsigned deflation_count;
};

struct weir_reclaim {
    _Atomic(uint64_t) due; /* when the next poll is worthwhile */
    struct lock lock;      /* the rest */

    /* constant after init */
    struct weir_frames *frames;
    struct weir_balloon *device;
    const struct weir_platform *platform;
    size_t (*bus_range)(void *context, uintptr_t address, size_t bytes, uint64_t *bus);
    void *bus_context;

    struct reporting reporting;
    struct balloon balloon;
    struct numbers numbers;

    bool failed;
    uint64_t progress;    /* time of the last answer, or of the first request after a time without any */
    unsigned polls;       /* since then */
    uint64_t relief_seen; /* frames that had come back, ever, when the last relief ended */
    struct weir_reclaim_stats stats;
};

static_assert(sizeof(struct weir_reclaim) <= WEIR_RECLAIM_MEMORY, "raise WEIR_RECLAIM_MEMORY");

static inline uint64_t now_of(const struct weir_reclaim *reclaim)
{
    return reclaim->platform->now(reclaim->platform->context);
}

/* --- fault.c --- */

/* Touches memory of `range`, which the host has just taken, and tells what that costs for each frame of a large piece,
 * in nanoseconds, at least 1. 0 if the range holds no whole 2 MiB: nothing was touched. */
uint64_t fault_cost(const struct weir_platform *platform, const struct weir_range *range);

/* --- report.c --- */

/* Takes answered reports back: S1 → S0. */
void report_collect(struct weir_reclaim *reclaim);

/* Looks at what is free and reports what is due. Returns when it wants to be called again. */
uint64_t report_step(struct weir_reclaim *reclaim, uint64_t now);

/* Whether a report would still find backed memory, as far as the counts tell. */
bool report_pending(struct weir_reclaim *reclaim);

/* --- inflate.c --- */

/* Takes answered requests back: S2 → S3, S4 → S0. */
void balloon_collect(struct weir_reclaim *reclaim);

/* Moves the balloon one step towards the target. Returns when it wants to be called again. */
uint64_t balloon_step(struct weir_reclaim *reclaim, uint64_t now);

/* Starts taking up to `frames` out of the balloon. Returns how many, 0 if nothing can be taken now. */
size_t balloon_deflate(struct weir_reclaim *reclaim, size_t frames);

/* --- numbers.c --- */

void numbers_init(struct weir_reclaim *reclaim);

/* Gets buffers for `frames` page numbers, as far as there is memory for them and it is worthwhile. */
void numbers_grow(struct weir_reclaim *reclaim, size_t frames);

/* Gives the buffers back. Nothing is in flight. */
void numbers_shrink(struct weir_reclaim *reclaim);

/* Submits the numbers of `ranges` as requests on `queue`, as many as there are free elements. Returns how many frames
 * that were (counted from the first range on) and adds the requests to `*requests`. No doorbell. */
size_t numbers_send(struct weir_reclaim *reclaim, enum weir_balloon_queue queue, const struct weir_range *ranges,
                    size_t count, unsigned *requests);

/* An element came back. */
void numbers_returned(struct weir_reclaim *reclaim, uint32_t element);

#endif
