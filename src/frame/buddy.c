/*
 * Free memory: the binary buddy system (Knowlton 1965; Knuth, TAOCP 1, 2.5, algorithms R and S), over chunks from 2 MiB
 * up and within chunks below.
 *
 * There are two lists of each order: of what the host backs in part at least, and of what it does not back. From 2 MiB
 * up they link free blocks, below they link chunks whose largest free block has that order. Lists are last in, first
 * out. A request takes from the smallest sufficient order of the backed lists, and only then looks at the unbacked
 * ones: so memory is taken where the guest has touched it already, and from the chunks that have the least of it left;
 * others become free as a whole, and can go to the host. When a block that the host backs in part is split, the half
 * with backing is taken.
 *
 * Invariants: see table.h, (2) to (4).
 */
#include "src/frame/bitmaps.h"
#include "src/frame/chunk.h"

void buddy_init(struct weir_frames *f)
{
    for (size_t c = (f->first >> CHUNK_ORDER) - LIST_HEADS; c < f->first >> CHUNK_ORDER; c++)
        f->chunk[c].next = f->chunk[c].previous = (uint32_t)c;
}

static void link(struct weir_frames *f, size_t c, enum chunk_state state, unsigned order, enum list list)
{
    struct chunk *chunk = &f->chunk[c];
    size_t head = list_head(f, list, order);
    chunk->state = (uint8_t)state;
    chunk->order = (uint8_t)order;
    chunk->list = (uint8_t)list;
    chunk->previous = (uint32_t)head;
    chunk->next = f->chunk[head].next;
    f->chunk[chunk->next].previous = (uint32_t)c;
    f->chunk[head].next = (uint32_t)c;
    f->present[list] |= UINT32_C(1) << order;
}

static void unlink(struct weir_frames *f, size_t c)
{
    struct chunk *chunk = &f->chunk[c];
    f->chunk[chunk->previous].next = chunk->next;
    f->chunk[chunk->next].previous = chunk->previous;
    /* neighbours are the same only if both are the list's head */
    if (chunk->next == chunk->previous)
        f->present[chunk->list] &= ~(UINT32_C(1) << chunk->order);
    chunk->state = CHUNK_NONE;
}

/* --- blocks of whole chunks --- */

static size_t chunks_of(unsigned order)
{
    return (size_t)1 << (order - CHUNK_ORDER);
}

static void large_insert(struct weir_frames *f, size_t c, unsigned order)
{
    link(f, c, CHUNK_FREE, order, bits_any_touched(f, c, chunks_of(order)) ? LIST_BACKED : LIST_UNBACKED);
    f->blocks[order]++;
    f->free += (size_t)1 << order;
}

static void large_remove(struct weir_frames *f, size_t c)
{
    f->blocks[f->chunk[c].order]--;
    f->free -= (size_t)1 << f->chunk[c].order;
    unlink(f, c);
}

/* Takes a block off its list and splits it down to `order`. */
static size_t large_take(struct weir_frames *f, size_t c, unsigned order)
{
    unsigned from = f->chunk[c].order;
    bool backed = f->chunk[c].list == LIST_BACKED;
    large_remove(f, c);
    while (from > order) {
        from--;
        size_t upper = c + chunks_of(from);
        if (backed && !bits_any_touched(f, c, chunks_of(from))) {
            large_insert(f, c, from);
            c = upper;
        } else {
            large_insert(f, upper, from);
        }
    }
    return c;
}

static unsigned large_give(struct weir_frames *f, size_t c, unsigned order)
{
    size_t first = f->first >> CHUNK_ORDER, last = (f->end - 1) >> CHUNK_ORDER;
    for (; order < f->order_max; order++) {
        size_t buddy = c ^ chunks_of(order);
        if (buddy < first || buddy > last || f->chunk[buddy].state != CHUNK_FREE || f->chunk[buddy].order != order)
            break;
        large_remove(f, buddy);
        c = c < buddy ? c : buddy;
    }
    large_insert(f, c, order);
    return order;
}

/* Makes blocks of the chunks [c, end), which were cut off a free block. */
static void large_put_back(struct weir_frames *f, size_t c, size_t end)
{
    while (end > c) {
        unsigned order = order_down(f, c << CHUNK_ORDER, end << CHUNK_ORDER);
        end -= chunks_of(order);
        large_insert(f, end, order);
    }
}

/* The first chunk of the free block that holds chunk c, 0 if c is not in one: the first chunk that is not NONE among
 * c & -1, c & -2, c & -4, … tells. */
static size_t block_of(const struct weir_frames *f, size_t c)
{
    for (unsigned order = CHUNK_ORDER; order <= f->order_max; order++) {
        size_t start = c & ~(chunks_of(order) - 1);
        if (start < f->first >> CHUNK_ORDER || f->chunk[start].state == CHUNK_PART)
            return 0;
        if (f->chunk[start].state == CHUNK_FREE)
            return f->chunk[start].order >= order ? start : 0;
    }
    return 0;
}

