/*
 * What happens when memory is refused: limits, rungs, and every single refusal of a long program in turn.
 *
 * The frame table's functions are wrapped by the linker, so that they can be told to refuse.
 */
#include <string.h>

#include "tests/heap/fixture.h"
#include "tests/support/random.h"

static struct fixture fixture;

/* --- refusals --- */

static size_t requests, refuse_from = SIZE_MAX, refuse_times;

static bool refused(void)
{
    size_t n = requests++;
    return n >= refuse_from && n - refuse_from < refuse_times;
}

uintptr_t __real_weir_frames_alloc(struct weir_frames *frames, size_t count, size_t align, unsigned flags, bool *zero);
uintptr_t __wrap_weir_frames_alloc(struct weir_frames *frames, size_t count, size_t align, unsigned flags, bool *zero);
uintptr_t __real_weir_frames_alloc_slab(struct weir_frames *frames, unsigned order, void *descriptor, bool *zero);
uintptr_t __wrap_weir_frames_alloc_slab(struct weir_frames *frames, unsigned order, void *descriptor, bool *zero);
bool __real_weir_frames_grow(struct weir_frames *frames, uintptr_t start, size_t count, size_t wanted, bool *zero);
bool __wrap_weir_frames_grow(struct weir_frames *frames, uintptr_t start, size_t count, size_t wanted, bool *zero);

uintptr_t __wrap_weir_frames_alloc(struct weir_frames *frames, size_t count, size_t align, unsigned flags, bool *zero)
{
    return refused() ? 0 : __real_weir_frames_alloc(frames, count, align, flags, zero);
}

uintptr_t __wrap_weir_frames_alloc_slab(struct weir_frames *frames, unsigned order, void *descriptor, bool *zero)
{
    return refused() ? 0 : __real_weir_frames_alloc_slab(frames, order, descriptor, zero);
}

bool __wrap_weir_frames_grow(struct weir_frames *frames, uintptr_t start, size_t count, size_t wanted, bool *zero)
{
    return !refused() && __real_weir_frames_grow(frames, start, count, wanted, zero);
}

static void refuse(size_t from, size_t times)
{
    requests = 0;
    refuse_from = from;
    refuse_times = times;
}

/* A program of fixed steps that takes every path to the frame table. Copes with every answer. */
static void program(void)
{
    enum {
        N = 120
    };
    struct weir_heap *heap = weir_heap_acquire(fixture.arena), *other = weir_heap_acquire(fixture.arena);
    unsigned char *objects[N] = {0};
    size_t sizes[N] = {0};
    struct random random = random_seeded(7);
    for (size_t i = 0; heap && other && i < 400; i++) {
        size_t k = random_below(&random, N), size = random_size(&random, 90000);
        struct weir_heap *mine = i % 3 ? heap : other;
        unsigned char *made;
        if (!objects[k]) {
            made = i % 5 ? weir_heap_malloc(mine, size) : weir_heap_aligned(mine, 8192, size, true);
        } else if (i % 4 == 0) {
            made = weir_heap_realloc(mine, objects[k], size);
            if (!made)
                continue;
            if (!stamp_holds(made,
                             size < sizes[k] && size < 64 ? 0
                             : sizes[k] < 64              ? 0
                             : size < 64                  ? 0
                                                          : 64,
                             (unsigned)k))
                fail_msg("realloc lost bytes");
        } else {
            assert_true(stamp_holds(objects[k], sizes[k], (unsigned)k));
            weir_heap_free(mine, objects[k]);
            made = NULL;
        }
        objects[k] = made;
        sizes[k] = size;
        if (made)
            stamp_write(made, size, (unsigned)k);
    }
    for (size_t k = 0; k < N; k++) {
        if (!objects[k])
            continue;
        assert_true(stamp_holds(objects[k], sizes[k], (unsigned)k));
        weir_heap_free(heap, objects[k]);
    }
    if (heap)
        weir_heap_release(heap);
    if (other)
        weir_heap_release(other);
}

