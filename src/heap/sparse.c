/*
 * Sparse slabs: giving back whole frames inside a slab that a few objects keep alive.
 *
 * A burst of small objects of which every thousandth stays leaves one object in each slab of 64 KiB: no slab becomes
 * empty, and fifteen frames of sixteen hold nothing but links of free objects. So a slab that is not away counts down
 * to `sparse_floor`, where at most half of its frames can be in use. From then on frames are idle:
 *
 *     ordinary ──used = floor──► idle frames counted ──too many in the heap──► discarded: holes
 *         ▲                            │                                          │
 *         └────── malloc takes from it ┴──────────────────────────────────────────┘
 *
 * A frame becomes a hole when all objects that touch it are free: these are withdrawn from the slab's list, and the
 * platform may drop the frame's contents. The slab keeps its frames and its address. When malloc wants objects and none
 * are listed, holes are filled again one by one, and nothing is carved before there are none.
 *
 *     (1)  used + |local list| + withdrawn = carved;  withdrawn = the carved objects that touch a hole
 *     (2)  heap->idle = sum of idle over its slabs;  idle > 0 => in partial[class], used <= floor
 *     (3)  arena->holes = number of holes in all slabs;  arena->idle_frames = sum of idle over all
 *
 * Too many are more than a part of what the arena really holds, so that the bound shrinks as memory is given back, but
 * never less than IDLE_LEAST: small heaps, and those that bounce at ordinary fill, never get here. Then all the heap's
 * idle slabs are done at once. A slab is counted anew when half of what was left in it is gone. Where the platform
 * wants it exact (config.idle_part), that is at every free, and the least is small.
 */
#include "src/heap/sparse.h"

/*
 *  constant          value  why
 *  IDLE_LEAST         1024  frames: 4 MiB
 *  IDLE_LEAST_EXACT     32  the same with config.idle_part
 *  IDLE_THIRDS           2  so many thirds of what is held: a process holds at most three times what it uses (with a
 *                           quarter, drift, where one object of ten survives, faulted five times as often)
 *  FLOOR_CAPACITY       32  slabs of fewer objects are not watched: two more looks at each would be felt
 *  FLOOR_EXACT           8  the same with config.idle_part
 */
#define IDLE_LEAST       1024u
#define IDLE_LEAST_EXACT 32u
#define IDLE_THIRDS      2u
#define FLOOR_CAPACITY   32u
#define FLOOR_EXACT      8u

/* There is a bit for each frame of a slab up to this order. Larger ones hold 32 objects of some pages each, and
 * rarely outlive all but a few of these. */
#define ORDER_MAX 4u

/* The frames that object k touches. */
static uint32_t frames_of_object(const struct slab *slab, unsigned k)
{
    uint32_t start = k * slab->size, end = start + slab->size - 1;
    return (2U << (end >> WEIR_FRAME_SHIFT)) - (1U << (start >> WEIR_FRAME_SHIFT));
}

/* The objects [first, end) that touch frame f, as far as they are carved. */
static void objects_of_frame(const struct slab *slab, unsigned f, unsigned *first, unsigned *end)
{
    uint32_t start = f * (uint32_t)WEIR_FRAME_SIZE, last = (start + WEIR_FRAME_SIZE - 1) / slab->size;
    *first = start / slab->size;
    *end = last < slab->carved ? last + 1 : slab->carved;
}

static unsigned object_number(const struct slab *slab, const struct object *object)
{
    return (unsigned)((uint64_t)((uintptr_t)object - slab->start) * slab->inverse >> 32);
}

unsigned sparse_withdrawn(const struct slab *slab, uint64_t *bits)
{
    unsigned withdrawn = 0, next = 0;
    for (uint32_t holes = slab->holes; holes; holes &= holes - 1) {
        unsigned first, end;
        objects_of_frame(slab, log2_floor(holes & -holes), &first, &end);
        for (unsigned k = first > next ? first : next; k < end; k++, withdrawn++)
            if (bits)
                bits[k / 64] |= UINT64_C(1) << k % 64;
        next = end > next ? end : next;
    }
    return withdrawn;
}

/* How many objects may be in use in a slab that is sparse; 0: it is not worth the trouble. */
static unsigned sparse_floor(const struct weir_heap *heap, const struct slab *slab)
{
    if (slab->order < 2 || slab->order > ORDER_MAX || !heap->arena->config.discard ||
        slab->capacity < (heap->arena->config.idle_part ? FLOOR_EXACT : FLOOR_CAPACITY))
        return 0;
    unsigned most = heap->arena->config.idle_part ? slab_frames(slab) : slab_frames(slab) / 2,
             quarter = slab->capacity / 4U;
    return most < quarter ? most : quarter;
}

static void count_down(struct slab *slab, unsigned used, unsigned floor)
{
    slab->rest = (uint16_t)(floor < used ? floor : 0);
    slab->left = (uint16_t)(used - slab->rest);
}

/* The same after the slab has become sparse. */
static void count_on(const struct weir_heap *heap, struct slab *slab, unsigned used)
{
    bool exact = heap->arena->config.idle_part != 0;
    count_down(slab, used, exact ? used - 1 : used / 2);
}

void sparse_watch(struct weir_heap *heap, struct slab *slab)
{
    count_down(slab, slab_used(slab), heap->current[slab->class] == slab ? 0 : sparse_floor(heap, slab));
}

static void set_idle(struct weir_heap *heap, struct slab *slab, unsigned idle)
{
    if (idle == slab->idle)
        return;
    size_t more = (size_t)idle - slab->idle;
    heap->idle += more;
    atomic_fetch_add_explicit(&heap->arena->idle_frames, more, memory_order_relaxed);
    slab->idle = (uint8_t)idle;
}

