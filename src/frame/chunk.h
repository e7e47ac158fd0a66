/*
 * The buddy system within one chunk: a bitmap of its 512 frames, and how many maximal free blocks of each order there
 * are. Blocks need no lists here: the bitmap is a cache line, and finding, splitting and merging are a few word
 * operations on it. Of several blocks that serve, the smallest, and among those one that the host backs.
 *
 *     (1)  count[k] = number of aligned free blocks of 2^k frames that lie in no free block of 2^(k+1)
 *     (2)  free = ones in the bitmap = sum of count[k] * 2^k
 *     (3)  free_backed = ones in the bitmap that are backed
 *
 * (1) to (3) hold up to a chunk that is free as a whole: it has no order within the chunk, its counts are all zero.
 */
#ifndef WEIR_FRAME_CHUNK_H
#define WEIR_FRAME_CHUNK_H

#include "src/frame/table.h"

/* Makes every frame of chunk c free, as blocks within the chunk. */
void chunk_open(struct weir_frames *f, size_t c);

/* Takes a block of 2^order frames, or up to that many if `some`: *order is set. There must be one. Returns its place.
 */
unsigned chunk_take(struct weir_frames *f, size_t c, unsigned *order, bool some);

/* Takes the frames [at, at + count) of the chunk, which are free. */
void chunk_carve(struct weir_frames *f, size_t c, unsigned at, unsigned count);

/* Makes one block free; returns the order of the block it ends up in, CHUNK_ORDER if all of the chunk is free now.
 * `backed`: all of it is backed; else the bitmap is asked. */
unsigned chunk_give(struct weir_frames *f, size_t c, unsigned at, unsigned order, bool backed);

/* The place of a maximal free block of exactly this order, -1 if there is none; `backed`: one with a backed frame. */
int chunk_find(const struct weir_frames *f, size_t c, unsigned order, bool backed);

/* The order of the largest free block; the chunk is neither empty nor full. */
unsigned chunk_largest(const struct chunk *chunk);

/* The maximal free block that holds the free block (at, order): its order. */
unsigned chunk_maximal(const struct weir_frames *f, size_t c, unsigned at, unsigned order);

#endif
