/*
 * mimalloc's interface: first-class heaps.
 *
 * A heap of the program's is made of lanes: apart heaps of the process's arena (src/heap/first_class.c), each with a
 * lock in the place of an owner. The first comes with the heap and is all that most heaps ever have; more are added, up
 * to eight, when threads find all of them busy. A lane's lock and the heap's own fields lie in the rest of the frame
 * that holds the apart heap, so that a heap without objects costs one frame.
 *
 *     main ──next──► heap ──next──► heap
 *                     │ lanes[0 … count - 1]
 *                     └──► lane ──(same frame)──► apart heap ──► its slabs, its large objects
 *
 *     FREE ──► BUSY ──► FREE      a thread is allocating
 *     FREE ──► TAKEN              it is a thread's default: malloc of that thread allocates from it, without a lock
 *     FREE ──► HELD ──► FREE      by fork
 *
 *     (1)  what a lane allocates belongs to its heap until the heap is deleted or destroyed
 *     (2)  who holds a lane, and nobody else, is the owner of its apart heap
 *
 * Frees take the ordinary road, whoever frees and with which function. The process's own heap, `main`, has no lanes.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "api/mimalloc.h"
#include "api/platform.h"
#include "api/redirect.h"

#define LANES 8u

enum lane_state {
    LANE_FREE,
    LANE_BUSY,
    LANE_TAKEN,
    LANE_HELD,
};

struct lane {
    _Atomic(unsigned) state;
    struct mi_heap_s *of;
};

struct mi_heap_s {
    struct lane first; /* of the apart heap in the same frame */
    /* of the first lane only */
    _Atomic(struct lane *) lanes[LANES];
    _Atomic(unsigned) count;
    struct weir_arena *arena;
    bool destroyable;
    int tag;
    uint64_t number; /* heaps are numbered as they are made */
    struct mi_heap_s *next, *previous;
};

static_assert(sizeof(struct weir_heap) + sizeof(struct mi_heap_s) <= WEIR_FRAME_SIZE, "a heap takes one frame");

static struct mi_heap_s main_heap;

/* The list of heaps, newest first, and their numbers. */
static struct mi_heap_s *all;
static uint64_t numbers;
static atomic_bool locked;

static void lock(void)
{
    while (atomic_exchange_explicit(&locked, true, memory_order_acquire))
        sched_yield();
}

static void unlock(void)
{
    atomic_store_explicit(&locked, false, memory_order_release);
}

static struct weir_heap *heap_of_lane(const struct lane *lane)
{
    return (struct weir_heap *)round_down((uintptr_t)lane, WEIR_FRAME_SIZE);
}

static struct lane *lane_of_heap(const struct weir_heap *heap)
{
    return &((struct mi_heap_s *)((uintptr_t)heap + WEIR_FRAME_SIZE - sizeof(struct mi_heap_s)))->first;
}

