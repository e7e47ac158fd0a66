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

static struct summary *summary_of(const struct weir_frames *f, size_t chunk)
{
    return &f->summary[chunk >> 6];
}

/* What bits_take does within one chunk. */
static void take_part(struct weir_frames *f, size_t n, size_t count, struct bits_taken *taken)
{
    size_t chunk = n >> CHUNK_ORDER, whole = count;
    uint64_t chunk_bit = ones(chunk & 63, 1), dirty = 0, any = 0;
    if (summary_of(f, chunk)->full & chunk_bit) {
        taken->zero = false;
        return;
    }
    while (count > 0) {
        struct frame_bits *bits = bits_of(f, n);
        size_t g = group_of(n);
        uint64_t mask = next_group(&n, &count);
        uint64_t unbacked = mask & ~bits->backed[g];
        dirty |= bits->dirty[g] & mask;
        bits->dirty[g] |= mask;
        if (unbacked == 0)
            continue;
        any |= unbacked;
        bits->backed[g] |= mask;
        taken->unbacked += count_ones(unbacked);
        if (bits->reported[g] & mask) {
            taken->reported += count_ones(bits->reported[g] & mask);
            bits->reported[g] &= ~mask;
        }
    }
    taken->zero = taken->zero && dirty == 0;
    if (any != 0)
        summary_of(f, chunk)->touched |= chunk_bit;
    if (whole == CHUNK_FRAMES)
        summary_of(f, chunk)->full |= chunk_bit;
}

/* The frames from n on that lie within one chunk and before `end`. */
static size_t part_of_chunk(size_t n, size_t end)
{
    size_t rest = CHUNK_FRAMES - (n & (CHUNK_FRAMES - 1));
    return rest < end - n ? rest : end - n;
}

struct bits_taken bits_take(struct weir_frames *f, size_t n, size_t count)
{
    struct bits_taken taken = {.zero = true};
    for (size_t end = n + count, part; n < end; n += part) {
        part = part_of_chunk(n, end);
        take_part(f, n, part, &taken);
    }
    return taken;
}

static void clear_full(struct weir_frames *f, size_t n, size_t count)
{
    for (size_t chunk = n >> CHUNK_ORDER; chunk <= (n + count - 1) >> CHUNK_ORDER; chunk++)
        summary_of(f, chunk)->full &= ~ones(chunk & 63, 1);
}

void bits_set_zero(struct weir_frames *f, size_t n, size_t count)
{
    clear_full(f, n, count);
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
    for (size_t chunk = n >> CHUNK_ORDER; chunk <= (n + count - 1) >> CHUNK_ORDER; chunk++)
        summary_of(f, chunk)->touched |= ones(chunk & 63, 1);
    while (count > 0) {
        struct frame_bits *bits = bits_of(f, n);
        size_t g = group_of(n);
        bits->backed[g] |= next_group(&n, &count);
    }
}

void bits_set_gone(struct weir_frames *f, size_t n, size_t count, bool reported)
{
    size_t chunk = n >> CHUNK_ORDER, last = (n + count - 1) >> CHUNK_ORDER;
    clear_full(f, n, count);
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
            summary_of(f, chunk)->touched &= ~ones(chunk & 63, 1);
    }
}

void bits_set_managed(struct weir_frames *f, size_t n, size_t count)
{
    size_t end = n + count;
    while (n < end) {
        size_t part = part_of_chunk(n, end);
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
        size_t part = part_of_chunk(n, end);
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
        uint64_t touched = summary_of(f, chunk)->touched;
        if (touched & next_group(&chunk, &chunks))
            return true;
    }
    return false;
}

size_t bits_count_backed(const struct weir_frames *f, size_t n, size_t count)
{
    size_t backed = 0;
    for (size_t end = n + count; n < end;) {
        size_t part = part_of_chunk(n, end), chunk = n >> CHUNK_ORDER;
        if (bits_full(f, chunk) || !bits_touched(f, chunk)) {
            backed += bits_full(f, chunk) ? part : 0;
            n += part;
            continue;
        }
        while (part > 0) {
            const struct frame_bits *bits = bits_of(f, n);
            size_t g = group_of(n);
            backed += count_ones(bits->backed[g] & next_group(&n, &part));
        }
    }
    return backed;
}
