#include "tests/support/platform.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

atomic_uint test_errors;
struct weir_error test_last_error;
_Atomic(uint64_t) test_clock;
void (*_Atomic test_heartbeat)(void);

static pthread_mutex_t recording = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint slots;
static _Thread_local unsigned my_slot; /* plus one; 0: not given yet */
static _Thread_local uint64_t my_random;

static unsigned slot(void *context)
{
    (void)context;
    if (my_slot == 0)
        my_slot = atomic_fetch_add(&slots, 1) + 1;
    return my_slot - 1;
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
    uint64_t set = atomic_load(&test_clock);
    if (set != 0)
        return set;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t unpredictable(void *context)
{
    if (my_random == 0)
        my_random = now(context) | 1;
    my_random ^= my_random << 13;
    my_random ^= my_random >> 7;
    my_random ^= my_random << 17;
    return my_random;
}

static void error(void *context, const struct weir_error *error)
{
    (void)context;
    pthread_mutex_lock(&recording);
    test_last_error = *error;
    atomic_fetch_add(&test_errors, 1);
    pthread_mutex_unlock(&recording);
}

static void panic(void *context, const char *message)
{
    (void)context;
    fprintf(stderr, "# panic: %s\n", message);
    abort();
}

static void heartbeat(void *context)
{
    (void)context;
    void (*call)(void) = atomic_load(&test_heartbeat);
    if (call != NULL)
        call();
}

const struct weir_platform *test_platform(void)
{
    static const struct weir_platform platform = {
        .slot = slot,
        .relax = relax,
        .now = now,
        .random = unpredictable,
        .error = error,
        .panic = panic,
        .heartbeat = heartbeat,
    };
    return &platform;
}

void test_platform_reset(void)
{
    pthread_mutex_lock(&recording);
    test_last_error = (struct weir_error){0};
    atomic_store(&test_errors, 0);
    pthread_mutex_unlock(&recording);
    atomic_store(&test_clock, 0);
}

void test_set_slot(unsigned slot)
{
    my_slot = slot + 1;
}
