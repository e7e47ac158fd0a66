/*
 * Per-CPU caches of short runs, so that the common case takes no shared lock.
 *
 * A slot has a stack of single frames, an array, and one stack for each length from 2 to CACHE_LENGTH frames, linked
 * through the frame words: a cached run is a run whose head says so. Caching costs one word, and finds the words of the
 * run's bodies already right when it is taken again.
 *
 *     run or slab -- free --> cached -- alloc --> run or slab
 *                             |  ^
 *                       drain v  | refill (single frames only)
 *                             free
 *
 * The slot's number is a hint: two CPUs may use one slot, therefore its lock; who finds it taken goes without. A run of
 * a power of two is only cached if naturally aligned, so that it serves as a slab too.
 *
 *     (1)  singles <= CACHE_SINGLES;  longer = sum over lengths of depth * length <= CACHE_LONGER
 *     (2)  cached frames are backed and dirty in the bitmaps; that they are known-zero stands with them in the cache
 *     (3)  a cached single frame has no word, and is neither single nor free in its chunk's bitmaps
 */
#include "src/frame/bitmaps.h"

/*
 *  constant        value  why
 *  CACHE_SINGLES      64  in table.h; half full after a refill or a drain, so that either may follow
 *  CACHE_LONGER      192  both together are 1 MiB: what one CPU may withhold from the others and from the host
 *  CACHE_BATCH        32  frames or runs moved under one lock
 */
#define CACHE_LONGER 192
#define CACHE_BATCH  32

static void add(_Atomic(uint64_t) *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static uint32_t load32(const _Atomic(uint32_t) *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void store32(_Atomic(uint32_t) *value, size_t to)
{
    atomic_store_explicit(value, (uint32_t)to, memory_order_relaxed);
}

static uint32_t cached_in(const struct slot *slot)
{
    return load32(&slot->singles) + load32(&slot->longer);
}

uint32_t cache_refill(struct weir_frames *f, struct slot *slot)
{
    uint32_t depth = load32(&slot->singles);
    frames_lock(f);
    while (depth < CACHE_BATCH) {
        unsigned order = log2_floor(CACHE_BATCH - depth);
        size_t n = buddy_take_some(f, slot, &order);
        if (n == 0)
            break;
        bool zero = run_claim(f, n, (size_t)1 << order);
        /* the lowest on top */
        for (size_t at = n + ((size_t)1 << order); at-- > n;)
            slot->single[depth++] = (uint32_t)(at * 2 + zero);
        store32(&slot->singles, depth);
    }
    frames_unlock(f);
    return depth;
}

/* Gives the `count` single frames cached longest ago back, the table's lock held. */
static uint32_t drain_singles(struct weir_frames *f, struct slot *slot, uint32_t count)
{
    uint32_t left = load32(&slot->singles) - count;
    for (uint32_t i = 0, run; i < count; i += run) {
        /* frames freed one after another are often neighbours: they go as one */
        for (run = 1; i + run < count && slot->single[i + run] == slot->single[i] + 2 * run; run++)
            ;
        run_release(f, slot->single[i] / 2, run, slot->single[i] & 1);
    }
    __builtin_memmove(slot->single, slot->single + count, left * sizeof(slot->single[0]));
    store32(&slot->singles, left);
    return left;
}

uint32_t cache_drain(struct weir_frames *f, struct slot *slot)
{
    /* what the lock's holder would wait for */
    for (uint32_t i = 0; i < CACHE_BATCH; i++) {
        size_t n = slot->single[i] / 2;
        __builtin_prefetch(&f->bits[n >> CHUNK_ORDER].free[n >> 6 & (CHUNK_GROUPS - 1)], 1);
        __builtin_prefetch(&f->chunk[n >> CHUNK_ORDER], 1);
    }
    frames_lock(f);
    uint32_t left = drain_singles(f, slot, CACHE_BATCH);
    frames_unlock(f);
    return left;
}

static size_t pop_run(struct weir_frames *f, struct slot *slot, size_t count, bool *zero)
{
    size_t n = slot->top[count];
    uint64_t word = word_load(f, n);
    *zero = word_cached_zero(word);
    slot->top[count] = (uint32_t)word_cached_next(word);
    slot->depth[count]--;
    store32(&slot->longer, load32(&slot->longer) - count);
    return n;
}

/* Gives up to `runs` runs of one length back, the table's lock held. */
static void drain_runs(struct weir_frames *f, struct slot *slot, size_t count, unsigned runs)
{
    for (; runs > 0 && slot->depth[count] > 0; runs--) {
        bool zero;
        size_t n = pop_run(f, slot, count, &zero);
        run_unmark(f, n, count);
        run_release(f, n, count, zero);
    }
}

size_t cache_pop(struct weir_frames *f, struct slot *slot, size_t count, bool *zero)
{
    if (slot->depth[count] == 0)
        return 0;
    add(&slot->allocs);
    return pop_run(f, slot, count, zero);
}

void cache_push(struct weir_frames *f, struct slot *slot, size_t n, size_t count, bool zero)
{
    word_store(f, n, word_cached(order_up(f, n, n + count), count, zero, slot->top[count]));
    slot->top[count] = (uint32_t)n;
    slot->depth[count]++;
    store32(&slot->longer, load32(&slot->longer) + count);
    add(&slot->frees);
    if (load32(&slot->longer) <= CACHE_LONGER)
        return;
    frames_lock(f);
    drain_runs(f, slot, count, CACHE_BATCH);
    frames_unlock(f);
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
        drain_singles(f, slot, load32(&slot->singles));
        for (size_t count = 2; count <= CACHE_LENGTH; count++)
            drain_runs(f, slot, count, CACHE_LONGER);
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