/* --- chunks of which a part is free --- */

/* Puts a chunk whose free frames changed where it belongs now; returns the order of the block that holds it if all of
 * it is free, else 0. */
static unsigned settle(struct weir_frames *f, size_t c)
{
    struct chunk *chunk = &f->chunk[c];
    if (chunk->free == 0 || (chunk->free == CHUNK_FRAMES && f->order_max >= CHUNK_ORDER)) {
        if (chunk->state == CHUNK_PART)
            unlink(f, c);
        chunk->home = 0;
        if (chunk->free == 0)
            return 0;
        chunk->free = chunk->free_backed = 0;
        f->free -= CHUNK_FRAMES;
        for (unsigned g = 0; g < CHUNK_GROUPS; g++)
            f->bits[c].free[g] = 0;
        return large_give(f, c, CHUNK_ORDER);
    }
    unsigned order = chunk_largest(chunk);
    enum list list = chunk->free_backed > 0 ? LIST_BACKED : LIST_UNBACKED;
    if (chunk->state == CHUNK_PART) {
        if (chunk->order == order && chunk->list == list)
            return 0;
        unlink(f, c);
    }
    link(f, c, CHUNK_PART, order, list);
    return 0;
}

/* Whether a chunk that got one free block of this order back is where it belongs already: the common case. */
static bool is_settled(const struct chunk *chunk, unsigned order, bool backed)
{
    return chunk->state == CHUNK_PART && order <= chunk->order && backed && chunk->list == LIST_BACKED;
}

/* --- both --- */

/* Takes from chunk or block c, which has at least that order. */
static size_t take_from(struct weir_frames *f, size_t c, unsigned *order, bool some)
{
    if (f->chunk[c].state == CHUNK_FREE) {
        c = large_take(f, c, *order < CHUNK_ORDER ? CHUNK_ORDER : *order);
        if (*order >= CHUNK_ORDER)
            return c << CHUNK_ORDER;
        chunk_open(f, c);
    }
    unsigned at = chunk_take(f, c, order, some);
    settle(f, c);
    return (c << CHUNK_ORDER) + at;
}

size_t buddy_take(struct weir_frames *f, unsigned order)
{
    for (int list = LIST_BACKED; list <= LIST_UNBACKED; list++) {
        uint32_t present = f->present[list] >> order;
        if (present != 0) {
            unsigned from = order + (unsigned)__builtin_ctz(present);
            return take_from(f, f->chunk[list_head(f, list, from)].next, &order, false);
        }
    }
    return 0;
}

/* The chunk or block for single frames that fits best and is no other cache's home; if all are, the one that fits best.
 * Looks at the first of each list only: the others' homes are few, and soon on other lists. */
static size_t choose_home(const struct weir_frames *f, enum list list)
{
    size_t best = 0;
    for (uint32_t present = f->present[list]; present != 0; present &= present - 1) {
        size_t c = f->chunk[list_head(f, list, (unsigned)__builtin_ctz(present))].next;
        if (f->chunk[c].home == 0)
            return c;
        best = best != 0 ? best : c;
    }
    return best;
}

size_t buddy_take_some(struct weir_frames *f, struct slot *slot, unsigned *order)
{
    enum list list = f->present[LIST_BACKED] != 0 ? LIST_BACKED : LIST_UNBACKED;
    uint8_t name = (uint8_t)(slot - f->slots + 1);
    const struct chunk *home = &f->chunk[slot->home];
    if (slot->home != 0 && home->home == name && home->state == CHUNK_PART && home->list == list)
        return take_from(f, slot->home, order, true);
    size_t c = choose_home(f, list);
    if (c == 0)
        return 0;
    if (slot->home != 0 && home->home == name)
        f->chunk[slot->home].home = 0;
    size_t n = take_from(f, c, order, true);
    slot->home = (uint32_t)(n >> CHUNK_ORDER);
    /* another's home stays his: it is shared only while there is no other */
    if (f->chunk[slot->home].state == CHUNK_PART && f->chunk[slot->home].home == 0)
        f->chunk[slot->home].home = name;
    return n;
}

