/*
 * Per-CPU caches of short runs, so that the common case takes no shared lock.
 *
 * A slot has one stack for each length from 1 to CACHE_LENGTH frames, linked through the frame words: a cached run is a
 * run whose head says so. Caching costs one word, and finds the run's words already right when it is taken again.
 *
 *     run (head: KIND_RUN) -- free: compare-and-swap --> cached (KIND_CACHED) -- alloc --> run or slab
 *                                                          |  flush, refill
 *                                                          v  ^
 *                                                       free blocks
 *
 * The slot's number is a hint: two CPUs may use one slot, therefore its lock; who finds it taken goes without. A run of
 * a power of two is only cached if naturally aligned, so that it serves as a slab too.
 *
 *     (1)  cached(slot) = sum over lengths of depth * length <= CACHE_FRAMES
 *     (2)  cached frames are backed and dirty in the bitmaps; that they are known-zero is in their word
 */
#include "src/frame/bitmaps.h"

/*
 *  constant        value  why
 *  CACHE_FRAMES      256  1 MiB: what one CPU may withhold from the others and from the host
 *  CACHE_DEPTH        64  most runs of one length
 *  CACHE_BATCH        32  single frames moved under one lock
 */
#define CACHE_FRAMES 256
#define CACHE_DEPTH  64
#define CACHE_BATCH  32

static void add(_Atomic(uint64_t) *counter)
{
    /* only the holder of the slot's lock writes it */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void set_cached(struct slot *slot, uint32_t cached)
{
    atomic_store_explicit(&slot->cached, cached, memory_order_relaxed);
}

static uint32_t cached_in(const struct slot *slot)
{
    return atomic_load_explicit(&slot->cached, memory_order_relaxed);
}

/* The slot of this CPU, locked; null if there is none or somebody else uses it. */
static struct slot *enter(struct weir_frames *f)
{
    if (f->slot_count == 0)
        return NULL;
    unsigned i = f->platform->slot(f->platform->context);
    struct slot *slot = &f->slots[i < f->slot_count ? i : i % f->slot_count];
    return lock_try(&slot->lock) ? slot : NULL;
}

static void push(struct weir_frames *f, struct slot *slot, size_t n, size_t count)
{
    slot->top[count - 1] = (uint32_t)n;
    slot->depth[count - 1]++;
    set_cached(slot, cached_in(slot) + (uint32_t)count);
    (void)f;
}

static size_t pop(struct weir_frames *f, struct slot *slot, size_t count, bool *zero)
{
    size_t n = slot->top[count - 1];
    uint64_t word = word_load(f, n);
    *zero = word_cached_zero(word);
    slot->top[count - 1] = (uint32_t)word_cached_next(word);
    slot->depth[count - 1]--;
    set_cached(slot, cached_in(slot) - (uint32_t)count);
    return n;
}

/* Moves single frames from the free blocks into the slot, whose lock is held. */
static void refill(struct weir_frames *f, struct slot *slot)
{
    frames_lock(f);
    for (int i = 0; i < CACHE_BATCH; i++) {
        size_t n = buddy_take(f, 0);
        if (n == 0)
            break;
        bool zero = run_claim(f, n, 1);
        word_store(f, n, word_cached(0, 1, zero, slot->top[0]));
        push(f, slot, n, 1);
    }
    frames_unlock(f);
}

/* Gives up to `runs` runs of one length back, both locks held. */
static void drain(struct weir_frames *f, struct slot *slot, size_t count, unsigned runs)
{
    for (; runs > 0 && slot->depth[count - 1] > 0; runs--) {
        bool zero;
        size_t n = pop(f, slot, count, &zero);
        run_release(f, n, count, zero);
    }
}

size_t cache_take(struct weir_frames *f, size_t count, bool *zero)
{
    struct slot *slot = enter(f);
    if (slot == NULL)
        return 0;
    size_t n = 0;
    if (slot->depth[count - 1] == 0 && count == 1)
        refill(f, slot);
    if (slot->depth[count - 1] > 0) {
        n = pop(f, slot, count, zero);
        add(&slot->allocs);
    }
    lock_drop(&slot->lock);
    return n;
}

bool cache_give(struct weir_frames *f, size_t n, size_t count, uint64_t word, bool zero, bool *lost)
{
    if (is_power_of_two(count) && (n & (count - 1)) != 0)
        return false;
    struct slot *slot = enter(f);
    if (slot == NULL)
        return false;
    uint64_t cached = word_cached(word_order(word), count, zero, slot->top[count - 1]);
    *lost = !atomic_compare_exchange_strong_explicit(&f->word[n], &word, cached, memory_order_relaxed,
                                                     memory_order_relaxed);
    if (!*lost) {
        push(f, slot, n, count);
        add(&slot->frees);
        if (slot->depth[count - 1] > CACHE_DEPTH || cached_in(slot) > CACHE_FRAMES) {
            frames_lock(f);
            drain(f, slot, count, CACHE_BATCH);
            frames_unlock(f);
        }
    }
    lock_drop(&slot->lock);
    return !*lost;
}

bool cache_flush(struct weir_frames *f)
{
    bool any = false;
    for (unsigned i = 0; i < f->slot_count; i++) {
        struct slot *slot = &f->slots[i];
        if (cached_in(slot) == 0)
            continue;
        lock_take(&slot->lock, f->platform);
        frames_lock(f);
        any = any || cached_in(slot) > 0;
        for (size_t count = 1; count <= CACHE_LENGTH; count++)
            drain(f, slot, count, CACHE_FRAMES);
        frames_unlock(f);
        lock_drop(&slot->lock);
    }
    return any;
}

size_t cache_count(const struct weir_frames *f)
{
    size_t cached = 0;
    for (unsigned i = 0; i < f->slot_count; i++)
        cached += cached_in(&f->slots[i]);
    return cached;
}

void cache_lock_all(const struct weir_frames *f)
{
    for (unsigned i = 0; i < f->slot_count; i++)
        lock_take(&f->slots[i].lock, f->platform);
}

void cache_unlock_all(const struct weir_frames *f)
{
    for (unsigned i = 0; i < f->slot_count; i++)
        lock_drop(&f->slots[i].lock);
}
