/*
 * Looking for free memory where the lists of the buddy system give no answer at once: within a range of addresses, with
 * an alignment beyond the size, longer than the largest block, or across the borders of blocks.
 *
 * A span is a maximal range of free frames. A range of n frames contains an aligned block of 2^k frames with
 * k = floor(log2(n + 1)) - 1, wherever it lies; so a span that serves overlaps a FREE chunk, or a PART one, of at least
 * that order, and only those need be looked at, in the order of their lists.
 */
#include "src/frame/bitmaps.h"

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

/* Looks at the spans that overlap the block or chunk c of a list. */
static size_t search_at(const struct weir_frames *f, size_t c, const struct want *want)
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
            return found;
        n = buddy_next_free(f, span_end, end);
    }
    return 0;
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
                size_t found = search_at(f, c, want);
                if (found != 0)
                    return found;
            }
        }
    }
    return 0;
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
