/*
 * A spinlock that asks the platform what to do while it waits.
 *
 * Test and test-and-set: held for tens of nanoseconds, by code that never sleeps while it holds it. In weir's own
 * kernel (WEIR_GUEST) an owner is never preempted: the kernel counts, at %gs:0, the locks that the CPU's thread holds.
 * Elsewhere relax() may yield when the rounds grow, so that a preempted owner can finish.
 */
#ifndef WEIR_BASE_LOCK_H
#define WEIR_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "weir/platform.h"

struct lock {
    _Atomic(uint32_t) held;
};

static inline void lock_pin(void)
{
#ifdef WEIR_GUEST
    __asm__ volatile("incl %%gs:0" : : : "memory", "cc");
#endif
}

static inline void lock_unpin(void)
{
#ifdef WEIR_GUEST
    __asm__ volatile("decl %%gs:0" : : : "memory", "cc");
#endif
}

static inline bool lock_try(struct lock *lock)
{
    lock_pin();
    if (atomic_load_explicit(&lock->held, memory_order_relaxed) == 0 &&
        atomic_exchange_explicit(&lock->held, 1, memory_order_acquire) == 0)
        return true;
    lock_unpin();
    return false;
}

static inline void lock_take(struct lock *lock, const struct weir_platform *platform)
{
    for (unsigned round = 0; !lock_try(lock); round++)
        platform->relax(platform->context, round);
}

static inline void lock_drop(struct lock *lock)
{
    atomic_store_explicit(&lock->held, 0, memory_order_release);
    lock_unpin();
}

#endif
