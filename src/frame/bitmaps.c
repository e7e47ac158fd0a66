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

static inline struct frame_bits *bits_of(const struct weir_frames *f, size_t n)
{
    return &f->bits[n >> CHUNK_ORDER];
}

static inline size_t group_of(size_t n)
{
    return n >> 6 & (CHUNK_GROUPS - 1);
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
        struct frame_bits *bits = bits_of(f, n);
        size_t g = group_of(n);
        uint64_t mask = next_group(&n, &count);
        uint64_t unbacked = mask & ~bits->backed[g];
        dirty |= bits->dirty[g] & mask;
        bits->dirty[g] |= mask;
        if (unbacked == 0)
            continue;
        bits->backed[g] |= mask;
        taken.unbacked += count_ones(unbacked);
        if (bits->reported[g] & mask) {
            taken.reported += count_ones(bits->reported[g] & mask);
            bits->reported[g] &= ~mask;
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
        struct frame_bits *bits = bits_of(f, n);
        size_t g = group_of(n);
        bits->dirty[g] &= ~next_group(&n, &count);
    }
}

void bits_set_dirty(struct weir_frames *f, size_t n, size_t count)
{
    while (count > 0) {
        struct frame_bits *bits = bits_of(f, n);
        size_t g = group_of(n);
        bits->dirty[g] |= next_group(&n, &count);
    }
}

void bits_set_backed(struct weir_frames *f, size_t n, size_t count)
{
    touch(f, n, count);
    while (count > 0) {
        struct frame_bits *bits = bits_of(f, n);
        size_t g = group_of(n);
        bits->backed[g] |= next_group(&n, &count);
    }
}

void bits_set_gone(struct weir_frames *f, size_t n, size_t count, bool reported)
{
    size_t chunk = n >> CHUNK_ORDER, last = (n + count - 1) >> CHUNK_ORDER;
    while (count > 0) {
        struct frame_bits *bits = bits_of(f, n);
        size_t g = group_of(n);
        uint64_t mask = next_group(&n, &count);
        bits->backed[g] &= ~mask;
        bits->dirty[g] |= mask;
        if (reported)
            bits->reported[g] |= mask;
        else
            bits->reported[g] &= ~mask;
    }
    for (; chunk <= last; chunk++) {
        uint64_t backed = 0;
        for (size_t g = 0; g < CHUNK_GROUPS; g++)
            backed |= f->bits[chunk].backed[g];
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
        f->added[n >> CHUNK_ORDER] += (uint16_t)part;
        if (part == CHUNK_FRAMES) {
            n += part;
            continue;
        }
        while (part > 0) {
            struct frame_bits *bits = bits_of(f, n);
            size_t g = group_of(n);
            bits->managed[g] |= next_group(&n, &part);
        }
    }
}

bool bits_any_managed(const struct weir_frames *f, size_t n, size_t count)
{
    size_t end = n + count;
    while (n < end) {
        size_t chunk_end = round_down(n, CHUNK_FRAMES) + CHUNK_FRAMES;
        size_t part = (end < chunk_end ? end : chunk_end) - n;
        size_t managed = f->added[n >> CHUNK_ORDER];
        if (managed == 0) {
            n += part;
            continue;
        }
        if (managed == CHUNK_FRAMES || part == CHUNK_FRAMES)
            return true;
        while (part > 0) {
            const struct frame_bits *bits = bits_of(f, n);
            size_t g = group_of(n);
            if (bits->managed[g] & next_group(&n, &part))
                return true;
        }
    }
    return false;
}

bool bits_any_touched(const struct weir_frames *f, size_t chunk, size_t chunks)
{
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
        const struct frame_bits *bits = bits_of(f, n);
        size_t g = group_of(n);
        uint64_t mask = next_group(&n, &count);
        backed += count_ones(bits->backed[g] & mask);
    }
    return backed;
}
