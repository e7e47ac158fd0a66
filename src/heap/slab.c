/*
 * Slabs: their descriptors, their carving, and the way home of objects freed elsewhere.
 *
 * Descriptors are cut from metadata frames, 63 to a frame, behind a header that names the arena: that is how a
 * descriptor found through the frame table is known to be one of this arena's.
 * Unused ones wait in a LIFO list; they are never anything else.
 *
 *     (1)  owner = 0  <=>  the descriptor is unused, in arena->descriptors
 *     (2)  every frame of the slab carries the descriptor, and start is a multiple of 4096 << order
 *     (3)  object k lies at start + k * size; objects 0 … carved - 1 exist, the memory behind them is untouched
 */
#include "src/heap/heap.h"

static struct slab_chunk *chunk_of(const struct slab *slab)
{
    return (struct slab_chunk *)round_down((uintptr_t)slab, WEIR_FRAME_SIZE);
}

static struct slab *take_descriptor(struct weir_arena *arena)
{
    lock_take(&arena->lock, arena->config.platform);
    if (!arena->descriptors) {
        struct slab_chunk *chunk = arena_metadata(arena);
        if (chunk) {
            chunk->arena = arena;
            chunk->next = arena->chunks;
            arena->chunks = chunk;
            struct slab *slabs = (struct slab *)chunk;
            for (size_t i = CHUNK_SLABS - 1; i > 0; i--) {
                slabs[i].next = arena->descriptors;
                arena->descriptors = &slabs[i];
            }
        }
    }
    struct slab *slab = arena->descriptors;
    if (slab)
        arena->descriptors = slab->next;
    lock_drop(&arena->lock);
    return slab;
}

static void give_descriptor(struct weir_arena *arena, struct slab *slab)
{
    lock_take(&arena->lock, arena->config.platform);
    slab->next = arena->descriptors;
    arena->descriptors = slab;
    lock_drop(&arena->lock);
}

static uintptr_t take_frames(struct weir_arena *arena, struct slab *slab, unsigned order, bool *zero)
{
    if (!arena_charge(arena, (size_t)1 << order))
        return 0;
    uintptr_t start = weir_frames_alloc_slab(arena->config.frames, order, slab, zero);
    if (!start)
        arena_refund(arena, (size_t)1 << order);
    return start;
}

struct slab *slab_create(struct weir_heap *heap, unsigned class)
{
    struct weir_arena *arena = heap->arena;
    struct slab *slab = take_descriptor(arena);
    if (!slab)
        return NULL;
    unsigned least = class_order_min(class);
    unsigned order = class_slab_order(class, heap->slabs[class]);
    bool zero = false;
    uintptr_t start = take_frames(arena, slab, order, &zero);
    while (!start && order > least)
        start = take_frames(arena, slab, --order, &zero);
    if (!start) {
        give_descriptor(arena, slab);
        return NULL;
    }
    slab->free = NULL;
    slab->used = slab->carved = 0;
    slab->capacity = (uint16_t)((WEIR_FRAME_SIZE << order) / class_size(class));
    slab->class = (uint8_t) class;
    slab->order = (uint8_t)order;
    atomic_store_explicit(&slab->remote, 0, memory_order_relaxed);
    atomic_store_explicit(&slab->resized, false, memory_order_relaxed);
    slab->zero = zero;
    slab->start = start;
    slab->next = slab->previous = slab->notice = NULL;
    slab_set_owner(slab, heap, 0);
    heap->slabs[class]++;
    atomic_fetch_add_explicit(&arena->slabs, 1, memory_order_relaxed);
    return slab;
}

void slab_release(struct weir_arena *arena, struct slab *slab)
{
    unsigned order = slab->order;
    atomic_store_explicit(&slab->owner, 0, memory_order_release);
    weir_frames_free_slab(arena->config.frames, slab->start, order);
    give_descriptor(arena, slab);
    arena_refund(arena, (size_t)1 << order);
    atomic_fetch_sub_explicit(&arena->slabs, 1, memory_order_relaxed);
}

unsigned slab_carve(struct slab *slab, struct object **list)
{
    size_t size = class_size(slab->class);
    uintptr_t first = slab->start + slab->carved * size;
    unsigned count = (unsigned)((round_up(first + size, WEIR_FRAME_SIZE) - first) / size);
    uintptr_t last = first + (count - 1) * size;
    for (uintptr_t object = first; object < last; object += size)
        ((struct object *)object)->next = (struct object *)(object + size);
    ((struct object *)last)->next = NULL;
    *list = (struct object *)first;
    __atomic_store_n(&slab->carved, (uint16_t)(slab->carved + count), __ATOMIC_RELAXED);
    return count;
}

static bool in_slab(const struct slab *slab, const struct object *object)
{
    uintptr_t offset = (uintptr_t)object - slab->start;
    return offset < slab->carved * class_size(slab->class) && offset % GRANULE == 0;
}

bool slab_take_remote(struct weir_arena *arena, struct slab *slab)
{
    uint32_t word = atomic_exchange_explicit(&slab->remote, 0, memory_order_acquire);
    if (word == 0)
        return false;
    unsigned count = remote_count(word);
    struct object *head = remote_head(slab, word), *tail = head;
    unsigned seen = 0;
    if (count <= slab->used && in_slab(slab, head))
        for (seen = 1; seen < count && in_slab(slab, tail->next); seen++)
            tail = tail->next;
    if (seen < count || tail->next != NULL) {
        /* What cannot be trusted stays counted as used: lost, but never handed out twice. */
        misuse(arena, WEIR_CORRUPTED, (uintptr_t)head, class_size(slab->class), "weir_heap_free");
        return false;
    }
    tail->next = slab->free;
    slab->free = head;
    slab->used = (uint16_t)(slab->used - count);
    return true;
}

/* Whoever else keeps slabs in the table may have descriptors anywhere: ours lie in frames of the table. */
struct slab *arena_slab(const struct weir_arena *arena, uintptr_t address)
{
    struct slab *slab = frame_word_slab(arena->map, address);
    size_t frame = ((uintptr_t)slab - arena->map->base) >> WEIR_FRAME_SHIFT;
    return frame < arena->map->count && chunk_of(slab)->arena == arena ? slab : NULL;
}

bool slab_object_starts(const struct slab *slab, uintptr_t address)
{
    uint32_t size = (uint32_t)class_size(slab->class), offset = (uint32_t)(address - slab->start);
    return offset % size == 0 && offset < __atomic_load_n(&slab->carved, __ATOMIC_RELAXED) * size;
}
