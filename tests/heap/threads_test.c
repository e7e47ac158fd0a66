/*
 * Threads at work on one arena: objects that change hands, owners that come, go quiet and go, others that look and
 * trim meanwhile. Every object carries a stamp that whoever frees it verifies. Meant for the sanitizers above all.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/heap/fixture.h"
#include "tests/support/random.h"

enum {
    THREADS = 4,
    SLOTS = 512,
};

struct object {
    unsigned size, stamp;
};

static struct fixture fixture;
static _Atomic(struct object *) slots[SLOTS];
static atomic_uint lost, stamps;
static atomic_bool stop;

static struct object *make(struct weir_heap *heap, size_t size)
{
    size = size < sizeof(struct object) ? sizeof(struct object) : size;
    struct object *object = weir_heap_malloc(heap, size);
    if (!object)
        return NULL;
    object->size = (unsigned)size;
    object->stamp = atomic_fetch_add_explicit(&stamps, 1, memory_order_relaxed);
    stamp_write(object + 1, size - sizeof *object, object->stamp);
    return object;
}

static void drop(struct weir_heap *heap, struct object *object)
{
    if (!object)
        return;
    if (!stamp_holds(object + 1, object->size - sizeof *object, object->stamp))
        atomic_fetch_add(&lost, 1);
    weir_heap_free(heap, object);
}

static size_t some_size(struct random *random)
{
    unsigned kind = (unsigned)random_below(random, 64);
    return kind == 0 ? random_size(random, 200000) : kind < 8 ? random_size(random, 20000) : random_size(random, 300);
}

/* Puts a new object where another one was, and frees that: most frees are of other threads' objects. */
static void exchange_some(struct weir_heap *heap, struct random *random, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        struct object *mine = random_below(random, 3) ? make(heap, some_size(random)) : NULL;
        drop(heap, atomic_exchange(&slots[random_below(random, SLOTS)], mine));
    }
}

static void *exchanger(void *seed)
{
    struct random random = random_seeded((uintptr_t)seed);
    struct weir_heap *heap = weir_heap_acquire(fixture.arena);
    for (size_t round = 0; round < random_rounds(30); round++) {
        exchange_some(heap, &random, 300);
        switch (random_below(&random, 6)) {
        case 0:
            weir_heap_quiesce(heap);
            break;
        case 1:
            weir_heap_collect(heap);
            break;
        case 2:
            weir_arena_trim(fixture.arena, heap, 0);
            break;
        default:
            break;
        }
    }
    weir_heap_release(heap);
    return NULL;
}

/* Looks on while others work. */
static void *onlooker(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        struct weir_arena_stats stats;
        weir_arena_stats(fixture.arena, &stats);
        weir_arena_trim(fixture.arena, NULL, 0);
        sched_yield();
    }
    return NULL;
}

static void finish(void)
{
    struct weir_heap *heap = weir_heap_acquire(fixture.arena);
    for (size_t i = 0; i < SLOTS; i++)
        drop(heap, atomic_exchange(&slots[i], NULL));
    weir_heap_release(heap);
    weir_arena_trim(fixture.arena, NULL, 0);
    assert_sound(&fixture);
    struct weir_arena_stats stats = fixture_stats(&fixture);
    assert_int_equal(atomic_load(&lost), 0);
    assert_int_equal(atomic_load(&test_errors), 0);
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.held, stats.metadata);
    assert_int_equal(stats.mallocs, stats.frees);
    fixture_close(&fixture);
}

static void run_threads(size_t n, void *(*body)(void *), uint64_t seed)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)(uintptr_t)(seed + i)), 0);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static void exchange_with(struct fixture_config config, const char *name)
{
    struct random random = random_start(name);
    fixture_open(&fixture, &config);
    atomic_store(&stop, false);
    pthread_t watcher;
    assert_int_equal(pthread_create(&watcher, NULL, onlooker, NULL), 0);
    run_threads(THREADS, exchanger, random_next(&random));
    atomic_store(&stop, true);
    pthread_join(watcher, NULL);
    finish();
}

static void objects_change_hands(void **state)
{
    (void)state;
    exchange_with((struct fixture_config){.bytes = (size_t)256 << 20, .slots = 4}, "heap/threads exchange");
}

static void objects_change_hands_promptly(void **state)
{
    (void)state;
    exchange_with((struct fixture_config){.bytes = (size_t)256 << 20, .prompt = true}, "heap/threads prompt");
}

static void memory_runs_out(void **state)
{
    (void)state;
    exchange_with((struct fixture_config){.bytes = (size_t)3 << 20, .slots = 4}, "heap/threads tight");
}

/* One round of a thread that leaves survivors behind and goes without saying what it still had in hand. */
static void *visitor(void *seed)
{
    struct random random = random_seeded((uintptr_t)seed);
    struct weir_heap *heap = weir_heap_acquire(fixture.arena);
    exchange_some(heap, &random, 100);
    weir_heap_release(heap);
    return NULL;
}

static void threads_come_and_go(void **state)
{
    (void)state;
    struct random random = random_start("heap/threads churn");
    fixture_open(&fixture, &(struct fixture_config){.slots = 4});
    for (size_t round = 0; round < random_rounds(60); round++)
        run_threads(THREADS, visitor, random_next(&random));
    assert_true(fixture_stats(&fixture).heaps <= THREADS);
    finish();
}

/* Producer and consumer: what one only allocates and the other only frees takes bounded memory. */
static _Atomic(struct object *) ring[256];

static void *producer(void *unused)
{
    (void)unused;
    struct weir_heap *heap = weir_heap_acquire(fixture.arena);
    for (size_t i = 0; i < 100000; i++) {
        struct object *object = make(heap, 48), *empty = NULL;
        while (!atomic_compare_exchange_weak(&ring[i % 256], &empty, object)) {
            empty = NULL;
            sched_yield();
        }
    }
    weir_heap_release(heap);
    return NULL;
}

static void *consumer(void *unused)
{
    (void)unused;
    struct weir_heap *heap = weir_heap_acquire(fixture.arena);
    for (size_t i = 0; i < 100000; i++) {
        struct object *object;
        while (!(object = atomic_exchange(&ring[i % 256], NULL)))
            sched_yield();
        drop(heap, object);
    }
    weir_heap_release(heap);
    return NULL;
}

static void a_producer_and_a_consumer_are_bounded(void **state)
{
    (void)state;
    fixture_open(&fixture, &(struct fixture_config){.slots = 4});
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, consumer, NULL), 0);
    producer(NULL);
    pthread_join(other, NULL);
    assert_true(fixture_stats(&fixture).peak_held < (size_t)512 << 10);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_change_hands),
        cmocka_unit_test(objects_change_hands_promptly),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(a_producer_and_a_consumer_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
