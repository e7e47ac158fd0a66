/*
 * Redirecting a thread's malloc to a heap of the program's. The thread's own heap rests meanwhile; what it holds is
 * freed by the ordinary roads. Threads that have no heap of their own (in a guest, heaps are the CPUs'; after a
 * thread's end) cannot be redirected.
 */
#ifndef WEIR_API_REDIRECT_H
#define WEIR_API_REDIRECT_H

#include "api/thread.h"

/* The calling thread allocates from `heap` from now on, which is nobody else's; null: from its own again. False if that
 * cannot be. */
bool redirect(struct weir_heap *heap);

/* The heap to which the calling thread is redirected, null if it is not. */
static inline struct weir_heap *redirected(void)
{
#ifdef WEIR_GUEST
    return NULL;
#else
    return unlikely(thread_heap->apart) ? thread_heap : NULL;
#endif
}

/* The own heap of a thread that is redirected, for one operation. Then redirect_resume. */
struct weir_heap *redirect_suspend(void);
void redirect_resume(struct weir_heap *heap);

#endif
