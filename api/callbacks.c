#include "api/callbacks.h"

#include <errno.h>

#include "api/faces.h"
#include "include/mimalloc.h"

/* --- deferred free: every so many slow allocations --- */

#define DEFERRED_EVERY 16u

static struct callback deferred;
atomic_bool face_deferring;

FACE void mi_register_deferred_free(mi_deferred_free_fun *deferred_free, void *arg)
{
    callback_set(&deferred, (uintptr_t)deferred_free, arg);
    atomic_store(&face_deferring, deferred_free != NULL);
}

void callbacks_deferred(bool force)
{
    static atomic_flag running = ATOMIC_FLAG_INIT;
    static atomic_ullong heartbeat;
    mi_deferred_free_fun *function = (mi_deferred_free_fun *)callback_function(&deferred);
    if (!function || atomic_flag_test_and_set(&running))
        return;
    function(force, atomic_fetch_add(&heartbeat, 1) + 1, callback_argument(&deferred));
    atomic_flag_clear(&running);
}

void face_deferred(void)
{
    static atomic_uint calls;
    if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % DEFERRED_EVERY == 0)
        callbacks_deferred(false);
}

/* --- errors --- */

static struct callback on_error;

FACE void mi_register_error(mi_error_fun *fun, void *arg)
{
    callback_set(&on_error, (uintptr_t)fun, arg);
}

static void tell(int error)
{
    mi_error_fun *function = (mi_error_fun *)callback_function(&on_error);
    if (function)
        function(error, callback_argument(&on_error));
}

void *face_refused(int error)
{
    tell(error);
    errno = error == EOVERFLOW ? ENOMEM : error;
    return NULL;
}

void face_misused(enum weir_status status)
{
    tell(status == WEIR_DOUBLE_FREE ? EAGAIN : status == WEIR_CORRUPTED ? EFAULT : EINVAL);
}
