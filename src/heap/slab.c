/*
 * Slabs: their descriptors, their carving, and the empty ones that a heap keeps.
 *
 * Descriptors are cut from metadata frames, 31 to a frame, behind a header that names the arena: that is how a
 * descriptor found through the frame table is known to be one of this arena's.
 * Unused ones wait in a LIFO list; they are never anything else.
 *
 *     (1)  owner = 0  <=>  the descriptor is unused, in arena->descriptors
 *     (2)  every frame of the slab carries the descriptor, and start is a multiple of 4096 << order
 *     (3)  object k lies at start + k * size; objects 0 … carved - 1 exist, the memory behind them is untouched
 */
#include "src/heap/sparse.h"

/* A heap keeps empty slabs of up to 256 KiB and a quarter of all its slabs, at most 2 MiB. (A sixteenth: bursts
 * of 64 objects of 4 KiB took twice as long.) */
enum policy {
    KEPT_LEAST = 64, /* frames */
    KEPT_PART = 4,
    KEPT_MOST = 512,
};

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
        arena_uncharge(arena, (size_t)1 << order);
    return start;
}

/* Most frames in empty slabs that a heap keeps for later. */
static unsigned kept_most(const struct weir_heap *heap)
{
    if (heap->arena->config.idle_part)
        return KEPT_LEAST;
    size_t most = KEPT_LEAST + (heap->slab_frames + heap->kept_frames) / KEPT_PART;
    return most < KEPT_MOST ? (unsigned)most : KEPT_MOST;
}

static struct slab *take_kept(struct weir_heap *heap, unsigned order)
{
    struct slab *slab = heap->kept_slabs[order];
    if (!slab)
        return NULL;
    heap->kept_slabs[order] = slab->next;
    heap->kept_frames -= 1U << order;
    if (heap->kept_frames < heap->kept_least)
        heap->kept_least = heap->kept_frames;
    return slab;
}

/* Forgets what objects there are. */
static void slab_clear(struct slab *slab)
{
    slab->free = NULL;
    slab->left = slab->rest = slab->carved = 0;
}

/* A new slab of this order, or of a smaller one down to `least`; null without memory. */
static struct slab *make_slab(struct weir_arena *arena, unsigned order, unsigned least)
{
    struct slab *slab = take_descriptor(arena);
    if (!slab)
        return NULL;
    bool zero = false;
    uintptr_t start = take_frames(arena, slab, order, &zero);
    while (!start && order > least)
        start = take_frames(arena, slab, --order, &zero);
    if (!start) {
        give_descriptor(arena, slab);
        return NULL;
    }
    slab->start = start;
    slab->order = (uint8_t)order;
    slab->zero = zero;
    slab_clear(slab);
    atomic_fetch_add_explicit(&arena->slabs, 1, memory_order_relaxed);
    return slab;
}

struct slab *slab_create(struct weir_heap *heap, unsigned class)
{
    unsigned order = class_slab_order(class, heap->frames[class]);
    struct slab *slab = take_kept(heap, order);
    if (!slab)
        slab = make_slab(heap->arena, order, class_order_min(class));
    if (!slab)
        return NULL;
    size_t size = class_size(class);
    if (slab->class != class)
        slab_clear(slab);
    slab->capacity = (uint16_t)((WEIR_FRAME_SIZE << slab->order) / size);
    slab->class = (uint8_t) class;
    slab->away = false;
    atomic_store_explicit(&slab->resized, false, memory_order_relaxed);
    slab->size = (uint32_t)size;
    slab->inverse = class_inverse[class];
    slab->next = slab->previous = NULL;
    slab_set_owner(slab, heap, 0);
    heap_count_slab(heap, slab, true);
    return slab;
}

void slab_release(struct weir_arena *arena, struct slab *slab)
{
    unsigned order = slab->order;
    if (unlikely(slab->holes))
        sparse_forget(arena, slab);
    atomic_store_explicit(&slab->owner, 0, memory_order_release);
    weir_frames_free_slab(arena->config.frames, slab->start, order);
    give_descriptor(arena, slab);
    arena_refund(arena, (size_t)1 << order);
    atomic_fetch_sub_explicit(&arena->slabs, 1, memory_order_relaxed);
}

void slab_keep(struct weir_heap *heap, struct slab *slab)
{
    unsigned frames = slab_frames(slab);
    if (heap->arena->config.prompt || atomic_load_explicit(&heap->quiet, memory_order_relaxed) ||
        heap->kept_frames + frames > kept_most(heap)) {
        slab_release(heap->arena, slab);
        heap->freed += frames;
        return;
    }
    if (unlikely(slab->holes)) {
        sparse_forget(heap->arena, slab);
        slab_clear(slab);
    }
    slab->zero = slab->away = false;
    slab_set_owner(slab, heap, SLAB_EMPTY);
    slab->next = heap->kept_slabs[slab->order];
    heap->kept_slabs[slab->order] = slab;
    heap->kept_frames += frames;
}

void slab_drop_kept(struct weir_heap *heap, size_t frames)
{
    for (unsigned order = SLAB_ORDER_MAX + 1; order-- > 0;)
        while (heap->kept_frames > frames && heap->kept_slabs[order])
            slab_release(heap->arena, take_kept(heap, order));
}

unsigned slab_carve(struct slab *slab, struct object **list)
{
    size_t size = slab->size;
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

/* Whoever else keeps slabs in the table may have descriptors anywhere: ours lie in frames of the table. */
struct slab *arena_slab(const struct weir_arena *arena, uintptr_t address)
{
    struct slab *slab = frame_word_slab(arena->map, address);
    size_t frame = ((uintptr_t)slab - arena->map->base) >> WEIR_FRAME_SHIFT;
    return frame < arena->map->count && chunk_of(slab)->arena == arena ? slab : NULL;
}
