/*
 * A heap at work: malloc and free beyond their fast paths.
 *
 * When a bin is empty it is filled with one list, detached in one piece from one slab:
 *
 *     what other heaps sent home → the fullest of the first few slabs with free objects → a slab with an uncarved
 *     part, one frame's worth → a slab of the orphanage → a new slab → the ladder (ladder.c)
 *
 * The fullest first, so that the emptier ones get a chance to become empty. A slab from which everything was taken is
 * full and leaves the list of partial slabs; the first object that comes home brings it back, to the head, because it
 * is warm. A slab whose last object comes home goes back to the frame table at once, but for one per class that is
 * kept until it has gone unused for a while: a loop around a slab's edge shall not ask for frames on every round.
 */
#include "src/heap/fast.h"

/* How many partial slabs are compared before one is taken. */
#define FULLEST_OF 4u

const struct weir_heap weir_heap_empty;

void heap_link(struct weir_heap *heap, struct slab *slab, uintptr_t marks)
{
    struct slab **list = marks & SLAB_FULL ? &heap->full : &heap->partial[slab->class];
    slab->previous = NULL;
    slab->next = *list;
    if (slab->next)
        slab->next->previous = slab;
    *list = slab;
    slab_set_owner(slab, heap, marks);
    if (unlikely(heap == heap->arena->orphans) && !(marks & SLAB_FULL))
        atomic_fetch_or_explicit(&heap->arena->orphaned[slab->class / 64], UINT64_C(1) << slab->class % 64,
                                 memory_order_relaxed);
}

void heap_unlink(struct weir_heap *heap, struct slab *slab)
{
    struct slab **list = slab_marks(slab) & SLAB_FULL ? &heap->full : &heap->partial[slab->class];
    if (slab->previous)
        slab->previous->next = slab->next;
    else
        *list = slab->next;
    if (slab->next)
        slab->next->previous = slab->previous;
}

static bool is_quiet(struct weir_heap *heap)
{
    return atomic_load_explicit(&heap->quiet, memory_order_relaxed);
}

static void let_go(struct weir_heap *heap, struct slab *slab)
{
    heap_unlink(heap, slab);
    heap->slabs[slab->class]--;
    slab_release(heap->arena, slab);
}

void heap_slab_emptied(struct weir_heap *heap, struct slab *slab)
{
    unsigned class = slab->class;
    if (heap->arena->config.prompt || heap->spare[class] || is_quiet(heap)) {
        let_go(heap, slab);
        return;
    }
    heap->spare[class] = slab;
    bit_put(heap->stale, class, false);
    slab_set_owner(slab, heap, SLAB_EMPTY);
}

static void wake(struct weir_heap *heap, struct slab *slab)
{
    heap_unlink(heap, slab);
    heap_link(heap, slab, is_quiet(heap) ? SLAB_QUIET : 0);
}

void heap_slab_shrunk(struct weir_heap *heap, struct slab *slab)
{
    if (slab_marks(slab) & SLAB_FULL) {
        if (slab->used != 0 && slab->capacity - slab->used < (int)slab_wake(slab->capacity))
            return;
        wake(heap, slab);
    }
    if (slab->used == 0)
        heap_slab_emptied(heap, slab);
}

void heap_wake_slabs(struct weir_heap *heap)
{
    for (struct slab *slab = heap->full, *next; slab; slab = next) {
        next = slab->next;
        if (slab->used < slab->capacity)
            wake(heap, slab);
    }
}

/* Takes all free objects of the slab, which is in partial[class], or carves some. */
static struct object *detach(struct weir_heap *heap, struct slab *slab)
{
    unsigned class = slab->class, count = slab->carved - slab->used;
    struct object *list = slab->free;
    bit_put(heap->fresh, class, !list && slab->zero);
    if (list)
        slab->free = NULL;
    else
        count = slab_carve(slab, &list);
    slab->used = slab->carved;
    heap->given += count;
    if (heap->spare[class] == slab)
        heap->spare[class] = NULL;
    if (slab->used == slab->capacity) {
        heap_unlink(heap, slab);
        heap_link(heap, slab, SLAB_FULL);
    } else {
        slab_set_owner(slab, heap, 0);
    }
    return list;
}

