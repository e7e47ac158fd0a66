#include "api/redirect.h"

#include <pthread.h>

#include "api/mimalloc.h"

#ifdef WEIR_GUEST

bool redirect(struct weir_heap *lane)
{
    return !lane;
}

struct weir_heap *redirect_suspend(void)
{
    return (struct weir_heap *)&weir_heap_empty;
}

void redirect_resume(struct weir_heap *heap)
{
    (void)heap;
}

#else

/* The lane to which the thread is redirected: so that it is given back when the thread ends. */
static pthread_key_t lane_key;
static bool have_key;

static void give_up(struct weir_heap *lane)
{
    if (redirected() == lane)
        thread_heap = behind(lane)->own;
    atomic_fetch_sub(&behind(lane)->of->taken, 1);
    heap_end_turn(lane);
}

/* If the thread's own heap has been released already, the thread has come to its end, and stays there. */
static void thread_exits(void *lane)
{
    give_up(lane);
}

static void make_key(void)
{
    have_key = pthread_key_create(&lane_key, thread_exits) == 0;
}

bool redirect(struct weir_heap *lane)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (redirected()) {
        struct weir_heap *before = redirected();
        pthread_setspecific(lane_key, NULL);
        give_up(before);
    }
    if (!lane)
        return true;
    pthread_once(&once, make_key);
    struct weir_heap *own = thread_enter();
    thread_leave(own);
    if (!have_key || own != thread_heap || !own->arena || pthread_setspecific(lane_key, lane) != 0)
        return false;
    behind(lane)->own = own;
    weir_heap_quiesce(own);
    thread_heap = lane;
    return true;
}

/* Its first operation wakes the heap; it is put to rest again, so that frees into it are done at once. */
struct weir_heap *redirect_suspend(void)
{
    return behind(redirected())->own;
}

void redirect_resume(struct weir_heap *heap)
{
    weir_heap_quiesce(heap);
}

#endif