/* Each n-th request in turn, or every `stride`-th. */
static void refuse_each(bool prompt, size_t times, size_t stride)
{
    refuse(SIZE_MAX, 0);
    fixture_open(&fixture, &(struct fixture_config){.bytes = (size_t)8 << 20, .prompt = prompt});
    requests = 0;
    program();
    size_t all = requests;
    fixture_close(&fixture);
    assert_true(all > 100);
    for (size_t n = 0; n < all; n += stride) {
        /* Also the arena's own creation may meet it: then there is none. */
        refuse(n, times);
        fixture_open(&fixture, &(struct fixture_config){.bytes = (size_t)8 << 20, .prompt = prompt});
        if (fixture.arena) {
            program();
            weir_arena_trim(fixture.arena, NULL, 0);
            assert_sound(&fixture);
            struct weir_arena_stats stats = fixture_stats(&fixture);
            assert_int_equal(stats.held, stats.metadata);
        }
        assert_int_equal(atomic_load(&test_errors), 0);
        fixture_close(&fixture);
    }
    refuse(SIZE_MAX, 0);
}

static void every_refusal_in_turn(void **state)
{
    (void)state;
    refuse_each(false, 1, 1);
    refuse_each(true, 1, 2);
}

static void every_run_of_refusals(void **state)
{
    (void)state;
    refuse_each(false, 12, 5);
    refuse_each(true, SIZE_MAX, 5);
}

/* --- limits --- */

static void a_limit_holds(void **state)
{
    (void)state;
    const size_t limit = (size_t)1 << 20;
    fixture_open(&fixture, &(struct fixture_config){.limit = limit});
    struct weir_heap *heap = weir_heap_acquire(fixture.arena);
    static void *objects[100000];
    size_t n = 0;
    while ((objects[n] = weir_heap_malloc(heap, 50 + n % 700)) != NULL)
        n++;
    struct weir_arena_stats stats = fixture_stats(&fixture);
    assert_true(stats.held <= limit);
    assert_true(stats.live > limit / 2);
    assert_int_equal(stats.limit, limit);
    assert_true(stats.failed >= 1);
    assert_null(weir_heap_malloc(heap, limit));
    /* Freed memory can be had again, whatever the class. */
    for (size_t i = 0; i < n; i++)
        weir_heap_free(heap, objects[i]);
    void *run = weir_heap_malloc(heap, limit * 3 / 4);
    assert_non_null(run);
    weir_arena_limit(fixture.arena, 0);
    void *more = weir_heap_malloc(heap, limit * 4);
    assert_non_null(more);
    weir_heap_free(heap, run);
    weir_heap_free(heap, more);
    weir_heap_release(heap);
    fixture_close(&fixture);
}

/* --- the rungs --- */

static void what_others_keep_is_found(void **state)
{
    (void)state;
    fixture_open(&fixture, &(struct fixture_config){.limit = (size_t)512 << 10});
    struct weir_heap *heap = weir_heap_acquire(fixture.arena), *sleeper = weir_heap_acquire(fixture.arena);
    /* The sleeper keeps a slab and a run. */
    weir_heap_free(sleeper, weir_heap_malloc(sleeper, 32768));
    weir_heap_free(sleeper, weir_heap_malloc(sleeper, 200000));
    assert_null(weir_heap_malloc(heap, 400000));
    weir_heap_quiesce(sleeper);
    void *run = weir_heap_malloc(heap, 400000);
    assert_non_null(run);
    weir_heap_free(heap, run);
    weir_heap_release(heap);
    weir_heap_release(sleeper);
    fixture_close(&fixture);
}

struct helper {
    struct weir_heap *heap;
    void *cache[4]; /* what it can let go */
    size_t calls, bytes;
    bool hungry; /* allocates itself */
};

static bool drop_something(void *context, size_t bytes)
{
    struct helper *helper = context;
    helper->calls++;
    helper->bytes = bytes;
    if (helper->hungry)
        assert_null(weir_heap_malloc(helper->heap, (size_t)60 << 20));
    for (size_t i = 0; i < 4; i++)
        if (helper->cache[i]) {
            weir_heap_free(helper->heap, helper->cache[i]);
            helper->cache[i] = NULL;
            return true;
        }
    return false;
}

