/* The suite's own ground: the platform under the allocators, and how one case is run. */
#include "tests/conformance/conformance.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* --- the platform --- */

atomic_uint conformance_errors;

static unsigned slot(void *context)
{
    static atomic_uint last;
    static _Thread_local unsigned mine;
    (void)context;
    if (mine == 0)
        mine = atomic_fetch_add(&last, 1) + 1;
    return mine - 1;
}

static void relax(void *context, unsigned round)
{
    (void)context;
    if (round > 16)
        sched_yield();
}

static uint64_t now(void *context)
{
    (void)context;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t unpredictable(void *context)
{
    static _Thread_local uint64_t state;
    if (state == 0)
        state = now(context) | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void error(void *context, const struct weir_error *error)
{
    (void)context;
    (void)error;
    atomic_fetch_add(&conformance_errors, 1);
}

static void panic(void *context, const char *message)
{
    (void)context;
    printf("panic: %s\n", message);
    fflush(stdout);
    abort();
}

const struct weir_platform conformance_platform = {
    .slot = slot, .relax = relax, .now = now, .random = unpredictable, .error = error, .panic = panic};

/* --- running a case --- */

problem fault(struct subject *subject, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(subject->problem, sizeof subject->problem, format, arguments);
    va_end(arguments);
    return subject->problem;
}

problem conformance_run(const struct maker *maker, const struct memory *memory, const struct conformance_case *c,
                        struct subject *subject, bool *skipped)
{
    *subject = (struct subject){.memory = *memory, .maker = maker};
    atomic_store(&conformance_errors, 0);
    if (!maker->make(subject))
        return "the allocator could not be made";

    struct weir_allocator *a = &subject->allocator;
    bool able = (a->ops->abilities & c->needs) == c->needs;
    if (skipped != NULL)
        *skipped = !able;
    problem found = able ? c->run(subject) : NULL;
    const char *what = "no reason given";
    if (found == NULL && a->ops->check != NULL && a->ops->check(a, &what) != WEIR_OK)
        found = fault(subject, "afterwards the allocator's own check fails: %s", what);
    maker->unmake(subject);
    return found;
}
