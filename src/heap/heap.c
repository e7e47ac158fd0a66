/*
 * A heap at work: malloc and free beyond their fast paths.
 *
 * When a bin is empty it is filled with one list, detached in one piece from one slab, which is then the class's
 * current one:
 *
 *     the current slab, if something came home → what other heaps sent home → the fullest of the first few partial
 *     slabs → a slab with an uncarved part, one frame's worth → a slab of the orphanage → a kept or new slab → the
 *     ladder (ladder.c)
 *
 * The fullest first, so that the emptier ones get a chance to become empty. A slab from which everything was taken is
 * away: it comes back, to the head because it is warm, when enough of its objects came home. The current slab is
 * looked at in any case, so that a program with few live objects never moves slabs between lists. A slab whose last
 * object comes home is let go, but for the current one: a loop around a slab's edge shall not start anew every round.
 * Slabs let go stay with the heap, up to a part of all its slabs, as long as they are asked for (slab_keep).
 */
#include "src/heap/fast.h"
#include "src/heap/sparse.h"

enum policy {
    FULLEST_OF = 4,      /* how many partial slabs are compared before one is taken */
    HAND_ON_OBJECTS = 8, /* at most so many, and so many bytes, of what comes home goes into the bin */
    HAND_ON_BYTES = 32768,
};

const struct weir_heap weir_heap_empty;

void heap_link(struct weir_heap *heap, struct slab *slab, bool away)
{
    struct slab **list = away ? &heap->full : &heap->partial[slab->class];
    slab->away = away;
    slab->previous = NULL;
    slab->next = *list;
    if (slab->next)
        slab->next->previous = slab;
    *list = slab;
    if (unlikely(heap == heap->arena->orphans) && !away)
        atomic_fetch_or_explicit(&heap->arena->orphaned[slab->class / 64], UINT64_C(1) << slab->class % 64,
                                 memory_order_relaxed);
}

void heap_unlink(struct weir_heap *heap, struct slab *slab)
{
    struct slab **list = slab->away ? &heap->full : &heap->partial[slab->class];
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
    unsigned class = slab->class;
    heap_unlink(heap, slab);
    sparse_leave(heap, slab);
    heap_count_slab(heap, slab, false);
    if (heap->current[class] == slab) {
        heap->current[class] = NULL;
        bit_put(heap->empty, class, false);
    }
    slab_keep(heap, slab);
}

static void wake(struct weir_heap *heap, struct slab *slab)
{
    sparse_watch(heap, slab);
    heap_unlink(heap, slab);
    heap_link(heap, slab, false);
}

/* Sets the countdown of a slab that is away and no longer the current one. */
static void sleep(struct weir_heap *heap, struct slab *slab)
{
    unsigned used = slab_used(slab), free = slab->capacity - used, enough = slab_wake(slab->capacity);
    if (used == 0) {
        let_go(heap, slab);
    } else if (free >= enough) {
        wake(heap, slab);
    } else {
        slab->left = (uint16_t)(enough - free);
        slab->rest = (uint16_t)(used - slab->left);
    }
}

static void make_current(struct weir_heap *heap, struct slab *slab)
{
    unsigned class = slab->class;
    struct slab *before = heap->current[class];
    heap->current[class] = slab;
    bit_put(heap->empty, class, false);
    sparse_leave(heap, slab);
    if (before && before->away)
        sleep(heap, before);
    else if (before && before != slab)
        sparse_watch(heap, before);
}

/* The current slab is empty, and stays as it is. */
static inline void stay_empty(struct weir_heap *heap, struct slab *slab)
{
    slab_set_owner(slab, heap, SLAB_EMPTY);
    bit_put(heap->empty, slab->class, true);
    bit_put(heap->stale, slab->class, false);
}

/* Of the empty slabs of a class the largest stays as it is, if nothing better is there: it is the current one. So
 * bursts that return find room for all of them in one slab. */
static void emptied(struct weir_heap *heap, struct slab *slab)
{
    unsigned class = slab->class;
    struct slab *current = heap->current[class];
    if (heap->arena->config.prompt || is_quiet(heap)) {
        let_go(heap, slab);
        return;
    }
    if (current && current != slab && current->free) {
        if (slab_used(current) != 0 || current->order >= slab->order) {
            let_go(heap, slab);
            return;
        }
        let_go(heap, current);
    }
    if (current != slab)
        make_current(heap, slab);
    stay_empty(heap, slab);
}

void heap_slab_settle(struct weir_heap *heap, struct slab *slab)
{
    if (slab->rest == 0)
        emptied(heap, slab);
    else if (slab->away)
        wake(heap, slab);
    else
        sparse_event(heap, slab);
}

