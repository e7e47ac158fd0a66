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

/* From this CPU's cache, 0 if it has none. */
static size_t alloc_cached(struct weir_frames *f, unsigned order, uint64_t word, bool *zero)
{
    struct slot *slot = (size_t)1 << order <= CACHE_LENGTH ? cache_enter(f) : NULL;
    if (slot == NULL)
        return 0;
    size_t n;
    if (order > 0) {
        n = cache_pop(f, slot, (size_t)1 << order, zero);
    } else {
        size_t entry = cache_pop_single(f, slot);
        n = entry / 2;
        *zero = entry & 1;
    }
    if (n != 0)
        slab_mark(f, n, order, word);
    cache_leave(slot);
    return n;
}

static size_t alloc_free(struct weir_frames *f, unsigned order, uint64_t word, bool *zero)
{
    frames_lock(f);
    size_t n = buddy_take(f, order);
    if (n != 0) {
        *zero = run_claim(f, n, (size_t)1 << order);
        slab_mark(f, n, order, word);
        f->allocs++;
    }
    frames_unlock(f);
    return n;
}

uintptr_t weir_frames_alloc_slab(struct weir_frames *f, unsigned order, void *descriptor, bool *zero)
{
    bool known = false;
    if (zero != NULL)
        *zero = false;
    if (descriptor == NULL || (uintptr_t)descriptor % 16 != 0) {
        frames_misuse(f, WEIR_INVALID, __func__, (uintptr_t)descriptor, 0);
        return 0;
    }
    if (order > f->order_max)
        return 0;
    uint64_t word = (uintptr_t)descriptor | WORD_SLAB;
    size_t n = alloc_cached(f, order, word, &known);
    while (n == 0 && (n = alloc_free(f, order, word, &known)) == 0) {
        if (!cache_flush(f)) {
            atomic_fetch_add_explicit(&f->failed, 1, memory_order_relaxed);
            return 0;
        }
    }
    if (zero != NULL)
        *zero = known;
    return address_of(f, n);
}

/* What is wrong with freeing the slab [n, n + 2^order), if anything; else takes it from its user. One of the locks is
 * held. What begins and ends where its descriptor does is a slab, and aligned. */
static enum weir_status slab_seize(struct weir_frames *f, size_t n, unsigned order)
{
    uint64_t word = word_load(f, n);
    size_t end = n + ((size_t)1 << order);
    if (!(word & WORD_SLAB))
        return WEIR_NOT_ALLOCATED;
    for (size_t at = n + 1; at < end; at++) {
        if (word_load(f, at) != word)
            return WEIR_WRONG_SIZE;
    }
    if ((n > f->first && word_load(f, n - 1) == word) || (end < f->end && word_load(f, end) == word))
        return WEIR_WRONG_SIZE;
    /* first to change the word has the frames: of two who free one slab at a time, one loses */
    if (!atomic_compare_exchange_strong_explicit(&f->word[n], &word, 0, memory_order_relaxed, memory_order_relaxed))
        return WEIR_DOUBLE_FREE;
    for (size_t at = n + 1; at < end; at++)
        word_store(f, at, 0);
    return WEIR_OK;
}

static enum weir_status free_cached(struct weir_frames *f, struct slot *slot, size_t n, unsigned order)
{
    enum weir_status status = slab_seize(f, n, order);
    if (status == WEIR_OK && order > 0)
        cache_push(f, slot, n, (size_t)1 << order, false);
    else if (status == WEIR_OK)
        cache_push_single(f, slot, n, false);
    cache_leave(slot);
    return status;
}

enum weir_status weir_frames_free_slab(struct weir_frames *f, uintptr_t start, unsigned order)
{
    size_t count = order <= f->order_max ? (size_t)1 << order : 0;
    enum weir_status status = frames_range(f, start, count);
    if (unlikely(status != WEIR_OK))
        return frames_misuse(f, status, __func__, start, count);
    size_t n = number_of(f, start);
    struct slot *slot = cache_fits(n, count) ? cache_enter(f) : NULL;
    if (slot != NULL && free_cached(f, slot, n, order) == WEIR_OK)
        return WEIR_OK;
    frames_lock(f);
    status = slab_seize(f, n, order);
    if (status == WEIR_OK) {
        run_release(f, n, count, false);
        f->frees++;
    } else if (status == WEIR_NOT_ALLOCATED) {
        status = run_verdict(f, n);
    }
    frames_unlock(f);
    return status == WEIR_OK ? WEIR_OK : frames_misuse(f, status, __func__, start, count);
}

void *weir_frames_slab(const struct weir_frames *f, uintptr_t address)
{
    return frame_word_slab(&f->map, address);
}
