/* realloc and sized free. */
#include <string.h>

#include "tests/heap/fixture.h"

static struct fixture fixture;
static struct weir_heap *heap;

static int open_plain(void **state)
{
    (void)state;
    fixture_open(&fixture, NULL);
    heap = weir_heap_acquire(fixture.arena);
    return heap == NULL;
}

static int close_clean(void **state)
{
    (void)state;
    weir_heap_release(heap);
    weir_arena_trim(fixture.arena, NULL, 0);
    assert_sound(&fixture);
    assert_int_equal(fixture_stats(&fixture).live, 0);
    fixture_close(&fixture);
    return 0;
}

static void small_objects_stay_down_to_half(void **state)
{
    (void)state;
    void *object = weir_heap_malloc(heap, 1000);
    assert_ptr_equal(weir_heap_realloc(heap, object, 1020), object);
    assert_ptr_equal(weir_heap_realloc(heap, object, 600), object);
    unsigned char *moved = weir_heap_realloc(heap, object, 100);
    assert_ptr_not_equal(moved, object);
    assert_true(weir_arena_usable_size(fixture.arena, moved) < 200);
    weir_heap_free(heap, moved);
}

static void bytes_move_with_the_object(void **state)
{
    (void)state;
    unsigned char *object = NULL;
    size_t old = 0;
    static const size_t sizes[] = {1, 40, 300, 5000, 30000, 40000, 300000, 3000000, 200000, 33000, 20000, 90, 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        object = weir_heap_realloc(heap, object, sizes[i]);
        assert_non_null(object);
        for (size_t k = 0; k < old && k < sizes[i]; k++)
            assert_int_equal(object[k], (unsigned char)(k * 7));
        for (size_t k = 0; k < sizes[i]; k++)
            object[k] = (unsigned char)(k * 7);
        old = sizes[i];
        assert_sound(&fixture);
    }
    weir_heap_free(heap, object);
}

static void a_null_object_is_malloc_and_size_zero_an_object(void **state)
{
    (void)state;
    void *object = weir_heap_realloc(heap, NULL, 100);
    assert_non_null(object);
    object = weir_heap_realloc(heap, object, 0);
    assert_non_null(object);
    weir_heap_free(heap, object);
}

static void a_run_gives_its_tail_back(void **state)
{
    (void)state;
    void *run = weir_heap_malloc(heap, (size_t)1 << 20);
    size_t held = fixture_stats(&fixture).held;
    assert_ptr_equal(weir_heap_realloc(heap, run, (size_t)600 << 10), run);
    assert_int_equal(fixture_stats(&fixture).held, held - ((size_t)424 << 10));
    assert_int_equal(weir_arena_usable_size(fixture.arena, run), (size_t)600 << 10);
    weir_heap_free(heap, run);
}

static void a_run_grows_where_it_is(void **state)
{
    (void)state;
    unsigned char *run = weir_heap_malloc(heap, 100000);
    stamp_write(run, 100000, 1);
    unsigned char *grown = run;
    size_t in_place = 0;
    for (size_t size = 200000; size <= 2000000; size += 100000) {
        unsigned char *next = weir_heap_realloc(heap, grown, size);
        in_place += next == grown;
        grown = next;
    }
    assert_true(in_place >= 10);
    assert_true(stamp_holds(grown, 64, 1));
    weir_heap_free(heap, grown);
}

static void nothing_changes_without_memory(void **state)
{
    (void)state;
    unsigned char *object = weir_heap_malloc(heap, 200), *run = weir_heap_malloc(heap, 50000);
    memset(object, 1, 200);
    memset(run, 2, 50000);
    weir_arena_limit(fixture.arena, 1);
    assert_null(weir_heap_realloc(heap, object, 100000));
    assert_null(weir_heap_realloc(heap, run, 200000));
    assert_int_equal(object[199], 1);
    assert_int_equal(run[49999], 2);
    /* Shrinking always succeeds, in place if need be, and a sized free agrees. */
    assert_non_null(run = weir_heap_realloc(heap, run, 40));
    assert_int_equal(run[39], 2);
    weir_heap_free_sized(heap, run, 40);
    weir_heap_free(heap, object);
    assert_int_equal(atomic_load(&test_errors), 0);
}

static void sized_frees_are_held_to_the_class(void **state)
{
    (void)state;
    void *object = weir_heap_malloc(heap, 100);
    assert_misuse(WEIR_WRONG_SIZE, weir_heap_free_sized(heap, object, 200));
    assert_misuse(WEIR_WRONG_SIZE, weir_heap_free_sized(heap, object, 80));
    assert_misuse(WEIR_WRONG_SIZE, weir_heap_free_sized(heap, object, 100000));
    assert_int_equal(test_last_error.address, (uintptr_t)object);
    assert_string_equal(test_last_error.operation, "weir_heap_free_sized");
    void *run = weir_heap_malloc(heap, 100000);
    assert_misuse(WEIR_WRONG_SIZE, weir_heap_free_sized(heap, run, 200000));
    assert_misuse(WEIR_WRONG_SIZE, weir_heap_free_sized(heap, run, 100));
    test_platform_reset();
    weir_heap_free_sized(heap, object, 97);
    weir_heap_free_sized(heap, run, 99999);
    weir_heap_free_sized(heap, NULL, 5);
    assert_int_equal(atomic_load(&test_errors), 0);
}

static void a_sized_free_after_shrinking_is_right(void **state)
{
    (void)state;
    void *object = weir_heap_malloc(heap, 1000);
    assert_ptr_equal(weir_heap_realloc(heap, object, 520), object);
    weir_heap_free_sized(heap, object, 520);
    assert_int_equal(atomic_load(&test_errors), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_plain, close_clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(small_objects_stay_down_to_half),
        TEST(bytes_move_with_the_object),
        TEST(a_null_object_is_malloc_and_size_zero_an_object),
        TEST(a_run_gives_its_tail_back),
        TEST(a_run_grows_where_it_is),
        TEST(nothing_changes_without_memory),
        TEST(sized_frees_are_held_to_the_class),
        TEST(a_sized_free_after_shrinking_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
