/*
 * Arenas: where the memory of heaps is counted, limited and, in the end, given back.
 *
 * All frames pass through arena_charge and arena_refund, so that `held` is exact at any time and the limit holds no
 * matter how many heaps grow at once. Metadata (the arena, heaps, descriptors, the run map) comes in single frames
 * that stay metadata until the arena ends: a stale pointer to a descriptor never leads into somebody's data.
 */
#include "src/heap/heap.h"

static void raise_to(_Atomic(size_t) *peak, size_t value)
{
    size_t old = atomic_load_explicit(peak, memory_order_relaxed);
    while (old < value &&
           !atomic_compare_exchange_weak_explicit(peak, &old, value, memory_order_relaxed, memory_order_relaxed))
        ;
}

bool arena_charge(struct weir_arena *arena, size_t frames)
{
    size_t limit = atomic_load_explicit(&arena->limit, memory_order_relaxed);
    size_t held = atomic_fetch_add_explicit(&arena->held, frames, memory_order_relaxed) + frames;
    if (limit != 0 && held > limit >> WEIR_FRAME_SHIFT) {
        arena_uncharge(arena, frames);
        return false;
    }
    return true;
}

void arena_uncharge(struct weir_arena *arena, size_t frames)
{
    atomic_fetch_sub_explicit(&arena->held, frames, memory_order_relaxed);
}

void arena_refund(struct weir_arena *arena, size_t frames)
{
    size_t held = atomic_fetch_sub_explicit(&arena->held, frames, memory_order_relaxed);
    if (held > atomic_load_explicit(&arena->peak_held, memory_order_relaxed))
        raise_to(&arena->peak_held, held);
}

void *arena_metadata_frames(struct weir_arena *arena, size_t frames)
{
    if (!arena_charge(arena, frames))
        return NULL;
    bool zero;
    void *start = (void *)weir_frames_alloc(arena->config.frames, frames, 1, WEIR_FRAMES_METADATA, &zero);
    if (!start) {
        arena_uncharge(arena, frames);
        return NULL;
    }
    if (!zero)
        __builtin_memset(start, 0, frames << WEIR_FRAME_SHIFT);
    atomic_fetch_add_explicit(&arena->metadata, frames, memory_order_relaxed);
    return start;
}

void arena_give_metadata(struct weir_arena *arena, void *start, size_t frames)
{
    weir_frames_free(arena->config.frames, (uintptr_t)start, frames);
    arena_refund(arena, frames);
    atomic_fetch_sub_explicit(&arena->metadata, frames, memory_order_relaxed);
}

void *arena_metadata(struct weir_arena *arena)
{
    return arena_metadata_frames(arena, 1);
}

static void give_metadata(struct weir_arena *arena, void *frame)
{
    weir_frames_free(arena->config.frames, (uintptr_t)frame, 1);
}

static struct weir_heap *make_heap(struct weir_arena *arena)
{
    struct weir_heap *heap = arena_metadata(arena);
    if (!heap)
        return NULL;
    heap->base = arena->map->base;
    heap->granules = arena->map->count * (WEIR_FRAME_SIZE / GRANULE);
    heap->words = arena->map->words;
    heap->arena = arena;
    __builtin_memcpy(heap->class_of_granules, class_of_granules, sizeof class_of_granules);
    atomic_store_explicit(&heap->quiet, true, memory_order_relaxed);
    return heap;
}

struct weir_arena *weir_arena_create(const struct weir_arena_config *config)
{
    if (!config->frames || !config->platform)
        return NULL;
    bool zero;
    struct weir_arena *arena =
        (struct weir_arena *)weir_frames_alloc(config->frames, 1, 1, WEIR_FRAMES_METADATA, &zero);
    if (!arena)
        return NULL;
    __builtin_memset(arena, 0, sizeof *arena);
    arena->config = *config;
    arena->map = (const struct frame_map *)config->frames;
    arena->held = arena->peak_held = arena->metadata = 1;
    arena->limit = config->limit;
    arena->orphans = make_heap(arena);
    if (!arena->orphans) {
        give_metadata(arena, arena);
        return NULL;
    }
    return arena;
}

