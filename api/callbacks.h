/*
 * What the program wants to be told: functions that it registers, each with an argument. The family calls them from its
 * slow paths (faces.h: face_deferred, face_refused, face_misused).
 */
#ifndef WEIR_API_CALLBACKS_H
#define WEIR_API_CALLBACKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct callback {
    _Atomic(uintptr_t) function; /* 0: none */
    _Atomic(uintptr_t) argument;
};

static inline void callback_set(struct callback *callback, uintptr_t function, void *argument)
{
    atomic_store(&callback->function, 0);
    atomic_store(&callback->argument, (uintptr_t)argument);
    atomic_store(&callback->function, function);
}

static inline uintptr_t callback_function(struct callback *callback)
{
    return atomic_load_explicit(&callback->function, memory_order_acquire);
}

static inline void *callback_argument(struct callback *callback)
{
    return (void *)atomic_load_explicit(&callback->argument, memory_order_relaxed);
}

/* Calls what was given to mi_register_deferred_free, never within itself. */
void callbacks_deferred(bool force);

#endif
