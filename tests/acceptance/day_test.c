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
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/heap/fixture.h"
#include "tests/support/random.h"

enum {
    HEAPS = 5,
    OBJECTS = 4000,
    OPERATIONS = 12000, /* an hour */
    CHECK_EVERY = 1000,
    VERIFY_EVERY = 4000,
    THREADS = 3,
};

enum kind {
    MALLOC,
    ZALLOC,
    ALIGNED,
    REALLOC,
    FREE,
    FREE_SIZED,
    FREE_NEXT, /* a few neighbours, in the order of their making or against it */
    FREE_MANY,
    COLLECT,
    QUIESCE,
    REPLACE,
    TRIM,
    LIMIT,
    KINDS
};

static const char *const names[KINDS] = {"malloc",     "zalloc",    "aligned",   "realloc", "free",
                                         "free_sized", "free_next", "free_many", "collect", "quiesce",
                                         "replace",    "trim",      "limit"};

struct operation {
    enum kind kind;
    unsigned heap, object;
    size_t size, alignment;
};

struct object {
    unsigned char *start;
    size_t size, usable;
    unsigned stamp;
    bool exact; /* its size is the one it was allocated with */
};

struct day {
    struct fixture fixture;
    struct fixture_config config;
    struct weir_heap *heaps[HEAPS];
    struct object objects[OBJECTS];
    const struct object *sorted[OBJECTS];
    unsigned stamp;
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

static int by_start(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a, *y = *(const struct object *const *)b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static const char *verify_all(struct day *day)
{
    size_t n = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        if (day->objects[i].start)
            day->sorted[n++] = &day->objects[i];
    qsort(day->sorted, n, sizeof(void *), by_start);
    for (size_t i = 0; i < n; i++) {
        const struct object *object = day->sorted[i];
        if (i > 0 && day->sorted[i - 1]->start + day->sorted[i - 1]->usable > object->start)
            return "objects overlap";
        if (!stamp_holds(object->start, object->size, object->stamp))
            return "an object lost its bytes";
        if (weir_arena_usable_size(day->fixture.arena, object->start) != object->usable)
            return "the usable size of an object changed";
    }
    return NULL;
}

static const char *adopt(struct day *day, struct object *object, void *start, size_t size, size_t alignment)
{
    if (!start)
        return day->config.limit || day->config.bytes ? NULL : "no memory though there is plenty";
    object->start = start;
    object->size = size;
    object->usable = weir_arena_usable_size(day->fixture.arena, start);
    object->stamp = ++day->stamp;
    object->exact = true;
    stamp_write(start, size, object->stamp);
    if (object->usable < size)
        return "usable size below the size asked for";
    if ((uintptr_t)start % (alignment > 16 ? alignment : 16) != 0)
        return "misaligned";
    return NULL;
}

static const char *release(struct weir_heap *heap, struct object *object, bool sized)
{
    if (!object->start)
        return NULL;
    if (!stamp_holds(object->start, object->size, object->stamp))
        return "an object lost its bytes before it was freed";
    if (sized && object->exact)
        weir_heap_free_sized(heap, object->start, object->size);
    else
        weir_heap_free(heap, object->start);
    *object = (struct object){0};
    return NULL;
}

static const char *resize(struct day *day, struct weir_heap *heap, struct object *object, size_t size)
{
    size_t kept = size < object->size ? size : object->size;
    unsigned stamp = object->stamp;
    unsigned char *start = weir_heap_realloc(heap, object->start, size);
    if (!start)
        return object->start && !stamp_holds(object->start, object->size, stamp) ? "a failed realloc changed the object"
                                                                                 : NULL;
    if (object->start && kept >= 64 && !stamp_holds(start, 64, stamp))
        return "realloc lost bytes";
    return adopt(day, object, start, size, 16);
}

static const char *release_range(struct weir_heap *heap, struct day *day, size_t from, size_t n, size_t step, bool back)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = from + (back ? n - 1 - i : i) * step;
        const char *broken = k < OBJECTS ? release(heap, &day->objects[k], false) : NULL;
        if (broken)
            return broken;
    }
    return NULL;
}

static const char *step(struct day *day, const struct operation *operation)
{
    struct weir_arena *arena = day->fixture.arena;
    struct weir_heap **slot = &day->heaps[operation->heap], *heap = *slot;
    struct object *object = &day->objects[operation->object];
    size_t size = operation->size;
    const char *broken = NULL;
    void *start;
    switch (operation->kind) {
    case MALLOC:
        return object->start ? NULL : adopt(day, object, weir_heap_malloc(heap, size), size, 16);
    case ZALLOC:
        if (object->start)
            return NULL;
        start = weir_heap_zalloc(heap, size);
        return start && !all_zero(start, size) ? "zalloc left something" : adopt(day, object, start, size, 16);
    case ALIGNED:
        if (object->start)
            return NULL;
        start = weir_heap_aligned(heap, operation->alignment, size, size % 2);
        if (start && size % 2 && !all_zero(start, size))
            return "aligned zalloc left something";
        broken = adopt(day, object, start, size, operation->alignment);
        object->exact = operation->alignment <= 16;
        return broken;
    case REALLOC:
        return resize(day, heap, object, size);
    case FREE:
        return release(heap, object, false);
    case FREE_SIZED:
        return release(heap, object, true);
    case FREE_NEXT:
        return release_range(heap, day, operation->object, 1 + size % 60, 1, size & 64);
    case FREE_MANY:
        return release_range(heap, day, operation->object, OBJECTS, 1 + size % 5, size & 64);
    case COLLECT:
        weir_heap_collect(heap);
        return NULL;
    case QUIESCE:
        weir_heap_quiesce(heap);
        return NULL;
    case REPLACE:
        weir_heap_release(heap);
        *slot = weir_heap_acquire(arena);
        return *slot ? NULL : "no heap";
    case TRIM:
        weir_arena_trim(arena, size % 2 ? heap : NULL, size);
        return NULL;
    case LIMIT:
        if (day->config.limit)
            weir_arena_limit(arena, day->config.limit / 2 + size % day->config.limit);
        return NULL;
    case KINDS:
        break;
    }
    return NULL;
}

