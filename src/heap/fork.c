#include "src/heap/fork.h"

#include "src/frame/table.h"
#include "src/heap/heap.h"

/* All locks, in their order: heaps, orphanage, arena, frame table. Heaps that appear meanwhile need another round. */
void arena_lock_all(struct weir_arena *arena)
{
    const struct weir_platform *platform = arena->config.platform;
    struct weir_heap *held = NULL;
    for (;;) {
        struct weir_heap *newest = atomic_load_explicit(&arena->heaps, memory_order_acquire);
        for (struct weir_heap *heap = newest; heap != held; heap = heap->next_heap)
            lock_take(&heap->lock, platform);
        held = newest;
        lock_take(&arena->orphans->lock, platform);
        lock_take(&arena->lock, platform);
        if (atomic_load_explicit(&arena->heaps, memory_order_relaxed) == held)
            break;
        lock_drop(&arena->lock);
        lock_drop(&arena->orphans->lock);
    }
    cache_lock_all(arena->config.frames);
    frames_lock(arena->config.frames);
}

void arena_unlock_all(struct weir_arena *arena)
{
    frames_unlock(arena->config.frames);
    cache_unlock_all(arena->config.frames);
    lock_drop(&arena->lock);
    lock_drop(&arena->orphans->lock);
    for (struct weir_heap *heap = arena->heaps; heap; heap = heap->next_heap)
        lock_drop(&heap->lock);
}
