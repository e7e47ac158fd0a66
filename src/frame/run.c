/*
 * Runs: any number of frames, allocated and freed frame-exactly.
 *
 * A run of n frames comes from the smallest sufficient block, whose tail goes back at once; if no block suffices, from
 * adjacent free blocks. Its words: a head and a body for each further block that covers it (see word.h), so that any
 * pointer into it finds its head, and any part of it can be freed. A run of one frame is one bit.
 *
 *     (1)  the blocks of a run are those that order_up cuts it into: the words follow from start and length alone
 *     (2)  head: the value is the run's length;  body at n: n - value is the head
 *     (3)  whoever changes the head (or clears the bit) first has the run: of two who free it at a time, one loses
 */
#include "src/frame/bitmaps.h"
#include "src/frame/walk.h"

/* Runs from this length on are worth a search for the place that fits best. Of buffers of 5 to 25 MiB, 350 MiB of them
 * alive, replaced at random, the first sufficient block held 790 MiB resident. */
#define BEST_FIT_LEAST 64

/* The block that covers n, see word.h (3). */
static struct cover cover_of(const struct weir_frames *f, size_t n)
{
    uint64_t word = word_load(f, n);
    if (word & WORD_SLAB)
        return (struct cover){n, word};
    if (word == 0 && single_is(f, n))
        return (struct cover){n, word_block(0, KIND_RUN, 1)};
    for (unsigned order = 0; order <= f->order_max; order++) {
        size_t start = n & ~(((size_t)1 << order) - 1);
        if (!in_span(f, start))
            break;
        word = word_load(f, start);
        if (word == 0)
            continue;
        if (word & WORD_SLAB || word_order(word) < order)
            break;
        return (struct cover){start, word};
    }
    return (struct cover){n, 0};
}

struct cover run_head(const struct weir_frames *f, size_t n)
{
    struct cover block = cover_of(f, n);
    if (word_kind(block.word) == KIND_BODY) {
        block.start -= word_value(block.word);
        block.word = in_span(f, block.start) ? word_load(f, block.start) : 0;
    }
    return block;
}

