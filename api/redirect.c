#include "api/redirect.h"

#include <pthread.h>

#ifdef WEIR_GUEST

bool redirect(struct weir_heap *heap)
{
    return !heap;
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

/* The heap that the thread has for its own, while it is redirected. */
static pthread_key_t own_key;
static bool have_key;

/* The thread ends while redirected. If its own heap has not been released yet, it shall be as if never redirected. */
static void thread_exits(void *own)
{
    if (redirected())
        thread_heap = own;
}

static void make_key(void)
{
    have_key = pthread_key_create(&own_key, thread_exits) == 0;
}

bool redirect(struct weir_heap *heap)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!heap) {
        if (redirected())
            thread_heap = pthread_getspecific(own_key);
        return true;
    }
    pthread_once(&once, make_key);
    struct weir_heap *own = redirected() ? pthread_getspecific(own_key) : thread_enter();
    bool has_own = redirected() || own == thread_heap;
    if (!redirected())
        thread_leave(own);
    if (!have_key || !has_own || !own->arena || pthread_setspecific(own_key, own) != 0)
        return false;
    weir_heap_quiesce(own);
    thread_heap = heap;
    return true;
}

/* Its first operation wakes the heap; it is put to rest again, so that frees into it are done at once. */
struct weir_heap *redirect_suspend(void)
{
    return pthread_getspecific(own_key);
}

void redirect_resume(struct weir_heap *heap)
{
    weir_heap_quiesce(heap);
}

#endif
