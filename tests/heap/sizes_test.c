/* What is live size by size, and what was forgotten. */
#include "src/heap/heap.h"
#include "tests/heap/fixture.h"

static struct fixture fixture;
static struct weir_heap *heap, *other;
static struct weir_size_stats rows[WEIR_SIZES];

static int open_two(void **state)
{
    (void)state;
    fixture_open(&fixture, &(struct fixture_config){.bytes = (size_t)64 << 20});
    heap = weir_heap_acquire(fixture.arena);
    other = weir_heap_acquire(fixture.arena);
    return heap == NULL || other == NULL;
}

static int close_all(void **state)
{
    (void)state;
    weir_heap_release(heap);
    weir_heap_release(other);
    fixture_close(&fixture);
    return 0;
}

/* The row in which objects of `size` bytes count. */
static const struct weir_size_stats *row_for(size_t size)
{
    unsigned row = 0;
    while (rows[row].size < size)
        row++;
    return &rows[row];
}

static void assert_rows_add_up(void)
{
    weir_arena_sizes(fixture.arena, rows);
    struct weir_arena_stats stats = fixture_stats(&fixture);
    size_t held = stats.metadata, slabs = 0;
    for (unsigned i = 0; i < WEIR_SIZES; i++) {
        assert_true(i == 0 || rows[i].size > rows[i - 1].size);
        assert_true(rows[i].live <= rows[i].room);
        assert_true(rows[i].bytes <= rows[i].live * rows[i].size);
        assert_true(rows[i].bytes <= rows[i].held);
        held += rows[i].held;
        slabs += rows[i].slabs;
    }
    assert_int_equal(held, stats.held);
    assert_true(slabs >= stats.slabs + stats.runs);
}

static void objects_count_in_the_row_of_their_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,     16,    17,    255,    256,    257,     1000,    4096,
                                   32768, 32769, 65536, 65537, 100000, 131072, 1000000, 1048577, (size_t)20 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *objects[3];
        for (size_t k = 0; k < 3; k++) {
            if (sizes[i] > (size_t)10 << 20 && k > 0)
                objects[k] = NULL;
            else
                assert_non_null(objects[k] = weir_heap_malloc(heap, sizes[i]));
        }
        size_t n = objects[1] ? 3 : 1;
        assert_rows_add_up();
        assert_int_equal(row_for(sizes[i])->live, n);
        assert_int_equal(row_for(sizes[i])->bytes, n * weir_arena_usable_size(fixture.arena, objects[0]));
        for (size_t k = 0; k < n; k++)
            weir_heap_free(heap, objects[k]);
        assert_rows_add_up();
        assert_int_equal(row_for(sizes[i])->live, 0);
        assert_int_equal(row_for(sizes[i])->bytes, 0);
    }
}

/* In whatever place a freed object waits, it is not counted. */
static void what_waits_is_not_live(void **state)
{
    (void)state;
    enum {
        N = 1000
    };
    static void *objects[N];
    for (size_t i = 0; i < N; i++)
        objects[i] = weir_heap_malloc(heap, 48);
    for (size_t i = 0; i < N; i++) {
        weir_heap_free(i % 3 ? other : heap, objects[i]);
        weir_arena_sizes(fixture.arena, rows);
        assert_int_equal(row_for(48)->live, N - 1 - i);
    }
    weir_heap_collect(other);
    assert_rows_add_up();
    assert_int_equal(row_for(48)->live, 0);
}

static void there_is_room_for_what_fits(void **state)
{
    (void)state;
    weir_heap_malloc(heap, 100);
    weir_heap_malloc(other, 100);
    assert_rows_add_up();
    const struct weir_size_stats *row = row_for(100);
    assert_int_equal(row->slabs, 2);
    assert_in_range(row->room, (row->held - 2 * row->size) / row->size, row->held / row->size);
}

static void runs_of_odd_alignment_count_by_their_size(void **state)
{
    (void)state;
    void *object = weir_heap_aligned(heap, (size_t)1 << 20, 100, false);
    assert_rows_add_up();
    assert_int_equal(row_for(4096)->live, 1);
    weir_heap_free(heap, object);
}

static void what_was_forgotten_is_listed_most_bytes_first(void **state)
{
    (void)state;
    struct weir_leak leaks[4];
    assert_int_equal(weir_arena_leaks(fixture.arena, leaks, 4), 0);
    void *freed[100], *large = weir_heap_malloc(other, 300000);
    for (size_t i = 0; i < 100; i++)
        freed[i] = weir_heap_malloc(heap, 5000);
    for (size_t i = 0; i < 10; i++)
        weir_heap_malloc(heap, 30);
    void *middle = weir_heap_malloc(heap, 1000);
    for (size_t i = 0; i < 100; i++)
        weir_heap_free(i % 2 ? heap : other, freed[i]);
    assert_int_equal(weir_arena_leaks(fixture.arena, leaks, 4), 3);
    assert_int_equal(leaks[0].size, 512 * 1024);
    assert_int_equal(leaks[0].objects, 1);
    assert_int_equal(leaks[0].bytes, 303104);
    assert_int_equal(leaks[0].example, (uintptr_t)large);
    assert_int_equal(leaks[1].size, 1024);
    assert_int_equal(leaks[1].example, (uintptr_t)middle);
    assert_int_equal(leaks[2].size, 32);
    assert_int_equal(leaks[2].objects, 10);
    assert_int_equal(leaks[2].bytes, 320);
    weir_heap_free(heap, (void *)leaks[2].example);
    assert_int_equal(weir_arena_leaks(fixture.arena, leaks, 1), 3);
    assert_int_equal(leaks[0].bytes, 303104);
    assert_int_equal(weir_arena_leaks(fixture.arena, NULL, 0), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_two, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(objects_count_in_the_row_of_their_size),
        TEST(what_waits_is_not_live),
        TEST(there_is_room_for_what_fits),
        TEST(runs_of_odd_alignment_count_by_their_size),
        TEST(what_was_forgotten_is_listed_most_bytes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
