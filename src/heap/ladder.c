/*
 * What is done when memory is refused, rung by rung, cheapest first; after each rung the allocation is tried again.
 *
 *     grow      the platform adds frames to the table, if the limit is not what refused
 *     own       the heap gives up what it keeps: batches, bins, empty slabs, kept runs; slabs that sleep wake up
 *     others    the same for quiet and released heaps, and for apart ones between turns
 *     reclaim   the user's callback: deflate a balloon, drop a cache; again for as long as it says that it helped
 *
 * After that the answer is null. Rungs are climbed with no lock held and the heap in order, because a callback may
 * call back into it; a callback that runs out of memory itself does not climb again.
 */
#include "src/heap/heap.h"

enum rungs {
    RUNG_GROW,
    RUNG_OWN,
    RUNG_OTHERS,
    RUNG_RECLAIM,
    RUNG_END = RUNG_RECLAIM + 8,
};

static bool within_limit(const struct weir_arena *arena, size_t bytes)
{
    size_t limit = atomic_load_explicit(&arena->limit, memory_order_relaxed);
    size_t held = atomic_load_explicit(&arena->held, memory_order_relaxed) << WEIR_FRAME_SHIFT;
    return limit == 0 || (held <= limit && bytes <= limit - held);
}

/* Gives up all that the heap keeps for later. The caller owns the heap. */
static void give_up(struct weir_heap *heap, size_t *keep)
{
    heap_send_batches(heap);
    heap_take_inbox(heap);
    heap_flush_bins(heap);
    heap_drop_spares(heap, keep);
}

static void drain_if_quiet(struct weir_heap *heap, size_t *keep)
{
    lock_take(&heap->lock, heap->arena->config.platform);
    if (atomic_load_explicit(&heap->quiet, memory_order_relaxed))
        heap_drop_spares(heap, keep);
    lock_drop(&heap->lock);
}

/* An apart heap is nobody's between turns. */
static void drain_in_turn(struct weir_heap *heap, size_t *keep)
{
    if (!heap_take_turn(heap, TURN_FREE))
        return;
    heap_wake(heap);
    give_up(heap, keep);
    heap_end_turn(heap);
}

bool weir_arena_trim(struct weir_arena *arena, struct weir_heap *heap, size_t keep)
{
    size_t before = atomic_load_explicit(&arena->held, memory_order_relaxed);
    if (heap && heap->arena) {
        heap_wake(heap);
        give_up(heap, &keep);
    }
    struct weir_heap *other = atomic_load_explicit(&arena->heaps, memory_order_acquire);
    for (; other; other = other->next_heap) {
        if (other == heap)
            continue;
        if (other->apart)
            drain_in_turn(other, &keep);
        drain_if_quiet(other, &keep);
    }
    return atomic_load_explicit(&arena->held, memory_order_relaxed) < before;
}

static bool call_back(struct weir_heap *heap, bool (*callback)(void *context, size_t bytes), size_t bytes)
{
    if (!callback || heap->climbing)
        return false;
    heap->climbing = true;
    bool helped = callback(heap->arena->config.reclaim_context, bytes);
    heap->climbing = false;
    return helped;
}

bool heap_climb(struct weir_heap *heap, unsigned *rung, size_t bytes)
{
    struct weir_arena *arena = heap->arena;
    while (*rung < RUNG_END) {
        size_t keep = 0;
        switch ((*rung)++) {
        case RUNG_GROW:
            if (within_limit(arena, bytes) && call_back(heap, arena->config.grow, bytes))
                return true;
            break;
        case RUNG_OWN:
            give_up(heap, &keep);
            heap_wake_slabs(heap);
            return true;
        case RUNG_OTHERS:
            if (weir_arena_trim(arena, heap, 0))
                return true;
            break;
        default:
            if (!call_back(heap, arena->config.reclaim, bytes))
                return false;
            return true;
        }
    }
    return false;
}
