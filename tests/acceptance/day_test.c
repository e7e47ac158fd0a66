/*
 * A day's worth of random operations in a minute.
 *
 * Hours differ as the phases of programs do: in the sizes they ask for, in how many objects live, in the order in which
 * these go, in how many heaps there are and how much memory. Every hour begins in a new arena and ends with all given
 * back; every thousand operations all invariants of arena and frames are checked, and all objects' contents now and
 * then. An hour that fails is shrunk to the operations that matter.
 *
 * The last part of the day is spent by threads in one arena, which meet after every thousand operations to check it.
 *
 *     WEIR_LONG=1     a minute instead of some seconds
 *     WEIR_SEED=n     repeats
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "tests/heap/model.h"
#include "tests/support/random.h"

enum {
    OPERATIONS = 12000, /* an hour */
    CHECK_EVERY = 1000,
    VERIFY_EVERY = 4000,
    THREADS = 3,
    SLOTS = 4000, /* for objects that change hands */
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Seconds that a part of the day may take: `some`, or `all` of it. */
static double seconds(double some, double all)
{
    const char *wanted = getenv("WEIR_LONG");
    return wanted && *wanted == '1' ? all : some;
}

/* A size such as programs like: often a power of two, where blocks, chunks and slabs have their borders. */
static size_t usual_size(struct random *random, size_t most)
{
    size_t size = random_size(random, most);
    return random_below(random, 2) ? size : (size_t)1 << (63 - __builtin_clzll(size));
}

/* What an hour is like. */
struct hour {
    unsigned weights[KINDS], total;
    size_t few[6], few_count; /* sizes asked for most of the time; none: any */
    size_t size_max;
    unsigned objects, heaps;
    bool sequential; /* objects are used in turn, so that they die in the order of their birth */
};

static struct hour draw_hour(struct random *random, struct fixture_config *config)
{
    struct hour hour = {.weights = {30, 6, 4, 8, 18, 8, 1, 0, 2, 1, 1, 1, 1}};
    for (size_t i = 0; i < FREE_MANY; i++)
        hour.weights[i] = hour.weights[i] / 2 + (unsigned)random_below(random, hour.weights[i] * 2 + 1);
    hour.weights[FREE_MANY] = random_below(random, 4) == 0;
    hour.weights[MALLOC] += 4;
    for (size_t i = COLLECT; i < KINDS; i++)
        hour.weights[i] = (unsigned)random_below(random, 3);
    for (size_t i = 0; i < KINDS; i++)
        hour.total += hour.weights[i];
    static const size_t most[] = {128, 1000, 8000, 32768, 40000, 300000, 3000000};
    hour.size_max = most[random_below(random, sizeof most / sizeof *most)];
    hour.objects = (unsigned)random_size(random, hour.size_max > 40000 ? 200 : MODEL_OBJECTS);
    hour.heaps = (unsigned)random_below(random, MODEL_HEAPS) + 1;
    hour.sequential = random_below(random, 3) == 0;
    hour.few_count = random_below(random, 7);
    for (size_t i = 0; i < hour.few_count; i++)
        hour.few[i] = usual_size(random, hour.size_max);
    *config = (struct fixture_config){.slots = (unsigned)random_below(random, 5),
                                      .prompt = random_below(random, 3) == 0,
                                      .idle_part = random_below(random, 2) ? (unsigned)random_size(random, 256) : 0};
    switch (random_below(random, 4)) {
    case 0:
        config->limit = (size_t)256 << 10 << random_below(random, 6);
        config->bytes = (size_t)1 << 30;
        break;
    case 1:
        config->bytes = (size_t)2 << 20 << random_below(random, 6);
        break;
    default:
        config->bytes = hour.size_max > 40000 ? (size_t)1 << 30 : 0;
        break;
    }
    return hour;
}

static struct operation draw(struct random *random, const struct hour *hour, size_t i)
{
    unsigned n = (unsigned)random_below(random, hour->total), kind = 0;
    while (n >= hour->weights[kind])
        n -= hour->weights[kind++];
    bool usual = hour->few_count && random_below(random, 8);
    return (struct operation){
        .kind = kind,
        .heap = (unsigned)random_below(random, hour->heaps),
        .object = (unsigned)(hour->sequential ? i % hour->objects : random_below(random, hour->objects)),
        .size = usual ? hour->few[random_below(random, hour->few_count)] : random_size(random, hour->size_max) - 1,
        .alignment = (size_t)1 << random_below(random, random_below(random, 16) ? 13 : 22),
    };
}