/* A slab of the heap that has free objects, or room to carve some; null if there is none. */
static struct slab *choose(struct weir_heap *heap, unsigned class)
{
    struct slab *fullest = NULL, *uncarved = NULL;
    unsigned looked = 0;
    for (struct slab *slab = heap->partial[class]; slab && looked < FULLEST_OF; slab = slab->next, looked++) {
        if (!slab->free)
            uncarved = uncarved ? uncarved : slab;
        else if (!fullest || slab->used > fullest->used)
            fullest = slab;
    }
    return fullest ? fullest : uncarved;
}

/* Fills the bin of the class, which is empty. False without memory. */
static bool refill(struct weir_heap *heap, unsigned class)
{
    heap_wake(heap);
    heap_event(heap);
    for (unsigned rung = 0;;) {
        if (atomic_load_explicit(&heap->notices, memory_order_relaxed))
            heap_take_notices(heap);
        struct slab *slab = choose(heap, class);
        if (!slab) {
            slab = heap_adopt(heap, class);
            if (!slab)
                slab = slab_create(heap, class);
            if (slab)
                heap_link(heap, slab, 0);
        }
        if (slab) {
            heap->bin[class] = detach(heap, slab);
            return true;
        }
        if (!heap_climb(heap, &rung, class_size(class))) {
            heap->failed++;
            return false;
        }
        /* Reclaim may have called back into this heap. */
        if (heap->bin[class])
            return true;
    }
}

void *heap_malloc_slow(struct weir_heap *heap, size_t size)
{
    if (!heap->arena)
        return NULL;
    if (size > SMALL_MAX)
        return run_malloc(heap, size, 1, false);
    return refill(heap, class_of(size)) ? heap_pop(heap, size) : NULL;
}

void *weir_heap_malloc(struct weir_heap *heap, size_t size)
{
    void *object = likely(size <= SMALL_MAX) ? heap_pop(heap, size) : NULL;
    return likely(object != NULL) ? object : heap_malloc_slow(heap, size);
}

void *weir_heap_zalloc(struct weir_heap *heap, size_t size)
{
    if (unlikely(size > SMALL_MAX))
        return run_malloc(heap, size, 1, true);
    void *object = weir_heap_malloc(heap, size);
    if (object && !bit_test(heap->fresh, class_of(size)))
        __builtin_memset(object, 0, size);
    return object;
}

void *weir_heap_aligned(struct weir_heap *heap, size_t alignment, size_t size, bool zero)
{
    if (!is_power_of_two(alignment) || size > PTRDIFF_MAX)
        return NULL;
    unsigned class = alignment <= WEIR_FRAME_SIZE ? class_of_aligned(size, alignment) : CLASSES;
    if (class == CLASSES)
        return run_malloc(heap, size, alignment, zero);
    size = class_size(class);
    return zero ? weir_heap_zalloc(heap, size) : weir_heap_malloc(heap, size);
}

/* Frees into a slab of the heap itself that is full, empty or marked, or whose head is the object already. */
static void free_local(struct weir_heap *heap, struct slab *slab, struct object *object, const char *operation)
{
    if (slab->used == 0 || slab->free == object || heap->bin[slab->class] == object) {
        misuse(heap->arena, WEIR_DOUBLE_FREE, (uintptr_t)object, class_size(slab->class), operation);
        return;
    }
    if (slab_marks(slab) & SLAB_QUIET)
        slab_set_owner(slab, heap, 0);
    slab->used--;
    object->next = slab->free;
    slab->free = object;
    heap_slab_shrunk(heap, slab);
}

/* A slab of one object that is freed while the bin is empty stays full, and its object goes to the bin: a loop over one
 * buffer then never leaves malloc's fast path. heap_step takes back what nobody wanted meanwhile. */
static bool park(struct weir_heap *heap, struct slab *slab, struct object *object)
{
    unsigned class = slab->class;
    if (slab->capacity != 1 || heap->bin[class] || heap->arena->config.prompt)
        return false;
    object->next = NULL;
    heap->bin[class] = object;
    heap->given++;
    bit_put(heap->fresh, class, false);
    bit_put(heap->parked, class, true);
    return true;
}

