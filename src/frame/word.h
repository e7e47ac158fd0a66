/*
 * The frame word: eight bytes that say what a frame is.
 *
 * Memory is covered by blocks: naturally aligned groups of 2^order frames, each free or part of one allocation. The
 * word of a block's first frame describes the block; the words of its other frames are zero. So is the word of a hole.
 * A whole gigabyte changes hands by writing one word, and metadata that was never touched already means "nothing here".
 * A slab is the exception: all its frames carry its descriptor, so that any pointer into it finds it with one load.
 *
 *     bit   63        36 35         8  7        6    2  1  0
 *          [                 descriptor (16-aligned) ][  1  ]   a frame of a slab
 *          [ previous   | next      | unbacked| order | 1| 0]   free block; links are frame numbers
 *          [ value                  | kind 7-9| order | 0| 0]   allocated block, see enum block_kind
 *          [                                               0]   inside a block, or a hole
 *
 * Of an allocation that takes several blocks (five frames: 4 + 1) the first word is the head and its value the length
 * of the whole; the others are bodies and their value is the distance back to the head.
 *
 *     (1)  blocks do not overlap, and each starts at a multiple of its size
 *     (2)  word(n) != 0 and no slab  =>  word(m) = 0 for all m in (n, n + 2^order)
 *     (3)  the block that covers n is the first non-zero word among n & -1, n & -2, n & -4, …; if that block is too
 *          short to reach n, n is a hole
 */
#ifndef WEIR_FRAME_WORD_H
#define WEIR_FRAME_WORD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "src/base/bits.h"
#include "weir/frames.h"

/* What a fast path needs to find the word of an address: the first member of struct weir_frames, never changes. */
struct frame_map {
    uintptr_t base;
    size_t count;
    _Atomic(uint64_t) *words;
};

#define WORD_SLAB UINT64_C(1)
#define WORD_FREE UINT64_C(2)

/* The slab's descriptor of a word, null for all other words. */
static inline void *word_slab(uint64_t word)
{
    return word & WORD_SLAB ? (void *)(uintptr_t)(word - WORD_SLAB) : NULL;
}

/* The word of the frame at `address`, any address: 0 outside the span. Lock-free. */
static inline uint64_t frame_word(const struct frame_map *map, uintptr_t address)
{
    size_t index = (address - map->base) >> WEIR_FRAME_SHIFT;
    return likely(index < map->count) ? atomic_load_explicit(&map->words[index], memory_order_acquire) : 0;
}

/* The descriptor of the slab that holds `address`, null if none does. */
static inline void *frame_word_slab(const struct frame_map *map, uintptr_t address)
{
    return word_slab(frame_word(map, address));
}

enum block_kind {
    KIND_NONE,
    KIND_RUN,
    KIND_METADATA,
    KIND_BALLOONED,
    KIND_ISOLATED,
    KIND_CACHED, /* free, in a per-CPU cache; value: next in the cache, whether zero, length */
    KIND_BODY,   /* of any of the above */
};

#define WORD_ORDER_SHIFT 2
#define WORD_UNBACKED    (UINT64_C(1) << 7)
#define WORD_KIND_SHIFT  7
#define WORD_VALUE_SHIFT 10
#define WORD_NEXT_SHIFT  8
#define WORD_PREV_SHIFT  36
#define WORD_LINK        ((UINT64_C(1) << 28) - 1)

static inline unsigned word_order(uint64_t word)
{
    return (unsigned)(word >> WORD_ORDER_SHIFT) & 31;
}

static inline bool word_is_free(uint64_t word)
{
    return (word & (WORD_SLAB | WORD_FREE)) == WORD_FREE;
}

/* Whether the word is that of a free block of exactly this order. */
static inline bool word_is_free_of(uint64_t word, unsigned order)
{
    return (word & 0x7f) == (WORD_FREE | (uint64_t)order << WORD_ORDER_SHIFT);
}

static inline uint64_t word_free(unsigned order, bool backed, size_t next, size_t previous)
{
    return WORD_FREE | (uint64_t)order << WORD_ORDER_SHIFT | (backed ? 0 : WORD_UNBACKED) |
           (uint64_t)next << WORD_NEXT_SHIFT | (uint64_t)previous << WORD_PREV_SHIFT;
}

static inline size_t word_next(uint64_t word)
{
    return word >> WORD_NEXT_SHIFT & WORD_LINK;
}

static inline size_t word_previous(uint64_t word)
{
    return word >> WORD_PREV_SHIFT;
}

static inline uint64_t word_allocated(unsigned order, enum block_kind kind, uint64_t value)
{
    return (uint64_t)order << WORD_ORDER_SHIFT | (uint64_t)kind << WORD_KIND_SHIFT | value << WORD_VALUE_SHIFT;
}

/* KIND_NONE for zero words, free blocks and slabs. */
static inline enum block_kind word_kind(uint64_t word)
{
    return word & (WORD_SLAB | WORD_FREE) ? KIND_NONE : (enum block_kind)(word >> WORD_KIND_SHIFT & 7);
}

/* Length of the allocation for a head, distance to the head for a body. */
static inline size_t word_value(uint64_t word)
{
    return word >> WORD_VALUE_SHIFT;
}

/* What a cached run's value holds: the number of the next one in its stack, and whether its frames are known-zero. */
static inline uint64_t word_cached(unsigned order, size_t length, bool zero, size_t next)
{
    return word_allocated(order, KIND_CACHED, (uint64_t)length | (uint64_t)zero << 8 | (uint64_t)next << 9);
}

static inline size_t word_cached_length(uint64_t word)
{
    return word_value(word) & 255;
}

static inline bool word_cached_zero(uint64_t word)
{
    return word_value(word) >> 8 & 1;
}

static inline size_t word_cached_next(uint64_t word)
{
    return word_value(word) >> 9;
}

#endif
