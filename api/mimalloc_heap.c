/*
 * mimalloc's interface: first-class heaps.
 *
 * A heap of the program's is made of lanes: apart heaps of the process's arena (src/heap/first_class.c), at which
 * threads take turns. The first comes with the heap and is all that most heaps ever have; more are added, one for each
 * CPU, when threads find all of them busy. The heap's own fields lie in the rest of the frame that holds its first
 * lane, so that a heap without objects costs one frame.
 *
 *     all ──► heap ──next──► heap
 *              │ lanes[0 … count - 1]
 *              └──► apart heap ──► its slabs, its large objects
 *
 *     nobody's turn ──► BUSY ──► nobody's     a thread is allocating
 *     nobody's turn ──► TAKEN                 a thread's malloc allocates from it, from now on
 *     nobody's turn ──► HELD ──► nobody's     by fork
 *
 *     (1)  what a lane allocates belongs to its heap until the heap is deleted or destroyed
 *
 * Frees take the ordinary road, whoever frees and with which function. The process's own heap, `main`, has no lanes.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/callbacks.h"
#include "api/mimalloc.h"
#include "api/platform.h"
#include "api/redirect.h"

struct mi_heap_s main_heap;

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

static struct weir_heap *lane_of(mi_heap_t *heap, unsigned n)
{
    return atomic_load_explicit(&heap->lanes[n], memory_order_acquire);
}

static unsigned lanes_of(mi_heap_t *heap)
{
    return atomic_load_explicit(&heap->count, memory_order_acquire);
}

/* As many as threads can run at once: more would only spread the objects over more slabs. (32 threads on 2 CPUs, all at
 * one heap: 410 MiB with eight lanes, 220 with two, and as fast.) */
static unsigned lanes_wanted(void)
{
    static atomic_uint wanted;
    unsigned count = atomic_load_explicit(&wanted, memory_order_relaxed);
    if (count == 0) {
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        count = cpus < 1 ? 1 : cpus < LANES ? (unsigned)cpus : LANES;
        atomic_store_explicit(&wanted, count, memory_order_relaxed);
    }
    return count;
}

/* Those that threads have taken for themselves come on top. */
static unsigned lanes_allowed(mi_heap_t *heap)
{
    unsigned allowed = lanes_wanted() + atomic_load(&heap->taken);
    return allowed < LANES ? allowed : LANES;
}

/* Makes another lane, in the turn of the caller. Null if there are enough, or without memory. */
static SLOW struct weir_heap *lane_add(mi_heap_t *heap, enum turn turn)
{
    struct weir_heap *lane = lanes_of(heap) < lanes_allowed(heap) ? weir_heap_acquire_apart(heap->arena) : NULL;
    if (!lane)
        return NULL;
    behind(lane)->of = heap;
    atomic_store_explicit(&lane->turn, turn, memory_order_relaxed);
    lock();
    unsigned count = lanes_of(heap);
    bool added = count < lanes_allowed(heap);
    if (added) {
        atomic_store_explicit(&heap->lanes[count], lane, memory_order_release);
        atomic_store_explicit(&heap->count, count + 1, memory_order_release);
    }
    unlock();
    if (added)
        return lane;
    weir_heap_discard(lane);
    return NULL;
}

/* Takes a turn at one of several lanes, or at a new one. Threads begin to look at different ones. Null: not now. */
static SLOW struct weir_heap *lane_find(mi_heap_t *heap, enum turn turn)
{
    const struct weir_platform *platform = heap->arena->config.platform;
    unsigned count = lanes_of(heap), from = platform->slot(platform->context);
    for (unsigned i = 0; i < count; i++) {
        struct weir_heap *lane = lane_of(heap, (from + i) % count);
        if (heap_take_turn(lane, turn))
            return lane;
    }
    return lane_add(heap, turn);
}

/* Whether threads have all lanes for themselves, and there is no memory for another. */
static bool all_taken(mi_heap_t *heap)
{
    for (unsigned i = 0; i < lanes_of(heap); i++)
        if (atomic_load(&lane_of(heap, i)->turn) != TURN_TAKEN)
            return false;
    return true;
}

struct place place_enter_other(mi_heap_t *heap)
{
    if (heap == &main_heap)
        return (struct place){.heap = redirect_suspend(), .suspended = true};
    struct weir_heap *lane;
    while (!(lane = lane_find(heap, TURN_BUSY))) {
        if (all_taken(heap))
            return (struct place){.heap = (struct weir_heap *)&weir_heap_empty};
        sched_yield();
    }
    return (struct place){.heap = lane, .turn = true};
}

