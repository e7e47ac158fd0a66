/*
 * The frame table's own structure, shared by the files of this folder.
 *
 * Who holds what is allocated stands in the frame words (word.h). What is free stands in the chunks: 2 MiB each, the
 * host's huge page. A chunk of which some frames are free is PART: a bitmap tells which. A block of free chunks is
 * described by its first chunk, which is FREE. All other chunks are NONE: nothing of them is free, or they lie within a
 * larger free block.
 *
 *               add, free                       the last frame is freed, merge
 *        NONE ------------> PART <-----------------------------------------------> FREE
 *             <------------            a frame of it is taken, split
 *        the last frame is taken
 *
 * Frame numbers. Inside this folder a frame is a number: its distance from a 1 GiB boundary below the span, plus 2^18.
 * So the natural alignment of a number up to 2^18 is that of the address, and no frame has number 0. Chunk numbers are
 * frame numbers / 512; the 64 below that of the first chunk name the list heads, so that unlinking needs no test.
 *
 *     (1)  managed = free + out + isolated + ballooned;  out: in runs, slabs, metadata and caches
 *     (2)  free = sum over orders of blocks[k] * 2^k;  blocks[k] = FREE chunks of order k, and blocks within PART ones
 *     (3)  no free block has a free buddy of its own order (below order_max)
 *     (4)  a chunk of order k is on list (l, k); PART: k is the order of its largest free block;
 *          l is BACKED if and only if the host backs one of its free frames
 *     (5)  free_backed = number of backed bits of free frames
 *     (6)  frames that are out are backed and dirty
 *     (7)  reported => not backed
 *     (8)  home(c) = s => c is PART, and c = home(s);  s is a cache
 *     (9)  touched(c) <=> some frame of chunk c is backed;  full(c) => all of them are backed and dirty
 */
#ifndef WEIR_FRAME_TABLE_H
#define WEIR_FRAME_TABLE_H

#include <stdalign.h>

#include "src/base/lock.h"
#include "src/frame/word.h"

#define CHUNK_ORDER  9
#define CHUNK_FRAMES ((size_t)1 << CHUNK_ORDER)
#define CHUNK_GROUPS (CHUNK_FRAMES / 64)

#define LIST_HEADS 64
enum list {
    LIST_BACKED,
    LIST_UNBACKED
};

enum chunk_state {
    CHUNK_NONE,
    CHUNK_PART,
    CHUNK_FREE
};

struct chunk {
    uint32_t next, previous; /* in its list, chunk numbers; of FREE and PART chunks */
    uint8_t state;
    uint8_t order;               /* FREE: of the block; PART: of the largest free block within */
    uint8_t list;                /* which of the two of that order it is on */
    uint8_t home;                /* PART: of the cache that takes single frames here: slot + 1; 0: of none */
    uint16_t free, free_backed;  /* PART: frames */
    uint16_t count[CHUNK_ORDER]; /* PART: free blocks of each order within */
    uint64_t freed_at;           /* when a large block in it was freed last, platform time */
};

/* Bitmaps of a chunk, a cache line each. */
struct frame_bits {
    uint64_t free[CHUNK_GROUPS];            /* PART; zero otherwise */
    _Atomic(uint64_t) single[CHUNK_GROUPS]; /* is a run of one frame; changes without the lock */
    uint64_t backed[CHUNK_GROUPS];          /* the host is believed to hold memory for it */
    uint64_t dirty[CHUNK_GROUPS];           /* not known to be zero */
    uint64_t reported[CHUNK_GROUPS];        /* given to the host by reporting, and not allocated since */
    uint64_t managed[CHUNK_GROUPS];         /* added; only where the chunk's `added` is neither 0 nor all */
};

/* Caches hold runs of 1 to CACHE_LENGTH frames. */
#define CACHE_LENGTH  16
#define CACHE_SINGLES 64

/* A per-CPU cache. The platform's slot number is only a hint, so each has a lock, which is nearly always free; whoever
 * holds it writes the rest, the atomic ones are read by anyone. */
