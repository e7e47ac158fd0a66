/*
 * Threads that wait for a time: a pairing heap by deadline (Fredman, Sedgewick, Sleator and Tarjan 1986), linked
 * through struct thread. Adding takes a comparison; taking the first, or one that is woken before its time, a logarithm
 * of them on average. The caller serialises.
 *
 *   (1) a thread's deadline is not later than that of any of its children;
 *   (2) thread.heap_previous is the sibling before it, or its parent if it is the first child, or null for the root.
 *
 * tests/kernel/sleepers_test.c runs it on the host.
 */
#ifndef WEIR_KERNEL_SLEEPERS_H
#define WEIR_KERNEL_SLEEPERS_H

#include <stdint.h>

struct thread;

struct sleepers {
    struct thread *first;
};

/* The earliest deadline, NEVER (thread.h) if nobody sleeps. */
uint64_t sleepers_first(const struct sleepers *sleepers);

/* Adds a thread, whose deadline is set. */
void sleepers_add(struct sleepers *sleepers, struct thread *thread);

/* Takes any of them out; its deadline is NEVER afterwards. */
void sleepers_remove(struct sleepers *sleepers, struct thread *thread);

#endif