void place_leave_suspended(struct place place)
{
    redirect_resume(place.heap);
}

/* --- making and ending --- */

FACE mi_heap_t *mi_heap_new_ex(int heap_tag, bool allow_destroy, void *arena_id)
{
    struct weir_heap *entered = thread_enter(); /* makes the process's arena, if nobody has yet */
    thread_leave(entered);
    struct weir_arena *arena = arena_id ? area_arena(arena_id) : process_arena();
    struct weir_heap *lane = arena ? weir_heap_acquire_apart(arena) : NULL;
    if (!lane)
        return face_refused(ENOMEM);
    mi_heap_t *heap = behind(lane);
    *heap = (struct mi_heap_s){.of = heap, .count = 1, .arena = arena, .destroyable = allow_destroy, .tag = heap_tag};
    heap->lanes[0] = lane;
    atomic_store_explicit(&heaps_made, true, memory_order_relaxed);
    heap_end_turn(lane);
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
    if (default_heap() == heap)
        redirect(NULL);
    lock();
    if (heap->next)
        heap->next->previous = heap->previous;
    if (heap->previous)
        heap->previous->next = heap->next;
    else
        all = heap->next;
    unlock();
    for (unsigned i = heap->count; i > 0; i--) { /* the first, in which the heap itself lies, comes last */
        struct weir_heap *lane = lane_of(heap, i - 1);
        while (!heap_take_turn(lane, TURN_BUSY) && atomic_load(&lane->turn) != TURN_TAKEN)
            sched_yield(); /* somebody frees */
        end_lane(lane);
    }
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
    return default_heap();
}

void mimalloc_leave_default(void)
{
    redirect(NULL);
}

/* A thread that has no heap of its own to come back to keeps the process's, as all threads of a guest do. So does a
 * thread that asks for a heap in an area: it could not free the process's objects. */
FACE mi_heap_t *mi_heap_set_default(mi_heap_t *heap)
{
    mi_heap_t *before = mi_heap_get_default();
    if (!heap || heap == before)
        return before;
    mimalloc_leave_default();
    if (heap->arena != process_arena())
        return before;
    /* One lane is left for those who take turns. */
    bool enough = atomic_fetch_add(&heap->taken, 1) + 1 < LANES;
    struct weir_heap *lane = enough ? lane_find(heap, TURN_TAKEN) : NULL;
    if (lane && redirect(lane))
        return before;
    if (lane)
        heap_end_turn(lane);
    atomic_fetch_sub(&heap->taken, 1);
    return before;
}

/* --- whose an object is --- */

FACE mi_heap_t *mi_heap_of(const void *p)
{
    struct weir_arena *arena = arena_of(p);
    if (!p || !arena)
        return NULL;
    struct weir_heap *lane = weir_heap_of(arena, p);
    if (lane)
        return behind(lane)->of;
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
    return slab && (size_t)slab_used(slab) * 100 < slab->capacity * perc_threshold;
}

/* --- collecting --- */

static void collect(mi_heap_t *heap, bool force)
{
    for (unsigned i = 0; i < lanes_of(heap); i++) {
        struct weir_heap *lane = lane_of(heap, i);
        bool mine = lane == redirected();
        if (!mine && !heap_take_turn(lane, TURN_BUSY))
            continue;
        weir_heap_collect(lane);
        if (force)
            weir_heap_quiesce(lane);
        if (!mine)
            heap_end_turn(lane);
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
    callbacks_deferred(force);
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
    for (unsigned i = 0; i < lanes_of(visited); i++) {
        struct weir_heap *lane = lane_of(visited, i);
        bool mine = lane == redirected();
        while (!mine && !heap_take_turn(lane, TURN_BUSY))
            if (atomic_load(&lane->turn) == TURN_TAKEN)
                return false; /* another thread's malloc is at it */
        bool go_on = weir_heap_walk(lane, visit, &v);
        if (!mine)
            heap_end_turn(lane);
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
static void for_all_lanes(void (*visit_lane)(struct weir_heap *lane))
{
    for (mi_heap_t *heap = all; heap; heap = heap->next)
        for (unsigned i = 0; i < lanes_of(heap); i++)
            visit_lane(lane_of(heap, i));
}

/* Lanes that are taken stay with their threads, as threads' heaps do. */
static void hold(struct weir_heap *lane)
{
    while (!heap_take_turn(lane, TURN_HELD) && atomic_load(&lane->turn) != TURN_TAKEN)
        sched_yield();
}

static void let_go(struct weir_heap *lane)
{
    if (atomic_load(&lane->turn) == TURN_HELD)
        heap_end_turn(lane);
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
