/*
 * Visiting all objects. An object is live unless it is found in one of the places where free ones wait: the slab's
 * local list, its owner's bin, anybody's batches and inboxes, or the uncarved part.
 */
#include "src/heap/walk.h"
#include "src/heap/sparse.h"

static bool mark_list(const struct slab *slab, const struct object *object, unsigned count, struct slab_map *map)
{
    size_t size = class_size(slab->class);
    for (unsigned i = 0; i < count; i++, object = object->next) {
        if (!object || !slab_object_starts(slab, (uintptr_t)object))
            return false;
        size_t k = ((uintptr_t)object - slab->start) / size;
        if (map->bits[k / 64] >> k % 64 & 1)
            return false;
        map->bits[k / 64] |= UINT64_C(1) << k % 64;
    }
    return true;
}

/* The same for those objects of a list that are the slab's. They count as used. */
static bool mark_some(const struct slab *slab, const struct object *object, struct slab_map *map)
{
    uintptr_t end = slab->start + (WEIR_FRAME_SIZE << slab->order);
    for (; object; object = link_target(object->next)) {
        if ((uintptr_t)object < slab->start || (uintptr_t)object >= end)
            continue;
        if (!mark_list(slab, object, 1, map))
            return false;
        map->waiting++;
    }
    return true;
}

/* What waits at a heap, freed by others. */
static bool mark_inbox(const struct slab *slab, struct weir_heap *heap, struct slab_map *map)
{
    for (struct object *head = atomic_load(&heap->inbox); head; head = inbox_next(head))
        if (!mark_some(slab, head, map))
            return false;
    return true;
}

/* The same, and what is on its way from it. */
static bool mark_heap(struct slab *slab, struct weir_heap *heap, struct slab_map *map)
{
    for (unsigned i = 0; i < BATCHES; i++)
        if (heap->batches[i].owner && !mark_some(slab, heap->batches[i].head, map))
            return false;
    return slab_owner(slab) == heap || mark_inbox(slab, heap, map);
}

bool slab_find_own_free(struct slab *slab, struct slab_map *map)
{
    *map = (struct slab_map){0};
    unsigned out = slab_used(slab) + sparse_withdrawn(slab, map->bits);
    if (out > slab->carved || !mark_list(slab, slab->free, slab->carved - out, map))
        return false;
    struct weir_heap *owner = slab_owner(slab);
    return mark_some(slab, owner->bin[slab->class], map) && mark_inbox(slab, owner, map) &&
           map->waiting <= slab_used(slab);
}

bool slab_find_free(struct slab *slab, struct slab_map *map)
{
    if (!slab_find_own_free(slab, map))
        return false;
    const struct weir_arena *arena = slab_owner(slab)->arena;
    if (!mark_heap(slab, arena->orphans, map))
        return false;
    struct weir_heap *heap = atomic_load_explicit(&arena->heaps, memory_order_acquire);
    for (; heap; heap = heap->next_heap)
        if (!mark_heap(slab, heap, map))
            return false;
    return map->waiting <= slab_used(slab);
}

struct visitor {
    bool all;
    bool (*visit)(void *context, const struct weir_object *object);
    void *context;
};

static bool visit_run(void *context, uintptr_t start, size_t frames, bool kept)
{
    const struct visitor *visitor = context;
    const struct weir_object object = {.start = start, .size = frames << WEIR_FRAME_SHIFT, .live = !kept};
    return (kept && !visitor->all) || visitor->visit(visitor->context, &object);
}

static bool visit_apart(void *context, uintptr_t start, size_t frames, uintptr_t address)
{
    const struct visitor *visitor = context;
    const struct weir_object object = {
        .start = address, .size = start + (frames << WEIR_FRAME_SHIFT) - address, .live = true};
    return visitor->visit(visitor->context, &object);
}

static bool visit_slab(const struct visitor *visitor, struct slab *slab)
{
    struct slab_map map;
    slab_find_free(slab, &map);
    struct weir_object object = {.size = class_size(slab->class)};
    for (unsigned k = 0; k < slab->capacity; k++) {
        object.start = slab->start + k * object.size;
        object.live = k < slab->carved && !(map.bits[k / 64] >> k % 64 & 1);
        if ((object.live || visitor->all) && !visitor->visit(visitor->context, &object))
            return false;
    }
    return true;
}

void weir_arena_walk(struct weir_arena *arena, bool all, bool (*visit)(void *context, const struct weir_object *object),
                     void *context)
{
    const struct visitor visitor = {.all = all, .visit = visit, .context = context};
    if (!run_walk(arena, visit_run, (void *)&visitor) || !apart_walk(arena, visit_apart, (void *)&visitor))
        return;
    for (struct slab_chunk *chunk = arena->chunks; chunk; chunk = chunk->next) {
        struct slab *slabs = (struct slab *)chunk;
        for (size_t i = 1; i < CHUNK_SLABS; i++)
            if (atomic_load(&slabs[i].owner) && !visit_slab(&visitor, &slabs[i]))
                return;
    }
}
