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
    if (size > slab->size)
        return false;
    return class_of(size) == slab->class || atomic_load_explicit(&slab->resized, memory_order_relaxed);
}

void weir_heap_free_sized(struct weir_heap *heap, void *object, size_t size)
{
    static const char operation[] = "weir_heap_free_sized";
    const struct weir_arena *arena = heap->arena;
    if (!object || !arena)
        return;
    struct slab *slab;
    bool small = heap_find_slab(heap, object, &slab) && slab_is_of(heap, slab);
    size_t frames = small ? 0 : run_length(arena, (uintptr_t)object);
    if (small ? !fits(slab, size) : frames && frames != run_frames_for(size))
        misuse(arena, WEIR_WRONG_SIZE, (uintptr_t)object, size, operation);
    else if (!heap_push(heap, object))
        heap_free_slow(heap, object, operation);
}

/* Whether an object of the slab may stay where it is. */
static bool stays(struct slab *slab, size_t size)
{
    if (size > slab->size)
        return false;
    if (class_of(size) == slab->class)
        return true;
    if (size < slab->size / 2)
        return false;
    atomic_store_explicit(&slab->resized, true, memory_order_relaxed);
    return true;
}

/* Copies an object of `room` bytes to a new place. When there is no memory for that it stays if it can. */
static void *move(struct weir_heap *heap, void *object, size_t room, size_t size, const char *operation)
{
    void *moved = weir_heap_malloc(heap, size);
    if (unlikely(!moved))
        return NULL;
    __builtin_memcpy(moved, object, size < room ? size : room);
    if (unlikely(!heap_push(heap, object)))
        heap_free_slow(heap, object, operation);
    return moved;
}

static void *resize_small(struct weir_heap *heap, struct slab *slab, void *object, size_t size, const char *operation)
{
    if (likely(stays(slab, size)))
        return object;
    size_t room = slab->size;
    void *moved = move(heap, object, room, size, operation);
    if (!moved && size <= room) {
        atomic_store_explicit(&slab->resized, true, memory_order_relaxed);
        moved = object;
    }
    return moved;
}

static void *resize_large(struct weir_heap *heap, void *object, size_t size, const char *operation)
{
    uintptr_t address = (uintptr_t)object;
    size_t room = weir_arena_usable_size(heap->arena, object), frames = run_frames_for(size);
    if (room == 0) {
        misuse_report(heap->arena, address, operation);
        return NULL;
    }
    bool in_place = size > SMALL_MAX || (size <= room && size >= room / 2);
    if (in_place && run_resize(heap, address, frames))
        return object;
    void *moved = run_move(heap, address, size);
    if (!moved)
        moved = move(heap, object, room, size, operation);
    return !moved && size <= room && run_resize(heap, address, frames) ? object : moved;
}

void *weir_heap_realloc(struct weir_heap *heap, void *object, size_t size)
{
    static const char operation[] = "weir_heap_realloc";
    if (!object)
        return weir_heap_malloc(heap, size);
    if (!heap->arena || size > PTRDIFF_MAX)
        return NULL;
    heap_wake(heap);
    struct slab *slab;
    if (likely(heap_find_slab(heap, object, &slab)) && likely(slab_is_of(heap, slab)) &&
        likely(slab_object_lives(slab, (uintptr_t)object)))
        return resize_small(heap, slab, object, size, operation);
    return resize_large(heap, object, size, operation);
}
