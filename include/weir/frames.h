/*
 * The frame table: who owns each 4 KiB of memory.
 *
 * A frame table manages a span of addresses. Memory is added to it in regions; what was never added is a hole. All of
 * its bookkeeping (one 8-byte word per frame and three bitmaps) lies outside the managed memory, in metadata that the
 * caller supplies, so that a free frame is never touched and a dangling write cannot corrupt it.
 *
 * Addresses are `uintptr_t`, multiples of WEIR_FRAME_SIZE; lengths are in frames unless a name says bytes. All
 * functions are thread safe unless they say otherwise. No function touches the managed memory itself.
 *
 * Binary buddy: Knowlton 1965; Knuth, TAOCP 1, 2.5. Out-of-band lists and most-recently-used order: after Nanos's page
 * heap. The unusable-free-space index: Gorman and Whitcroft 2005.
 */
#ifndef WEIR_FRAMES_H
#define WEIR_FRAMES_H

#include <stdbool.h>

#include "weir/platform.h"

#define WEIR_FRAME_SHIFT     12
#define WEIR_FRAME_SIZE      ((size_t)1 << WEIR_FRAME_SHIFT)
#define WEIR_ORDER_MAX       18 /* 1 GiB */
#define WEIR_ORDERS          (WEIR_ORDER_MAX + 1)
#define WEIR_FRAMES_SPAN_MAX ((size_t)1 << 27) /* 512 GiB */

struct weir_frames;

struct weir_frames_config {
    uintptr_t base;     /* lowest address that can ever be added */
    size_t frames;      /* length of the span from there, at most WEIR_FRAMES_SPAN_MAX */
    void *metadata;     /* weir_frames_metadata_size(base, frames) bytes, 64-byte aligned, ZERO-FILLED (it may be memory
                           that is materialised on first touch: only what describes added regions is written).
                           Owned by the table for its whole life */
    unsigned order_max; /* largest block, 0 means WEIR_ORDER_MAX */
    unsigned slots;     /* per-CPU caches of small runs, 0 for none (deterministic tests), at most 64 */
    const struct weir_platform *platform; /* outlives the table */
};

/* A range of whole frames. */
struct weir_range {
    uintptr_t start;
    size_t frames;
};

/* Bytes of metadata for a span; 0 if the span is refused (empty, misaligned, too long, wraps around). */
size_t weir_frames_metadata_size(uintptr_t base, size_t frames);

/* Makes an empty table in config->metadata. Null if the configuration is refused. Needs no undoing: forget it. */
struct weir_frames *weir_frames_init(const struct weir_frames_config *config);

enum weir_region_flags {
    WEIR_REGION_ZERO = 1,   /* every byte is known to be zero */
    WEIR_REGION_BACKED = 2, /* the host already holds real memory for it */
};

/* Adds [start, start + frames) as free memory, at any time. WEIR_OVERLAP (reported) if any of it was added before,
 * WEIR_INVALID if it leaves the span; nothing is added then. */
enum weir_status weir_frames_add(struct weir_frames *frames, uintptr_t start, size_t count, unsigned flags);

enum weir_frames_flags {
    WEIR_FRAMES_METADATA = 1, /* mark as metadata: never an object, see the map */
};

/* Allocates a run of exactly `count` frames whose start is a multiple of `align` frames (a power of two; 0 or 1: any;
 * alignment is of the address). Runs may be longer than the largest block. 0 when there is none. Of several blocks that
 * serve, the most recently used: host-backed ones first, fullest 2 MiB first. `*zero` (if not null) tells whether the
 * whole run is known to be zero. */
uintptr_t weir_frames_alloc(struct weir_frames *frames, size_t count, size_t align, unsigned flags, bool *zero);

/* The same within addresses [low, high). */
uintptr_t weir_frames_alloc_within(struct weir_frames *frames, size_t count, size_t align, uintptr_t low,
                                   uintptr_t high, unsigned flags, bool *zero);

/* Frees [start, start + count): a whole run, or any part of one run (its head, tail or middle; what remains stays
 * allocated, as one run or two). Misuse is reported and changes nothing: WEIR_DOUBLE_FREE, WEIR_NOT_ALLOCATED,
 * WEIR_WRONG_SIZE (leaves the run), WEIR_INVALID. */
enum weir_status weir_frames_free(struct weir_frames *frames, uintptr_t start, size_t count);

/* As above, and promises that the caller has zeroed the frames (or never wrote to them): they are known-zero again. */
enum weir_status weir_frames_free_zeroed(struct weir_frames *frames, uintptr_t start, size_t count);

/* Grows the run at `start` from `count` to `wanted` frames into free frames above it, if they are free.
 * `*zero` tells whether the added frames are known to be zero. */
bool weir_frames_grow(struct weir_frames *frames, uintptr_t start, size_t count, size_t wanted, bool *zero);

/* Length of the run that starts at `start`, 0 if no run starts there. Lock-free; the caller owns the run. */
size_t weir_frames_run_length(const struct weir_frames *frames, uintptr_t start);

/* The start of the run that holds `address`, 0 if none does. */
uintptr_t weir_frames_run_start(const struct weir_frames *frames, uintptr_t address);

/* --- slabs: runs of 2^order frames, naturally aligned, that carry the address of a descriptor in every frame word ---
 */

/* Allocates one. `descriptor` is 16-byte aligned, not null, of this slab alone, and never read by the frame table. 0
 * when there is none. */
