#include "sleepers.h"

#include <stddef.h>

#include "thread.h"

uint64_t sleepers_first(const struct sleepers *sleepers)
{
    return sleepers->first ? sleepers->first->deadline : NEVER;
}

static struct thread *meld(struct thread *a, struct thread *b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->deadline < a->deadline) {
        struct thread *t = a;
        a = b;
        b = t;
    }
    b->heap_previous = a; /* of a first child: its parent */
    b->heap_next = a->heap_child;
    if (b->heap_next)
        b->heap_next->heap_previous = b;
    a->heap_child = b;
    return a;
}

static struct thread *meld_children(struct thread *thread)
{
    struct thread *pairs = NULL, *heap = NULL;
    for (struct thread *a = thread->heap_child, *next; a; a = next) {
        struct thread *b = a->heap_next;
        next = b ? b->heap_next : NULL;
        a->heap_next = a->heap_previous = NULL;
        if (b)
            b->heap_next = b->heap_previous = NULL;
        a = meld(a, b);
        a->heap_next = pairs;
        pairs = a;
    }
    for (struct thread *a = pairs, *next; a; a = next) {
        next = a->heap_next;
        a->heap_next = NULL;
        heap = meld(heap, a);
    }
    thread->heap_child = NULL;
    return heap;
}

void sleepers_add(struct sleepers *sleepers, struct thread *thread)
{
    thread->heap_child = thread->heap_next = thread->heap_previous = NULL;
    sleepers->first = meld(sleepers->first, thread);
}

void sleepers_remove(struct sleepers *sleepers, struct thread *thread)
{
    if (thread == sleepers->first) {
        sleepers->first = meld_children(thread);
    } else {
        struct thread *previous = thread->heap_previous;
        if (previous->heap_child == thread)
            previous->heap_child = thread->heap_next;
        else
            previous->heap_next = thread->heap_next;
        if (thread->heap_next)
            thread->heap_next->heap_previous = previous;
        sleepers->first = meld(sleepers->first, meld_children(thread));
    }
    thread->deadline = NEVER;
}
