/* The frame layer behind the interface of all allocators: every object is a run. */
#include "weir/allocator.h"
#include "src/frame/table.h"

static struct weir_frames *frames_of(struct weir_allocator *a)
{
    return a->instance;
}

/* Frames for `size` bytes, at least one; 0 if there can be no such object. */
static size_t frames_for(size_t size)
{
    if (size > PTRDIFF_MAX)
        return 0;
    return size == 0 ? 1 : (size + WEIR_FRAME_SIZE - 1) >> WEIR_FRAME_SHIFT;
}

static void *allocate(struct weir_allocator *a, size_t size, size_t align, bool *zero)
{
    return (void *)weir_frames_alloc(frames_of(a), frames_for(size), align, 0, zero);
}

static void *frames_malloc(struct weir_allocator *a, size_t size)
{
    return allocate(a, size, 1, NULL);
}

static void *frames_calloc(struct weir_allocator *a, size_t n, size_t size)
{
    size_t bytes;
    bool zero;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    void *object = allocate(a, bytes, 1, &zero);
    if (object != NULL && !zero)
        __builtin_memset(object, 0, bytes);
    return object;
}

static void *frames_memalign(struct weir_allocator *a, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment))
        return NULL;
    return allocate(a, size, alignment <= WEIR_FRAME_SIZE ? 1 : alignment >> WEIR_FRAME_SHIFT, NULL);
}

static int frames_posix_memalign(struct weir_allocator *a, void **object, size_t alignment, size_t size)
{
    enum {
        INVALID = 22,
        NO_MEMORY = 12
    }; /* EINVAL and ENOMEM, which C11 does not name */
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return INVALID;
    void *got = frames_memalign(a, alignment, size);
    if (got == NULL)
        return NO_MEMORY;
    *object = got;
    return 0;
}

static size_t frames_usable_size(struct weir_allocator *a, const void *object)
{
    return weir_frames_run_length(frames_of(a), (uintptr_t)object) << WEIR_FRAME_SHIFT;
}

static void frames_free(struct weir_allocator *a, void *object)
{
    if (object == NULL)
        return;
    size_t count = weir_frames_run_length(frames_of(a), (uintptr_t)object);
    /* no run starts there: a length of one frame makes weir_frames_free say what is wrong */
    weir_frames_free(frames_of(a), (uintptr_t)object, count != 0 ? count : 1);
}

static void *frames_realloc(struct weir_allocator *a, void *object, size_t size)
{
    struct weir_frames *f = frames_of(a);
    if (object == NULL)
        return frames_malloc(a, size);
    uintptr_t start = (uintptr_t)object;
    size_t count = weir_frames_run_length(f, start), wanted = frames_for(size);
    if (count == 0) {
        frames_misuse(f, WEIR_NOT_ALLOCATED, "realloc", start, 0);
        return NULL;
    }
    if (wanted == 0)
        return NULL;
    if (wanted < count)
        weir_frames_free(f, start + (wanted << WEIR_FRAME_SHIFT), count - wanted);
    if (wanted <= count || weir_frames_grow(f, start, count, wanted, NULL))
        return object;
    void *moved = frames_malloc(a, size);
    if (moved == NULL)
        return NULL;
    __builtin_memcpy(moved, object, count << WEIR_FRAME_SHIFT);
    weir_frames_free(f, start, count);
    return moved;
}

static void *frames_palloc(struct weir_allocator *a, size_t pages)
{
    return (void *)weir_frames_alloc(frames_of(a), pages, 1, 0, NULL);
}

static void frames_pfree(struct weir_allocator *a, void *start, size_t pages)
{
    weir_frames_free(frames_of(a), (uintptr_t)start, pages);
}

static size_t frames_pmaxalloc(struct weir_allocator *a)
{
    struct weir_frames_stats stats;
    weir_frames_stats(frames_of(a), &stats);
    return stats.largest != 0 ? stats.largest : stats.cached != 0;
}

