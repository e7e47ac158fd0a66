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
 *     (1)  cached(slot) = singles + sum over lengths of depth * length <= CACHE_FRAMES
 *     (2)  cached frames are backed and dirty in the bitmaps; that they are known-zero stands with them in the cache
 *     (3)  a cached single frame has no word, and is neither single nor free in its chunk's bitmaps
 */
#include "src/frame/bitmaps.h"

/*
 *  constant        value  why
 *  CACHE_FRAMES      256  1 MiB: what one CPU may withhold from the others and from the host
 *  CACHE_SINGLES      64  in table.h; they are half full after a refill or a drain: either may follow
 *  CACHE_BATCH        32  single frames, or runs of one length, moved under one lock
 */
#define CACHE_FRAMES 256
#define CACHE_BATCH  32

static void add(_Atomic(uint64_t) *counter)
{
    /* only the holder of the slot's lock writes it */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static uint32_t cached_in(const struct slot *slot)
{
    return atomic_load_explicit(&slot->cached, memory_order_relaxed);
}

static void count_cached(struct slot *slot, int frames)
{
    atomic_store_explicit(&slot->cached, cached_in(slot) + (uint32_t)frames, memory_order_relaxed);
}

struct slot *cache_enter(struct weir_frames *f)
{
    if (f->slot_count == 0)
        return NULL;
    unsigned i = f->platform->slot(f->platform->context);
    struct slot *slot = &f->slots[i < f->slot_count ? i : i % f->slot_count];
    return lock_try(&slot->lock) ? slot : NULL;
}

void cache_leave(struct slot *slot)
{
    lock_drop(&slot->lock);
}

/* Moves free frames into the slot. The table's lock is held, from here down to drain. */
static void refill(struct weir_frames *f, struct slot *slot)
{
    while (slot->singles < CACHE_BATCH) {
        unsigned order = log2_floor(CACHE_BATCH - slot->singles);
        size_t n = buddy_take_some(f, &order);
        if (n == 0)
            break;
        bool zero = run_claim(f, n, (size_t)1 << order);
        /* the lowest on top */
        for (size_t at = n + ((size_t)1 << order); at-- > n;)
            slot->single[slot->singles++] = (uint32_t)(at * 2 + zero);
        count_cached(slot, 1 << order);
    }
}

/* Gives the single frames cached longest ago back. */
static void drain_singles(struct weir_frames *f, struct slot *slot, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&f->bits[slot->single[i] / 2 >> CHUNK_ORDER], 1);
    for (uint32_t i = 0, run; i < count; i += run) {
        /* frames freed one after another are often neighbours: they go as one */
        for (run = 1; i + run < count && slot->single[i + run] == slot->single[i] + 2 * run; run++)
            ;
        run_release(f, slot->single[i] / 2, run, slot->single[i] & 1);
    }
    slot->singles -= count;
    __builtin_memmove(slot->single, slot->single + count, slot->singles * sizeof(slot->single[0]));
    count_cached(slot, -(int)count);
}

static size_t pop_run(struct weir_frames *f, struct slot *slot, size_t count, bool *zero)
{
    size_t n = slot->top[count];
    uint64_t word = word_load(f, n);
    *zero = word_cached_zero(word);
    slot->top[count] = (uint32_t)word_cached_next(word);
    slot->depth[count]--;
    count_cached(slot, -(int)count);
    return n;
}

/* Gives up to `runs` runs of one length back. */
static void drain(struct weir_frames *f, struct slot *slot, size_t count, unsigned runs)
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
    size_t n = 0;
    if (count > 1) {
        if (slot->depth[count] == 0)
            return 0;
        n = pop_run(f, slot, count, zero);
    } else {
        if (slot->singles == 0) {
            frames_lock(f);
            refill(f, slot);
            frames_unlock(f);
            if (slot->singles == 0)
                return 0;
        }
        uint32_t entry = slot->single[--slot->singles];
        count_cached(slot, -1);
        *zero = entry & 1;
        n = entry / 2;
    }
    add(&slot->allocs);
    return n;
}

void cache_push(struct weir_frames *f, struct slot *slot, size_t n, size_t count, bool zero)
{
    if (count > 1) {
        word_store(f, n, word_cached(order_up(f, n, n + count), count, zero, slot->top[count]));
        slot->top[count] = (uint32_t)n;
        slot->depth[count]++;
    } else {
        if (slot->singles == CACHE_SINGLES) {
            frames_lock(f);
            drain_singles(f, slot, CACHE_BATCH);
            frames_unlock(f);
        }
        slot->single[slot->singles++] = (uint32_t)(n * 2 + zero);
    }
    count_cached(slot, (int)count);
    add(&slot->frees);
    if (cached_in(slot) <= CACHE_FRAMES)
        return;
    frames_lock(f);
    if (count > 1)
        drain(f, slot, count, CACHE_BATCH);
    else
        drain_singles(f, slot, slot->singles);
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
        drain_singles(f, slot, slot->singles);
        for (size_t count = 2; count <= CACHE_LENGTH; count++)
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