void sparse_leave(struct weir_heap *heap, struct slab *slab)
{
    set_idle(heap, slab, 0);
}

static void count_holes(struct weir_arena *arena, uint32_t before, uint32_t after)
{
    atomic_fetch_add_explicit(&arena->holes, (size_t)count_ones(after) - count_ones(before), memory_order_relaxed);
}

void sparse_forget(struct weir_arena *arena, struct slab *slab)
{
    count_holes(arena, slab->holes, 0);
    slab->holes = 0;
}

unsigned sparse_fill(struct weir_arena *arena, struct slab *slab, struct object **list)
{
    unsigned count = 0;
    *list = NULL;
    while (count == 0 && slab->holes) {
        unsigned f = log2_floor(slab->holes & -(uint32_t)slab->holes), first, k;
        count_holes(arena, 1, 0);
        slab->holes &= (uint16_t)(slab->holes - 1);
        for (objects_of_frame(slab, f, &first, &k); k-- > first;) {
            if (frames_of_object(slab, k) & slab->holes)
                continue;
            struct object *object = (struct object *)(slab->start + (size_t)k * slab->size);
            object->next = *list;
            *list = object;
            count++;
        }
    }
    return count;
}

/* The frames, holes or not, that only free objects touch. What is not carved yet goes, too, unless it is known to be
 * zero and must stay so. */
static uint32_t free_frames(const struct slab *slab, const uint64_t *bits)
{
    uint32_t found = 0;
    for (unsigned f = 0; f < slab_frames(slab); f++) {
        unsigned k, end;
        objects_of_frame(slab, f, &k, &end);
        if (slab->zero && end == slab->carved && slab->carved < slab->capacity)
            continue;
        while (k < end && bits[k / 64] >> k % 64 & 1)
            k++;
        found |= k < end ? 0 : 1U << f;
    }
    return found;
}

/* Discards what can be of one slab. The heap is the caller's, and the slab is not away. */
static void discard(struct weir_heap *heap, struct slab *slab)
{
    const struct weir_arena_config *config = &heap->arena->config;
    uint64_t bits[(WEIR_FRAME_SIZE << ORDER_MAX) / GRANULE / 64] = {0};
    sparse_withdrawn(slab, bits);
    for (const struct object *object = slab->free; object; object = object->next) {
        unsigned k = object_number(slab, object);
        bits[k / 64] |= UINT64_C(1) << k % 64;
    }
    uint32_t fresh = free_frames(slab, bits) & ~(uint32_t)slab->holes;
    for (struct object **link = &slab->free; *link;) {
        if (frames_of_object(slab, object_number(slab, *link)) & fresh)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    }
    count_holes(heap->arena, 0, fresh);
    slab->holes |= (uint16_t)fresh;
    while (fresh) {
        unsigned first = log2_floor(fresh & -fresh), length = log2_floor(~(fresh >> first) & -~(fresh >> first));
        config->discard(config->reclaim_context, slab->start + first * WEIR_FRAME_SIZE, length * WEIR_FRAME_SIZE);
        fresh &= ~((1U << length) - 1) << first;
    }
    set_idle(heap, slab, 0);
}

/* Discards what can be of all slabs of the heap, or only of those known to be idle. */
static void sweep(struct weir_heap *heap, bool all)
{
    for (unsigned class = 0; class < CLASSES; class += 1)
        for (struct slab *slab = heap->partial[class]; slab; slab = slab->next) {
            unsigned used = slab_used(slab);
            if (slab->order == 0 || slab->order > ORDER_MAX || used == 0 || !(all || slab->idle))
                continue;
            discard(heap, slab);
            if (slab != heap->current[class] && slab->holes)
                count_on(heap, slab, used);
        }
}

/* Most frames that may lie idle in a heap's slabs. */
static size_t idle_most(struct weir_arena *arena)
{
    size_t held = atomic_load_explicit(&arena->held, memory_order_relaxed);
    size_t holes = atomic_load_explicit(&arena->holes, memory_order_relaxed);
    size_t real = held > holes ? held - holes : 0, part = arena->config.idle_part;
    size_t most = part ? real / part : real / 3 * IDLE_THIRDS, least = part ? IDLE_LEAST_EXACT : IDLE_LEAST;
    return most > least ? most : least;
}

void sparse_event(struct weir_heap *heap, struct slab *slab)
{
    unsigned used = slab_used(slab);
    unsigned frames_each = (slab->size + WEIR_FRAME_SIZE - 1) / WEIR_FRAME_SIZE, busy = used * frames_each;
    count_on(heap, slab, used);
    unsigned backed = slab_frames(slab) - count_ones(slab->holes);
    set_idle(heap, slab, busy < backed ? backed - busy : 0);
    if (heap->idle > idle_most(heap->arena))
        sweep(heap, false);
}

static void sweep_if_quiet(struct weir_heap *heap)
{
    lock_take(&heap->lock, heap->arena->config.platform);
    if (atomic_load_explicit(&heap->quiet, memory_order_relaxed))
        sweep(heap, true);
    lock_drop(&heap->lock);
}

void weir_arena_discard(struct weir_arena *arena, struct weir_heap *heap)
{
    if (!arena->config.discard)
        return;
    if (heap && heap->arena) {
        heap_wake(heap);
        heap_wake_slabs(heap);
        sweep(heap, true);
    }
    sweep_if_quiet(arena->orphans);
    for (struct weir_heap *other = atomic_load_explicit(&arena->heaps, memory_order_acquire); other;
         other = other->next_heap)
        if (other != heap)
            sweep_if_quiet(other);
}
