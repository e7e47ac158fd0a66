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
    size_t room = class_size(slab->class);
    if (size > room)
        return false;
    return class_of(size) == slab->class ||
           (size >= room / 2 && atomic_load_explicit(&slab->resized, memory_order_relaxed));
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
    bool kept = size <= room && size >= room / 2;
    if (slab) {
        if (size <= SMALL_MAX && class_of(size) == slab->class)
            return object;
        if (kept) {
            atomic_store_explicit(&slab->resized, true, memory_order_relaxed);
            return object;
        }
    } else if (kept || size > SMALL_MAX) {
        if (run_resize(heap, (uintptr_t)object, run_frames_for(size)))
            return object;
    }
    void *moved = weir_heap_malloc(heap, size);
    if (!moved)
        return size <= room ? object : NULL;
    __builtin_memcpy(moved, object, size < room ? size : room);
    if (!heap_push(heap, object))
        heap_free_slow(heap, object, operation);
    return moved;
}
