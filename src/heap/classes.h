/*
 * Size classes: which sizes small objects have, and how long the slabs are that hold them.
 *
 * Classes 0 to 15 are the multiples of 16 up to 256; from there each doubling is cut into eight. The mean loss over
 * log-uniform sizes is 4.2 %, half of what four classes per doubling cost:
 *
 *     (1)  size(class(n)) >= n, and size(class(n) - 1) < n
 *     (2)  size(c) is a multiple of 16, and of 2^k for every 2^k <= 4096 that divides some n with class(n) = c exactly
 *
 * The least slab of a class is the shortest that wastes at most a quarter of itself at its end; as the class is used
 * more, its slabs grow (class_slab_order), and the waste shrinks with them: up to 64 KiB, or as many as 32 objects
 * need.
 */
#ifndef WEIR_HEAP_CLASSES_H
#define WEIR_HEAP_CLASSES_H

#include "src/base/bits.h"
#include "weir/frames.h"

#define CLASSES          72u
#define SMALL_MAX        ((size_t)32768)
#define SLAB_ORDER_MAX   6u /* 256 KiB */
#define TABLED_SIZE_MAX  ((size_t)1024)
#define GRANULE          ((size_t)16)
#define CLASS_LINEAR     16u /* classes that are multiples of a granule */
#define CLASS_LINEAR_MAX ((size_t)256)

/* The class of each number of granules up to 1 KiB: where nearly all requests lie. One cache line and a byte. */
extern const uint8_t class_of_granules[TABLED_SIZE_MAX / GRANULE + 1];

/* Of each class 2^32 / size, rounded up: what turns the division by a size into a multiplication. */
extern const uint32_t class_inverse[CLASSES];

/* size <= SMALL_MAX */
static inline unsigned class_of(size_t size)
{
    if (likely(size <= TABLED_SIZE_MAX))
        return class_of_granules[(size + GRANULE - 1) / GRANULE];
    unsigned doubling = log2_floor(size - 1);
    return CLASS_LINEAR + (doubling - 8) * 8 + (unsigned)((size - 1) >> (doubling - 3) & 7);
}

static inline size_t class_size(unsigned class)
{
    if (class < CLASS_LINEAR)
        return (class + 1) * GRANULE;
    unsigned doubling = (class - CLASS_LINEAR) / 8;
    return (size_t)(9 + (class - CLASS_LINEAR) % 8) << (doubling + 5);
}

/* The first class whose objects hold `size` bytes and are all aligned to `alignment` (a power of two up to a frame):
 * slabs start at frames, so that is a class whose size is a multiple. CLASSES if there is none. */
static inline unsigned class_of_aligned(size_t size, size_t alignment)
{
    size_t rounded = round_up(size ? size : 1, alignment);
    if (rounded > SMALL_MAX)
        return CLASSES;
    unsigned class = class_of(rounded);
    while (class < CLASSES && class_size(class) % alignment != 0)
        class += 1;
    return class;
}

/* The shortest slab that holds one object of the class: what a heap short of memory falls back to. */
static inline unsigned class_order_min(unsigned class)
{
    return log2_ceil((class_size(class) + WEIR_FRAME_SIZE - 1) >> WEIR_FRAME_SHIFT);
}

/* The order of the next slab of a class whose slabs have `frames` by now. */
unsigned class_slab_order(unsigned class, size_t frames);

#endif
