/*
 * Redirecting a thread's malloc to a heap of the program's. The thread's own heap rests meanwhile; what it holds is
 * freed by the ordinary roads. Threads that have no heap of their own (in a guest, heaps are the CPUs'; after a
 * thread's end) cannot be redirected.
 */
#ifndef WEIR_API_REDIRECT_H
#define WEIR_API_REDIRECT_H

#include "api/thread.h"

/* The calling thread allocates from `lane` from now on, a lane that it has TAKEN; null: from its own heap again. A lane
 * to which it was redirected before is then nobody's. False if the thread cannot be redirected: it still has the lane.
 */
bool redirect(struct weir_heap *lane);

/* The lane to which the calling thread is redirected, null if it is not. */
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