static void hours_pass(void **state)
{
    (void)state;
    struct random random = random_start("acceptance/day");
    struct model *model = calloc(1, sizeof *model);
    struct operation *operations = calloc(OPERATIONS, sizeof *operations);
    assert_non_null(model);
    assert_non_null(operations);
    const struct random_test test = {
        .run = model_run, .print = model_print, .context = model, .size = sizeof *operations};
    size_t hours = 0;
    model->check_every = CHECK_EVERY;
    model->verify_every = VERIFY_EVERY;
    for (double end = now() + seconds(3, 45); now() < end; hours++) {
        struct hour hour = draw_hour(&random, &model->config);
        for (size_t i = 0; i < OPERATIONS; i++)
            operations[i] = draw(&random, &hour, i);
        random_check(&test, operations, OPERATIONS);
    }
    print_message("# %zu hours of %d operations\n", hours, OPERATIONS);
    free(operations);
    free(model);
}

/* --- threads --- */

/* An object that threads hand on; its stamped bytes follow. */
struct parcel {
    size_t size;
    unsigned stamp;
};

static struct fixture shared;
static _Atomic(struct parcel *) slots[SLOTS];
static atomic_uint lost, stamps;
static atomic_bool over;
static pthread_barrier_t meeting;
static const char *_Atomic found;

static void drop(struct weir_heap *heap, struct parcel *parcel)
{
    if (parcel && !stamp_holds(parcel + 1, parcel->size, parcel->stamp))
        atomic_fetch_add(&lost, 1);
    weir_heap_free(heap, parcel);
}

static struct parcel *make(struct weir_heap *heap, struct random *random, size_t most)
{
    size_t size = random_size(random, most);
    struct parcel *parcel = random_below(random, 8)   ? weir_heap_malloc(heap, sizeof *parcel + size)
                            : random_below(random, 2) ? weir_heap_zalloc(heap, sizeof *parcel + size)
                                                      : weir_heap_aligned(heap, 64, sizeof *parcel + size, false);
    if (!parcel)
        return NULL;
    *parcel = (struct parcel){.size = size, .stamp = atomic_fetch_add_explicit(&stamps, 1, memory_order_relaxed)};
    stamp_write(parcel + 1, size, parcel->stamp);
    return parcel;
}

/* A thousand operations; mostly others' objects are freed. */
static void exchange(struct weir_heap *heap, struct random *random)
{
    size_t most = (size_t)64 << random_below(random, 12), range = random_size(random, SLOTS);
    for (size_t i = 0; i < CHECK_EVERY; i++) {
        struct parcel *mine = random_below(random, 5) > 1 ? make(heap, random, most) : NULL;
        drop(heap, atomic_exchange(&slots[random_below(random, range)], mine));
    }
}

static void check_together(size_t n)
{
    if (pthread_barrier_wait(&meeting) == PTHREAD_BARRIER_SERIAL_THREAD) {
        const char *broken = fixture_broken(&shared);
        if (broken)
            atomic_store(&found, broken);
        if (n == 0 || broken)
            atomic_store(&over, true);
    }
    pthread_barrier_wait(&meeting);
}

static void *spend_the_day(void *seed)
{
    struct random random = random_seeded((uintptr_t)seed);
    struct weir_heap *heap = weir_heap_acquire(shared.arena);
    double end = now() + seconds(2, 15);
    while (!atomic_load(&over)) {
        exchange(heap, &random);
        switch (random_below(&random, 8)) {
        case 0:
            weir_heap_quiesce(heap);
            break;
        case 1:
            weir_arena_trim(shared.arena, heap, 0);
            break;
        case 2:
            weir_heap_release(heap);
            heap = weir_heap_acquire(shared.arena);
            break;
        default:
            break;
        }
        check_together(now() < end);
    }
    weir_heap_release(heap);
    return NULL;
}

static void threads_spend_it_together(void **state)
{
    (void)state;
    struct random random = random_start("acceptance/day threads");
    fixture_open(&shared, &(struct fixture_config){.bytes = (size_t)1 << 30, .slots = THREADS, .idle_part = 64});
    assert_int_equal(pthread_barrier_init(&meeting, NULL, THREADS), 0);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spend_the_day, (void *)(uintptr_t)random_next(&random)), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (atomic_load(&found))
        fail_msg("%s", atomic_load(&found));
    struct weir_heap *heap = weir_heap_acquire(shared.arena);
    for (size_t i = 0; i < SLOTS; i++)
        drop(heap, atomic_exchange(&slots[i], NULL));
    weir_heap_release(heap);
    weir_arena_trim(shared.arena, NULL, 0);
    assert_sound(&shared);
    struct weir_arena_stats stats = fixture_stats(&shared);
    assert_int_equal(atomic_load(&lost), 0);
    assert_int_equal(atomic_load(&test_errors), 0);
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.held, stats.metadata);
    assert_int_equal(stats.mallocs, stats.frees);
    print_message("# %u objects changed hands\n", atomic_load(&stamps));
    fixture_close(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_pass),
        cmocka_unit_test(threads_spend_it_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
