/*
 * The frame table's own structure, shared by the files of this folder.
 *
 * Frame numbers. Inside this folder a frame is a number: its distance from a 1 GiB boundary below the span, plus 2^18.
 * So the natural alignment of a number up to 2^18 is that of the address, no frame has number 0, and the 64 numbers
 * below `first` are free to name the list heads, whose words lie just before those of the frames:
 *
 *     number   first - 64 … first - 1 | first … end - 1
 *     word     list heads             | frames
 *
 * Lists are circular through their heads, so that unlinking a block needs no test.
 *
 *     (1)  managed = free + out + isolated + ballooned;  out: in runs, slabs, metadata and caches
 *     (2)  free = sum over orders of blocks[k] * 2^k
 *     (3)  no free block has a free buddy of its own order (below order_max)
 *     (4)  a free block is on the backed list of its order if and only if one of its frames is backed
 *     (5)  free_backed = number of backed bits in free blocks
 *     (6)  frames that are out are backed and dirty
 *     (7)  reported => free or out of nothing else, and not backed
 *     (8)  touched(c) <=> some frame of chunk c is backed
 */
#ifndef WEIR_FRAME_TABLE_H
#define WEIR_FRAME_TABLE_H

#include <stdalign.h>

#include "src/base/lock.h"
#include "src/frame/word.h"

/* A chunk is 2 MiB: the unit of the host's huge pages, and of what the table remembers about time. */
#define CHUNK_ORDER  9
#define CHUNK_FRAMES ((size_t)1 << CHUNK_ORDER)

#define LIST_HEADS 64
enum list {
    LIST_BACKED,
    LIST_UNBACKED
};

/* Four bits for each of 64 frames, together because they are read and written together. */
struct frame_bits {
    uint64_t backed;   /* the host is believed to hold memory for it */
    uint64_t dirty;    /* not known to be zero */
    uint64_t reported; /* given to the host by reporting, and not allocated since */
    uint64_t managed;  /* added; only where the chunk's `managed` is neither 0 nor all */
};

struct chunk {
    uint64_t freed_at; /* when a large block in it was freed last, platform time */
    uint32_t managed;  /* frames added */
};

/* Caches hold runs of 1 to CACHE_LENGTH frames. */
#define CACHE_LENGTH 16

/* A per-CPU cache. The platform's slot number is only a hint, so each has a lock, which is nearly always free. */
struct slot {
    alignas(64) struct lock lock;
    _Atomic(uint32_t) cached; /* frames in all stacks; written under `lock`, read by anyone */
    _Atomic(uint64_t) allocs, frees;
    uint32_t top[CACHE_LENGTH];   /* number of the run freed last, for each length - 1; 0: none */
    uint16_t depth[CACHE_LENGTH]; /* runs in the stack */
};

struct weir_frames {
    /* constant after init */
    struct frame_map map;
    const struct weir_platform *platform;
    _Atomic(uint64_t) *word; /* these four are indexed by frame number (shifted), not from zero */
    struct frame_bits *bits;
    uint64_t *touched;
    struct chunk *chunk;
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
    _Atomic(uint64_t) failed;
    unsigned stamp_order; /* freed blocks from this order on have their time noted */
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

/* A block that covers a frame; word 0: none does, it is a hole. */
struct cover {
    size_t start;
    unsigned order;
    uint64_t word;
};

/* Misuse: reports it, with no lock held, and returns `status`. */
enum weir_status frames_misuse(const struct weir_frames *f, enum weir_status status, const char *operation,
                               uintptr_t address, size_t count);

/* Whether [start, start + count) is a range of whole frames: WEIR_OK, WEIR_INVALID or, outside the span,
 * WEIR_NOT_ALLOCATED. */
enum weir_status frames_range(const struct weir_frames *f, uintptr_t start, size_t count);

/* --- buddy.c: free blocks. All with the lock held. --- */

void buddy_init(struct weir_frames *f);

/* The block that covers n. Without the lock: right if the caller owns n. */
struct cover buddy_cover(const struct weir_frames *f, size_t n);

/* Takes a free block of exactly 2^order frames, splitting a larger one; 0 if there is none. */
size_t buddy_take(struct weir_frames *f, unsigned order);

/* Takes [n, n + count), which must be free, out of the free blocks. */
void buddy_carve(struct weir_frames *f, size_t n, size_t count);

/* Frees [n, n + count), all of it backed or none, and merges. The words of the range are zero, or still those of a run
 * that was the whole range. */
void buddy_give(struct weir_frames *f, size_t n, size_t count, enum list list);

/* The same for frames that went the road to the host: backed as the bitmap says, and not freed now. */
void buddy_return(struct weir_frames *f, size_t n, size_t count);

/* Makes free blocks of [n, n + count), which was cut off a free block, without looking for buddies. */
void buddy_put_back(struct weir_frames *f, size_t n, size_t count);

/* Number of the list head, and whether a number is one. */
static inline size_t list_head(const struct weir_frames *f, enum list list, unsigned order)
{
    return f->first - LIST_HEADS + (size_t)list * 32 + order;
}

/* --- search.c --- */

struct want {
    size_t count;
    size_t align;     /* frames, a power of two */
    size_t low, high; /* numbers */
};

/* A free range that serves, or 0. Walks free blocks: for what the lists cannot answer at once. */
size_t search_space(const struct weir_frames *f, const struct want *want);

/* --- run.c --- */

/* Writes the words of an allocation; clears them again. */
void run_mark(struct weir_frames *f, size_t n, size_t count, enum block_kind kind);
void run_unmark(struct weir_frames *f, size_t n, size_t count);

/* Accounts for [n, n + count), which just left the free blocks for a user: bits, counts, peak. True if known-zero. */
bool run_claim(struct weir_frames *f, size_t n, size_t count);

/* The reverse of run_claim and buddy_give in one. */
void run_release(struct weir_frames *f, size_t n, size_t count, bool zero);

/* Frees any part of an allocation of kind `kind`, or of KIND_RUN or KIND_METADATA if `kind` is KIND_RUN. Does not yet
 * give the frames to anybody: they are covered by nothing. */
enum weir_status run_detach(struct weir_frames *f, size_t n, size_t count, enum block_kind kind);

/* --- cache.c --- */

/* A cached run (for slabs too: naturally aligned if `count` is a power of two), or 0. Its words are still those of a
 * cached run. */
size_t cache_take(struct weir_frames *f, size_t count, bool *zero);

/* Takes a run whose first word is `word` into the cache. False: not cached, the caller frees it otherwise. `*lost`: the
 * word was not `word` any more, somebody else freed the run at the same time. */
bool cache_give(struct weir_frames *f, size_t n, size_t count, uint64_t word, bool zero, bool *lost);

/* Gives all cached frames back to the free blocks; no lock may be held. Returns whether there were any. */
bool cache_flush(struct weir_frames *f);

/* Frames in all caches. */
size_t cache_count(const struct weir_frames *f);

/* Holds all caches still. */
void cache_lock_all(const struct weir_frames *f);
void cache_unlock_all(const struct weir_frames *f);

#endif
