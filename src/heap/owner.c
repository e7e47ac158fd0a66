/*
 * Owners come and go: idle heaps, quiet heaps, the orphanage.
 *
 *     idle ──acquire──► active ◄──wake── quiet
 *      ▲                  │  └──quiesce──►┘
 *      └─────release──────┘
 *
 * An active heap belongs to its owner alone. A quiet one belongs to whoever holds its lock, until its owner comes
 * back through heap_wake; so that he must, a heap that goes quiet empties its bins and marks the slabs into which his
 * next free would go. A released heap gives its slabs to the orphanage, from which other heaps adopt by class when they
 * would otherwise need a new slab.
 */
#include "src/heap/heap.h"

/* Takes in all that is noticed. The caller holds the lock. */
static void take_notices_locked(struct weir_heap *heap)
{
    struct slab *slab = atomic_load_explicit(&heap->notices, memory_order_relaxed);
    atomic_store_explicit(&heap->notices, NULL, memory_order_relaxed);
    for (struct slab *next; slab; slab = next) {
        next = slab->notice;
        if (slab_take_remote(heap->arena, slab))
            heap_slab_shrunk(heap, slab);
    }
}

void heap_take_notices(struct weir_heap *heap)
{
    const struct weir_platform *platform = heap->arena->config.platform;
    lock_take(&heap->lock, platform);
    take_notices_locked(heap);
    lock_drop(&heap->lock);
}

void heap_wake_slow(struct weir_heap *heap)
{
    lock_take(&heap->lock, heap->arena->config.platform);
    atomic_store_explicit(&heap->quiet, false, memory_order_relaxed);
    lock_drop(&heap->lock);
}

void weir_heap_quiesce(struct weir_heap *heap)
{
    if (!heap->arena || atomic_load_explicit(&heap->quiet, memory_order_relaxed))
        return;
    heap_send_batches(heap);
    heap_flush_bins(heap);
    lock_take(&heap->lock, heap->arena->config.platform);
    take_notices_locked(heap);
    for (unsigned class = 0; class < CLASSES; class += 1)
        for (struct slab *slab = heap->partial[class]; slab; slab = slab->next)
            if (slab_marks(slab) == 0)
                slab_set_owner(slab, heap, SLAB_QUIET);
    atomic_store_explicit(&heap->quiet, true, memory_order_relaxed);
    lock_drop(&heap->lock);
}

/* Moves a slab between lists of two heaps, whose locks the caller holds or who are his. */
static void hand_over(struct weir_heap *from, struct weir_heap *to, struct slab *slab)
{
    uintptr_t marks = slab->used == slab->capacity ? SLAB_FULL : 0;
    heap_unlink(from, slab);
    from->slabs[slab->class]--;
    heap_link(to, slab, marks);
    to->slabs[slab->class]++;
}

void weir_heap_release(struct weir_heap *heap)
{
    struct weir_arena *arena = heap->arena;
    if (!arena)
        return;
    const struct weir_platform *platform = arena->config.platform;
    struct weir_heap *orphans = arena->orphans;
    weir_heap_quiesce(heap);
    size_t keep = 0;
    lock_take(&heap->lock, platform);
    heap_drop_spares(heap, &keep);
    lock_take(&orphans->lock, platform);
    for (unsigned class = 0; class < CLASSES; class += 1)
        while (heap->partial[class])
            hand_over(heap, orphans, heap->partial[class]);
    while (heap->full)
        hand_over(heap, orphans, heap->full);
    lock_drop(&orphans->lock);
    lock_drop(&heap->lock);
    lock_take(&arena->lock, platform);
    heap->next_idle = arena->idle;
    arena->idle = heap;
    lock_drop(&arena->lock);
}

struct slab *heap_adopt(struct weir_heap *heap, unsigned class)
{
    struct weir_arena *arena = heap->arena;
    struct weir_heap *orphans = arena->orphans;
    uint64_t bit = UINT64_C(1) << class % 64;
    if (!(atomic_load_explicit(&arena->orphaned[class / 64], memory_order_relaxed) & bit))
        return NULL;
    lock_take(&orphans->lock, arena->config.platform);
    struct slab *slab = orphans->partial[class];
    if (slab) {
        heap_unlink(orphans, slab);
        orphans->slabs[class]--;
        heap->slabs[class]++;
        slab_set_owner(slab, heap, 0);
    }
    if (!orphans->partial[class])
        atomic_fetch_and_explicit(&arena->orphaned[class / 64], ~bit, memory_order_relaxed);
    lock_drop(&orphans->lock);
    return slab;
}

void weir_heap_collect(struct weir_heap *heap)
{
    if (!heap->arena)
        return;
    heap_wake(heap);
    heap_send_batches(heap);
    if (heap->arena->config.prompt)
        heap_flush_bins(heap);
    if (atomic_load_explicit(&heap->notices, memory_order_relaxed))
        heap_take_notices(heap);
    heap_step(heap);
}