void run_mark(struct weir_frames *f, size_t n, size_t count, enum block_kind kind)
{
    if (count == 1 && kind == KIND_RUN) {
        single_set(f, n);
        return;
    }
    for (size_t at = n, end = n + count; at < end;) {
        unsigned order = order_up(f, at, end);
        word_store(f, at, at == n ? word_block(order, kind, count) : word_block(order, KIND_BODY, at - n));
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
    struct bits_taken taken = {0};
    /* the common large run is a whole chunk that was in use before; one of that length may also lie across two */
    if (count != CHUNK_FRAMES || n % CHUNK_FRAMES != 0 || !bits_full(f, n >> CHUNK_ORDER))
        taken = bits_take(f, n, count);
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
    if (buddy_give(f, n, count, true) < f->stamp_order)
        return;
    uint64_t now = f->platform->now(f->platform->context);
    for (size_t chunk = n >> CHUNK_ORDER; chunk <= (n + count - 1) >> CHUNK_ORDER; chunk++)
        f->chunk[chunk].freed_at = now;
}

/* Takes a run out of the free blocks, lock held; 0 if there is none. */
static size_t take(struct weir_frames *f, const struct want *want, bool anywhere)
{
    if (want->count > f->free)
        return 0;
    unsigned order = log2_ceil(want->count > want->align ? want->count : want->align);
    size_t n = 0;
    if (anywhere && want->count >= BEST_FIT_LEAST && (n = search_best(f, want)) != 0) {
        buddy_carve(f, n, want->count);
        return n;
    }
    if (anywhere && order <= f->order_max && (n = buddy_take(f, order)) != 0) {
        size_t length = (size_t)1 << order;
        size_t start = want->count < length && want->align == 1 ? buddy_free_start(f, n) : n;
        if (start < n) {
            buddy_give(f, n, length, false);
            buddy_carve(f, start, want->count);
            return start;
        }
        if (want->count < length)
            buddy_give(f, n + want->count, length - want->count, false);
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

/* Allocates one frame from this CPU's cache, 0 if it has none. */
static size_t alloc_single(struct weir_frames *f, bool *zero)
{
    struct slot *slot = cache_enter(f);
    if (slot == NULL)
        return 0;
    size_t entry = cache_pop_single(f, slot), n = entry / 2;
    if (likely(n != 0))
        single_set(f, n);
    cache_leave(slot);
    if (zero != NULL)
        *zero = entry & 1;
    return n;
}

/* The same for two frames and more. */
static size_t alloc_short(struct weir_frames *f, size_t count, bool *zero)
{
    struct slot *slot = cache_enter(f);
    if (slot == NULL)
        return 0;
    bool known = false;
    size_t n = cache_pop(f, slot, count, &known);
    if (n != 0)
        word_store(f, n, word_block(order_up(f, n, n + count), KIND_RUN, count));
    cache_leave(slot);
    if (zero != NULL)
        *zero = known;
    return n;
}

/* Allocates a run that is a block, 0 if there is none. */
static size_t alloc_block(struct weir_frames *f, unsigned order, enum block_kind kind, bool *zero)
{
    frames_lock(f);
    /* a long one rather joins smaller pieces with backing than it takes a block without */
    bool join = (size_t)1 << order >= BEST_FIT_LEAST && f->present[LIST_BACKED] >> order == 0 &&
                f->present[LIST_BACKED] >> (order - 1) != 0;
    size_t n = join ? 0 : buddy_take(f, order);
    if (n != 0) {
        bool known = run_claim(f, n, (size_t)1 << order);
        if (zero != NULL)
            *zero = known;
        word_store(f, n, word_block(order, kind, (uint64_t)1 << order));
        f->allocs++;
    }
    frames_unlock(f);
    return n;
}

static __attribute__((noinline)) uintptr_t alloc_run(struct weir_frames *f, size_t count, size_t align, unsigned flags,
                                                     bool *zero)
{
    align = align != 0 ? align : 1;
    if (!is_power_of_two(align)) {
        frames_misuse(f, WEIR_INVALID, "weir_frames_alloc", 0, count);
        return 0;
    }
    if (count - 2 <= CACHE_LENGTH - 2 && is_natural(count, align) && flags == 0) {
        size_t n = alloc_short(f, count, zero);
        if (n != 0)
            return address_of(f, n);
    }
    if (count == 0 || count > f->map.count || align > UINTPTR_MAX >> WEIR_FRAME_SHIFT)
        return 0;
    if (count > 1 && is_power_of_two(count) && align <= count && log2_floor(count) <= f->order_max) {
        size_t n = alloc_block(f, log2_floor(count), flags & WEIR_FRAMES_METADATA ? KIND_METADATA : KIND_RUN, zero);
        if (n != 0)
            return address_of(f, n);
    }
    struct want want = {.count = count, .align = align, .low = f->first, .high = f->end};
    return alloc(f, &want, true, flags, zero);
}

uintptr_t weir_frames_alloc(struct weir_frames *f, size_t count, size_t align, unsigned flags, bool *zero)
{
    if (count == 1 && align <= 1 && flags == 0) {
        size_t n = alloc_single(f, zero);
        if (likely(n != 0))
            return address_of(f, n);
    }
    return alloc_run(f, count, align, flags, zero);
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

enum weir_status run_verdict(const struct weir_frames *f, size_t n)
{
    enum weir_frame_kind kind = frame_kind(f, n);
    bool was_freed = kind == WEIR_FRAME_FREE || kind == WEIR_FRAME_CACHED || kind == WEIR_FRAME_ISOLATED;
    return was_freed ? WEIR_DOUBLE_FREE : WEIR_NOT_ALLOCATED;
}

/* Takes the head from whoever else might free the run; false if somebody else was faster. */
static bool seize(struct weir_frames *f, size_t head, uint64_t word)
{
    if (word == word_block(0, KIND_RUN, 1) && word_load(f, head) == 0)
        return single_clear(f, head);
    return atomic_compare_exchange_strong_explicit(&f->word[head], &word, 0, memory_order_relaxed,
                                                   memory_order_relaxed);
}

enum weir_status run_detach(struct weir_frames *f, size_t n, size_t count, enum block_kind kind)
{
    struct cover head = run_head(f, n);
    enum block_kind found = word_kind(head.word);
    if (found != kind && !(kind == KIND_RUN && found == KIND_METADATA))
        return run_verdict(f, n);
    size_t start = head.start, end = start + word_value(head.word);
    if (count > end - n)
        return WEIR_WRONG_SIZE;
    if (!seize(f, start, head.word))
        return WEIR_DOUBLE_FREE;
    run_unmark(f, start, end - start);
    if (start < n)
        run_mark(f, start, n - start, found);
    if (n + count < end)
        run_mark(f, n + count, end - (n + count), found);
    return WEIR_OK;
}

/* Frees a run of one frame into this CPU's cache. False: it is none, or there is no cache. */
static bool free_single(struct weir_frames *f, size_t n, bool zero)
{
    struct slot *slot = cache_enter(f);
    if (slot == NULL)
        return false;
    bool seized = single_clear(f, n);
    if (likely(seized))
        cache_push_single(f, slot, n, zero);
    cache_leave(slot);
    return seized;
}

/* The same for a whole run of two frames and more. */
static bool free_short(struct weir_frames *f, size_t n, size_t count, bool zero)
{
    struct slot *slot = cache_enter(f);
    if (slot == NULL)
        return false;
    uint64_t word = word_load(f, n);
    bool seized = word_kind(word) == KIND_RUN && word_value(word) == count && seize(f, n, word);
    if (seized)
        cache_push(f, slot, n, count, zero);
    cache_leave(slot);
    return seized;
}

static __attribute__((noinline)) enum weir_status free_run(struct weir_frames *f, uintptr_t start, size_t count,
                                                           bool zero, const char *operation)
{
    enum weir_status status = frames_range(f, start, count);
    if (unlikely(status != WEIR_OK))
        return frames_misuse(f, status, operation, start, count);
    size_t n = number_of(f, start);
    if (count > 1 && cache_fits(n, count) && free_short(f, n, count, zero))
        return WEIR_OK;
    frames_lock(f);
    uint64_t word = word_load(f, n);
    /* a run that is a block has no bodies to look for */
    if (word != word_block(log2_floor(count), KIND_RUN, count) || !is_power_of_two(count) || !seize(f, n, word))
        status = run_detach(f, n, count, KIND_RUN);
    if (status == WEIR_OK) {
        run_release(f, n, count, zero);
        f->frees++;
    }
    frames_unlock(f);
    return status == WEIR_OK ? WEIR_OK : frames_misuse(f, status, operation, start, count);
}

static inline enum weir_status free_any(struct weir_frames *f, uintptr_t start, size_t count, bool zero,
                                        const char *operation)
{
    size_t n = number_of(f, start);
    if (count == 1 && start % WEIR_FRAME_SIZE == 0 && in_span(f, n) && likely(free_single(f, n, zero)))
        return WEIR_OK;
    return free_run(f, start, count, zero, operation);
}

enum weir_status weir_frames_free(struct weir_frames *f, uintptr_t start, size_t count)
{
    return free_any(f, start, count, false, __func__);
}

enum weir_status weir_frames_free_zeroed(struct weir_frames *f, uintptr_t start, size_t count)
{
    return free_any(f, start, count, true, __func__);
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
    bool grows = buddy_free_end(f, n + count, n + wanted) == n + wanted;
    if (grows) {
        buddy_carve(f, n + count, wanted - count);
        bool known = run_claim(f, n + count, wanted - count);
        if (zero != NULL)
            *zero = known;
        single_clear(f, n);
        run_unmark(f, n, count);
        run_mark(f, n, wanted, KIND_RUN);
    }
    frames_unlock(f);
    return grows;
}

size_t weir_frames_run_length(const struct weir_frames *f, uintptr_t start)
{
    size_t n = number_of(f, start);
    if (start % WEIR_FRAME_SIZE != 0 || !in_span(f, n))
        return 0;
    uint64_t word = word_load(f, n);
    if (word == 0)
        return single_is(f, n);
    return word_kind(word) == KIND_RUN ? word_value(word) : 0;
}

uintptr_t weir_frames_run_start(const struct weir_frames *f, uintptr_t address)
{
    size_t n = number_of(f, address);
    if (!in_span(f, n))
        return 0;
    struct cover head = run_head(f, n);
    return word_kind(head.word) == KIND_RUN ? address_of(f, head.start) : 0;
}
