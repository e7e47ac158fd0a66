/*
 * Apart heaps: heaps that a program makes, uses and discards as a whole.
 *
 *     weir_heap_acquire_apart ──► in use ──weir_heap_release──► its objects live on, as everybody's
 *                                    └────weir_heap_discard──► its objects are gone
 *
 * An apart heap is a heap like a thread's, but several may take turns as its owner. It is made in the turn of whoever
 * makes it; if he ends that, whoever takes the next turn is the owner for so long. Frees from elsewhere take a turn,
 * too, if they can, else they come home by the remote road as ever. What sets the heap apart is that all memory in it
 * is its own and nobody else holds a piece of it:
 *
 *     (1)  it adopts no slabs, so that it holds its own objects only                       (heap.c)
 *     (2)  no batch waits for its slabs: frees into them are sent one by one                (remote.c)
 *     (3)  its large objects are listed                                                     (apart.c)
 *     (4)  an ended one serves as another apart heap only: batches know heaps, not their times  (arena.c)
 *
 * Thus discarding is giving back its slabs and large objects, whatever is in them. (2) costs a free into an apart heap
 * a compare-and-swap of its own; heaps that are not apart pay nothing.
 */
#include "src/heap/fast.h"
#include "src/heap/walk.h"

struct weir_heap *weir_heap_acquire_apart(struct weir_arena *arena)
{
    struct weir_heap *heap = arena_heap(arena, true);
    if (heap)
        atomic_store_explicit(&heap->turn, TURN_OWNER, memory_order_relaxed);
    return heap;
}

bool heap_free_in_turn(const struct weir_arena *arena, void *object)
{
    struct slab *slab = arena_slab(arena, (uintptr_t)object);
    struct weir_heap *owner = slab ? slab_owner(slab) : NULL;
    if (!owner || !owner->apart || !slab_object_lives(slab, (uintptr_t)object) || !heap_take_turn(owner, TURN_FREE))
        return false;
    bool freed = atomic_load_explicit(&slab->owner, memory_order_relaxed) == (uintptr_t)owner &&
                 heap_push_slab(owner, slab, object);
    heap_end_turn(owner);
    return freed;
}

void weir_heap_discard(struct weir_heap *heap)
{
    if (!heap->arena)
        return;
    heap_wake(heap);
    heap_send_batches(heap);
    apart_discard(heap);
    heap_discard_slabs(heap);
    weir_heap_release(heap);
}

struct weir_heap *weir_heap_of(const struct weir_arena *arena, const void *object)
{
    struct slab *slab = arena_slab(arena, (uintptr_t)object);
    struct weir_heap *heap = slab ? slab_owner(slab) : apart_heap(arena, (uintptr_t)object);
    return heap && heap->apart ? heap : NULL;
}

void *weir_heap_aligned_at(struct weir_heap *heap, size_t alignment, size_t offset, size_t size, bool zero)
{
    if (!is_power_of_two(alignment))
        return NULL;
    if (offset % alignment == 0)
        return weir_heap_aligned(heap, alignment, size, zero);
    return apart_malloc(heap, size, alignment, offset, zero);
}

struct visitor {
    weir_heap_visitor *visit;
    void *context;
};

static bool visit_slab(const struct visitor *visitor, struct slab *slab)
{
    struct slab_map map;
    size_t size = class_size(slab->class);
    unsigned carved = slab->carved;
    slab_find_own_free(slab, &map);
    const struct weir_heap_area area = {
        .start = slab->start,
        .reserved = WEIR_FRAME_SIZE << slab->order,
        .committed = carved * size,
        .object_size = size,
        .used = slab_used(slab) - map.waiting,
    };
    if (!visitor->visit(visitor->context, &area, NULL))
        return false;
    for (unsigned k = 0; k < carved; k++)
        if (!(map.bits[k / 64] >> k % 64 & 1) &&
            !visitor->visit(visitor->context, &area, (void *)(area.start + k * size)))
            return false;
    return true;
}

static bool visit_list(const struct visitor *visitor, struct slab *slab)
{
    for (struct slab *next; slab; slab = next) {
        next = slab->next;
        if (!visit_slab(visitor, slab))
            return false;
    }
    return true;
}

static bool visit_large(void *context, uintptr_t start, size_t frames, uintptr_t object)
{
    const struct visitor *visitor = context;
    size_t bytes = frames << WEIR_FRAME_SHIFT;
    const struct weir_heap_area area = {start, bytes, bytes, bytes - (object - start), 1};
    return visitor->visit(visitor->context, &area, NULL) && visitor->visit(visitor->context, &area, (void *)object);
}

bool weir_heap_walk(struct weir_heap *heap, weir_heap_visitor *visit, void *context)
{
    struct visitor visitor = {visit, context};
    if (!heap->arena)
        return true;
    heap_wake(heap);
    for (unsigned class = 0; class < CLASSES; class += 1)
        if (!visit_list(&visitor, heap->partial[class]))
            return false;
    return visit_list(&visitor, heap->full) && apart_walk_heap(heap, visit_large, &visitor);
}
