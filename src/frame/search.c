/*
 * Looking for free memory where the lists of the buddy system give no answer at once: within a range of addresses, with
 * an alignment beyond the size, longer than the largest block, or across the borders of blocks.
 *
 * A span is a maximal range of adjacent free blocks. A range of n frames contains an aligned block of 2^k frames with
 * k = floor(log2(n + 1)) - 1, wherever it lies; so a span that serves has a free block of at least that order, and only
 * those blocks need be looked at. Each span is looked at from the first such block in it.
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

/* The first block of `list` and `order` that serves alone. */
static size_t search_list(const struct weir_frames *f, enum list list, unsigned order, const struct want *want)
{
    size_t head = list_head(f, list, order);
    for (size_t n = word_next(word_load(f, head)); n != head; n = word_next(word_load(f, n))) {
        size_t found = fit(f, n, n + ((size_t)1 << order), want);
        if (found != 0)
            return found;
    }
    return 0;
}

/* End of the span that block n (free, of `order`) lies in. */
static size_t span_end(const struct weir_frames *f, size_t n, unsigned order)
{
    n += (size_t)1 << order;
    while (in_span(f, n) && word_is_free(word_load(f, n)))
        n += (size_t)1 << word_order(word_load(f, n));
    return n;
}

/* Start of the span of block n; 0 if a block of at least `order` lies before n in it. */
static size_t span_start(const struct weir_frames *f, size_t n, unsigned order)
{
    while (in_span(f, n - 1)) {
        struct cover before = buddy_cover(f, n - 1);
        if (!word_is_free(before.word))
            break;
        if (before.order >= order)
            return 0;
        n = before.start;
    }
    return n;
}

static size_t search_spans(const struct weir_frames *f, enum list list, unsigned least, const struct want *want)
{
    for (unsigned order = f->order_max + 1; order-- > least;) {
        size_t head = list_head(f, list, order);
        for (size_t n = word_next(word_load(f, head)); n != head; n = word_next(word_load(f, n))) {
            size_t start = span_start(f, n, least);
            size_t found = start != 0 ? fit(f, start, span_end(f, n, order), want) : 0;
            if (found != 0)
                return found;
        }
    }
    return 0;
}

/* The least order of which every range of `count` frames contains a whole block. */
static unsigned contained_order(const struct weir_frames *f, size_t count)
{
    unsigned order = log2_floor(count + 1) - 1;
    return order < f->order_max ? order : f->order_max;
}

size_t search_space(const struct weir_frames *f, const struct want *want)
{
    if (want->count > f->free)
        return 0;
    for (int list = LIST_BACKED; list <= LIST_UNBACKED; list++) {
        for (unsigned order = log2_ceil(want->count); order <= f->order_max; order++) {
            size_t found = search_list(f, list, order, want);
            if (found != 0)
                return found;
        }
    }
    unsigned least = contained_order(f, want->count);
    size_t found = search_spans(f, LIST_BACKED, least, want);
    return found != 0 ? found : search_spans(f, LIST_UNBACKED, least, want);
}

size_t weir_frames_largest_run(struct weir_frames *f)
{
    cache_flush(f);
    frames_lock(f);
    size_t largest = 0;
    for (unsigned order = f->order_max + 1; order-- > 0;) {
        /* spans in which this is the largest order are no longer than this */
        if (largest >= (size_t)4 << order && order < f->order_max)
            break;
        for (int list = LIST_BACKED; list <= LIST_UNBACKED; list++) {
            size_t head = list_head(f, list, order);
            for (size_t n = word_next(word_load(f, head)); n != head; n = word_next(word_load(f, n))) {
                size_t start = span_start(f, n, order);
                size_t length = start != 0 ? span_end(f, n, order) - start : 0;
                largest = length > largest ? length : largest;
            }
        }
    }
    frames_unlock(f);
    return largest;
}
