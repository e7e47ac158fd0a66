/*
 * realloc and sized free: what depends on how big an object really is.
 *
 * An object stays where it is as long as its new size is at least half of its room. When it shrinks into another size
 * class that way its slab is marked, because a sized free of it can then only be held to a range of sizes. A run gives
 * its tail back, or grows into free frames above it, before anything is copied.
 */
#include "src/heap/fast.h"

/* Whether `size` is a size for which an object of the slab may have been allocated, or to which it may have shrunk. */
static bool fits(struct slab *slab, size_t size)
{
    if (size > class_size(slab->class))
        return false;
    return class_of(size) == slab->class || atomic_load_explicit(&slab->resized, memory_order_relaxed);
}

/* Makes do with the room that the object has, or with a part of it. */
static bool resize_in_place(struct weir_heap *heap, void *object, struct slab *slab, size_t size)
{
    if (!slab)
        return run_resize(heap, (uintptr_t)object, run_frames_for(size));
    if (class_of(size) != slab->class)
        atomic_store_explicit(&slab->resized, true, memory_order_relaxed);
    return true;
}

void weir_heap_free_sized(struct weir_heap *heap, void *object, size_t size)
{
    static const char operation[] = "weir_heap_free_sized";
    const struct weir_arena *arena = heap->arena;
    if (!object || !arena)
        return;
    struct slab *slab = arena_slab(arena, (uintptr_t)object);
    size_t frames = slab ? 0 : run_length(arena, (uintptr_t)object);
    if ((slab && !fits(slab, size)) || (frames && frames != run_frames_for(size)))
        misuse(arena, WEIR_WRONG_SIZE, (uintptr_t)object, size, operation);
    else if (!heap_push(heap, object))
        heap_free_slow(heap, object, operation);
}

void *weir_heap_realloc(struct weir_heap *heap, void *object, size_t size)
{
    static const char operation[] = "weir_heap_realloc";
    struct weir_arena *arena = heap->arena;
    if (!object)
        return weir_heap_malloc(heap, size);
    if (!arena || size > PTRDIFF_MAX)
        return NULL;
    heap_wake(heap);
    struct slab *slab = arena_slab(arena, (uintptr_t)object);
    size_t room = weir_arena_usable_size(arena, object);
    if (room == 0) {
        misuse_report(arena, (uintptr_t)object, operation);
        return NULL;
    }
    bool worth_keeping = size <= room && size >= room / 2;
    bool grows_as_run = !slab && size > SMALL_MAX;
    bool same_class = slab && size <= room && class_of(size) == slab->class;
    if ((worth_keeping || grows_as_run || same_class) && resize_in_place(heap, object, slab, size))
        return object;
    void *moved = weir_heap_malloc(heap, size);
    if (!moved)
        return size <= room && resize_in_place(heap, object, slab, size) ? object : NULL;
    __builtin_memcpy(moved, object, size < room ? size : room);
    if (!heap_push(heap, object))
        heap_free_slow(heap, object, operation);
    return moved;
}
