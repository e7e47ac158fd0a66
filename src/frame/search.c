/*
 * Looking for free memory where the lists of the buddy system give no answer at once: within a range of addresses, with
 * an alignment beyond the size, longer than the largest block, or across the borders of blocks.
 *
 * A span is a maximal range of free frames. A range of n frames contains an aligned block of 2^k frames with
 * k = floor(log2(n + 1)) - 1, wherever it lies; so a span that serves overlaps a FREE chunk, or a PART one, of at least
 * that order, and only those need be looked at, in the order of their lists.
 */
#include "src/frame/bitmaps.h"

/*
 *  constant       value  why
 *  BEST_OF           32  blocks and chunks that search_best compares
 *  BEST_UNBACKED      4  a frame to be backed anew weighs as much as so many left over
 *  BEST_ENOUGH       16  no search goes on for less than one part in so many of what is wanted (malloc-large: 6 % less
 *                        time than when only a perfect fit ended it, memory the same)
 */
#define BEST_OF       32
#define BEST_UNBACKED 4
#define BEST_ENOUGH   16

/* Where in the free range [start, end) the wanted range can begin; 0: nowhere. */
static size_t fit(const struct weir_frames *f, size_t start, size_t end, const struct want *want)
{
    if (start < want->low)
        start = want->low;
    if (end > want->high)
        end = want->high;
    /* alignment is of the address: that of a number only up to the largest block */
    size_t offset = (f->map.base >> WEIR_FRAME_SHIFT) - f->first;
    start = round_up(start + offset, want->align) - offset;
    return start >= f->first && start < end && want->count <= end - start ? start : 0;
}

/* A maximal range of free frames in which the wanted range fits, from `fit` on; fit = 0: there is none. */
struct span {
    size_t fit, end;
};

/* The first such among those that overlap the block or chunk c of a list. */
static struct span span_at(const struct weir_frames *f, size_t c, const struct want *want)
{
    const struct chunk *chunk = &f->chunk[c];
    size_t start = c << CHUNK_ORDER;
    size_t end = start + (chunk->state == CHUNK_FREE ? (size_t)1 << chunk->order : CHUNK_FRAMES);
    /* the first and the last chunk may stick out of the span */
    end = end < f->end ? end : f->end;
    for (size_t n = buddy_next_free(f, start > f->first ? start : f->first, end); n < end;) {
        size_t span_start = n == start ? buddy_free_start(f, n) : n;
        size_t span_end = buddy_free_end(f, n, f->end);
        size_t found = fit(f, span_start, span_end, want);
        if (found != 0)
            return (struct span){found, span_end};
        n = buddy_next_free(f, span_end, end);
    }
    return (struct span){0};
}

size_t search_space(const struct weir_frames *f, const struct want *want)
{
    if (want->count > f->free)
        return 0;
    unsigned least = log2_floor(want->count + 1) - 1;
    for (int list = LIST_BACKED; list <= LIST_UNBACKED; list++) {
        for (unsigned order = least < f->order_max ? least : f->order_max; order <= f->order_max; order++) {
            size_t head = list_head(f, list, order);
            for (size_t c = f->chunk[head].next; c != head; c = f->chunk[c].next) {
                struct span span = span_at(f, c, want);
                if (span.fit != 0)
                    return span.fit;
            }
        }
    }
    return 0;
}

/* What it costs to take a range: frames that the host must back anew, and a span that is left in pieces. */
static size_t price(const struct weir_frames *f, size_t n, size_t span, const struct want *want)
{
    size_t unbacked = want->count - bits_count_backed(f, n, want->count), rest = span - want->count;
    return unbacked * BEST_UNBACKED + rest;
}

size_t search_best(const struct weir_frames *f, const struct want *want)
{
    size_t best = 0, least = SIZE_MAX;
    unsigned looked = 0;
    for (unsigned order = log2_floor(want->count + 1) - 1; order <= f->order_max; order++) {
        size_t head = list_head(f, LIST_BACKED, order);
        for (size_t c = f->chunk[head].next; c != head && looked < BEST_OF && least > want->count / BEST_ENOUGH;
             c = f->chunk[c].next) {
            struct span span = span_at(f, c, want);
            looked++;
            if (span.fit == 0)
                continue;
            size_t asked = price(f, span.fit, span.end - span.fit, want);
            if (asked < least) {
                least = asked;
                best = span.fit;
            }
        }
    }
    return best;
}

size_t weir_frames_largest_run(struct weir_frames *f)
{
    size_t largest = 0;
    cache_flush(f);
    frames_lock(f);
    for (size_t n = buddy_next_free(f, f->first, f->end); n < f->end;) {
        size_t end = buddy_free_end(f, n, f->end);
        largest = end - n > largest ? end - n : largest;
        n = buddy_next_free(f, end, f->end);
    }
    frames_unlock(f);
    return largest;
}
