/*
 * Slabs: naturally aligned blocks whose every frame word is the address of a descriptor.
 *
 * The frame table knows nothing more of them. Where a slab ends is known by its neighbours' words: a descriptor belongs
 * to one slab.
 */
#include "src/frame/bitmaps.h"

static void slab_mark(struct weir_frames *f, size_t n, unsigned order, uint64_t word)
{
    for (size_t at = n; at < n + ((size_t)1 << order); at++)
        atomic_store_explicit(&f->word[at], word, memory_order_release);
}

uintptr_t weir_frames_alloc_slab(struct weir_frames *f, unsigned order, void *descriptor, bool *zero)
{
    bool known = false;
    size_t n = 0;
    if (descriptor == NULL || (uintptr_t)descriptor % 16 != 0) {
        frames_misuse(f, WEIR_INVALID, __func__, (uintptr_t)descriptor, 0);
        return 0;
    }
    if (zero != NULL)
        *zero = false;
    if (order > f->order_max)
        return 0;
    uint64_t word = (uintptr_t)descriptor | WORD_SLAB;
    size_t count = (size_t)1 << order;
    if (count <= CACHE_LENGTH)
        n = cache_take(f, count, &known);
    while (n == 0) {
        frames_lock(f);
        n = buddy_take(f, order);
        if (n != 0) {
            known = run_claim(f, n, count);
            f->allocs++;
        }
        frames_unlock(f);
        if (n == 0 && !cache_flush(f)) {
            atomic_fetch_add_explicit(&f->failed, 1, memory_order_relaxed);
            return 0;
        }
    }
    slab_mark(f, n, order, word);
    if (zero != NULL)
        *zero = known;
    return address_of(f, n);
}

/* What is wrong with freeing the slab [n, n + 2^order), if anything. */
static enum weir_status slab_verify(const struct weir_frames *f, size_t n, unsigned order)
{
    uint64_t word = word_load(f, n);
    size_t end = n + ((size_t)1 << order);
    if (!(word & WORD_SLAB)) {
        frames_lock(f);
        enum weir_status verdict = run_verdict(f, n);
        frames_unlock(f);
        return verdict;
    }
    if ((n & (end - n - 1)) != 0)
        return WEIR_WRONG_SIZE;
    for (size_t at = n + 1; at < end; at++) {
        if (word_load(f, at) != word)
            return WEIR_WRONG_SIZE;
    }
    bool longer = (n > f->first && word_load(f, n - 1) == word) || (end < f->end && word_load(f, end) == word);
    return longer ? WEIR_WRONG_SIZE : WEIR_OK;
}

enum weir_status weir_frames_free_slab(struct weir_frames *f, uintptr_t start, unsigned order)
{
    size_t count = order <= f->order_max ? (size_t)1 << order : 0;
    enum weir_status status = frames_range(f, start, count);
    if (status == WEIR_OK)
        status = slab_verify(f, number_of(f, start), order);
    if (status != WEIR_OK)
        return frames_misuse(f, status, __func__, start, count);
    size_t n = number_of(f, start);
    uint64_t word = word_load(f, n);
    /* first to change the word has the frames: of two who free one slab at a time, one loses */
    if (!(word & WORD_SLAB) ||
        !atomic_compare_exchange_strong_explicit(&f->word[n], &word, 0, memory_order_relaxed, memory_order_relaxed))
        return frames_misuse(f, WEIR_DOUBLE_FREE, __func__, start, count);
    for (size_t at = n + 1; at < n + count; at++)
        word_store(f, at, 0);
    if (count <= CACHE_LENGTH && cache_give(f, n, count, false))
        return WEIR_OK;
    frames_lock(f);
    run_release(f, n, count, false);
    f->frees++;
    frames_unlock(f);
    return WEIR_OK;
}

void *weir_frames_slab(const struct weir_frames *f, uintptr_t address)
{
    return frame_word_slab(&f->map, address);
}
