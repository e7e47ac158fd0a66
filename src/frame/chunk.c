#include "src/frame/chunk.h"

/* Bits at the multiples of 2^order. */
static const uint64_t starts[] = {~UINT64_C(0),       0x5555555555555555, 0x1111111111111111,
                                  0x0101010101010101, 0x0001000100010001, 0x0000000100000001};

/* The starts of the aligned blocks of 2^order <= 32 bits that are all ones. */
static uint64_t full_blocks(uint64_t word, unsigned order)
{
    for (unsigned step = 1; step < 1u << order; step *= 2)
        word &= word >> step;
    return word & starts[order];
}

/* The starts of those that are not all zeros. */
static uint64_t used_blocks(uint64_t word, unsigned order)
{
    for (unsigned step = 1; step < 1u << order; step *= 2)
        word |= word >> step;
    return word & starts[order];
}

/* The bits of a block: those of one word, or of whole words. */
static uint64_t block_mask(unsigned at, unsigned order)
{
    return order < 6 ? ones(at & 63, 1u << order) : ~UINT64_C(0);
}

static unsigned block_words(unsigned order)
{
    return order < 6 ? 1 : 1u << (order - 6);
}

static bool is_free_words(const struct frame_bits *bits, unsigned at, unsigned order)
{
    for (unsigned g = at >> 6; g < (at >> 6) + block_words(order); g++) {
        if (~bits->free[g] != 0)
            return false;
    }
    return true;
}

static inline bool is_free(const struct frame_bits *bits, unsigned at, unsigned order)
{
    return order < 6 ? (~bits->free[at >> 6] & block_mask(at, order)) == 0 : is_free_words(bits, at, order);
}

static bool is_backed(const struct frame_bits *bits, unsigned at, unsigned order)
{
    uint64_t mask = block_mask(at, order);
    for (unsigned g = at >> 6; g < (at >> 6) + block_words(order); g++) {
        if (bits->backed[g] & mask)
            return true;
    }
    return false;
}

static unsigned count_backed(const struct frame_bits *bits, unsigned at, unsigned order)
{
    uint64_t mask = block_mask(at, order);
    unsigned backed = 0;
    for (unsigned g = at >> 6; g < (at >> 6) + block_words(order); g++) {
        if ((bits->backed[g] & mask) == mask)
            backed += order < 6 ? 1u << order : 64;
        else
            backed += count_ones(bits->backed[g] & mask);
    }
    return backed;
}

static void count_blocks(struct weir_frames *f, struct chunk *chunk, unsigned order, int n)
{
    chunk->count[order] = (uint16_t)(chunk->count[order] + n);
    f->blocks[order] += (size_t)n;
}

void chunk_open(struct weir_frames *f, size_t c)
{
    struct chunk *chunk = &f->chunk[c];
    struct frame_bits *bits = &f->bits[c];
    unsigned order = part_order_max(f);
    for (unsigned g = 0; g < CHUNK_GROUPS; g++)
        bits->free[g] = ~UINT64_C(0);
    chunk->free = CHUNK_FRAMES;
    chunk->free_backed = (uint16_t)count_backed(bits, 0, CHUNK_ORDER);
    count_blocks(f, chunk, order, (int)(CHUNK_FRAMES >> order));
    f->free += CHUNK_FRAMES;
}

int chunk_find(const struct weir_frames *f, size_t c, unsigned order, bool backed)
{
    const struct frame_bits *bits = &f->bits[c];
    bool has_parent = order < part_order_max(f);
    if (order >= 6) {
        for (unsigned at = 0; at < CHUNK_FRAMES; at += 1u << order) {
            if (is_free(bits, at, order) && !(has_parent && is_free(bits, at & ~((2u << order) - 1), order + 1)) &&
                !(backed && !is_backed(bits, at, order)))
                return (int)at;
        }
        return -1;
    }
    for (unsigned g = 0; g < CHUNK_GROUPS; g++) {
        uint64_t word = bits->free[g];
        if (word == 0)
            continue;
        uint64_t found = full_blocks(word, order);
        if (has_parent) {
            uint64_t parents = order < 5 ? full_blocks(word, order + 1) : word == ~UINT64_C(0);
            found &= ~(parents | parents << (1u << order));
        }
        if (backed)
            found &= used_blocks(word & bits->backed[g], order);
        if (found != 0)
            return (int)(g * 64 + (unsigned)__builtin_ctzll(found));
    }
    return -1;
}