struct slot {
    alignas(64) struct lock lock;
    _Atomic(uint32_t) singles; /* depth of the stack of single frames */
    _Atomic(uint32_t) longer;  /* frames in the other stacks */
    _Atomic(uint64_t) allocs, frees;
    uint32_t single[CACHE_SINGLES];   /* number * 2 + known-zero */
    uint32_t home;                    /* the chunk where it took single frames last; 0: none */
    uint32_t top[CACHE_LENGTH + 1];   /* for each length from 2 on: number of the run freed last; 0: none */
    uint16_t depth[CACHE_LENGTH + 1]; /* runs in the stack */
};

/* Of 64 chunks, a bit each. */
struct summary {
    uint64_t touched; /* some frame is backed */
    uint64_t full;    /* all frames are backed and dirty; may be clear although they are */
};

struct weir_frames {
    /* constant after init */
    struct frame_map map;
    const struct weir_platform *platform;
    _Atomic(uint64_t) *word; /* by frame number, not from zero; so the next four by chunk number */
    struct chunk *chunk;
    struct frame_bits *bits;
    uint16_t *added;         /* frames of the chunk that are managed */
    struct summary *summary; /* by chunk number / 64 */
    struct slot *slots;
    uintptr_t origin; /* address of number 0, modulo 2^64 */
    size_t first, end;
    unsigned order_max;
    unsigned slot_count;

    /* under the lock */
    alignas(64) struct lock lock;
    uint32_t present[2]; /* bit k: the list of order k is not empty */
    size_t free, free_backed, backed;
    size_t blocks[WEIR_ORDERS];
    uint64_t allocs, frees; /* those that took the lock */
    size_t managed, isolated, ballooned;
    size_t balloon_backed; /* backed bits of ballooned frames: theirs while they may yet come back untaken */
    size_t peak_used;
    size_t balloon_top; /* no ballooned frame lies at or above this number */
    uint64_t reported, retaken;
    unsigned stamp_order; /* freed blocks from this order on have their time noted */

    _Atomic(uint64_t) failed;
};

static inline uint64_t word_load(const struct weir_frames *f, size_t n)
{
    return atomic_load_explicit(&f->word[n], memory_order_relaxed);
}

static inline void word_store(struct weir_frames *f, size_t n, uint64_t word)
{
    atomic_store_explicit(&f->word[n], word, memory_order_relaxed);
}

static inline bool in_span(const struct weir_frames *f, size_t n)
{
    return n - f->first < f->map.count;
}

/* The number of the frame at `address`; not in_span if the address is not. */
static inline size_t number_of(const struct weir_frames *f, uintptr_t address)
{
    return ((address - f->map.base) >> WEIR_FRAME_SHIFT) + f->first;
}

static inline uintptr_t address_of(const struct weir_frames *f, size_t n)
{
    return f->origin + (n << WEIR_FRAME_SHIFT);
}

static inline void frames_lock(const struct weir_frames *f)
{
    lock_take((struct lock *)&f->lock, f->platform);
}

static inline void frames_unlock(const struct weir_frames *f)
{
    lock_drop((struct lock *)&f->lock);
}

/* The order of the largest block that starts at n and ends by `end`. */
static inline unsigned order_up(const struct weir_frames *f, size_t n, size_t end)
{
    unsigned order = log2_floor(end - n);
    unsigned aligned = (unsigned)__builtin_ctzll(n);
    order = order < aligned ? order : aligned;
    return order < f->order_max ? order : f->order_max;
}

/* The order of the largest block that ends at n and starts from `start` on. */
static inline unsigned order_down(const struct weir_frames *f, size_t start, size_t n)
{
    return order_up(f, n, n + (n - start));
}

/* Misuse: reports it, with no lock held, and returns `status`. */
enum weir_status frames_misuse(const struct weir_frames *f, enum weir_status status, const char *operation,
                               uintptr_t address, size_t count);

