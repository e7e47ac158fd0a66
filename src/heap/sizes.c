/*
 * What is live, size by size: for tables of statistics, and for reports of what a program forgot to free.
 *
 * A row stands for all objects larger than the row before it holds: rows 0 to 71 are the size classes, and every
 * further one is a doubling, from 64 KiB on. (A run that is small because it was asked for with a large alignment
 * counts where its size belongs.)
 *
 *     (1)  the sum of `held` over all rows + metadata = what the arena holds
 *     (2)  live <= room, and bytes <= live * size
 *
 * Counting reads descriptors and bins while owners go on, as stats.c does. The report of leaks looks at every single
 * object, and so wants an arena at rest.
 */
#include "src/heap/stats.h"

static_assert(WEIR_SIZES == CLASSES + 24, "doublings up to the whole span: 2^27 frames");

#define LIST_MAX       ((size_t)1 << 20)
#define FIRST_DOUBLING 4u /* frames of the first row behind the classes: 2^4 */

static unsigned row_of(size_t bytes)
{
    return bytes <= SMALL_MAX ? class_of(bytes) : CLASSES + log2_ceil(run_frames_for(bytes)) - FIRST_DOUBLING;
}

static size_t row_size(unsigned row)
{
    return row < CLASSES ? class_size(row) : WEIR_FRAME_SIZE << (row - CLASSES + FIRST_DOUBLING);
}

RACY static void add_slab(const struct slab *slab, struct weir_size_stats *row)
{
    row->live += slab_used(slab);
    row->slabs++;
    row->room += slab->capacity;
    row->held += WEIR_FRAME_SIZE << slab->order;
}

static void add_slabs(struct weir_arena *arena, struct weir_size_stats *rows)
{
    for (const struct slab_chunk *chunk = newest_chunk(arena); chunk; chunk = chunk->next) {
        const struct slab *slabs = (const struct slab *)chunk;
        for (size_t i = 1; i < CHUNK_SLABS; i++)
            if (atomic_load_explicit(&slabs[i].owner, memory_order_relaxed) && slabs[i].class < CLASSES)
                add_slab(&slabs[i], &rows[slabs[i].class]);
    }
}

static void take_away(struct weir_size_stats *row, size_t objects)
{
    row->live -= objects < row->live ? objects : row->live;
}

/* Objects of all sizes, in a list that is followed only as far as its links make sense, and no further than *steps:
 * what is read while owners go on may lead in a circle. */
RACY static void take_list_away(const struct weir_arena *arena, const struct object *object,
                                struct weir_size_stats *rows, size_t *steps)
{
    for (; object && *steps > 0; --*steps) {
        const struct slab *slab = arena_slab(arena, (uintptr_t)object);
        if (!slab || slab->class >= CLASSES || (uintptr_t)object % GRANULE != 0)
            break;
        take_away(&rows[slab->class], 1);
        object = link_target(*(struct object *const volatile *)&object->next);
    }
}

RACY static void take_inbox_away(const struct weir_arena *arena, struct weir_heap *heap, struct weir_size_stats *rows)
{
    const struct object *message = atomic_load_explicit(&heap->inbox, memory_order_acquire);
    size_t steps = LIST_MAX;
    while (message && steps > 0 && arena_slab(arena, (uintptr_t)message)) {
        steps--;
        take_list_away(arena, message, rows, &steps);
        message = inbox_next(message);
    }
}

/* What waits in bins, batches and inboxes counts as used in its slab, but is nobody's. */
RACY static void take_waiting_away(struct weir_heap *heap, struct weir_size_stats *rows)
{
    const struct weir_arena *arena = heap->arena;
    size_t steps = LIST_MAX;
    for (unsigned class = 0; class < CLASSES; class += 1)
        take_away(&rows[class], bin_length(heap, class));
    for (unsigned i = 0; i < BATCHES; i++)
        if (heap->batches[i].owner)
            take_list_away(arena, heap->batches[i].head, rows, &steps);
    take_inbox_away(arena, heap, rows);
}

static bool add_run(void *context, uintptr_t start, size_t frames, bool kept)
{
    struct weir_size_stats *row = (struct weir_size_stats *)context + row_of(frames << WEIR_FRAME_SHIFT);
    (void)start;
    row->held += frames << WEIR_FRAME_SHIFT;
    row->slabs++;
    row->room++;
    row->live += !kept;
    row->bytes += kept ? 0 : frames << WEIR_FRAME_SHIFT;
    return true;
}

static bool add_apart(void *context, uintptr_t start, size_t frames, uintptr_t object)
{
    (void)object;
    return add_run(context, start, frames, false);
}

void weir_arena_sizes(struct weir_arena *arena, struct weir_size_stats sizes[WEIR_SIZES])
{
    for (unsigned row = 0; row < WEIR_SIZES; row++)
        sizes[row] = (struct weir_size_stats){.size = row_size(row)};
    add_slabs(arena, sizes);
    take_inbox_away(arena, arena->orphans, sizes);
    struct weir_heap *heap = atomic_load_explicit(&arena->heaps, memory_order_acquire);
    for (; heap; heap = heap->next_heap)
        take_waiting_away(heap, sizes);
    for (unsigned class = 0; class < CLASSES; class += 1)
        sizes[class].bytes = sizes[class].live * class_size(class);
    run_walk(arena, add_run, sizes);
    lock_take(&arena->lock, arena->config.platform);
    apart_walk(arena, add_apart, sizes);
    lock_drop(&arena->lock);
}

static bool add_leak(void *context, const struct weir_object *object)
{
    struct weir_leak *leak = (struct weir_leak *)context + row_of(object->size);
    leak->objects++;
    leak->bytes += object->size;
    leak->example = object->start;
    return true;
}

size_t weir_arena_leaks(struct weir_arena *arena, struct weir_leak *leaks, size_t max)
{
    struct weir_leak rows[WEIR_SIZES] = {0};
    size_t kinds = 0;
    weir_arena_walk(arena, false, add_leak, rows);
    for (unsigned row = 0; row < WEIR_SIZES; row++) {
        rows[row].size = row_size(row);
        kinds += rows[row].objects != 0;
    }
    for (size_t n = 0; n < max && n < kinds; n++) {
        struct weir_leak *most = rows;
        for (unsigned row = 1; row < WEIR_SIZES; row++)
            if (rows[row].bytes > most->bytes)
                most = &rows[row];
        leaks[n] = *most;
        most->bytes = 0;
    }
    return kinds;
}
