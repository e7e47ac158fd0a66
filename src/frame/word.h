/*
 * The frame word: eight bytes that say to whom a frame belongs.
 *
 * An allocation is covered by blocks: naturally aligned groups of 2^order frames. The word of a block's first frame
 * describes it; the words of its other frames are zero, and so are those of free frames and holes. A whole gigabyte
 * changes hands by writing one word, and metadata that was never touched already means "nobody's". Two exceptions: a
 * slab's frames all carry its descriptor, so that any pointer into it finds it with one load; and a run of one frame is
 * a bit in a bitmap (frame_bits.single), which is what keeps single frames fast.
 *
 *     bit   63                     10 9    7 6    2  1  0
 *          [        descriptor, 16-byte aligned     |  1]   a frame of a slab
 *          [ value                   | kind | order | 0 0]   first frame of a block, see enum block_kind
 *          [                                            0]   anything else
 *
 * Of an allocation of several blocks (seven frames: 4 + 2 + 1) the first word is the head and its value the length of
 * the whole; the others are bodies and their value is the distance back to the head.
 *
 *     (1)  blocks do not overlap, and each starts at a multiple of its size
 *     (2)  word(n) != 0 and no slab  =>  word(m) = 0 for all m in (n, n + 2^order)
 *     (3)  the block that covers n is the first non-zero word among n & -1, n & -2, n & -4, …; if that block is too
 *          short to reach n, or if there is none, n belongs to nobody
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
    KIND_CACHED, /* a free run of two frames or more in a per-CPU cache; value: see word_cached */
    KIND_BODY,   /* of any of the above */
};

#define WORD_ORDER_SHIFT 2
#define WORD_KIND_SHIFT  7
#define WORD_VALUE_SHIFT 10

static inline unsigned word_order(uint64_t word)
{
    return (unsigned)(word >> WORD_ORDER_SHIFT) & 31;
}

static inline uint64_t word_block(unsigned order, enum block_kind kind, uint64_t value)
{
    return (uint64_t)order << WORD_ORDER_SHIFT | (uint64_t)kind << WORD_KIND_SHIFT | value << WORD_VALUE_SHIFT;
}

/* KIND_NONE for zero words and slabs. */
static inline enum block_kind word_kind(uint64_t word)
{
    return word & WORD_SLAB ? KIND_NONE : (enum block_kind)(word >> WORD_KIND_SHIFT & 7);
}

/* Length of the allocation for a head, distance to the head for a body. */
static inline size_t word_value(uint64_t word)
{
    return word >> WORD_VALUE_SHIFT;
}

/* A cached run's value holds its length, whether its frames are known-zero, and the number of the next in its stack. */
static inline uint64_t word_cached(unsigned order, size_t length, bool zero, size_t next)
{
    return word_block(order, KIND_CACHED, (uint64_t)length | (uint64_t)zero << 8 | (uint64_t)next << 9);
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
