/*
 * Threads that share work unevenly: memory stays bounded.
 *
 *     threads [rounds=N] [threads=N] [megabytes=N]
 *
 * (b) a producer that never frees and a consumer that never allocates; (h) a thread that only frees; threads that come
 * and go by the hundred thousand.
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/acceptance/check.h"

#define MIB ((size_t)1 << 20)

enum {
    RING = 1024
};

/* Each place is filled by one producer and emptied by one consumer. */
struct ring {
    _Atomic(void *) place[RING];
    size_t objects;     /* to go through */
    size_t least, most; /* their sizes */
    uint64_t seed;
    atomic_size_t taken, given;
    atomic_size_t peak; /* of resident memory, after the first quarter */
};

static void *produce(void *shared)
{
    struct ring *ring = shared;
    uint64_t chance = ring->seed + 1;
    for (size_t i; (i = atomic_fetch_add(&ring->given, 1)) < ring->objects;) {
        size_t size = ring->least + chance_size(&chance, ring->most - ring->least);
        size_t *object = malloc(size);
        if (!CHECK(object != NULL))
            object = (void *)1;
        else
            object[0] = size, ((unsigned char *)object)[size - 1] = (unsigned char)size;
        void *empty = NULL;
        while (!atomic_compare_exchange_weak(&ring->place[i % RING], &empty, object)) {
            empty = NULL;
            sched_yield();
        }
    }
    return NULL;
}

static void *consume(void *shared)
{
    struct ring *ring = shared;
    for (size_t i; (i = atomic_fetch_add(&ring->taken, 1)) < ring->objects;) {
        size_t *object;
        while (!(object = atomic_exchange(&ring->place[i % RING], NULL)))
            sched_yield();
        if (object == (void *)1)
            continue;
        size_t size = object[0];
        CHECK(size <= sizeof(size_t) || ((unsigned char *)object)[size - 1] == (unsigned char)size);
        free(object);
        if (i % (ring->objects / 64) == 0 && i > ring->objects / 4) {
            size_t now = resident(), before = atomic_load(&ring->peak);
            while (now > before && !atomic_compare_exchange_weak(&ring->peak, &before, now))
                ;
        }
    }
    return NULL;
}

/* Lets objects flow through and finds out by how much the process grew. */
static size_t flow(size_t producers, size_t consumers, size_t least, size_t most, size_t objects)
{
    pthread_t threads[8];
    struct ring ring = {.objects = objects, .least = least, .most = most, .seed = chance_seed()};
    size_t before = resident(), n = 0;
    while (n < producers + consumers) {
        if (!CHECK(pthread_create(&threads[n], NULL, n < producers ? produce : consume, &ring) == 0))
            return 0;
        n++;
    }
    while (n > 0)
        pthread_join(threads[--n], NULL);
    size_t peak = atomic_load(&ring.peak);
    return peak > before ? peak - before : 0;
}

/* What is in the ring is at most 1024 objects of the largest size; the mean is a fraction of that. */
static void a_producer_that_never_frees_is_bounded(void)
{
    size_t objects = parameter("objects", 1500000);
    CHECK_AT_MOST(flow(1, 1, 16, 48, objects), 2 * MIB);
    CHECK_AT_MOST(flow(1, 1, 16, 2000, objects), 4 * MIB);
    CHECK_AT_MOST(flow(2, 1, 16, 2000, objects), 6 * MIB);
    CHECK_AT_MOST(flow(1, 2, 16, 2000, objects), 6 * MIB);
}

static void producers_of_large_objects_are_bounded(void)
{
    size_t objects = parameter("objects", 1500000) / 10;
    /* At most 1024 live, of 16 KiB or 60 KiB in the mean; where there are huge pages, all of that is resident. */
    CHECK_AT_MOST(flow(1, 1, 1000, 32000, objects), 48 * MIB);
    CHECK_AT_MOST(flow(1, 1, 40000, 200000, objects), 100 * MIB);
}

struct heap_of_objects {
    void **object;
    size_t count;
};

static void *only_free(void *given)
{
    struct heap_of_objects *objects = given;
    for (size_t i = 0; i < objects->count; i++)
        free(objects->object[i]);
    return NULL;
}

static void *make(size_t size)
{
    void *object = malloc(size);
    if (CHECK(object != NULL))
        memset(object, 1, size);
    return object;
}

/* One thread frees for as long as the process lives, fed by main. */
struct freer {
    struct heap_of_objects objects;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    bool full, end;
};

static void *free_whatever_comes(void *given)
{
    struct freer *freer = given;
    pthread_mutex_lock(&freer->lock);
    while (!freer->end) {
        if (freer->full) {
            only_free(&freer->objects);
            freer->full = false;
            pthread_cond_broadcast(&freer->turn);
        }
        if (!freer->end)
            pthread_cond_wait(&freer->turn, &freer->lock);
    }
    pthread_mutex_unlock(&freer->lock);
    return NULL;
}