uintptr_t weir_frames_alloc_slab(struct weir_frames *frames, unsigned order, void *descriptor, bool *zero);

/* Frees a whole slab. Misuse as in weir_frames_free. */
enum weir_status weir_frames_free_slab(struct weir_frames *frames, uintptr_t start, unsigned order);

/* The descriptor of the slab that holds `address`, null if it is in no slab (any address is accepted). Lock-free. The
 * inline form for fast paths is frame_word_slab() in src/frame/word.h. */
void *weir_frames_slab(const struct weir_frames *frames, uintptr_t address);

/* --- reclaim: the road of free frames to the host and back. Used by src/reclaim only. --- */

/* Takes up to `max` ranges of free, host-backed memory off the free lists, each inside one free block of at least
 * 2^order frames, largest blocks first, and marks them isolated: nobody can allocate them. Ranges of one block that the
 * host does not back are left out where that saves whole 2 MiB. At most `limit` frames in all. Returns how many ranges.
 * `cold_before`: leave alone blocks freed at or after this time (in the platform's nanoseconds), 0: take any.
 * Flushes the per-CPU caches first. */
size_t weir_frames_isolate(struct weir_frames *frames, unsigned order, size_t limit, uint64_t cold_before,
                           struct weir_range *ranges, size_t max);

/* Ends isolation: frees the ranges again. `reported`: the host has taken the memory: unbacked, contents undefined. */
void weir_frames_unisolate(struct weir_frames *frames, const struct weir_range *ranges, size_t n, bool reported);

/* The same for a host that has taken the memory and will give zeroed memory when it is touched. */
void weir_frames_unisolate_zeroed(struct weir_frames *frames, const struct weir_range *ranges, size_t n);

/* Takes up to `limit` free frames for the balloon: host-backed ones first, biggest runs first; then, only if
 * `backed_only` is false, the others. The frames are ballooned: not allocatable, counted apart. Returns the number of
 * ranges; none means nothing is left to take. */
size_t weir_frames_balloon(struct weir_frames *frames, size_t limit, bool backed_only, struct weir_range *ranges,
                           size_t max);

/* Gives ballooned frames back to the free lists, unbacked if `reached_host`. Any sub-range of ballooned frames. */
enum weir_status weir_frames_unballoon(struct weir_frames *frames, const struct weir_range *ranges, size_t n,
                                       bool reached_host);

/* Finds up to `max` ranges of ballooned frames, from the highest address down (for deflation). Takes nothing. */
size_t weir_frames_ballooned(const struct weir_frames *frames, size_t limit, struct weir_range *ranges, size_t max);

/* --- answers --- */

struct weir_frames_stats {
    size_t managed;  /* frames added */
    size_t free;     /* allocatable now, cached frames and reported frames included */
    size_t cached;   /* part of free: in per-CPU caches */
    size_t isolated; /* on their way to the host, soon free again */
    size_t ballooned;
    size_t backed;      /* frames the host is believed to hold memory for (allocated, or free and not given back) */
    size_t free_backed; /* part of free: backed */
    size_t peak_used;   /* most frames allocated at one time: managed - free - isolated - ballooned */
    size_t largest;     /* length of the largest free block, a lower bound of the largest run */
    size_t blocks[WEIR_ORDERS]; /* free blocks of each order */
    uint64_t allocs, frees;     /* operations since init */
    uint64_t failed;            /* allocations for which there was no memory */
    uint64_t reported;          /* frames given to the host by reporting, in all */
    uint64_t retaken;           /* reported frames that were allocated again, in all: what reporting cost */
};

/* O(1) but for the caches it adds up. A snapshot: other CPUs may move on. */
void weir_frames_stats(struct weir_frames *frames, struct weir_frames_stats *stats);

/* The longest run that weir_frames_alloc could return now (runs can span blocks). Walks the table. */
size_t weir_frames_largest_run(struct weir_frames *frames);

/* External fragmentation now: 1 - largest/free, in thousandths. */
unsigned weir_frames_fragmentation(struct weir_frames *frames);

/* Unusable-free-space index of one order: part of the free memory that cannot serve 2^order frames, in thousandths. */
unsigned weir_frames_unusable(struct weir_frames *frames, unsigned order);

enum weir_frame_kind {
    WEIR_FRAME_HOLE,
    WEIR_FRAME_FREE,
    WEIR_FRAME_RUN,
    WEIR_FRAME_SLAB,
    WEIR_FRAME_METADATA,
    WEIR_FRAME_BALLOONED,
    WEIR_FRAME_ISOLATED,
    WEIR_FRAME_CACHED,
};

/* What the frame at `address` is; a hole outside the span. For reports of misuse: takes the lock. */
enum weir_frame_kind weir_frames_kind(struct weir_frames *frames, uintptr_t address);

struct weir_frames_piece {
    struct weir_range range;
    enum weir_frame_kind kind;
    size_t backed; /* frames of the range that the host backs */
};

/* Calls `visit` for every piece of the span in address order (holes only between regions), under the table's lock:
 * `visit` must not call into the table. Stops when it returns false. */
void weir_frames_walk(struct weir_frames *frames, bool (*visit)(void *context, const struct weir_frames_piece *piece),
                      void *context);

/* Tests every invariant of the table. WEIR_CORRUPTED (not reported) when one is broken; `*what` (if not null) then
 * names it. Takes the lock; cost linear in the number of frames. */
enum weir_status weir_frames_check(struct weir_frames *frames, const char **what);

#endif
