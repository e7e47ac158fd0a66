#include "src/frame/bitmaps.h"

/* Cuts a range into groups of 64: returns the mask of the first group and moves on. */
static uint64_t next_group(size_t *n, size_t *count)
{
    unsigned from = *n & 63;
    unsigned length = *count < 64 - from ? (unsigned)*count : 64 - from;
    *n += length;
    *count -= length;
    return ones(from, length);
}

static void touch(struct weir_frames *f, size_t n, size_t count)
{
    size_t chunk = n >> CHUNK_ORDER;
    size_t chunks = ((n + count - 1) >> CHUNK_ORDER) - chunk + 1;
    while (chunks > 0) {
        size_t at = chunk;
        f->touched[at >> 6] |= next_group(&chunk, &chunks);
    }
}

struct bits_taken bits_take(struct weir_frames *f, size_t n, size_t count)
{
    struct bits_taken taken = {.zero = true};
    uint64_t dirty = 0;
    size_t from = n, all = count;
    while (count > 0) {
        struct frame_bits *bits = &f->bits[n >> 6];
        uint64_t mask = next_group(&n, &count);
        uint64_t unbacked = mask & ~bits->backed;
        dirty |= bits->dirty & mask;
        bits->dirty |= mask;
        if (unbacked == 0)
            continue;
        bits->backed |= mask;
        taken.unbacked += count_ones(unbacked);
        if (bits->reported & mask) {
            taken.reported += count_ones(bits->reported & mask);
            bits->reported &= ~mask;
        }
    }
    if (taken.unbacked > 0)
        touch(f, from, all);
    taken.zero = dirty == 0;
    return taken;
}

void bits_set_zero(struct weir_frames *f, size_t n, size_t count)
{
    while (count > 0) {
        struct frame_bits *bits = &f->bits[n >> 6];
        bits->dirty &= ~next_group(&n, &count);
    }
}

void bits_set_dirty(struct weir_frames *f, size_t n, size_t count)
{
    while (count > 0) {
        struct frame_bits *bits = &f->bits[n >> 6];
        bits->dirty |= next_group(&n, &count);
    }
}

void bits_set_backed(struct weir_frames *f, size_t n, size_t count)
{
    touch(f, n, count);
    while (count > 0) {
        struct frame_bits *bits = &f->bits[n >> 6];
        bits->backed |= next_group(&n, &count);
    }
}

void bits_set_gone(struct weir_frames *f, size_t n, size_t count, bool reported)
{
    size_t chunk = n >> CHUNK_ORDER, last = (n + count - 1) >> CHUNK_ORDER;
    while (count > 0) {
        struct frame_bits *bits = &f->bits[n >> 6];
        uint64_t mask = next_group(&n, &count);
        bits->backed &= ~mask;
        bits->dirty |= mask;
        if (reported)
            bits->reported |= mask;
        else
            bits->reported &= ~mask;
    }
    for (; chunk <= last; chunk++) {
        uint64_t backed = 0;
        for (size_t group = chunk << (CHUNK_ORDER - 6); group < (chunk + 1) << (CHUNK_ORDER - 6); group++)
            backed |= f->bits[group].backed;
        if (backed == 0)
            f->touched[chunk >> 6] &= ~ones(chunk & 63, 1);
    }
}

void bits_set_managed(struct weir_frames *f, size_t n, size_t count)
{
    size_t end = n + count;
    while (n < end) {
        size_t chunk_end = round_down(n, CHUNK_FRAMES) + CHUNK_FRAMES;
        size_t part = (end < chunk_end ? end : chunk_end) - n;
        f->chunk[n >> CHUNK_ORDER].managed += (uint32_t)part;
        if (part == CHUNK_FRAMES) {
            n += part;
            continue;
        }
        while (part > 0) {
            struct frame_bits *bits = &f->bits[n >> 6];
            bits->managed |= next_group(&n, &part);
        }
    }
}

bool bits_any_managed(const struct weir_frames *f, size_t n, size_t count)
{
    size_t end = n + count;
    while (n < end) {
        size_t chunk_end = round_down(n, CHUNK_FRAMES) + CHUNK_FRAMES;
        size_t part = (end < chunk_end ? end : chunk_end) - n;
        uint32_t managed = f->chunk[n >> CHUNK_ORDER].managed;
        if (managed == 0) {
            n += part;
            continue;
        }
        if (managed == CHUNK_FRAMES || part == CHUNK_FRAMES)
            return true;
        while (part > 0) {
            const struct frame_bits *bits = &f->bits[n >> 6];
            if (bits->managed & next_group(&n, &part))
                return true;
        }
    }
    return false;
}

bool bits_any_backed(const struct weir_frames *f, size_t n, unsigned order)
{
    size_t count = (size_t)1 << order;
    if (order < CHUNK_ORDER) {
        while (count > 0) {
            const struct frame_bits *bits = &f->bits[n >> 6];
            if (bits->backed & next_group(&n, &count))
                return true;
        }
        return false;
    }
    size_t chunk = n >> CHUNK_ORDER, chunks = count >> CHUNK_ORDER;
    while (chunks > 0) {
        uint64_t touched = f->touched[chunk >> 6];
        if (touched & next_group(&chunk, &chunks))
            return true;
    }
    return false;
}

size_t bits_count_backed(const struct weir_frames *f, size_t n, size_t count)
{
    size_t backed = 0;
    while (count > 0) {
        const struct frame_bits *bits = &f->bits[n >> 6];
        uint64_t mask = next_group(&n, &count);
        backed += count_ones(bits->backed & mask);
    }
    return backed;
}
