/* 1,000 threads at once, detached ones, a condition variable with a queue behind it, timeouts, thread-local storage. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/kernel/guest/require.h"

#define THREADS 1000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER, go = PTHREAD_COND_INITIALIZER;
static int here;
static int gone;
static _Thread_local long mine = 42;
static _Thread_local char name[32];

static void *wait_for_all(void *argument)
{
    mine += (long)argument;
    snprintf(name, sizeof name, "%ld", (long)argument);
    pthread_mutex_lock(&mutex);
    if (++here == THREADS)
        pthread_cond_signal(&all_here);
    while (!gone)
        pthread_cond_wait(&go, &mutex); /* broadcast: one wakes, the others move to the mutex */
    pthread_mutex_unlock(&mutex);
    REQUIRE(atol(name) == (long)argument);
    return (void *)mine;
}

static void many(void)
{
    static pthread_t threads[THREADS];
    long sum = 0;
    for (long i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, wait_for_all, (void *)i) == 0);
    pthread_mutex_lock(&mutex);
    while (here < THREADS)
        pthread_cond_wait(&all_here, &mutex);
    gone = 1;
    pthread_cond_broadcast(&go);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        REQUIRE(pthread_join(threads[i], &result) == 0);
        sum += (long)result;
    }
    REQUIRE(sum == THREADS * 42L + THREADS * (THREADS - 1L) / 2);
    REQUIRE(mine == 42);
}

static sem_t done;
static _Atomic(int) ended;

static void *detached(void *argument)
{
    double x = (double)(long)argument;
    for (int i = 0; i < 100; i++)
        x = x * 1.5 / 1.5;
    if (x > (double)(long)argument - 0.001 && x < (double)(long)argument + 0.001)
        ended++;
    sem_post(&done);
    return NULL;
}

static void come_and_go(void)
{
    sem_init(&done, 0, 0);
    for (long i = 0; i < 300; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, detached, (void *)i) == 0);
        REQUIRE(pthread_detach(thread) == 0);
        if (i % 8 == 7)
            for (int k = 0; k < 8; k++)
                sem_wait(&done);
    }
    for (int k = 0; k < 300 % 8; k++)
        sem_wait(&done);
    REQUIRE(ended == 300);
}

static int ping;

static void *ponger(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 2000; i++) {
        while (ping != 1)
            pthread_cond_wait(&go, &mutex);
        ping = 0;
        pthread_cond_signal(&all_here);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void ping_pong(void)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, ponger, NULL) == 0);
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 2000; i++) {
        ping = 1;
        pthread_cond_signal(&go);
        while (ping != 0)
            pthread_cond_wait(&all_here, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    REQUIRE(pthread_join(thread, NULL) == 0);
}

static void timeouts(void)
{
    struct timespec until, before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 30000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&mutex);
    int result = 0;
    while (result == 0)
        result = pthread_cond_timedwait(&go, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    clock_gettime(CLOCK_MONOTONIC, &after);
    REQUIRE(result == ETIMEDOUT);
    REQUIRE((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >= 29000000);
}

static void *sleeper(void *argument)
{
    usleep((unsigned)(long)argument);
    return argument;
}

static void sleepers(void)
{
    pthread_t threads[50];
    for (long i = 0; i < 50; i++)
        REQUIRE(pthread_create(&threads[i], NULL, sleeper, (void *)(i * 7919 % 20000)) == 0);
    for (long i = 0; i < 50; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
}

int main(void)
{
    many();
    printf("many\n");
    come_and_go();
    printf("come and go\n");
    ping_pong();
    printf("ping pong\n");
    timeouts();
    printf("timeouts\n");
    sleepers();
    printf("sleepers\n");
    return 0;
}
