#include "api/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "api/platform.h"

static const struct weir_heap heap_gone;

_Thread_local struct weir_heap *thread_heap __attribute__((tls_model("initial-exec"))) =
    (struct weir_heap *)&weir_heap_empty;

static _Atomic(struct weir_arena *) arena;
static struct weir_heap *shared_heap;
static pthread_key_t exit_key;
static bool have_exit_key;

/* Guards the making of the arena and the use of the shared heap. */
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

void thread_lock_all(void)
{
    lock();
}

void thread_unlock_all(void)
{
    unlock();
}

struct weir_arena *process_arena(void)
{
    return atomic_load_explicit(&arena, memory_order_acquire);
}

static void thread_exits(void *heap)
{
    thread_heap = (struct weir_heap *)&heap_gone;
    weir_heap_release(heap);
}

/* With the lock held. */
static struct weir_arena *make_process(void)
{
    struct weir_arena *made = process_arena();
    if (made)
        return made;
    made = platform_arena();
    shared_heap = made ? weir_heap_acquire(made) : NULL;
    if (!shared_heap)
        return NULL;
    have_exit_key = pthread_key_create(&exit_key, thread_exits) == 0;
    atomic_store_explicit(&arena, made, memory_order_release);
    return made;
}

static struct weir_heap *first_entry(void)
{
    struct weir_arena *made = process_arena();
    if (!made) {
        lock();
        made = make_process();
        unlock();
    }
    struct weir_heap *heap = made ? weir_heap_acquire(made) : NULL;
    if (!heap)
        return NULL;
    /* The C library may allocate to remember the value: the heap must be in place by then. */
    thread_heap = heap;
    if (have_exit_key)
        pthread_setspecific(exit_key, heap);
    return heap;
}

struct weir_heap *thread_enter_slow(void)
{
    int error = errno;
    struct weir_heap *heap = thread_heap == &weir_heap_empty ? first_entry() : NULL;
    errno = error;
    if (heap)
        return heap;
    lock();
    if (shared_heap)
        return shared_heap;
    unlock();
    return (struct weir_heap *)&weir_heap_empty;
}

void thread_leave_slow(struct weir_heap *heap)
{
    if (heap == shared_heap)
        unlock();
}