static bool destroy_run(void *context, uintptr_t start, size_t frames, bool kept)
{
    (void)kept;
    weir_frames_free(((struct weir_arena *)context)->config.frames, start, frames);
    return true;
}

void weir_arena_destroy(struct weir_arena *arena)
{
    run_walk(arena, destroy_run, arena);
    apart_destroy(arena);
    for (unsigned i = 0; i < RUN_ROOT_ENTRIES; i++) {
        struct run_node *node = arena->run_root[i];
        for (unsigned k = 0; node && k < RUN_NODE_ENTRIES; k++)
            if (node->leaf[k])
                give_metadata(arena, node->leaf[k]);
        if (node)
            give_metadata(arena, node);
    }
    for (struct slab_chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        struct slab *slabs = (struct slab *)chunk;
        for (unsigned i = 1; i < CHUNK_SLABS; i++)
            if (atomic_load(&slabs[i].owner))
                weir_frames_free_slab(arena->config.frames, slabs[i].start, slabs[i].order);
        give_metadata(arena, chunk);
    }
    for (struct weir_heap *heap = arena->heaps, *next; heap; heap = next) {
        next = heap->next_heap;
        give_metadata(arena, heap);
    }
    give_metadata(arena, arena->orphans);
    give_metadata(arena, arena);
}

void weir_arena_limit(struct weir_arena *arena, size_t limit)
{
    atomic_store_explicit(&arena->limit, limit, memory_order_relaxed);
}

/* An idle heap, else a new one; null without memory. */
static struct weir_heap *find_heap(struct weir_arena *arena, bool apart)
{
    struct weir_heap **idle = apart ? &arena->idle_apart : &arena->idle;
    lock_take(&arena->lock, arena->config.platform);
    struct weir_heap *heap = *idle;
    if (heap) {
        *idle = heap->next_idle;
    } else {
        heap = make_heap(arena);
        if (heap) {
            heap->apart = apart;
            heap->next_heap = atomic_load_explicit(&arena->heaps, memory_order_relaxed);
            atomic_store_explicit(&arena->heaps, heap, memory_order_release);
        }
    }
    lock_drop(&arena->lock);
    return heap;
}

struct weir_heap *arena_heap(struct weir_arena *arena, bool apart)
{
    const struct weir_arena_config *config = &arena->config;
    struct weir_heap *heap = find_heap(arena, apart);
    if (!heap && config->grow && config->grow(config->reclaim_context, WEIR_FRAME_SIZE))
        heap = find_heap(arena, apart);
    if (!heap && weir_arena_trim(arena, NULL, 0))
        heap = find_heap(arena, apart);
    if (!heap && config->reclaim && config->reclaim(config->reclaim_context, WEIR_FRAME_SIZE))
        heap = find_heap(arena, apart);
    if (heap)
        heap_wake(heap);
    return heap;
}

struct weir_heap *weir_heap_acquire(struct weir_arena *arena)
{
    return arena_heap(arena, false);
}

bool weir_arena_owns(const struct weir_arena *arena, const void *object)
{
    return arena_slab(arena, (uintptr_t)object) != NULL || run_holds(arena, (uintptr_t)object) ||
           apart_size(arena, (uintptr_t)object) != 0;
}

size_t weir_arena_usable_size(const struct weir_arena *arena, const void *object)
{
    const struct slab *slab = arena_slab(arena, (uintptr_t)object);
    if (slab)
        return slab_object_lives(slab, (uintptr_t)object) ? class_size(slab->class) : 0;
    size_t frames = run_length(arena, (uintptr_t)object);
    return frames ? frames << WEIR_FRAME_SHIFT : apart_size(arena, (uintptr_t)object);
}