static const char *close_day(struct day *day)
{
    const char *broken = verify_all(day);
    for (size_t i = 0; i < OBJECTS && !broken; i++)
        broken = release(day->heaps[i % HEAPS], &day->objects[i], i % 2);
    for (size_t i = 0; i < HEAPS && !broken; i++)
        weir_heap_release(day->heaps[i]);
    if (broken)
        return broken;
    weir_arena_trim(day->fixture.arena, NULL, 0);
    struct weir_arena_stats stats = fixture_stats(&day->fixture);
    if (stats.held != stats.metadata || stats.live != 0 || stats.slabs != 0 || stats.runs != 0)
        return "something is held after all was freed";
    if (stats.mallocs != stats.frees)
        return "more or fewer frees than mallocs";
    return fixture_broken(&day->fixture);
}

static const char *run_hour(void *context, const void *operations, size_t count)
{
    struct day *day = context;
    const struct operation *operation = operations;
    const char *broken = NULL;
    fixture_open(&day->fixture, &day->config);
    for (size_t i = 0; i < HEAPS; i++)
        day->heaps[i] = weir_heap_acquire(day->fixture.arena);
    for (size_t i = 0; i < OBJECTS; i++)
        day->objects[i] = (struct object){0};
    for (size_t i = 0; i < count && !broken; i++) {
        broken = step(day, &operation[i]);
        if (!broken && (i + 1) % CHECK_EVERY == 0)
            broken = fixture_broken(&day->fixture);
        if (!broken && (i + 1) % VERIFY_EVERY == 0)
            broken = verify_all(day);
        if (!broken && atomic_load(&test_errors))
            broken = "an error was reported";
    }
    if (!broken)
        broken = close_day(day);
    if (broken) { /* nothing of it is to be trusted any more */
        munmap(day->fixture.memory, day->fixture.bytes);
        munmap(day->fixture.metadata, day->fixture.metadata_bytes);
    } else {
        fixture_close(&day->fixture);
    }
    return broken;
}

static void print(void *context, const void *operation)
{
    (void)context;
    const struct operation *o = operation;
    fprintf(stderr, "%s heap=%u object=%u size=%zu alignment=%zu\n", names[o->kind], o->heap, o->object, o->size,
            o->alignment);
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
    hour.objects = (unsigned)random_size(random, hour.size_max > 40000 ? 200 : OBJECTS);
    hour.heaps = (unsigned)random_below(random, HEAPS) + 1;
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
    struct day *day = calloc(1, sizeof *day);
    struct operation *operations = calloc(OPERATIONS, sizeof *operations);
    assert_non_null(day);
    assert_non_null(operations);
    const struct random_test test = {.run = run_hour, .print = print, .context = day, .size = sizeof *operations};
    size_t hours = 0;
    for (double end = now() + seconds(3, 45); now() < end; hours++) {
        struct hour hour = draw_hour(&random, &day->config);
        for (size_t i = 0; i < OPERATIONS; i++)
            operations[i] = draw(&random, &hour, i);
        random_check(&test, operations, OPERATIONS);
    }
    print_message("# %zu hours of %d operations\n", hours, OPERATIONS);
    free(operations);
    free(day);
}

/* --- threads --- */

static struct fixture shared;
static _Atomic(struct object *) slots[OBJECTS];
static atomic_uint lost, stamps;
static atomic_bool over;
static pthread_barrier_t meeting;
static const char *_Atomic found;

static void drop(struct weir_heap *heap, struct object *object)
{
    if (object && !stamp_holds(object + 1, object->size, object->stamp))
        atomic_fetch_add(&lost, 1);
    weir_heap_free(heap, object);
}

static struct object *make(struct weir_heap *heap, struct random *random, size_t most)
{
    size_t size = random_size(random, most);
    struct object *object = random_below(random, 8)   ? weir_heap_malloc(heap, sizeof *object + size)
                            : random_below(random, 2) ? weir_heap_zalloc(heap, sizeof *object + size)
                                                      : weir_heap_aligned(heap, 64, sizeof *object + size, false);
    if (!object)
        return NULL;
    *object = (struct object){.size = size, .stamp = atomic_fetch_add_explicit(&stamps, 1, memory_order_relaxed)};
    stamp_write(object + 1, size, object->stamp);
    return object;
}

/* A thousand operations; mostly others' objects are freed. */
static void exchange(struct weir_heap *heap, struct random *random)
{
    size_t most = (size_t)64 << random_below(random, 12), range = random_size(random, OBJECTS);
    for (size_t i = 0; i < CHECK_EVERY; i++) {
        struct object *mine = random_below(random, 5) > 1 ? make(heap, random, most) : NULL;
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
    for (size_t i = 0; i < OBJECTS; i++)
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
