/*
 * Runs: any number of frames, allocated and freed frame-exactly.
 *
 * A run of n frames comes from the smallest sufficient block, whose tail goes back at once; if no block suffices, from
 * a span of adjacent free blocks. Its words: a head and a body for each further block that covers it (see word.h), so
 * that any pointer into it finds its head, and any part of it can be freed.
 *
 *     (1)  the blocks of a run are those that order_down cuts it into: the words follow from start and length alone
 *     (2)  length(head) = sum of the blocks' lengths;  body at n: n - value(n) is the head
 */
#include "src/frame/bitmaps.h"

void run_mark(struct weir_frames *f, size_t n, size_t count, enum block_kind kind)
{
    for (size_t at = n, end = n + count; at < end;) {
        unsigned order = order_up(f, at, end);
        word_store(f, at, at == n ? word_allocated(order, kind, count) : word_allocated(order, KIND_BODY, at - n));
        at += (size_t)1 << order;
    }
}

void run_unmark(struct weir_frames *f, size_t n, size_t count)
{
    for (size_t end = n + count; n < end;) {
        unsigned order = order_up(f, n, end);
        word_store(f, n, 0);
        n += (size_t)1 << order;
    }
}

bool run_claim(struct weir_frames *f, size_t n, size_t count)
{
    struct bits_taken taken = bits_take(f, n, count);
    f->free_backed -= count - taken.unbacked;
    f->backed += taken.unbacked;
    f->retaken += taken.reported;
    size_t out = f->managed - f->free - f->isolated - f->ballooned;
    if (out > f->peak_used) {
        size_t used = out - cache_count(f);
        f->peak_used = used > f->peak_used ? used : f->peak_used;
    }
    return taken.zero;
}

void run_release(struct weir_frames *f, size_t n, size_t count, bool zero)
{
    if (zero)
        bits_set_zero(f, n, count);
    f->free_backed += count;
    buddy_give(f, n, count, LIST_BACKED);
}

/* Takes a run out of the free blocks, lock held; 0 if there is none. */
static size_t take(struct weir_frames *f, const struct want *want, bool anywhere)
{
    if (want->count > f->free)
        return 0;
    unsigned order = log2_ceil(want->count > want->align ? want->count : want->align);
    size_t n = 0;
    if (anywhere && order <= f->order_max && (n = buddy_take(f, order)) != 0) {
        if (want->count < (size_t)1 << order)
            buddy_put_back(f, n + want->count, ((size_t)1 << order) - want->count);
        return n;
    }
    n = search_space(f, want);
    if (n != 0)
        buddy_carve(f, n, want->count);
    return n;
}

static uintptr_t alloc(struct weir_frames *f, const struct want *want, bool anywhere, unsigned flags, bool *zero)
{
    bool ignored;
    zero = zero != NULL ? zero : &ignored;
    *zero = false;
    for (;;) {
        frames_lock(f);
        size_t n = take(f, want, anywhere);
        if (n != 0) {
            *zero = run_claim(f, n, want->count);
            run_mark(f, n, want->count, flags & WEIR_FRAMES_METADATA ? KIND_METADATA : KIND_RUN);
            f->allocs++;
            frames_unlock(f);
            return address_of(f, n);
        }
        frames_unlock(f);
        if (!cache_flush(f)) {
            atomic_fetch_add_explicit(&f->failed, 1, memory_order_relaxed);
            return 0;
        }
    }
}

/* Whether a block of its size is all the alignment that a run of `count` frames needs. */
static bool is_natural(size_t count, size_t align)
{
    return align == 1 || (align <= count && is_power_of_two(count));
}

uintptr_t weir_frames_alloc(struct weir_frames *f, size_t count, size_t align, unsigned flags, bool *zero)
{
    align = align != 0 ? align : 1;
    if (!is_power_of_two(align)) {
        frames_misuse(f, WEIR_INVALID, __func__, 0, count);
        return 0;
    }
    if (count - 1 < CACHE_LENGTH && is_natural(count, align) && flags == 0) {
        bool known = false;
        size_t n = cache_take(f, count, &known);
        if (n != 0) {
            word_store(f, n, word_allocated(order_up(f, n, n + count), KIND_RUN, count));
            if (zero != NULL)
                *zero = known;
            return address_of(f, n);
        }
    }
    if (count == 0 || count > f->map.count || align > UINTPTR_MAX >> WEIR_FRAME_SHIFT)
        return 0;
    struct want want = {.count = count, .align = align, .low = f->first, .high = f->end};
    return alloc(f, &want, true, flags, zero);
}

uintptr_t weir_frames_alloc_within(struct weir_frames *f, size_t count, size_t align, uintptr_t low, uintptr_t high,
                                   unsigned flags, bool *zero)
{
    align = align != 0 ? align : 1;
    if (!is_power_of_two(align)) {
        frames_misuse(f, WEIR_INVALID, __func__, low, count);
        return 0;
    }
    uintptr_t last = f->map.base + (f->map.count << WEIR_FRAME_SHIFT) - 1;
    if (low < f->map.base)
        low = f->map.base;
    if (high == 0 || high - 1 > last)
        high = high == 0 ? 0 : last + 1;
    if (count == 0 || count > f->map.count || align > UINTPTR_MAX >> WEIR_FRAME_SHIFT || high == 0 || low > high - 1)
        return 0;
    struct want want = {
        .count = count,
        .align = align,
        .low = f->first + ((low - f->map.base + WEIR_FRAME_SIZE - 1) >> WEIR_FRAME_SHIFT),
        .high = f->first + ((high - f->map.base) >> WEIR_FRAME_SHIFT),
    };
    return alloc(f, &want, false, flags, zero);
}

