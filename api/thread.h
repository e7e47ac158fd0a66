/*
 * The calling thread's heap: one pointer of thread-local storage.
 *
 *     weir_heap_empty ──first slow path──► a heap of the process's arena ──thread exit──► heap_gone
 *
 * The first and the last own nothing, so that the fast paths miss without asking which state this is. A thread that
 * is in the last one (other libraries' destructors allocate, too), or that cannot get a heap for lack of memory, shares
 * one heap with all such threads, under a lock: a heap that nobody will release is never acquired.
 */
#ifndef WEIR_API_THREAD_H
#define WEIR_API_THREAD_H

#include "src/heap/fast.h"

extern _Thread_local struct weir_heap *thread_heap __attribute__((tls_model("initial-exec")));

/* The heap to use for one operation in a slow path; weir_heap_empty without memory. Then thread_leave. */
struct weir_heap *thread_enter(void);
void thread_leave(struct weir_heap *heap);

/* The process's arena; null before anything was allocated. */
struct weir_arena *process_arena(void);

/* For fork: holds the locks of this file. */
void thread_lock_all(void);
void thread_unlock_all(void);

#endif