/* Whether [start, start + count) is a range of whole frames: WEIR_OK, WEIR_INVALID or, outside the span,
 * WEIR_NOT_ALLOCATED. */
enum weir_status frames_range(const struct weir_frames *f, uintptr_t start, size_t count);

/* --- buddy.c: free memory. All with the lock held. --- */

void buddy_init(struct weir_frames *f);

/* Takes a free block of exactly 2^order frames, splitting a larger one; 0 if there is none. */
size_t buddy_take(struct weir_frames *f, unsigned order);

/* Takes the block that fits best for single frames, cut to at most 2^*order frames; sets *order. From the chunk that is
 * the cache's home, or one that is nobody's, if it can: so that CPUs do not share the lines of its bitmaps and words.
 */
size_t buddy_take_some(struct weir_frames *f, struct slot *slot, unsigned *order);

/* Takes [n, n + count), which must be free. */
void buddy_carve(struct weir_frames *f, size_t n, size_t count);

/* Makes [n, n + count) free and merges; returns the order of the largest block that this made. `backed`: all of it is
 * backed; else the bitmap is asked. */
unsigned buddy_give(struct weir_frames *f, size_t n, size_t count, bool backed);

/* Whether n is free. */
bool buddy_is_free(const struct weir_frames *f, size_t n);

/* End, not beyond `limit`, and start of the maximal range of free frames that holds n, which is free. */
size_t buddy_free_end(const struct weir_frames *f, size_t n, size_t limit);
size_t buddy_free_start(const struct weir_frames *f, size_t n);

/* The first free frame in [n, limit), or limit. */
size_t buddy_next_free(const struct weir_frames *f, size_t n, size_t limit);

/* Number of the list head, among chunk numbers. */
static inline size_t list_head(const struct weir_frames *f, enum list list, unsigned order)
{
    return (f->first >> CHUNK_ORDER) - LIST_HEADS + (size_t)list * 32 + order;
}

/* Largest order within a chunk. */
static inline unsigned part_order_max(const struct weir_frames *f)
{
    return f->order_max < CHUNK_ORDER ? f->order_max : CHUNK_ORDER - 1;
}

/* --- search.c --- */

struct want {
    size_t count;
    size_t align;     /* frames, a power of two */
    size_t low, high; /* numbers */
};

/* A free range that serves, or 0. Walks free blocks: for what the lists cannot answer at once. */
size_t search_space(const struct weir_frames *f, const struct want *want);

/* Of the ranges that the host backs in part at least, the one that fits best, or 0. */
size_t search_best(const struct weir_frames *f, const struct want *want);

/* --- run.c --- */

/* A block of an allocation; word 0: there is none. */
struct cover {
    size_t start;
    uint64_t word;
};

/* The first block of the allocation that holds n: its word is the head. A run of one frame has the word it would have
 * if it needed one. Without the lock: right if the caller owns n. */
struct cover run_head(const struct weir_frames *f, size_t n);

/* Writes the words of an allocation; clears them again. */
void run_mark(struct weir_frames *f, size_t n, size_t count, enum block_kind kind);
void run_unmark(struct weir_frames *f, size_t n, size_t count);

/* The bits that say which frames are runs of one frame: n's group of 64. They change without the lock. */
static inline _Atomic(uint64_t) *single_group(const struct weir_frames *f, size_t n)
{
    return &f->bits[n >> CHUNK_ORDER].single[n >> 6 & (CHUNK_GROUPS - 1)];
}

static inline bool single_is(const struct weir_frames *f, size_t n)
{
    return atomic_load_explicit(single_group(f, n), memory_order_relaxed) >> (n & 63) & 1;
}

static inline void single_set(struct weir_frames *f, size_t n)
{
    atomic_fetch_or_explicit(single_group(f, n), UINT64_C(1) << (n & 63), memory_order_relaxed);
}

/* Returns whether n was one. */
static inline bool single_clear(struct weir_frames *f, size_t n)
{
    uint64_t mask = UINT64_C(1) << (n & 63);
    return atomic_fetch_and_explicit(single_group(f, n), ~mask, memory_order_relaxed) & mask;
}

