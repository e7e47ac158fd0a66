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
#include "src/heap/sparse.h"

void heap_wake_slow(struct weir_heap *heap)
{
    lock_take(&heap->lock, heap->arena->config.platform);
    atomic_store_explicit(&heap->quiet, false, memory_order_relaxed);
    lock_drop(&heap->lock);
}

static void mark_quiet(struct weir_heap *heap, struct slab *list)
{
    for (struct slab *slab = list; slab; slab = slab->next)
        if (slab_marks(slab) == 0)
            slab_set_owner(slab, heap, SLAB_QUIET);
}

static void go_quiet(struct weir_heap *heap, bool mark)
{
    if (!heap->arena || atomic_load_explicit(&heap->quiet, memory_order_relaxed))
        return;
    heap_send_batches(heap);
    heap_take_inbox(heap);
    heap_flush_bins(heap);
    lock_take(&heap->lock, heap->arena->config.platform);
    heap->unmarked = !mark;
    if (mark)
        mark_quiet(heap, heap->full);
    for (unsigned class = 0; mark && class < CLASSES; class += 1)
        mark_quiet(heap, heap->partial[class]);
    atomic_store_explicit(&heap->quiet, true, memory_order_seq_cst);
    struct object *strangers = heap_take_inbox_locked(heap);
    lock_drop(&heap->lock);
    heap_deliver(heap->arena, strangers);
}

void weir_heap_quiesce(struct weir_heap *heap)
{
    go_quiet(heap, true);
}

void heap_rest(struct weir_heap *heap)
{
    go_quiet(heap, false);
}

/* Moves a slab between lists of two heaps, whose locks the caller holds or who are his. */
static void hand_over(struct weir_heap *from, struct weir_heap *to, struct slab *slab)
{
    unsigned class = slab->class;
    heap_unlink(from, slab);
    heap_count_slab(from, slab, false);
    from->current[class] = NULL;
    sparse_leave(from, slab);
    sparse_watch(to, slab);
    heap_link(to, slab, slab_used(slab) == slab->capacity);
    if (slab->away) {
        slab->left = slab->capacity;
        slab->rest = (uint16_t)(slab->left - slab_wake(slab->capacity));
        slab->left = (uint16_t)slab_wake(slab->capacity);
    }
    slab_set_owner(slab, to, 0);
    heap_count_slab(to, slab, true);
}

void weir_heap_release(struct weir_heap *heap)
{
    struct weir_arena *arena = heap->arena;
    if (!arena)
        return;
    const struct weir_platform *platform = arena->config.platform;
    struct weir_heap *orphans = arena->orphans;
    if (heap->apart)
        apart_join(heap);
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
    struct weir_heap **idle = heap->apart ? &arena->idle_apart : &arena->idle;
    heap->next_idle = *idle;
    *idle = heap;
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
        sparse_leave(orphans, slab);
        heap_count_slab(orphans, slab, false);
        heap_count_slab(heap, slab, true);
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
    if (atomic_load_explicit(&heap->inbox, memory_order_relaxed))
        heap_take_inbox(heap);
    if (heap->arena->config.prompt)
        heap_flush_bins(heap);
    heap_step(heap);
}
