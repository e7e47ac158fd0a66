/*
 * The thread that gives memory back while the program is silent (OPTION_BACKGROUND; otherwise there is none).
 *
 *     none ──wake──► looking ◄──wake── asleep
 *                      └──nothing left──►┘
 *
 * It is made when the first heartbeat finds free memory that it could give back, with all signals blocked and a small
 * stack. It looks every OPTION_BACKGROUND_MS, and once there is nothing left it sleeps without a timeout until a
 * heartbeat wakes it: a process that is silent and has given its memory back wakes no processor.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "api/options.h"
#include "api/thread.h"
#include "platform/linux/linux.h"

#define STACK_SIZE ((size_t)64 << 10)

enum state {
    NONE,
    LOOKING,
    ASLEEP,
};

static _Atomic(uint32_t) state;

static void sleep_until_woken(void)
{
    uint32_t looking = LOOKING;
    if (!atomic_compare_exchange_strong(&state, &looking, ASLEEP))
        return;
    while (atomic_load(&state) == ASLEEP)
        syscall(SYS_futex, &state, FUTEX_WAIT_PRIVATE, ASLEEP, NULL, NULL, 0);
}

static void *look(void *unused)
{
    for (;;) {
        size_t ms = option(OPTION_BACKGROUND_MS);
        struct timespec pause = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
        if (!give_back_in_background())
            sleep_until_woken();
    }
    return unused;
}

/* pthread_create allocates: what it allocates may come here again, and finds the state changed. So this is not for
 * threads that share a heap under a lock (see api/thread.h), which they hold. */
static bool may_start(void)
{
    return thread_heap->arena != NULL;
}

static void start(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int error = errno;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    /* a program with much thread-local storage needs a larger stack; without memory it is not tried again */
    int failed = pthread_create(&thread, &attributes, look, NULL);
    if (failed && pthread_attr_setstacksize(&attributes, STACK_SIZE * 16) == 0)
        failed = pthread_create(&thread, &attributes, look, NULL);
    if (!failed)
        pthread_setname_np(thread, "weir");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    errno = error;
}

void background_wake(void)
{
    uint32_t now = atomic_load_explicit(&state, memory_order_relaxed);
    if (now == LOOKING || !option(OPTION_BACKGROUND) || (now == NONE && !may_start()) ||
        !atomic_compare_exchange_strong(&state, &now, LOOKING))
        return;
    if (now == NONE)
        start();
    else
        syscall(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void background_forked(void)
{
    atomic_store_explicit(&state, NONE, memory_order_relaxed);
}