void buddy_carve(struct weir_frames *f, size_t n, size_t count)
{
    for (size_t end = n + count; n < end;) {
        size_t c = n >> CHUNK_ORDER;
        size_t stop = (c + 1) << CHUNK_ORDER;
        stop = stop < end ? stop : end;
        if (f->chunk[c].state != CHUNK_PART) {
            size_t block = block_of(f, c);
            size_t block_end = block + chunks_of(f->chunk[block].order);
            size_t after = (end + CHUNK_FRAMES - 1) >> CHUNK_ORDER;
            after = after < block_end ? after : block_end;
            large_remove(f, block);
            large_put_back(f, block, c);
            large_put_back(f, after, block_end);
            /* now that c to after are off the lists, open those that stay free in part */
            if (n > c << CHUNK_ORDER)
                chunk_open(f, c);
            if (end < after << CHUNK_ORDER && !(after - 1 == c && n > c << CHUNK_ORDER))
                chunk_open(f, after - 1);
            for (size_t k = c; k < after; k++) {
                size_t from = k == c ? n : k << CHUNK_ORDER;
                size_t to = end < (k + 1) << CHUNK_ORDER ? end : (k + 1) << CHUNK_ORDER;
                if (f->chunk[k].free > 0) {
                    chunk_carve(f, k, from & (CHUNK_FRAMES - 1), (unsigned)(to - from));
                    settle(f, k);
                }
            }
            n = after << CHUNK_ORDER;
            continue;
        }
        chunk_carve(f, c, n & (CHUNK_FRAMES - 1), (unsigned)(stop - n));
        settle(f, c);
        n = stop;
    }
}

unsigned buddy_give(struct weir_frames *f, size_t n, size_t count, bool backed)
{
    if (count == 1) {
        size_t c = n >> CHUNK_ORDER;
        unsigned order = chunk_give(f, c, n & (CHUNK_FRAMES - 1), 0, backed);
        unsigned large = likely(is_settled(&f->chunk[c], order, backed)) ? 0 : settle(f, c);
        return large > order ? large : order;
    }
    unsigned largest = 0;
    /* from the top down, so that the lowest part is the most recent */
    for (size_t end = n + count; end > n;) {
        unsigned order = order_down(f, n, end), merged;
        end -= (size_t)1 << order;
        size_t c = end >> CHUNK_ORDER;
        if (order >= CHUNK_ORDER) {
            merged = large_give(f, c, order);
        } else {
            merged = chunk_give(f, c, end & (CHUNK_FRAMES - 1), order, backed);
            if (end == n || (end & (CHUNK_FRAMES - 1)) == 0) {
                unsigned large = settle(f, c);
                merged = large > merged ? large : merged;
            }
        }
        largest = merged > largest ? merged : largest;
    }
    return largest;
}

/* --- ranges of free frames --- */

bool buddy_is_free(const struct weir_frames *f, size_t n)
{
    size_t c = n >> CHUNK_ORDER;
    if (f->chunk[c].state == CHUNK_PART)
        return f->bits[c].free[n >> 6 & (CHUNK_GROUPS - 1)] >> (n & 63) & 1;
    return block_of(f, c) != 0;
}

/* The first frame in [n, end of its chunk) that is free or not, as asked; the end if there is none. */
static size_t next_in_chunk(const struct weir_frames *f, size_t n, bool free)
{
    const struct frame_bits *bits = &f->bits[n >> CHUNK_ORDER];
    size_t end = round_down(n, CHUNK_FRAMES) + CHUNK_FRAMES;
    while (n < end) {
        uint64_t word = bits->free[n >> 6 & (CHUNK_GROUPS - 1)];
        word = (free ? word : ~word) >> (n & 63);
        if (word != 0)
            return n + (unsigned)__builtin_ctzll(word);
        n = round_down(n, 64) + 64;
    }
    return end;
}

size_t buddy_free_end(const struct weir_frames *f, size_t n, size_t limit)
{
    while (n < limit) {
        size_t c = n >> CHUNK_ORDER;
        if (f->chunk[c].state == CHUNK_PART) {
            n = next_in_chunk(f, n, false);
            if (n >> CHUNK_ORDER == c)
                break;
        } else {
            size_t block = block_of(f, c);
            if (block == 0)
                break;
            n = (block + chunks_of(f->chunk[block].order)) << CHUNK_ORDER;
        }
    }
    return n < limit ? n : limit;
}

size_t buddy_free_start(const struct weir_frames *f, size_t n)
{
    while (n > f->first && buddy_is_free(f, n - 1)) {
        size_t c = (n - 1) >> CHUNK_ORDER;
        if (f->chunk[c].state != CHUNK_PART) {
            n = block_of(f, c) << CHUNK_ORDER;
            continue;
        }
        /* down to the last used frame of this group of 64 */
        uint64_t used = ~f->bits[c].free[(n - 1) >> 6 & (CHUNK_GROUPS - 1)] << (63 - ((n - 1) & 63));
        if (used != 0)
            return n - (unsigned)__builtin_clzll(used);
        n = round_down(n - 1, 64);
    }
    return n;
}

size_t buddy_next_free(const struct weir_frames *f, size_t n, size_t limit)
{
    while (n < limit) {
        size_t c = n >> CHUNK_ORDER;
        if (f->chunk[c].state == CHUNK_PART) {
            n = next_in_chunk(f, n, true);
            if (n >> CHUNK_ORDER == c)
                break;
        } else if (block_of(f, c) != 0) {
            break;
        } else {
            n = (c + 1) << CHUNK_ORDER;
        }
    }
    return n < limit ? n : limit;
}