static bool lane_try(struct lane *lane, enum lane_state state)
{
    unsigned expected = LANE_FREE;
    return atomic_load_explicit(&lane->state, memory_order_relaxed) == LANE_FREE &&
           atomic_compare_exchange_strong_explicit(&lane->state, &expected, state, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void lane_drop(struct lane *lane)
{
    atomic_store_explicit(&lane->state, LANE_FREE, memory_order_release);
}

/* Makes another lane, which the caller then has. Null if there are enough, or without memory. */
static struct lane *lane_add(mi_heap_t *heap, enum lane_state state)
{
    unsigned count = atomic_load_explicit(&heap->count, memory_order_relaxed);
    struct weir_heap *apart = count < LANES ? weir_heap_acquire_apart(heap->arena) : NULL;
    if (!apart)
        return NULL;
    struct lane *lane = lane_of_heap(apart);
    lane->of = heap;
    atomic_store_explicit(&lane->state, state, memory_order_relaxed);
    lock();
    count = atomic_load_explicit(&heap->count, memory_order_relaxed);
    if (count < LANES) {
        atomic_store_explicit(&heap->lanes[count], lane, memory_order_release);
        atomic_store_explicit(&heap->count, count + 1, memory_order_release);
    }
    unlock();
    if (count < LANES)
        return lane;
    weir_heap_discard(apart);
    return NULL;
}

/* A lane of the heap for the calling thread. Threads begin to look at different ones. Null: there is none now. */
static struct lane *lane_find(mi_heap_t *heap, enum lane_state state)
{
    unsigned count = atomic_load_explicit(&heap->count, memory_order_acquire), from = 0;
    if (count > 1) {
        const struct weir_platform *platform = heap->arena->config.platform;
        from = platform->slot(platform->context);
    }
    for (unsigned i = 0; i < count; i++) {
        struct lane *lane = atomic_load_explicit(&heap->lanes[(from + i) % count], memory_order_acquire);
        if (lane_try(lane, state))
            return lane;
    }
    return lane_add(heap, state);
}

/* The heap from which the thread's malloc allocates, null if that is the process's. */
static mi_heap_t *redirection(void)
{
    struct weir_heap *heap = redirected();
    return heap ? lane_of_heap(heap)->of : NULL;
}

struct place place_enter(mi_heap_t *heap)
{
    if (!heap)
        return (struct place){.heap = thread_enter()};
    mi_heap_t *current = redirection();
    if (heap == (current ? current : &main_heap))
        return (struct place){.heap = thread_enter()};
    if (heap == &main_heap)
        return (struct place){.heap = redirect_suspend(), .suspended = true};
    for (;;) {
        struct lane *lane = lane_find(heap, LANE_BUSY);
        if (lane)
            return (struct place){.heap = heap_of_lane(lane), .lane = lane};
        sched_yield();
    }
}

void place_leave(struct place place)
{
    if (place.lane)
        lane_drop(place.lane);
    else if (place.suspended)
        redirect_resume(place.heap);
    else
        thread_leave(place.heap);
}

/* --- making and ending --- */

FACE mi_heap_t *mi_heap_new_ex(int heap_tag, bool allow_destroy, void *arena_id)
{
    struct weir_heap *entered = thread_enter(); /* makes the process's arena, if nobody has yet */
    thread_leave(entered);
    struct weir_arena *arena = arena_id ? area_arena(arena_id) : process_arena();
    struct weir_heap *apart = arena ? weir_heap_acquire_apart(arena) : NULL;
    if (!apart)
        return face_refused(ENOMEM);
    struct lane *lane = lane_of_heap(apart);
    mi_heap_t *heap = (mi_heap_t *)lane;
    *heap = (struct mi_heap_s){.count = 1, .arena = arena, .destroyable = allow_destroy, .tag = heap_tag};
    lane->of = heap;
    heap->lanes[0] = lane;
    lock();
    heap->number = ++numbers;
    heap->next = all;
    if (all)
        all->previous = heap;
    all = heap;
    unlock();
    return heap;
}

FACE mi_heap_t *mi_heap_new(void)
{
    return mi_heap_new_ex(0, true, NULL);
}

FACE mi_heap_t *mi_heap_new_in_arena(mi_arena_id_t arena_id)
{
    return mi_heap_new_ex(0, true, arena_id);
}

static void end(mi_heap_t *heap, void (*end_lane)(struct weir_heap *heap))
{
    if (!heap || heap == &main_heap)
        return;
    if (redirection() == heap)
        redirect(NULL);
    lock();
    if (heap->next)
        heap->next->previous = heap->previous;
    if (heap->previous)
        heap->previous->next = heap->next;
    else
        all = heap->next;
    unlock();
    for (unsigned i = heap->count; i > 0; i--) /* the first, in which the heap itself lies, comes last */
        end_lane(heap_of_lane(heap->lanes[i - 1]));
}

FACE void mi_heap_delete(mi_heap_t *heap)
{
    end(heap, weir_heap_release);
}

FACE void mi_heap_destroy(mi_heap_t *heap)
{
    end(heap, heap && heap->destroyable ? weir_heap_discard : weir_heap_release);
}

FACE void mi_heap_set_numa_affinity(mi_heap_t *heap, int numa_node)
{
    (void)heap, (void)numa_node;
}

/* --- the default --- */

FACE mi_heap_t *mi_heap_main(void)
{
    return &main_heap;
}

FACE mi_heap_t *mi_heap_get_backing(void)
{
    return &main_heap;
}

FACE mi_heap_t *mi_heap_get_default(void)
{
    mi_heap_t *heap = redirection();
    return heap ? heap : &main_heap;
}

void mimalloc_leave_default(void)
{
    struct weir_heap *heap = redirected();
    if (heap && redirect(NULL))
        lane_drop(lane_of_heap(heap));
}

/* A thread that has no heap of its own to come back to keeps the process's, as all threads of a guest do. So does a
 * thread that asks for a heap in an area: it could not free the process's objects. */
FACE mi_heap_t *mi_heap_set_default(mi_heap_t *heap)
{
    mi_heap_t *before = mi_heap_get_default();
    if (!heap || heap == before)
        return before;
    mimalloc_leave_default();
    struct lane *lane = heap->arena == process_arena() ? lane_find(heap, LANE_TAKEN) : NULL;
    if (lane && !redirect(heap_of_lane(lane)))
        lane_drop(lane);
    return before;
}

/* --- whose an object is --- */

FACE mi_heap_t *mi_heap_of(const void *p)
{
    struct weir_arena *arena = arena_of(p);
    if (!p || !arena)
        return NULL;
    struct weir_heap *apart = weir_heap_of(arena, p);
    if (apart)
        return lane_of_heap(apart)->of;
    return weir_arena_owns(arena, p) ? &main_heap : NULL;
}

FACE bool mi_heap_contains(const mi_heap_t *heap, const void *p)
{
    return heap && mi_heap_of(p) == heap;
}

FACE bool mi_heap_contains_block(mi_heap_t *heap, const void *p)
{
    return mi_heap_contains(heap, p);
}

FACE bool mi_heap_check_owned(mi_heap_t *heap, const void *p)
{
    return mi_heap_contains(heap, p) && room_of(p) != 0;
}

FACE bool mi_any_heap_contains(const void *p)
{
    return mi_heap_of(p) != NULL;
}

FACE bool mi_check_owned(const void *p)
{
    return mi_heap_check_owned(mi_heap_get_default(), p);
}

FACE bool mi_is_in_heap_region(const void *p)
{
    return mi_heap_of(p) != NULL;
}

FACE bool mi_unsafe_heap_page_is_under_utilized(mi_heap_t *heap, void *p, size_t perc_threshold)
{
    (void)heap;
    struct weir_arena *arena = arena_of(p);
    struct slab *slab = p && arena ? arena_slab(arena, (uintptr_t)p) : NULL;
    return slab && slab_used(slab) * 100 < slab->capacity * perc_threshold;
}

/* --- collecting --- */

static void collect(mi_heap_t *heap, bool force)
{
    for (unsigned i = 0; i < atomic_load(&heap->count); i++) {
        struct lane *lane = heap->lanes[i];
        struct weir_heap *apart = heap_of_lane(lane);
        bool mine = apart == redirected();
        if (!mine && !lane_try(lane, LANE_BUSY))
            continue;
        weir_heap_collect(apart);
        if (force)
            weir_heap_quiesce(apart);
        if (!mine)
            lane_drop(lane);
    }
}

/* The heap with the lowest number above `number`; found anew for every step, so that heaps may come and go. */
static mi_heap_t *heap_after(uint64_t number)
{
    mi_heap_t *found = NULL;
    for (mi_heap_t *heap = all; heap; heap = heap->next)
        if (heap->number > number)
            found = heap;
    return found;
}

FACE void mi_heap_collect(mi_heap_t *heap, bool force)
{
    if (!heap || heap == &main_heap) {
        mi_collect(force);
        return;
    }
    collect(heap, force);
    if (force)
        weir_arena_trim(heap->arena, NULL, 0);
}

FACE void mi_collect(bool force)
{
    int error = errno;
    mimalloc_deferred(force);
    lock();
    for (mi_heap_t *heap = all; heap; heap = heap->next)
        collect(heap, force);
    unlock();
    struct weir_heap *heap = thread_enter();
    weir_heap_collect(heap);
    if (force && process_arena())
        weir_arena_trim(process_arena(), heap, 0);
    thread_leave(heap);
    if (force)
        platform_give_back(0);
    errno = error;
}

/* --- visiting --- */

struct visit {
    const mi_heap_t *heap;
    bool blocks;
    mi_block_visit_fun *visitor;
    void *argument;
};

static bool visit(void *context, const struct weir_heap_area *area, void *object)
{
    const struct visit *v = context;
    if (object && !v->blocks)
        return true;
    const mi_heap_area_t told = {
        .blocks = (void *)area->start,
        .reserved = area->reserved,
        .committed = area->committed,
        .used = area->used,
        .block_size = area->object_size,
        .full_block_size = area->object_size,
    };
    return v->visitor(v->heap, &told, object, area->object_size, v->argument);
}

static bool visit_run(void *context, uintptr_t start, size_t frames, bool kept)
{
    size_t bytes = frames << WEIR_FRAME_SHIFT;
    const struct weir_heap_area area = {start, bytes, bytes, bytes, 1};
    return kept || (visit(context, &area, NULL) && visit(context, &area, (void *)start));
}

/* The calling thread's small objects, and everybody's large ones: the others' small ones cannot be looked at while
 * their owners run. In a guest they are CPUs', which a visitor must not keep waiting. */
static bool visit_main(struct visit *v)
{
    bool go_on = true;
#ifndef WEIR_GUEST
    struct place place = place_enter(&main_heap);
    go_on = weir_heap_walk(place.heap, visit, v);
    place_leave(place);
#endif
    return go_on && (!process_arena() || run_walk(process_arena(), visit_run, v));
}

FACE bool mi_heap_visit_blocks(const mi_heap_t *heap, bool visit_blocks, mi_block_visit_fun *visitor, void *arg)
{
    mi_heap_t *visited = heap ? (mi_heap_t *)heap : mi_heap_get_default();
    struct visit v = {visited, visit_blocks, visitor, arg};
    if (!visitor)
        return false;
    if (visited == &main_heap)
        return visit_main(&v);
    for (unsigned i = 0; i < atomic_load(&visited->count); i++) {
        struct lane *lane = visited->lanes[i];
        bool mine = heap_of_lane(lane) == redirected();
        while (!mine && !lane_try(lane, LANE_BUSY))
            if (atomic_load(&lane->state) == LANE_TAKEN)
                return false; /* another thread's malloc is at it */
        bool go_on = weir_heap_walk(heap_of_lane(lane), visit, &v);
        if (!mine)
            lane_drop(lane);
        if (!go_on)
            return false;
    }
    return true;
}

/* Nothing is ever abandoned: what a thread leaves behind is the process's at once. */
FACE bool mi_heap_visit_abandoned_blocks(mi_heap_t *heap, bool visit_blocks, mi_block_visit_fun *visitor, void *arg)
{
    (void)heap, (void)visit_blocks, (void)visitor, (void)arg;
    return true;
}

FACE bool mi_abandoned_visit_blocks(mi_subproc_id_t subproc_id, int heap_tag, bool visit_blocks,
                                    mi_block_visit_fun *visitor, void *arg)
{
    (void)subproc_id, (void)heap_tag, (void)visit_blocks, (void)visitor, (void)arg;
    return true;
}

FACE bool mi_subproc_visit_heaps(mi_subproc_id_t subproc, mi_heap_visit_fun *visitor, void *arg)
{
    (void)subproc;
    if (!visitor || !visitor(&main_heap, arg))
        return false;
    for (uint64_t number = 0;;) {
        lock();
        mi_heap_t *heap = heap_after(number);
        number = heap ? heap->number : 0;
        unlock();
        if (!heap)
            return true;
        if (!visitor(heap, arg))
            return false;
    }
}

/* --- theaps are heaps --- */

FACE mi_theap_t *mi_heap_theap(mi_heap_t *heap)
{
    return (mi_theap_t *)heap;
}

FACE mi_theap_t *mi_theap_get_default(void)
{
    return (mi_theap_t *)mi_heap_get_default();
}

FACE mi_theap_t *mi_theap_set_default(mi_theap_t *theap)
{
    return (mi_theap_t *)mi_heap_set_default((mi_heap_t *)theap);
}

FACE void mi_theap_collect(mi_theap_t *theap, bool force)
{
    mi_heap_collect((mi_heap_t *)theap, force);
}

FACE bool mi_theap_visit_blocks(const mi_theap_t *theap, bool visit_blocks, mi_block_visit_fun *visitor, void *arg)
{
    return mi_heap_visit_blocks((const mi_heap_t *)theap, visit_blocks, visitor, arg);
}

/* --- fork --- */

#ifndef WEIR_GUEST
static void for_all_lanes(void (*visit_lane)(struct lane *lane))
{
    for (mi_heap_t *heap = all; heap; heap = heap->next)
        for (unsigned i = 0; i < atomic_load(&heap->count); i++)
            visit_lane(heap->lanes[i]);
}

/* Lanes that are taken stay with their threads, as threads' heaps do. */
static void hold(struct lane *lane)
{
    while (!lane_try(lane, LANE_HELD) && atomic_load(&lane->state) != LANE_TAKEN)
        sched_yield();
}

static void let_go(struct lane *lane)
{
    if (atomic_load(&lane->state) == LANE_HELD)
        lane_drop(lane);
}

static void before_fork(void)
{
    lock();
    for_all_lanes(hold);
    areas_lock_all();
}

static void after_fork(void)
{
    areas_unlock_all();
    for_all_lanes(let_go);
    unlock();
}

/* Right after process.c has registered its own, so that these locks are taken right before those of the arena. */
static void register_fork(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

__attribute__((used, section(".init_array.00001"))) static void (*const at_second)(void) = register_fork;
#endif