/* Whether one more object may go straight into the bin of the class. */
static bool may_hand_on(const struct weir_heap *heap, unsigned class, size_t size)
{
    unsigned handed = heap->handed[class];
    return handed == 0 || (handed < HAND_ON_OBJECTS && (handed + 1) * size <= HAND_ON_BYTES);
}

/* The object that just came home to a slab of few, in which nothing else is free, goes straight into the bin: the slab
 * need not move between lists for a single object, nor end and begin anew if that is all of it (4096 bytes again and
 * again: 238 instructions without this, 109 with it). False if the slab is to settle. */
static bool hand_on(struct weir_heap *heap, struct slab *slab)
{
    unsigned class = slab->class;
    struct object *object = slab->free, *ready = heap->bin[class];
    if (!ready)
        heap->handed[class] = 0;
    if (unlikely(ready == object)) {
        /* It is there already, and the fast path overwrote its link. If that is not known any more, what was behind it
         * stays counted as used: lost, but never handed out twice. */
        object->next = heap->handed_last == object ? heap->handed_under : NULL;
        slab->free = NULL;
        slab->left = 1;
        misuse(heap->arena, WEIR_DOUBLE_FREE, (uintptr_t)object, slab->size, "weir_heap_free");
        return true;
    }
    if (!may_hand_on(heap, class, slab->size))
        return false;
    slab->free = NULL;
    slab->left = 1;
    object->next = ready;
    heap->bin[class] = object;
    heap->handed_last = object;
    heap->handed_under = ready;
    heap->handed[class]++;
    heap->given++;
    if (slab->capacity == 1)
        bit_put(heap->parked, class, true);
    heap->fresh[class] = false;
    return true;
}

void heap_slab_event(struct weir_heap *heap, struct slab *slab)
{
    bool keeps = !heap->arena->config.prompt && !is_quiet(heap);
    if (slab->capacity > 1 && slab->rest == 0 && heap->current[slab->class] == slab && keeps) {
        stay_empty(heap, slab);
        return;
    }
    bool single = slab->away && (slab->rest ? slab->capacity < WAKE_AT_ONCE : slab->capacity == 1);
    if (single && keeps && hand_on(heap, slab))
        return;
    heap_slab_settle(heap, slab);
    if (!is_quiet(heap))
        heap_pulse(heap);
}

void heap_wake_slabs(struct weir_heap *heap)
{
    for (struct slab *slab = heap->full, *next; slab; slab = next) {
        next = slab->next;
        if (slab->free)
            wake(heap, slab);
    }
}

/* Takes all free objects of the slab, or carves some, which must be possible. */
static struct object *detach(struct weir_heap *heap, struct slab *slab)
{
    unsigned class = slab->class, withdrawn = unlikely(slab->holes) ? sparse_withdrawn(slab, NULL) : 0;
    unsigned count = slab->carved - slab_used(slab) - withdrawn;
    struct object *list = slab->free;
    heap->fresh[class] = !list && slab->zero && withdrawn == 0;
    if (likely(list != NULL)) {
        slab->free = NULL;
    } else if (unlikely(slab->holes) && (count = sparse_fill(heap->arena, slab, &list)) != 0) {
        withdrawn -= count;
    } else {
        count = slab_carve(slab, &list);
    }
    heap->given += count;
    heap->handed_last = NULL;
    if (heap->current[class] != slab)
        make_current(heap, slab);
    slab->left = (uint16_t)(slab->carved - withdrawn);
    slab->rest = 0;
    if (unlikely(slab_marks(slab))) {
        slab_set_owner(slab, heap, 0);
        bit_put(heap->empty, class, false);
    }
    if (!slab->away && slab->left == slab->capacity) {
        heap_unlink(heap, slab);
        heap_link(heap, slab, true);
    }
    return list;
}

/* A slab of the heap that has free objects, or room to carve some; null if there is none. */
static struct slab *choose(struct weir_heap *heap, unsigned class)
{
    struct slab *current = heap->current[class];
    if (current && current->free)
        return current;
    struct slab *fullest = NULL, *uncarved = NULL;
    unsigned looked = 0;
    for (struct slab *slab = heap->partial[class]; slab && looked < FULLEST_OF; slab = slab->next, looked++) {
        if (!slab->free)
            uncarved = uncarved ? uncarved : slab;
        else if (!fullest || slab_used(slab) > slab_used(fullest))
            fullest = slab;
    }
    return fullest ? fullest : uncarved;
}

/* A slab from elsewhere, which then is the heap's; null without memory. */
static struct slab *acquire(struct weir_heap *heap, unsigned class)
{
    struct slab *slab = heap->apart ? NULL : heap_adopt(heap, class);
    if (!slab)
        slab = slab_create(heap, class);
    if (slab)
        heap_link(heap, slab, false);
    return slab;
}

