/* Large objects: whole frames, exactly as many as needed. */
#include <pthread.h>

#include "tests/heap/fixture.h"

static struct fixture fixture;
static struct weir_heap *heap;

static void open_with(struct fixture_config config)
{
    fixture_open(&fixture, &config);
    heap = weir_heap_acquire(fixture.arena);
}

static void close_clean(void)
{
    weir_heap_release(heap);
    assert_sound(&fixture);
    assert_int_equal(fixture_stats(&fixture).held, fixture_stats(&fixture).metadata);
    fixture_close(&fixture);
}

static void runs_are_frame_exact(void **state)
{
    (void)state;
    open_with((struct fixture_config){.prompt = true});
    static const size_t sizes[] = {32769, 36864, 36865, 100000, 262144, 262145, 1000000, 5000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *run = weir_heap_malloc(heap, sizes[i]);
        struct weir_arena_stats stats = fixture_stats(&fixture);
        size_t exact = (sizes[i] + WEIR_FRAME_SIZE - 1) / WEIR_FRAME_SIZE * WEIR_FRAME_SIZE;
        assert_int_equal(weir_arena_usable_size(fixture.arena, run), exact);
        assert_int_equal(stats.held - stats.metadata, exact);
        assert_int_equal(stats.runs, 1);
        stamp_write(run, exact, 5);
        assert_true(stamp_holds(run, exact, 5));
        weir_heap_free(heap, run);
    }
    close_clean();
}

/* Address space is enough: nothing touches what it does not need. */
static void a_three_gib_object_fits_in_three_and_a_half(void **state)
{
    (void)state;
    open_with((struct fixture_config){.bytes = (size_t)7 << 29, .prompt = true});
    char *huge = weir_heap_zalloc(heap, (size_t)3 << 30);
    assert_non_null(huge);
    huge[0] = huge[((size_t)3 << 30) - 1] = 1;
    assert_null(weir_heap_malloc(heap, (size_t)1 << 30));
    assert_ptr_equal(weir_heap_realloc(heap, huge, (size_t)2 << 30), huge);
    void *more = weir_heap_malloc(heap, (size_t)1 << 30);
    assert_non_null(more);
    weir_heap_free(heap, more);
    weir_heap_free(heap, huge);
    close_clean();
}

static void a_loop_over_one_buffer_keeps_it(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    struct weir_frames_stats before, after;
    void *first = weir_heap_malloc(heap, 200000);
    weir_heap_free(heap, first);
    weir_frames_stats(fixture.frames, &before);
    for (size_t i = 0; i < 20; i++) {
        void *again = weir_heap_malloc(heap, 200000);
        assert_ptr_equal(again, first);
        weir_heap_free(heap, again);
    }
    weir_frames_stats(fixture.frames, &after);
    assert_int_equal(after.allocs, before.allocs);
    assert_int_equal(fixture_stats(&fixture).live, 0);
    close_clean();
}

static void no_more_than_a_few_are_kept(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    enum {
        N = 40
    };
    void *runs[N];
    for (size_t i = 0; i < N; i++)
        runs[i] = weir_heap_malloc(heap, 40000 + i * 4096);
    for (size_t i = 0; i < N; i++)
        weir_heap_free(heap, runs[i]);
    struct weir_arena_stats stats = fixture_stats(&fixture);
    assert_true(stats.held - stats.metadata <= (size_t)8 * 262144);
    assert_int_equal(stats.runs, 0);
    close_clean();
}

static void aligned_runs_beyond_any_order(void **state)
{
    (void)state;
    open_with((struct fixture_config){.bytes = (size_t)256 << 20});
    for (size_t alignment = 8192; alignment <= (size_t)32 << 20; alignment *= 4) {
        char *small = weir_heap_aligned(heap, alignment, 100, true);
        char *large = weir_heap_aligned(heap, alignment, 300000, false);
        assert_int_equal((uintptr_t)small % alignment, 0);
        assert_int_equal((uintptr_t)large % alignment, 0);
        weir_heap_free_sized(heap, small, 100);
        weir_heap_free_sized(heap, large, 300000);
    }
    assert_int_equal(atomic_load(&test_errors), 0);
    close_clean();
}

/* Two threads free the same run: one of them is right. */
static void *contested;
static pthread_barrier_t start;

static void *free_it(void *unused)
{
    (void)unused;
    struct weir_heap *mine = weir_heap_acquire(fixture.arena);
    pthread_barrier_wait(&start);
    weir_heap_free(mine, contested);
    pthread_barrier_wait(&start);
    weir_heap_release(mine);
    return NULL;
}

static void two_frees_of_one_run_have_one_winner(void **state)
{
    (void)state;
    for (size_t round = 0; round < 20; round++) {
        open_with((struct fixture_config){.prompt = round % 2});
        contested = weir_heap_malloc(heap, 100000);
        pthread_t threads[2];
        pthread_barrier_init(&start, NULL, 2);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, free_it, NULL), 0);
        for (size_t i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&start);
        assert_int_equal(atomic_load(&test_errors), 1);
        assert_int_equal(test_last_error.status, WEIR_DOUBLE_FREE);
        close_clean();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_frame_exact),
        cmocka_unit_test(a_three_gib_object_fits_in_three_and_a_half),
        cmocka_unit_test(a_loop_over_one_buffer_keeps_it),
        cmocka_unit_test(no_more_than_a_few_are_kept),
        cmocka_unit_test(aligned_runs_beyond_any_order),
        cmocka_unit_test(two_frees_of_one_run_have_one_winner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