/* Takes the block (at, order) out of the maximal block of order `from` that holds it. */
static void take(struct weir_frames *f, size_t c, unsigned at, unsigned order, unsigned from)
{
    struct chunk *chunk = &f->chunk[c];
    struct frame_bits *bits = &f->bits[c];
    uint64_t mask = block_mask(at, order);
    for (unsigned g = at >> 6; g < (at >> 6) + block_words(order); g++)
        bits->free[g] &= ~mask;
    chunk->free = (uint16_t)(chunk->free - (1u << order));
    chunk->free_backed = (uint16_t)(chunk->free_backed - count_backed(bits, at, order));
    f->free -= (size_t)1 << order;
    count_blocks(f, chunk, from, -1);
    while (from > order)
        count_blocks(f, chunk, --from, 1);
}

unsigned chunk_take(struct weir_frames *f, size_t c, unsigned *order, bool some)
{
    const struct chunk *chunk = &f->chunk[c];
    int found = -1;
    unsigned from = 0, least = some ? 0 : *order;
    for (int backed = chunk->free_backed > 0; found < 0 && backed >= 0; backed--) {
        for (from = least; from < CHUNK_ORDER; from++) {
            if (chunk->count[from] > 0 && (found = chunk_find(f, c, from, backed)) >= 0)
                break;
        }
    }
    unsigned at = (unsigned)found;
    if (some && from < *order)
        *order = from;
    if (chunk->free_backed > 0) {
        for (unsigned half = from; half-- > *order;)
            at += is_backed(&f->bits[c], at, half) ? 0 : 1u << half;
        /* nothing of it is backed: the last half was wrong to be taken, and any place is as good */
        if (!is_backed(&f->bits[c], at, *order))
            at = (unsigned)found;
    }
    take(f, c, at, *order, from);
    return at;
}

unsigned chunk_maximal(const struct weir_frames *f, size_t c, unsigned at, unsigned order)
{
    while (order < part_order_max(f) && is_free(&f->bits[c], at & ~((2u << order) - 1), order + 1))
        order++;
    return order;
}

void chunk_carve(struct weir_frames *f, size_t c, unsigned at, unsigned count)
{
    for (unsigned end = at + count; at < end;) {
        /* a chunk's first frame is aligned to it */
        unsigned order = order_up(f, CHUNK_FRAMES + at, CHUNK_FRAMES + end);
        order = order < part_order_max(f) ? order : part_order_max(f);
        take(f, c, at, order, chunk_maximal(f, c, at, order));
        at += 1u << order;
    }
}

unsigned chunk_give(struct weir_frames *f, size_t c, unsigned at, unsigned order, bool backed)
{
    struct chunk *chunk = &f->chunk[c];
    struct frame_bits *bits = &f->bits[c];
    uint64_t mask = block_mask(at, order);
    for (unsigned g = at >> 6; g < (at >> 6) + block_words(order); g++)
        bits->free[g] |= mask;
    chunk->free = (uint16_t)(chunk->free + (1u << order));
    chunk->free_backed = (uint16_t)(chunk->free_backed + (backed ? 1u << order : count_backed(bits, at, order)));
    f->free += (size_t)1 << order;
    while (order < CHUNK_ORDER && order < f->order_max && is_free(bits, at ^ 1u << order, order)) {
        count_blocks(f, chunk, order, -1);
        at &= ~(1u << order);
        order++;
    }
    if (order < CHUNK_ORDER)
        count_blocks(f, chunk, order, 1);
    return order;
}

unsigned chunk_largest(const struct chunk *chunk)
{
    unsigned order = CHUNK_ORDER - 1;
    while (chunk->count[order] == 0)
        order--;
    return order;
}
