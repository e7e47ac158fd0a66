/*
 * The CPUs' heaps: where they come from, and what is done with them when nobody looks.
 *
 * All are made together, with the arena, by whoever allocates first: from then on every CPU has one, and no thread has
 * anything of its own, so that 200 threads cost no more than one does. A heap is its CPU's: it is used by the thread
 * that runs there, pinned or in a restartable sequence, and by kernel context there, which no such thread is suspended
 * under. A CPU that halts puts its heap out of its threads' reach and leaves it quiet, without ready objects, for
 * others to drain; the next slow path there brings it back. A busy CPU gives back with every tick what it keeps.
 */
#include "api/thread.h"

#include "api/platform.h"
#include "platform/kernel/cpu.h"
#include "platform/kernel/kernel.h"

struct weir_heap cpu_heap_map;

static _Atomic(struct weir_arena *) arena;
static struct lock making;

struct weir_arena *process_arena(void)
{
    return atomic_load_explicit(&arena, memory_order_acquire);
}

/* A heap for every CPU, or none; so that there is always somebody to free to. */
static bool make_heaps(struct weir_arena *made)
{
    struct weir_heap *heaps[MAX_CPUS];
    for (unsigned i = 0; i < cpus_online; i++) {
        heaps[i] = weir_heap_acquire(made);
        if (!heaps[i])
            return false;
    }
    cpu_heap_map.base = made->map->base;
    cpu_heap_map.words = made->map->words;
    atomic_thread_fence(memory_order_release);
    cpu_heap_map.granules = made->map->count * (WEIR_FRAME_SIZE / GRANULE);
    for (unsigned i = 0; i < cpus_online; i++)
        atomic_store_explicit(&cpus[i].own_heap, heaps[i], memory_order_release);
    return true;
}

static __attribute__((noinline, cold)) void make_process(void)
{
    lock_take(&making, weir_kernel_platform());
    struct weir_arena *made = process_arena() ? NULL : platform_arena();
    if (made) {
        if (make_heaps(made))
            atomic_store_explicit(&arena, made, memory_order_release);
        else
            weir_arena_destroy(made);
    }
    lock_drop(&making);
}

struct weir_heap *cpu_heap_return(void)
{
    struct cpu *cpu = this_cpu();
    if (!process_arena())
        make_process();
    struct weir_heap *own = atomic_load_explicit(&cpu->own_heap, memory_order_acquire);
    if (own) {
        heap_wake(own);
        cpu->heap = own;
    }
    return cpu->heap;
}

void cpu_heap_slab_event(struct slab *slab)
{
    heap_slab_event(this_cpu()->heap, slab);
    lock_unpin();
}

void weir_kernel_idle(void)
{
    struct cpu *cpu = this_cpu();
    if (cpu->heap->arena) {
        heap_rest(cpu->heap);
        cpu->heap = (struct weir_heap *)&weir_heap_empty;
    }
}

void weir_kernel_tick(void)
{
    weir_heap_collect(this_cpu()->heap);
}