bool heap_push_full(struct weir_heap *heap, void *pointer)
{
    uintptr_t full = (uintptr_t)heap | SLAB_FULL;
    struct slab *slab;
    if (!heap_find_slab(heap, pointer, &slab) || is_quiet(heap) ||
        atomic_load_explicit(&slab->owner, memory_order_relaxed) != full)
        return false;
    struct object *object = pointer;
    heap_event(heap);
    if (slab->free == object || heap->bin[slab->class] == object)
        return false;
    if (park(heap, slab, object))
        return true;
    slab->used--;
    object->next = slab->free;
    slab->free = object;
    heap_slab_shrunk(heap, slab);
    return true;
}

void heap_free_slow(struct weir_heap *heap, void *object, const char *operation)
{
    struct weir_arena *arena = heap->arena;
    if (!object || !arena)
        return;
    heap_wake(heap);
    heap_event(heap);
    struct slab *slab = arena_slab(arena, (uintptr_t)object);
    if (slab && slab_object_starts(slab, (uintptr_t)object)) {
        if (slab_owner(slab) == heap)
            free_local(heap, slab, object, operation);
        else
            heap_free_remote(heap, slab, object, operation);
    } else if (slab || !run_free(heap, (uintptr_t)object)) {
        misuse_report(arena, (uintptr_t)object, operation);
    }
}

void weir_heap_free(struct weir_heap *heap, void *object)
{
    if (unlikely(!heap_push(heap, object)) && !heap_push_full(heap, object))
        heap_free_slow(heap, object, "weir_heap_free");
}

static void flush_bin(struct weir_heap *heap, unsigned class)
{
    struct object *object = heap->bin[class];
    heap->bin[class] = NULL;
    for (struct object *next; object; object = next) {
        next = object->next;
        struct slab *slab = frame_word_slab(heap->arena->map, (uintptr_t)object);
        slab->used--;
        object->next = slab->free;
        slab->free = object;
        heap->given--;
        heap_slab_shrunk(heap, slab);
    }
}

void heap_flush_bins(struct weir_heap *heap)
{
    for (unsigned class = 0; class < CLASSES; class += 1)
        flush_bin(heap, class);
}

void heap_drop_spares(struct weir_heap *heap, size_t *keep)
{
    for (unsigned class = 0; class < CLASSES; class += 1) {
        struct slab *slab = heap->spare[class];
        if (!slab)
            continue;
        size_t bytes = WEIR_FRAME_SIZE << slab->order;
        if (bytes <= *keep) {
            *keep -= bytes;
            continue;
        }
        heap->spare[class] = NULL;
        let_go(heap, slab);
    }
    for (unsigned i = 0; i < KEPT_RUNS; i++) {
        size_t bytes = heap->runs[i].frames << WEIR_FRAME_SHIFT;
        if (bytes <= *keep)
            *keep -= bytes;
        else
            run_drop_kept(heap, i);
    }
}

/* Whether an object is parked in the bin. */
static bool is_parked(struct weir_heap *heap, unsigned class)
{
    const struct object *object = heap->bin[class];
    const struct slab *slab = object ? frame_word_slab(heap->arena->map, (uintptr_t)object) : NULL;
    return slab && slab->capacity == 1;
}

/* Gives back what a class keeps because it bounces, if it did not since the last step. */
static void age(struct weir_heap *heap, unsigned class)
{
    if (bit_test(heap->parked, class))
        bit_put(heap->parked, class, false);
    else if (is_parked(heap, class))
        flush_bin(heap, class);
    struct slab *spare = heap->spare[class];
    if (spare && bit_test(heap->stale, class)) {
        heap->spare[class] = NULL;
        let_go(heap, spare);
    } else if (spare) {
        bit_put(heap->stale, class, true);
    }
}

void heap_step(struct weir_heap *heap)
{
    heap_send_batches(heap);
    for (unsigned class = 0; class < CLASSES; class += 1)
        age(heap, class);
    run_drop_oldest(heap);
    arena_sample(heap->arena);
    const struct weir_platform *platform = heap->arena->config.platform;
    if (platform->heartbeat)
        platform->heartbeat(platform->context);
}