/* Accounts for [n, n + count), which just left the free memory for a user: bits, counts, peak. True if known-zero. */
bool run_claim(struct weir_frames *f, size_t n, size_t count);

/* Makes frames that were out free again. Their words are clear. */
void run_release(struct weir_frames *f, size_t n, size_t count, bool zero);

/* Cuts [n, n + count) out of an allocation of kind `kind` (KIND_RUN: or metadata) and clears its words. */
enum weir_status run_detach(struct weir_frames *f, size_t n, size_t count, enum block_kind kind);

/* What it would be to free n, which is not a run. */
enum weir_status run_verdict(const struct weir_frames *f, size_t n);

/* --- cache.c --- */

/* The cache of this CPU, locked; null if there is none or somebody else uses it. Whoever moves frames between a cache
 * and a user changes their words and bits before it leaves: so that whoever holds all locks sees every frame somewhere.
 */
static inline struct slot *cache_enter(struct weir_frames *f)
{
    if (f->slot_count == 0)
        return NULL;
    unsigned i = f->platform->slot(f->platform->context);
    struct slot *slot = &f->slots[likely(i < f->slot_count) ? i : i % f->slot_count];
    return lock_try(&slot->lock) ? slot : NULL;
}

static inline void cache_leave(struct slot *slot)
{
    lock_drop(&slot->lock);
}

/* Makes the stack of single frames half full, as far as there is memory; returns its depth. */
uint32_t cache_refill(struct weir_frames *f, struct slot *slot);

/* Makes the full stack of single frames half full; returns its depth. */
uint32_t cache_drain(struct weir_frames *f, struct slot *slot);

/* A single frame, 0 if there is no memory: its number * 2 + known-zero. */
static inline size_t cache_pop_single(struct weir_frames *f, struct slot *slot)
{
    uint32_t depth = atomic_load_explicit(&slot->singles, memory_order_relaxed);
    if (unlikely(depth == 0) && (depth = cache_refill(f, slot)) == 0)
        return 0;
    atomic_store_explicit(&slot->singles, depth - 1, memory_order_relaxed);
    atomic_store_explicit(&slot->allocs, slot->allocs + 1, memory_order_relaxed);
    return slot->single[depth - 1];
}

static inline void cache_push_single(struct weir_frames *f, struct slot *slot, size_t n, bool zero)
{
    uint32_t depth = atomic_load_explicit(&slot->singles, memory_order_relaxed);
    if (unlikely(depth == CACHE_SINGLES))
        depth = cache_drain(f, slot);
    slot->single[depth] = (uint32_t)(n * 2 + zero);
    atomic_store_explicit(&slot->singles, depth + 1, memory_order_relaxed);
    atomic_store_explicit(&slot->frees, slot->frees + 1, memory_order_relaxed);
}

/* A cached run of two frames or more, naturally aligned if `count` is a power of two; 0 if there is none. Its words are
 * still those of a cached run. */
size_t cache_pop(struct weir_frames *f, struct slot *slot, size_t count, bool *zero);

/* Puts in a run that cache_fits. The words of its bodies, if it has any, are right; its first one is clear. */
void cache_push(struct weir_frames *f, struct slot *slot, size_t n, size_t count, bool zero);

/* A run of a power of two must be naturally aligned: it may serve as a slab. */
static inline bool cache_fits(size_t n, size_t count)
{
    return count <= CACHE_LENGTH && (!is_power_of_two(count) || (n & (count - 1)) == 0);
}

/* Gives all cached frames back to the free blocks; no lock may be held. Returns whether there were any. */
bool cache_flush(struct weir_frames *f);

/* Frames in all caches. */
size_t cache_count(const struct weir_frames *f);

/* Holds all caches still. */
void cache_lock_all(const struct weir_frames *f);
void cache_unlock_all(const struct weir_frames *f);

#endif
