/*
 * The heap that a call works on, and the fast paths on it.
 *
 * Under Linux each thread has a heap, found by one pointer of thread-local storage:
 *
 *     weir_heap_empty ──first slow path──► a heap of the process's arena ──thread exit──► heap_gone
 *
 * The first and the last own nothing, so that the fast paths miss without asking which state this is. A thread that
 * is in the last one (other libraries' destructors allocate, too), or that cannot get a heap for lack of memory, shares
 * one heap with all such threads, under a lock: a heap that nobody will release is never acquired.
 *
 * In the guest each CPU has one: platform/kernel/cpu_heap.h. There a thread is not preempted between thread_enter and
 * thread_leave, and must not wait: no system call, no lock of the C library.
 */
#ifndef WEIR_API_THREAD_H
#define WEIR_API_THREAD_H

#include "src/heap/fast.h"

/* The process's arena; null before anything was allocated. */
struct weir_arena *process_arena(void);

#ifdef WEIR_GUEST
#include "platform/kernel/cpu_heap.h"
#else
extern _Thread_local struct weir_heap *thread_heap __attribute__((tls_model("initial-exec")));

struct weir_heap *thread_enter_slow(void);
void thread_leave_slow(struct weir_heap *heap);

/* The heap to use for one operation in a slow path; weir_heap_empty without memory. Then thread_leave. errno stays. */
static inline struct weir_heap *thread_enter(void)
{
    struct weir_heap *heap = thread_heap;
    return likely(heap->arena != NULL) ? heap : thread_enter_slow();
}

static inline void thread_leave(struct weir_heap *heap)
{
    if (unlikely(heap != thread_heap))
        thread_leave_slow(heap);
}

/* As heap_pop and its kin. */
static inline void *thread_pop_tabled(size_t size)
{
    return heap_pop_tabled(thread_heap, size);
}

static inline void *thread_pop(size_t size)
{
    return heap_pop(thread_heap, size);
}

static inline bool thread_push(void *object, struct slab **slab)
{
    return heap_push_found(thread_heap, object, slab);
}

static inline bool thread_push_tabled(void *object, size_t size)
{
    return heap_push_tabled(thread_heap, object, size);
}

static inline bool thread_push_other(struct slab *slab, void *object)
{
    return heap_push_other(thread_heap, slab, object);
}

/* For fork: holds the locks of this file. */
void thread_lock_all(void);
void thread_unlock_all(void);
#endif

#endif
