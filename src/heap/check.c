/*
 * Testing the invariants of heap.h, slab.c and runs.c, equation by equation, on an arena at rest.
 */
#include "src/heap/walk.h"

struct check {
    struct weir_arena *arena;
    const char *what; /* the first broken invariant */
    size_t slabs, frames, kept, holes, idle;
};

static bool hold(struct check *check, bool holds, const char *what)
{
    if (!holds && !check->what)
        check->what = what;
    return holds;
}

static bool is_heap_of(struct weir_arena *arena, const struct weir_heap *wanted)
{
    const struct weir_heap *heap = atomic_load(&arena->heaps);
    while (heap && heap != wanted)
        heap = heap->next_heap;
    return heap != NULL || wanted == arena->orphans;
}

static void check_slab(struct check *check, struct slab *slab)
{
    struct weir_arena *arena = check->arena;
    struct weir_heap *owner = slab_owner(slab);
    if (!hold(check, is_heap_of(arena, owner), "a slab's owner is a heap of the arena"))
        return;
    size_t frames = (size_t)1 << slab->order;
    hold(check, slab->class < CLASSES && slab->order <= SLAB_ORDER_MAX, "class and order of a slab are in range");
    hold(check, slab->start % (frames << WEIR_FRAME_SHIFT) == 0, "a slab is naturally aligned");
    hold(check, slab->capacity == (frames << WEIR_FRAME_SHIFT) / class_size(slab->class), "capacity follows from size");
    for (size_t i = 0; i < frames; i++)
        hold(check, weir_frames_slab(arena->config.frames, slab->start + (i << WEIR_FRAME_SHIFT)) == slab,
             "every frame of a slab carries its descriptor");
    struct slab_map map;
    hold(check, slab->carved <= slab->capacity, "carved <= capacity");
    hold(check, slab_find_free(slab, &map), "used + |local list| = carved, and no object is in two places");
    uintptr_t marks = slab_marks(slab);
    unsigned used = slab_used(slab), free = slab->capacity - used, enough = slab_wake(slab->capacity);
    bool current = owner->current[slab->class] == slab;
    hold(check, used < slab->capacity || slab->away, "used = capacity => away");
    if (slab->away && !current) {
        hold(check, free < enough, "away and not current => capacity - used < slab_wake");
        hold(check, slab->left == enough - free, "away and not current => left = slab_wake - (capacity - used)");
    } else {
        hold(check, slab->rest == 0 || (!current && slab->left > 0), "current => rest = 0");
    }
    hold(check, slab->idle == 0 || (!slab->away && !current), "idle => neither away nor current");
    check->holes += count_ones(slab->holes);
    check->idle += slab->idle;
    hold(check, (used == 0) == !!(marks & SLAB_EMPTY), "used = 0 <=> EMPTY");
    hold(check, !current || (used == 0) == bit_test(owner->empty, slab->class), "the heap knows its empty slabs");
    hold(check, !(marks & SLAB_QUIET) || !(marks & SLAB_EMPTY), "QUIET marks ordinary slabs only");
    hold(check, marks || !atomic_load(&owner->quiet) || owner->unmarked || owner == arena->orphans,
         "slabs of a quiet heap are marked");
    check->slabs++;
    check->frames += frames;
}

/* Returns the frames of the slabs in the list. */
static size_t check_list(struct check *check, struct weir_heap *heap, struct slab *slab, bool away)
{
    size_t frames = 0;
    for (struct slab *previous = NULL; slab; previous = slab, slab = slab->next) {
        hold(check, slab_owner(slab) == heap, "slabs in a heap's lists are its own");
        hold(check, slab->previous == previous, "lists are linked both ways");
        hold(check, slab->away == away, "slabs that are away, and only those, are in the full list");
        hold(check, slab_used(slab) != 0 || heap->current[slab->class] == slab, "used = 0 => current, or kept");
        if (check->what)
            break;
        frames += slab_frames(slab);
        check->slabs--;
    }
    return frames;
}

static void check_kept_slabs(struct check *check, struct weir_heap *heap)
{
    size_t frames = 0;
    for (unsigned order = 0; order <= SLAB_ORDER_MAX; order++)
        for (struct slab *slab = heap->kept_slabs[order]; slab && !check->what; slab = slab->next) {
            hold(check, slab->holes == 0 && slab->idle == 0, "kept slabs have no holes");
            hold(check, slab_owner(slab) == heap && slab->order == order, "kept slabs are the heap's own, by order");
            hold(check, slab_used(slab) == 0, "kept slabs are empty");
            frames += (size_t)1 << order;
            check->slabs--;
        }
    hold(check, frames == heap->kept_frames && heap->kept_least <= frames, "a heap counts the frames that it keeps");
}

static void check_heap(struct check *check, struct weir_heap *heap)
{
    size_t listed = check_list(check, heap, heap->full, true), owned = 0;
    for (unsigned class = 0; class < CLASSES; class += 1) {
        listed += check_list(check, heap, heap->partial[class], false);
        owned += heap->frames[class];
        for (const struct object *object = heap->bin[class]; object && !check->what; object = object->next) {
            struct slab *slab = arena_slab(heap->arena, (uintptr_t)object);
            hold(check, slab && slab_owner(slab) == heap && slab->class == class,
                 "a bin's objects belong to slabs of the bin's heap and class");
        }
    }
    hold(check, listed == owned, "a heap's slabs are in its lists");
    hold(check, owned == heap->slab_frames, "a heap's frames are those of its classes");
    check_kept_slabs(check, heap);
    for (unsigned i = 0; i < KEPT_RUNS; i++)
        check->kept += heap->runs[i].frames;
}

static bool check_run(void *context, uintptr_t start, size_t frames, bool kept)
{
    struct check *check = context;
    hold(check, weir_frames_run_length(check->arena->config.frames, start) == frames,
         "the run map agrees with the frame table");
    check->frames += frames;
    check->kept -= kept ? frames : 0;
    return true;
}

enum weir_status weir_arena_check(struct weir_arena *arena, const char **what)
{
    struct check check = {.arena = arena};
    for (struct slab_chunk *chunk = arena->chunks; chunk; chunk = chunk->next) {
        struct slab *slabs = (struct slab *)chunk;
        for (size_t i = 1; i < CHUNK_SLABS && !check.what; i++)
            if (atomic_load(&slabs[i].owner))
                check_slab(&check, &slabs[i]);
    }
    hold(&check, check.slabs == atomic_load(&arena->slabs), "the arena counts its slabs");
    for (struct weir_heap *heap = atomic_load(&arena->heaps); heap && !check.what; heap = heap->next_heap)
        check_heap(&check, heap);
    if (!check.what)
        check_heap(&check, arena->orphans);
    run_walk(arena, check_run, &check);
    hold(&check, check.slabs == 0, "every slab is counted by its heap");
    hold(&check, check.kept == 0, "kept runs are those that heaps keep");
    hold(&check, check.holes == atomic_load(&arena->holes), "holes = frames of slabs that were discarded");
    hold(&check, check.idle == atomic_load(&arena->idle_frames), "idle = frames of slabs that are known to be unused");
    hold(&check, check.frames + arena->apart.frames + atomic_load(&arena->metadata) == atomic_load(&arena->held),
         "held = slabs + runs + metadata");
    if (what)
        *what = check.what;
    return check.what ? WEIR_CORRUPTED : WEIR_OK;
}
