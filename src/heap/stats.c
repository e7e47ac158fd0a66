/*
 * Counting what heaps do, without a counter on their fast paths.
 *
 * A heap counts what it puts into bins when it fills them; what is still in them then tells how many malloc calls there
 * were, and what slabs say is used tells how many objects were freed. Both are read while owners go on: a value may be
 * a moment old, and a bin is followed only as far as its links make sense. At rest all of it is exact.
 */
#include "src/heap/stats.h"

/* Longest bin there can be: a whole slab of the smallest objects. */
#define BIN_MAX ((WEIR_FRAME_SIZE << SLAB_ORDER_MAX) / GRANULE)

RACY size_t bin_length(const struct weir_heap *heap, unsigned class)
{
    size_t length = 0;
    for (const struct object *volatile *link = (const struct object *volatile *)&heap->bin[class]; length < BIN_MAX;) {
        const struct object *object = *link;
        struct slab *slab = object ? arena_slab(heap->arena, (uintptr_t)object) : NULL;
        if (!slab || slab->class != class || (uintptr_t)object % GRANULE != 0)
            break;
        link = (const struct object *volatile *)&object->next;
        length++;
    }
    return length;
}

struct tally {
    size_t objects, bytes;
};

RACY static void tally_chunk(const struct slab_chunk *chunk, struct tally *tally)
{
    const struct slab *slabs = (const struct slab *)chunk;
    for (size_t i = 1; i < CHUNK_SLABS; i++) {
        if (!atomic_load_explicit(&slabs[i].owner, memory_order_relaxed))
            continue;
        size_t used = slab_used(&slabs[i]);
        tally->objects += used;
        tally->bytes += used * class_size(slabs[i].class);
    }
}

const struct slab_chunk *newest_chunk(struct weir_arena *arena)
{
    lock_take(&arena->lock, arena->config.platform);
    const struct slab_chunk *chunk = arena->chunks;
    lock_drop(&arena->lock);
    return chunk;
}

/* Objects used, those in bins included. */
static struct tally tally_slabs(struct weir_arena *arena)
{
    struct tally tally = {0};
    for (const struct slab_chunk *chunk = newest_chunk(arena); chunk; chunk = chunk->next)
        tally_chunk(chunk, &tally);
    return tally;
}

static void see_live(struct weir_arena *arena)
{
    size_t live = (atomic_load_explicit(&arena->run_frames, memory_order_relaxed) << WEIR_FRAME_SHIFT) +
                  atomic_load_explicit(&arena->small_live, memory_order_relaxed);
    size_t peak = atomic_load_explicit(&arena->peak_live, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&arena->peak_live, &peak, live, memory_order_relaxed,
                                                                 memory_order_relaxed))
        ;
}

void arena_count_runs(struct weir_arena *arena, size_t frames)
{
    atomic_fetch_add_explicit(&arena->run_frames, frames, memory_order_relaxed);
    see_live(arena);
}

void arena_sample(struct weir_arena *arena)
{
    size_t held = atomic_load_explicit(&arena->held, memory_order_relaxed);
    size_t seen = atomic_load_explicit(&arena->sampled_held, memory_order_relaxed);
    if (held <= seen + seen / 16)
        return;
    atomic_store_explicit(&arena->sampled_held, held, memory_order_relaxed);
    atomic_store_explicit(&arena->small_live, tally_slabs(arena).bytes, memory_order_relaxed);
    see_live(arena);
}

RACY static void add_heap(const struct weir_heap *heap, struct weir_arena_stats *stats, struct tally *in_bins)
{
    for (unsigned class = 0; class < CLASSES; class += 1) {
        size_t length = bin_length(heap, class);
        in_bins->objects += length;
        in_bins->bytes += length * class_size(class);
    }
    stats->heaps++;
    stats->mallocs += heap->given + heap->run_mallocs;
    stats->frees += heap->given + heap->run_frees;
    stats->remote_frees += heap->remote_frees;
    for (unsigned i = 0; i < BATCHES; i++)
        stats->remote_frees += heap->batches[i].count;
    stats->failed += heap->failed;
}

static size_t count_idle(struct weir_arena *arena)
{
    size_t idle = 0;
    lock_take(&arena->lock, arena->config.platform);
    for (const struct weir_heap *heap = arena->idle; heap; heap = heap->next_idle)
        idle++;
    lock_drop(&arena->lock);
    return idle;
}

void weir_arena_stats(struct weir_arena *arena, struct weir_arena_stats *stats)
{
    *stats = (struct weir_arena_stats){0};
    struct tally in_bins = {0};
    const struct weir_heap *heap = atomic_load_explicit(&arena->heaps, memory_order_acquire);
    for (; heap; heap = heap->next_heap)
        add_heap(heap, stats, &in_bins);
    struct tally used = tally_slabs(arena);
    stats->mallocs -= in_bins.objects;
    stats->frees -= used.objects;
    size_t small = used.bytes > in_bins.bytes ? used.bytes - in_bins.bytes : 0;
    atomic_store_explicit(&arena->small_live, small, memory_order_relaxed);
    see_live(arena);
    stats->run_bytes = atomic_load_explicit(&arena->run_frames, memory_order_relaxed) << WEIR_FRAME_SHIFT;
    stats->live = small + stats->run_bytes;
    stats->peak_live = atomic_load_explicit(&arena->peak_live, memory_order_relaxed);
    stats->held = atomic_load_explicit(&arena->held, memory_order_relaxed) << WEIR_FRAME_SHIFT;
    stats->peak_held = atomic_load_explicit(&arena->peak_held, memory_order_relaxed) << WEIR_FRAME_SHIFT;
    if (stats->peak_held < stats->held)
        stats->peak_held = stats->held;
    stats->metadata = atomic_load_explicit(&arena->metadata, memory_order_relaxed) << WEIR_FRAME_SHIFT;
    stats->slabs = atomic_load_explicit(&arena->slabs, memory_order_relaxed);
    stats->runs = atomic_load_explicit(&arena->runs, memory_order_relaxed);
    stats->idle_heaps = count_idle(arena);
    stats->limit = atomic_load_explicit(&arena->limit, memory_order_relaxed);
}