/* Fills the bin of the class by all means. False without memory. */
static bool refill_climbing(struct weir_heap *heap, unsigned class)
{
    for (unsigned rung = 0; heap_climb(heap, &rung, class_size(class));) {
        /* Reclaim may have called back into this heap. */
        if (heap->bin[class])
            return true;
        struct slab *slab = choose(heap, class);
        if (!slab)
            slab = acquire(heap, class);
        if (slab) {
            heap->bin[class] = detach(heap, slab);
            return true;
        }
    }
    return false;
}

/* Fills the bin of the class, which is empty. False without memory. */
static __attribute__((noinline)) bool refill(struct weir_heap *heap, unsigned class)
{
    heap_wake(heap);
    heap_event(heap);
    if (atomic_load_explicit(&heap->inbox, memory_order_relaxed)) {
        heap_take_inbox(heap);
        if (heap->bin[class])
            return true;
    }
    struct slab *slab = choose(heap, class);
    if (!slab)
        slab = acquire(heap, class);
    if (unlikely(!slab))
        return refill_climbing(heap, class);
    heap->bin[class] = detach(heap, slab);
    return true;
}

/* What detach does when all is as usual and something came home to the current slab, as mostly. Null: nothing was done.
 */
static inline struct object *detach_usual(struct weir_heap *heap, unsigned class)
{
    if (unlikely(is_quiet(heap)) || atomic_load_explicit(&heap->inbox, memory_order_relaxed))
        return NULL;
    struct slab *slab = heap->current[class];
    if (!slab || !slab->free || unlikely(slab_marks(slab) & ~(uintptr_t)SLAB_EMPTY) || unlikely(slab->holes))
        return NULL;
    if (unlikely(++heap->events >= STEP_EVENTS))
        return NULL;
    if (slab_marks(slab)) {
        slab_set_owner(slab, heap, 0);
        bit_put(heap->empty, class, false);
    }
    struct object *list = slab->free;
    slab->free = NULL;
    heap->given += slab->carved - slab->left;
    heap->fresh[class] = false;
    heap->handed_last = NULL;
    slab->left = slab->carved;
    if (!slab->away && slab->carved == slab->capacity) {
        heap_unlink(heap, slab);
        heap_link(heap, slab, true);
    }
    return list;
}

/* There is no slab for a small object: they want an aligned power of two of frames. A run of as many as the object
 * needs may still be there. Null if not. */
static __attribute__((noinline)) void *malloc_as_run(struct weir_heap *heap, unsigned class, size_t size)
{
    if (size <= WEIR_FRAME_SIZE) {
        heap->failed++;
        return NULL;
    }
    heap->fresh[class] = false;
    return run_malloc(heap, size, 1, false);
}

static __attribute__((noinline)) void *malloc_slower(struct weir_heap *heap, size_t size)
{
    if (!heap->arena)
        return NULL;
    if (size > SMALL_MAX)
        return run_malloc(heap, size, 1, false);
    unsigned class = class_of(size);
    return heap->bin[class] || refill(heap, class) ? heap_pop_class(heap, class) : malloc_as_run(heap, class, size);
}