/* Main allocates, the other thread frees and then sleeps: what it freed is there for main to use again. */
static void a_thread_that_only_frees_does_not_grow_the_process(void)
{
    size_t bytes = parameter("megabytes", 32) * MIB, sizes[] = {16, 100, 700, 5000, 60000};
    struct freer freer = {.lock = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    if (!CHECK(pthread_create(&thread, NULL, free_whatever_comes, &freer) == 0))
        return;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t count = bytes / sizes[s], after[8];
        freer.objects.object = make(count * sizeof(void *));
        freer.objects.count = count;
        for (size_t round = 0; round < 8; round++) {
            pthread_mutex_lock(&freer.lock);
            while (freer.full)
                pthread_cond_wait(&freer.turn, &freer.lock);
            for (size_t i = 0; i < count; i++)
                freer.objects.object[i] = make(sizes[s]);
            after[round] = resident();
            freer.full = true;
            pthread_cond_broadcast(&freer.turn);
            pthread_mutex_unlock(&freer.lock);
        }
        pthread_mutex_lock(&freer.lock);
        while (freer.full)
            pthread_cond_wait(&freer.turn, &freer.lock);
        pthread_mutex_unlock(&freer.lock);
        CHECK_AT_MOST(after[7], after[0] + bytes / 2); /* what is kept varies; a loss would be of every round */
        free(freer.objects.object);
    }
    pthread_mutex_lock(&freer.lock);
    freer.end = true;
    pthread_cond_broadcast(&freer.turn);
    pthread_mutex_unlock(&freer.lock);
    pthread_join(thread, NULL);
}

/* The same, with a new thread each time. */
static void threads_that_only_free_and_go_leave_nothing(void)
{
    size_t count = parameter("megabytes", 32) * MIB / 400, after_first = 0;
    struct heap_of_objects objects = {make(count * sizeof(void *)), count};
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < count; i++)
            objects.object[i] = make(400);
        pthread_t thread;
        if (!CHECK(pthread_create(&thread, NULL, only_free, &objects) == 0))
            return;
        pthread_join(thread, NULL);
        if (round == 0)
            after_first = resident();
    }
    CHECK_AT_MOST(resident(), after_first + 4 * MIB);
    free(objects.object);
}

/* Objects are made by threads that are gone, and freed by main. */
static void *only_allocate(void *given)
{
    struct heap_of_objects *objects = given;
    for (size_t i = 0; i < objects->count; i++)
        objects->object[i] = make(i % 1000 + 8);
    return NULL;
}

static void objects_of_threads_that_are_gone_are_no_loss(void)
{
    size_t count = parameter("megabytes", 32) * MIB / 500, after_third = 0;
    struct heap_of_objects objects = {make(count * sizeof(void *)), count};
    for (size_t round = 0; round < 20; round++) {
        pthread_t thread;
        if (!CHECK(pthread_create(&thread, NULL, only_allocate, &objects) == 0))
            return;
        pthread_join(thread, NULL);
        only_free(&objects);
        if (round == 2)
            after_third = resident();
    }
    CHECK_AT_MOST(resident(), after_third + 4 * MIB);
    free(objects.object);
}

/* A short life: some objects of many sizes, one of which is left for main. */
static void *live_briefly(void *seed)
{
    uint64_t chance = (uintptr_t)seed;
    void *objects[16];
    for (size_t i = 0; i < 16; i++)
        objects[i] = malloc(chance_size(&chance, 2000));
    for (size_t i = 0; i < 15; i++)
        free(objects[i]);
    return objects[15];
}

/* 200 threads, created and joined 1,000 times. */
static void threads_come_and_go_without_growth(void)
{
    enum {
        THREADS = 200
    };
    size_t rounds = parameter("rounds", 1000), count = parameter("threads", THREADS);
    size_t at_tenth = 0;
    void *left[THREADS] = {0};
    for (size_t round = 0; round < rounds; round++) {
        pthread_t threads[THREADS];
        for (size_t i = 0; i < count && i < THREADS; i++) {
            if (!CHECK(pthread_create(&threads[i], NULL, live_briefly, (void *)(round * THREADS + i)) == 0))
                return;
            free(left[i]);
        }
        for (size_t i = 0; i < count && i < THREADS; i++)
            pthread_join(threads[i], &left[i]);
        if (round == rounds / 10)
            at_tenth = resident();
    }
    size_t at_last = resident();
    note("%zu rounds of %zu threads: %zu KiB at a tenth, %zu KiB at the end", rounds, count, at_tenth >> 10,
         at_last >> 10);
    /* How many run at once varies; a loss of 1 KiB a thread would be 18 MiB even in a hundred rounds. */
    CHECK_AT_MOST(at_last, at_tenth + 8 * MIB);
    for (size_t i = 0; i < THREADS; i++)
        free(left[i]);
}

int main(int argc, char **argv)
{
#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    static const struct test tests[] = {
        TEST(a_producer_that_never_frees_is_bounded),
        TEST(producers_of_large_objects_are_bounded),
        TEST(a_thread_that_only_frees_does_not_grow_the_process),
        TEST(threads_that_only_free_and_go_leave_nothing),
        TEST(objects_of_threads_that_are_gone_are_no_loss),
        TEST(threads_come_and_go_without_growth),
    };
    return run_tests(argc, argv, tests, sizeof tests / sizeof *tests);
}