/* What freeing a frame with this word would be. */
static enum weir_status verdict(uint64_t word)
{
    if (word_is_free(word))
        return WEIR_DOUBLE_FREE;
    enum block_kind kind = word_kind(word);
    return kind == KIND_CACHED || kind == KIND_ISOLATED ? WEIR_DOUBLE_FREE : WEIR_NOT_ALLOCATED;
}

enum weir_status run_detach(struct weir_frames *f, size_t n, size_t count, enum block_kind kind)
{
    struct cover block = buddy_cover(f, n);
    size_t head = block.start;
    if (word_kind(block.word) == KIND_BODY) {
        head -= word_value(block.word);
        block.word = word_load(f, head);
    }
    enum block_kind found = word_kind(block.word);
    if (found != kind && !(kind == KIND_RUN && found == KIND_METADATA))
        return verdict(block.word);
    size_t end = head + word_value(block.word);
    if (count > end - n)
        return WEIR_WRONG_SIZE;
    /* a per-CPU cache may take the run without the lock: whoever changes the head first has it */
    if (!atomic_compare_exchange_strong_explicit(&f->word[head], &block.word, 0, memory_order_relaxed,
                                                 memory_order_relaxed))
        return WEIR_DOUBLE_FREE;
    run_unmark(f, head, end - head);
    if (head < n)
        run_mark(f, head, n - head, found);
    if (n + count < end)
        run_mark(f, n + count, end - (n + count), found);
    return WEIR_OK;
}

static enum weir_status free_run(struct weir_frames *f, uintptr_t start, size_t count, bool zero, const char *operation)
{
    enum weir_status status = frames_range(f, start, count);
    if (unlikely(status != WEIR_OK))
        return frames_misuse(f, status, operation, start, count);
    size_t n = number_of(f, start);
    uint64_t word = word_load(f, n);
    bool lost = false;
    if (count <= CACHE_LENGTH && word_kind(word) == KIND_RUN && word_value(word) == count &&
        cache_give(f, n, count, word, zero, &lost))
        return WEIR_OK;
    if (lost)
        return frames_misuse(f, WEIR_DOUBLE_FREE, operation, start, count);
    frames_lock(f);
    status = run_detach(f, n, count, KIND_RUN);
    if (status == WEIR_OK) {
        run_release(f, n, count, zero);
        f->frees++;
    }
    frames_unlock(f);
    return status == WEIR_OK ? WEIR_OK : frames_misuse(f, status, operation, start, count);
}

enum weir_status weir_frames_free(struct weir_frames *f, uintptr_t start, size_t count)
{
    return free_run(f, start, count, false, __func__);
}

enum weir_status weir_frames_free_zeroed(struct weir_frames *f, uintptr_t start, size_t count)
{
    return free_run(f, start, count, true, __func__);
}

bool weir_frames_grow(struct weir_frames *f, uintptr_t start, size_t count, size_t wanted, bool *zero)
{
    if (zero != NULL)
        *zero = false;
    if (frames_range(f, start, count) != WEIR_OK || weir_frames_run_length(f, start) != count) {
        frames_misuse(f, WEIR_NOT_ALLOCATED, __func__, start, count);
        return false;
    }
    size_t n = number_of(f, start);
    if (wanted <= count)
        return wanted == count;
    if (wanted > f->end - n)
        return false;
    frames_lock(f);
    size_t at = n + count;
    while (at < n + wanted && word_is_free(word_load(f, at)))
        at += (size_t)1 << word_order(word_load(f, at));
    bool grows = at >= n + wanted;
    if (grows) {
        buddy_carve(f, n + count, wanted - count);
        bool known = run_claim(f, n + count, wanted - count);
        if (zero != NULL)
            *zero = known;
        run_unmark(f, n, count);
        run_mark(f, n, wanted, KIND_RUN);
    }
    frames_unlock(f);
    return grows;
}

size_t weir_frames_run_length(const struct weir_frames *f, uintptr_t start)
{
    uint64_t word = start % WEIR_FRAME_SIZE == 0 ? frame_word(&f->map, start) : 0;
    return word_kind(word) == KIND_RUN ? word_value(word) : 0;
}

uintptr_t weir_frames_run_start(const struct weir_frames *f, uintptr_t address)
{
    size_t n = number_of(f, address);
    if (address < f->map.base || !in_span(f, n))
        return 0;
    struct cover block = buddy_cover(f, n);
    if (word_kind(block.word) == KIND_BODY) {
        block.start -= word_value(block.word);
        block.word = in_span(f, block.start) ? word_load(f, block.start) : 0;
    }
    return word_kind(block.word) == KIND_RUN ? address_of(f, block.start) : 0;
}