void *heap_malloc_slow(struct weir_heap *heap, size_t size)
{
    unsigned class = likely(size <= SMALL_MAX) ? class_of(size) : 0;
    struct object *list = likely(size <= SMALL_MAX) && !heap->bin[class] ? detach_usual(heap, class) : NULL;
    if (!list)
        return malloc_slower(heap, size);
    heap->bin[class] = list->next;
    list->next = NULL;
    return list;
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
    if (object && !heap->fresh[class_of(size)])
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

/* Frees into a slab of the heap itself that is marked, or whose head is the object already. */
static void free_local(struct weir_heap *heap, struct slab *slab, struct object *object, const char *operation)
{
    if (slab_used(slab) == 0 || slab->free == object) {
        misuse(heap->arena, WEIR_DOUBLE_FREE, (uintptr_t)object, slab->size, operation);
        return;
    }
    if (slab_marks(slab) & SLAB_QUIET)
        slab_set_owner(slab, heap, 0);
    heap_push_slab(heap, slab, object);
}

/* Frees what is in no slab of the arena. */
static __attribute__((noinline)) void free_elsewhere(struct weir_heap *heap, void *object, const char *operation)
{
    if (!object || !heap->arena)
        return;
    heap_wake(heap);
    heap_event(heap);
    struct slab *slab = arena_slab(heap->arena, (uintptr_t)object);
    if (slab || !run_free(heap, (uintptr_t)object))
        misuse_report(heap->arena, (uintptr_t)object, operation);
}

static __attribute__((noinline)) void free_slower(struct weir_heap *heap, void *object, const char *operation)
{
    struct slab *slab;
    if (!heap_find_slab(heap, object, &slab) || !slab_is_of(heap, slab) ||
        !slab_object_lives(slab, (uintptr_t)object)) {
        free_elsewhere(heap, object, operation);
        return;
    }
    heap_wake(heap);
    if (slab_owner(slab) == heap)
        free_local(heap, slab, object, operation);
    else
        heap_free_remote(heap, slab, object, operation);
}

void heap_free_slow(struct weir_heap *heap, void *object, const char *operation)
{
    struct slab *slab;
    if (!heap_find_slab(heap, object, &slab) || unlikely(!heap_push_other(heap, slab, object)))
        free_slower(heap, object, operation);
}

void weir_heap_free(struct weir_heap *heap, void *object)
{
    if (unlikely(!heap_push(heap, object)))
        heap_free_slow(heap, object, "weir_heap_free");
}

static void flush_bin(struct weir_heap *heap, unsigned class)
{
    struct object *object = heap->bin[class];
    heap->bin[class] = NULL;
    for (struct object *next; object; object = next) {
        next = object->next;
        heap->given--;
        struct slab *slab = frame_word_slab(heap->arena->map, (uintptr_t)object);
        object->next = slab->free;
        slab->free = object;
        if (--slab->left == 0)
            heap_slab_settle(heap, slab);
    }
}

void heap_flush_bins(struct weir_heap *heap)
{
    for (unsigned class = 0; class < CLASSES; class += 1)
        flush_bin(heap, class);
}

/* Calls let_go for the empty current slabs of the classes in `bits` of word n. */
static void let_go_empty(struct weir_heap *heap, unsigned n, uint64_t bits)
{
    for (; bits; bits &= bits - 1)
        let_go(heap, heap->current[n * 64 + log2_floor(bits & -bits)]);
}

void heap_drop_spares(struct weir_heap *heap, size_t *keep)
{
    for (unsigned n = 0; n < sizeof heap->empty / sizeof *heap->empty; n++)
        let_go_empty(heap, n, heap->empty[n]);
    slab_drop_kept(heap, *keep >> WEIR_FRAME_SHIFT);
    *keep -= (size_t)heap->kept_frames << WEIR_FRAME_SHIFT;
    for (unsigned i = 0; i < KEPT_RUNS; i++) {
        size_t bytes = heap->runs[i].frames << WEIR_FRAME_SHIFT;
        if (bytes <= *keep)
            *keep -= bytes;
        else
            run_drop_kept(heap, i);
    }
}

/* Gives slabs back with whatever is in them. */
static void discard(struct weir_heap *heap, struct slab *slab)
{
    for (struct slab *next; slab; slab = next) {
        next = slab->next;
        heap_unlink(heap, slab);
        sparse_leave(heap, slab);
        heap_count_slab(heap, slab, false);
        slab_release(heap->arena, slab);
    }
}

void heap_discard_slabs(struct weir_heap *heap)
{
    size_t keep = 0;
    heap_take_inbox(heap);
    heap_flush_bins(heap);
    heap_drop_spares(heap, &keep);
    for (unsigned class = 0; class < CLASSES; class += 1) {
        discard(heap, heap->partial[class]);
        heap->current[class] = NULL;
    }
    discard(heap, heap->full);
}

void heap_tell_freed(struct weir_heap *heap)
{
    const struct weir_platform *platform = heap->arena->config.platform;
    heap->freed = 0;
    if (platform->heartbeat)
        platform->heartbeat(platform->context);
}

/* Puts objects back that were handed on before the last step, are slabs of their own, and nobody wanted since. */
static void put_back_parked(struct weir_heap *heap)
{
    for (unsigned n = 0; n < sizeof heap->parked / sizeof *heap->parked; n++) {
        for (uint64_t bits = heap->parked_before[n] & ~heap->parked[n]; bits; bits &= bits - 1) {
            unsigned class = n * 64 + log2_floor(bits & -bits);
            const struct object *object = heap->bin[class];
            const struct slab *slab = object ? frame_word_slab(heap->arena->map, (uintptr_t)object) : NULL;
            if (slab && slab->capacity == 1)
                flush_bin(heap, class);
        }
        heap->parked_before[n] = heap->parked[n];
        heap->parked[n] = 0;
    }
}

void heap_step(struct weir_heap *heap)
{
    heap_send_batches(heap);
    put_back_parked(heap);
    for (unsigned n = 0; n < sizeof heap->empty / sizeof *heap->empty; n++) {
        let_go_empty(heap, n, heap->empty[n] & heap->stale[n]);
        heap->stale[n] = heap->empty[n];
    }
    slab_drop_kept(heap, heap->kept_frames - (heap->kept_least + 1) / 2);
    heap->kept_least = heap->kept_frames;
    run_drop_oldest(heap);
    arena_sample(heap->arena);
    heap_tell_freed(heap);
}