static size_t frames_pavailmem(struct weir_allocator *a)
{
    struct weir_frames_stats stats;
    weir_frames_stats(frames_of(a), &stats);
    return stats.free;
}

static size_t frames_maxalloc(struct weir_allocator *a)
{
    return frames_pmaxalloc(a) << WEIR_FRAME_SHIFT;
}

static size_t frames_availmem(struct weir_allocator *a)
{
    return frames_pavailmem(a) << WEIR_FRAME_SHIFT;
}

static enum weir_status frames_addmem(struct weir_allocator *a, void *start, size_t bytes)
{
    /* whole frames inside what is offered */
    uintptr_t from = (uintptr_t)start, to = from + bytes;
    if (to < from || from > UINTPTR_MAX - WEIR_FRAME_SIZE)
        return frames_misuse(frames_of(a), WEIR_INVALID, "addmem", from, bytes >> WEIR_FRAME_SHIFT);
    from = round_up(from, WEIR_FRAME_SIZE);
    to = round_down(to, WEIR_FRAME_SIZE);
    return weir_frames_add(frames_of(a), from, to > from ? (to - from) >> WEIR_FRAME_SHIFT : 0, WEIR_REGION_BACKED);
}

static void frames_stats(struct weir_allocator *a, struct weir_allocator_stats *stats)
{
    struct weir_frames_stats frames;
    weir_frames_stats(frames_of(a), &frames);
    size_t used = frames.managed - frames.free - frames.isolated - frames.ballooned;
    *stats = (struct weir_allocator_stats){
        .live = used << WEIR_FRAME_SHIFT,
        .peak_live = frames.peak_used << WEIR_FRAME_SHIFT,
        .held = used << WEIR_FRAME_SHIFT,
        .peak_held = frames.peak_used << WEIR_FRAME_SHIFT,
        .mallocs = frames.allocs,
        .frees = frames.frees,
        .failed = frames.failed,
    };
}

/* Passes pieces on as objects. */
struct visitor {
    bool (*visit)(void *context, const struct weir_object *object);
    void *context;
};

static bool visit_piece(void *context, const struct weir_frames_piece *piece)
{
    const struct visitor *visitor = context;
    if (piece->kind != WEIR_FRAME_RUN && piece->kind != WEIR_FRAME_FREE && piece->kind != WEIR_FRAME_CACHED)
        return true;
    struct weir_object object = {
        .start = piece->range.start,
        .size = piece->range.frames << WEIR_FRAME_SHIFT,
        .live = piece->kind == WEIR_FRAME_RUN,
    };
    return visitor->visit(visitor->context, &object);
}

static void frames_walk(struct weir_allocator *a, bool (*visit)(void *context, const struct weir_object *object),
                        void *context)
{
    struct visitor visitor = {visit, context};
    weir_frames_walk(frames_of(a), visit_piece, &visitor);
}

static enum weir_status frames_check(struct weir_allocator *a, const char **what)
{
    return weir_frames_check(frames_of(a), what);
}

const struct weir_allocator_ops weir_frames_allocator = {
    .name = "frames",
    .abilities = WEIR_CAN_FREE | WEIR_CAN_RESIZE | WEIR_CAN_ALIGN | WEIR_CAN_SIZE | WEIR_CAN_PAGES | WEIR_CAN_GROW |
                 WEIR_CAN_COUNT | WEIR_CAN_THREADS | WEIR_CAN_DETECT | WEIR_CAN_WALK | WEIR_CAN_SMALL,
    .malloc = frames_malloc,
    .calloc = frames_calloc,
    .realloc = frames_realloc,
    .memalign = frames_memalign,
    .posix_memalign = frames_posix_memalign,
    .free = frames_free,
    .usable_size = frames_usable_size,
    .palloc = frames_palloc,
    .pfree = frames_pfree,
    .maxalloc = frames_maxalloc,
    .availmem = frames_availmem,
    .pmaxalloc = frames_pmaxalloc,
    .pavailmem = frames_pavailmem,
    .addmem = frames_addmem,
    .stats = frames_stats,
    .walk = frames_walk,
    .check = frames_check,
};
