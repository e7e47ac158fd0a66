/*
 * What is known of each frame's contents and backing: bitmaps over the frame numbers.
 *
 * Stored so that zero-filled metadata is right for memory that the host has never backed: backed 0, dirty 0.
 *
 *     state                              backed dirty reported
 *     never used, from a zeroed region     0      0      0
 *     free, used before                    1      1      0
 *     free, zeroed by its last user        1      0      0
 *     out (run, slab, metadata, cache)     1      1      0
 *     given to the host by reporting       0      1      1
 *     the same, and zero if it comes back  0      0      1
 *     given to the host by the balloon     0      1      0
 *
 * A summary says of each chunk whether any frame is backed, and whether all are backed and dirty: so that large runs
 * come and go without a look at the bitmaps.
 */
#ifndef WEIR_FRAME_BITMAPS_H
#define WEIR_FRAME_BITMAPS_H

#include "src/frame/table.h"

/* What bits_take found. */
struct bits_taken {
    size_t unbacked, reported; /* how many of the frames were */
    bool zero;                 /* none of them was dirty */
};

/* [n, n + count) is about to be used: backed, dirty and not reported from now on. */
struct bits_taken bits_take(struct weir_frames *f, size_t n, size_t count);

void bits_set_zero(struct weir_frames *f, size_t n, size_t count);
void bits_set_dirty(struct weir_frames *f, size_t n, size_t count);
void bits_set_backed(struct weir_frames *f, size_t n, size_t count);

/* The host has taken [n, n + count): unbacked, contents undefined. */
void bits_set_gone(struct weir_frames *f, size_t n, size_t count, bool reported);

void bits_set_managed(struct weir_frames *f, size_t n, size_t count);

/* Whether any frame of the range was added before. */
bool bits_any_managed(const struct weir_frames *f, size_t n, size_t count);

/* Whether any of the chunks has a frame that is backed. */
bool bits_any_touched(const struct weir_frames *f, size_t chunk, size_t chunks);

size_t bits_count_backed(const struct weir_frames *f, size_t n, size_t count);

/* Whether anything of a chunk is backed. */
static inline bool bits_touched(const struct weir_frames *f, size_t chunk)
{
    return f->summary[chunk >> 6].touched >> (chunk & 63) & 1;
}

/* Whether all of a chunk is known to be backed and dirty. */
static inline bool bits_full(const struct weir_frames *f, size_t chunk)
{
    return f->summary[chunk >> 6].full >> (chunk & 63) & 1;
}

#endif
