/*
 * The heap behind the interface of all allocators. `instance` is the arena; `owner` finds the calling thread's heap.
 */
#include "weir/allocator.h"

#include "src/heap/heap.h"

static struct weir_arena *arena_of(const struct weir_allocator *a)
{
    return a->instance;
}

static struct weir_heap *heap_of(const struct weir_allocator *a)
{
    struct weir_heap *(*owner)(void) = (struct weir_heap * (*)(void)) a->owner;
    struct weir_heap *heap = owner ? owner() : NULL;
    return heap ? heap : (struct weir_heap *)&weir_heap_empty;
}

static void *heap_malloc(struct weir_allocator *a, size_t size)
{
    return weir_heap_malloc(heap_of(a), size);
}

static void *heap_calloc(struct weir_allocator *a, size_t n, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? NULL : weir_heap_zalloc(heap_of(a), bytes);
}

static void *heap_realloc(struct weir_allocator *a, void *object, size_t size)
{
    return weir_heap_realloc(heap_of(a), object, size);
}

static void *heap_memalign(struct weir_allocator *a, size_t alignment, size_t size)
{
    return weir_heap_aligned(heap_of(a), alignment, size, false);
}

/* The two errors that POSIX gives posix_memalign: the numbers are the same on every system weir stands on. */
enum {
    POSIX_ENOMEM = 12,
    POSIX_EINVAL = 22,
};

static int heap_posix_memalign(struct weir_allocator *a, void **object, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return POSIX_EINVAL;
    void *allocated = heap_memalign(a, alignment, size);
    if (!allocated)
        return POSIX_ENOMEM;
    *object = allocated;
    return 0;
}

static void heap_free(struct weir_allocator *a, void *object)
{
    weir_heap_free(heap_of(a), object);
}

static size_t heap_usable_size(struct weir_allocator *a, const void *object)
{
    return weir_arena_usable_size(arena_of(a), object);
}

static void *heap_palloc(struct weir_allocator *a, size_t pages)
{
    if (pages == 0 || pages > PTRDIFF_MAX >> WEIR_FRAME_SHIFT)
        return NULL;
    return run_malloc(heap_of(a), pages << WEIR_FRAME_SHIFT, WEIR_FRAME_SIZE, false);
}

static void heap_pfree(struct weir_allocator *a, void *start, size_t pages)
{
    size_t frames = run_length(arena_of(a), (uintptr_t)start);
    if (frames != 0 && frames != pages)
        misuse(arena_of(a), WEIR_WRONG_SIZE, (uintptr_t)start, pages << WEIR_FRAME_SHIFT, "pfree");
    else
        heap_free_slow(heap_of(a), start, "pfree");
}

/* Frames that the limit leaves. */
static size_t budget(struct weir_arena *arena)
{
    size_t limit = atomic_load_explicit(&arena->limit, memory_order_relaxed) >> WEIR_FRAME_SHIFT;
    size_t held = atomic_load_explicit(&arena->held, memory_order_relaxed);
    return limit == 0 ? SIZE_MAX : limit > held ? limit - held : 0;
}

static size_t at_most(size_t n, size_t most)
{
    return n < most ? n : most;
}

/* The run map may need two frames of its own for the next run. */
static size_t heap_pmaxalloc(struct weir_allocator *a)
{
    struct weir_arena *arena = arena_of(a);
    size_t room = budget(arena), largest = weir_frames_largest_run(arena->config.frames);
    struct weir_frames_stats stats;
    weir_frames_stats(arena->config.frames, &stats);
    room = at_most(room, stats.free);
    return at_most(largest, room > 2 ? room - 2 : 0);
}

static size_t heap_pavailmem(struct weir_allocator *a)
{
    struct weir_frames_stats stats;
    weir_frames_stats(arena_of(a)->config.frames, &stats);
    return at_most(stats.free, budget(arena_of(a)));
}

static size_t heap_maxalloc(struct weir_allocator *a)
{
    return heap_pmaxalloc(a) << WEIR_FRAME_SHIFT;
}

static size_t heap_availmem(struct weir_allocator *a)
{
    return heap_pavailmem(a) << WEIR_FRAME_SHIFT;
}

static enum weir_status heap_addmem(struct weir_allocator *a, void *start, size_t bytes)
{
    uintptr_t from = (uintptr_t)start, to = from + bytes;
    if (to < from || from > UINTPTR_MAX - WEIR_FRAME_SIZE)
        return WEIR_INVALID;
    from = round_up(from, WEIR_FRAME_SIZE);
    to = round_down(to, WEIR_FRAME_SIZE);
    if (to <= from)
        return WEIR_INVALID;
    return weir_frames_add(arena_of(a)->config.frames, from, (to - from) >> WEIR_FRAME_SHIFT, 0);
}

static void heap_stats(struct weir_allocator *a, struct weir_allocator_stats *stats)
{
    struct weir_arena_stats arena;
    weir_arena_stats(arena_of(a), &arena);
    *stats = (struct weir_allocator_stats){
        .live = arena.live,
        .peak_live = arena.peak_live,
        .held = arena.held,
        .peak_held = arena.peak_held,
        .mallocs = arena.mallocs,
        .frees = arena.frees,
        .failed = arena.failed,
    };
}

static void heap_walk(struct weir_allocator *a, bool (*visit)(void *context, const struct weir_object *object),
                      void *context)
{
    weir_arena_walk(arena_of(a), false, visit, context);
}

static enum weir_status heap_check(struct weir_allocator *a, const char **what)
{
    return weir_arena_check(arena_of(a), what);
}

const struct weir_allocator_ops weir_heap_allocator = {
    .name = "weir",
    .abilities = WEIR_CAN_FREE | WEIR_CAN_RESIZE | WEIR_CAN_ALIGN | WEIR_CAN_SIZE | WEIR_CAN_PAGES | WEIR_CAN_GROW |
                 WEIR_CAN_COUNT | WEIR_CAN_THREADS | WEIR_CAN_DETECT | WEIR_CAN_WALK | WEIR_CAN_SMALL,
    .malloc = heap_malloc,
    .calloc = heap_calloc,
    .realloc = heap_realloc,
    .memalign = heap_memalign,
    .posix_memalign = heap_posix_memalign,
    .free = heap_free,
    .usable_size = heap_usable_size,
    .palloc = heap_palloc,
    .pfree = heap_pfree,
    .maxalloc = heap_maxalloc,
    .availmem = heap_availmem,
    .pmaxalloc = heap_pmaxalloc,
    .pavailmem = heap_pavailmem,
    .addmem = heap_addmem,
    .stats = heap_stats,
    .walk = heap_walk,
    .check = heap_check,
};