static void the_callback_is_asked_last(void **state)
{
    (void)state;
    struct helper helper = {0};
    fixture_open(&fixture,
                 &(struct fixture_config){.limit = (size_t)2 << 20, .reclaim = drop_something, .context = &helper});
    struct weir_heap *heap = helper.heap = weir_heap_acquire(fixture.arena);
    for (size_t i = 0; i < 4; i++)
        helper.cache[i] = weir_heap_malloc(heap, 400000);
    assert_int_equal(helper.calls, 0);
    void *run = weir_heap_malloc(heap, 1000000);
    assert_non_null(run);
    assert_int_equal(helper.calls, 2);
    assert_int_equal(helper.bytes, 1003520);
    helper.hungry = true;
    assert_null(weir_heap_malloc(heap, 60 << 20));
    weir_heap_free(heap, run);
    weir_heap_release(heap);
    fixture_close(&fixture);
}

static size_t grown;

/* Adds what the fixture held back. */
static bool add_memory(void *context, size_t bytes)
{
    (void)context;
    grown += bytes;
    size_t half = fixture.bytes / 2;
    if (weir_frames_add(fixture.frames, (uintptr_t)fixture.memory + half, half / WEIR_FRAME_SIZE, 0) != WEIR_OK)
        return false;
    fixture.frames_free += half / WEIR_FRAME_SIZE;
    return true;
}

static void growing_comes_first_unless_the_limit_refused(void **state)
{
    (void)state;
    struct helper helper = {0};
    grown = 0;
    fixture_open(&fixture, &(struct fixture_config){.bytes = (size_t)8 << 20,
                                                    .held_back = (size_t)4 << 20,
                                                    .limit = (size_t)2 << 20,
                                                    .grow = add_memory,
                                                    .reclaim = drop_something,
                                                    .context = &helper});
    struct weir_heap *heap = helper.heap = weir_heap_acquire(fixture.arena);
    assert_null(weir_heap_malloc(heap, (size_t)3 << 20));
    assert_int_equal(grown, 0);
    assert_int_equal(helper.calls, 1);
    weir_arena_limit(fixture.arena, 0);
    void *run = weir_heap_malloc(heap, (size_t)5 << 20);
    assert_non_null(run);
    assert_int_equal(grown, (size_t)5 << 20);
    assert_int_equal(helper.calls, 1);
    weir_heap_free(heap, run);
    weir_heap_release(heap);
    fixture_close(&fixture);
}

static void slabs_that_sleep_wake_before_memory_is_out(void **state)
{
    (void)state;
    fixture_open(&fixture, &(struct fixture_config){.limit = (size_t)256 << 10});
    struct weir_heap *heap = weir_heap_acquire(fixture.arena);
    static void *objects[20000];
    size_t n = 0;
    while ((objects[n] = weir_heap_malloc(heap, 64)) != NULL)
        n++;
    /* One object in each slab: fewer than wake it. */
    size_t freed = 0;
    for (size_t i = 0; i < n; i += 1024, freed++)
        weir_heap_free(heap, objects[i]);
    for (size_t i = 0; i < freed; i++)
        assert_non_null(objects[i * 1024] = weir_heap_malloc(heap, 64));
    assert_null(weir_heap_malloc(heap, 64));
    for (size_t i = 0; i < n; i++)
        weir_heap_free(heap, objects[i]);
    weir_heap_release(heap);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_in_turn),
        cmocka_unit_test(every_run_of_refusals),
        cmocka_unit_test(a_limit_holds),
        cmocka_unit_test(what_others_keep_is_found),
        cmocka_unit_test(the_callback_is_asked_last),
        cmocka_unit_test(growing_comes_first_unless_the_limit_refused),
        cmocka_unit_test(slabs_that_sleep_wake_before_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
