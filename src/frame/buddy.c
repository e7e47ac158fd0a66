/*
 * The binary buddy system over frame words (Knowlton 1965; Knuth, TAOCP 1, 2.5, algorithms R and S).
 *
 * A free block is on one of two lists of its order: that of blocks in which the host backs something, and that of
 * blocks in which it backs nothing. Both are last in, first out: the block freed last is used first. A request takes
 * the smallest sufficient block of the backed lists, and only then looks at the unbacked ones: so memory is taken where
 * the guest has touched it already, and within that where the least is free around it. When a block that the host backs
 * only in part is split, the half with backing is taken.
 *
 * Invariants: see table.h, (2) to (4).
 */
#include "src/frame/bitmaps.h"

static void set_next(struct weir_frames *f, size_t n, size_t next)
{
    uint64_t word = word_load(f, n) & ~(WORD_LINK << WORD_NEXT_SHIFT);
    word_store(f, n, word | (uint64_t)next << WORD_NEXT_SHIFT);
}

static void set_previous(struct weir_frames *f, size_t n, size_t previous)
{
    uint64_t word = word_load(f, n) & ~(WORD_LINK << WORD_PREV_SHIFT);
    word_store(f, n, word | (uint64_t)previous << WORD_PREV_SHIFT);
}

void buddy_init(struct weir_frames *f)
{
    for (size_t n = f->first - LIST_HEADS; n < f->first; n++)
        word_store(f, n, word_free(0, true, n, n));
}

static void insert(struct weir_frames *f, size_t n, unsigned order, enum list list)
{
    size_t head = list_head(f, list, order);
    size_t next = word_next(word_load(f, head));
    word_store(f, n, word_free(order, list == LIST_BACKED, next, head));
    set_previous(f, next, n);
    set_next(f, head, n);
    f->present[list] |= UINT32_C(1) << order;
    f->blocks[order]++;
    f->free += (size_t)1 << order;
}

/* Leaves the block's word as it was. */
static void unlink(struct weir_frames *f, size_t n, uint64_t word)
{
    size_t next = word_next(word), previous = word_previous(word);
    unsigned order = word_order(word);
    set_next(f, previous, next);
    set_previous(f, next, previous);
    if (next == previous && next < f->first)
        f->present[word & WORD_UNBACKED ? LIST_UNBACKED : LIST_BACKED] &= ~(UINT32_C(1) << order);
    f->blocks[order]--;
    f->free -= (size_t)1 << order;
    (void)n;
}

struct cover buddy_cover(const struct weir_frames *f, size_t n)
{
    uint64_t word = word_load(f, n);
    if (word & WORD_SLAB)
        return (struct cover){n, 0, word};
    for (unsigned order = 0; order <= f->order_max; order++) {
        size_t start = n & ~(((size_t)1 << order) - 1);
        if (!in_span(f, start))
            break;
        word = word_load(f, start);
        if (word == 0)
            continue;
        if (word & WORD_SLAB || word_order(word) < order)
            break;
        return (struct cover){start, word_order(word), word};
    }
    return (struct cover){n, 0, 0};
}

/* The list for a block about which nothing is known. */
static enum list list_for(const struct weir_frames *f, size_t n, unsigned order)
{
    return bits_any_backed(f, n, order) ? LIST_BACKED : LIST_UNBACKED;
}

/* Splits the block at n, which is on no list, down to `order`; returns the part kept. */
static size_t split(struct weir_frames *f, size_t n, unsigned from, unsigned order, enum list list)
{
    while (from > order) {
        from--;
        size_t upper = n + ((size_t)1 << from);
        if (list == LIST_UNBACKED) {
            insert(f, upper, from, LIST_UNBACKED);
        } else if (bits_any_backed(f, n, from)) {
            insert(f, upper, from, list_for(f, upper, from));
        } else {
            insert(f, n, from, LIST_UNBACKED);
            word_store(f, upper, 0);
            n = upper;
        }
    }
    return n;
}

size_t buddy_take(struct weir_frames *f, unsigned order)
{
    for (int list = LIST_BACKED; list <= LIST_UNBACKED; list++) {
        uint32_t present = f->present[list] >> order;
        if (present == 0)
            continue;
        unsigned from = order + (unsigned)__builtin_ctz(present);
        size_t n = word_next(word_load(f, list_head(f, list, from)));
        unlink(f, n, word_load(f, n));
        word_store(f, n, 0);
        return split(f, n, from, order, list);
    }
    return 0;
}

void buddy_carve(struct weir_frames *f, size_t n, size_t count)
{
    size_t end = n + count;
    for (size_t at = n; at < end;) {
        struct cover block = buddy_cover(f, at);
        size_t block_end = block.start + ((size_t)1 << block.order);
        unlink(f, block.start, block.word);
        word_store(f, block.start, 0);
        if (block.start < at)
            buddy_put_back(f, block.start, at - block.start);
        if (block_end > end)
            buddy_put_back(f, end, block_end - end);
        at = block_end;
    }
}

void buddy_put_back(struct weir_frames *f, size_t n, size_t count)
{
    for (size_t end = n + count; end > n;) {
        unsigned order = order_down(f, n, end);
        end -= (size_t)1 << order;
        insert(f, end, order, list_for(f, end, order));
    }
}

/* Frees one block; returns the order of the block that it ends up in. */
static unsigned give_block(struct weir_frames *f, size_t n, unsigned order, enum list list)
{
    word_store(f, n, 0);
    for (; order < f->order_max; order++) {
        size_t buddy = n ^ (size_t)1 << order;
        if (!in_span(f, buddy))
            break;
        uint64_t word = word_load(f, buddy);
        if (!word_is_free_of(word, order))
            break;
        unlink(f, buddy, word);
        word_store(f, buddy, 0);
        if (!(word & WORD_UNBACKED))
            list = LIST_BACKED;
        n = n < buddy ? n : buddy;
    }
    insert(f, n, order, list);
    return order;
}

void buddy_give(struct weir_frames *f, size_t n, size_t count, enum list list)
{
    unsigned largest = 0;
    /* from the top down, so that the lowest part is the most recent */
    for (size_t end = n + count; end > n;) {
        unsigned order = order_down(f, n, end);
        end -= (size_t)1 << order;
        unsigned merged = give_block(f, end, order, list);
        largest = merged > largest ? merged : largest;
    }
    if (largest < f->stamp_order)
        return;
    uint64_t now = f->platform->now(f->platform->context);
    for (size_t chunk = n >> CHUNK_ORDER; chunk <= (n + count - 1) >> CHUNK_ORDER; chunk++)
        f->chunk[chunk].freed_at = now;
}

void buddy_return(struct weir_frames *f, size_t n, size_t count)
{
    for (size_t end = n + count; end > n;) {
        unsigned order = order_down(f, n, end);
        end -= (size_t)1 << order;
        give_block(f, end, order, list_for(f, end, order));
    }
}
