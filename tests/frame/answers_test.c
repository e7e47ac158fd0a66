/* Counts and indices of fragmentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"

static const uintptr_t base = (uintptr_t)1 << 32;

static void test_whole(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, base, 1024, 0, 0);
    assert_int_equal(weir_frames_fragmentation(frames), 0);
    assert_int_equal(weir_frames_unusable(frames, 0), 0);
    weir_frames_add(frames, base, 1024, 0);
    assert_int_equal(weir_frames_fragmentation(frames), 0);
    assert_int_equal(weir_frames_unusable(frames, 10), 0);
    assert_int_equal(weir_frames_unusable(frames, 11), 1000);
    fixture_close(&fixture);
}

/* Every other frame taken: half of memory is free, and none of it serves two frames. */
static void test_checkerboard(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, base, 1024, 0, 0);
    weir_frames_add(frames, base, 1024, 0);
    for (size_t i = 0; i < 1024; i += 2)
        weir_frames_alloc_within(frames, 1, 1, base + FRAME(i), base + FRAME(i + 1), 0, NULL);
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_int_equal(stats.free, 512);
    assert_int_equal(stats.blocks[0], 512);
    assert_int_equal(stats.largest, 1);
    assert_int_equal(weir_frames_fragmentation(frames), 998);
    assert_int_equal(weir_frames_unusable(frames, 0), 0);
    assert_int_equal(weir_frames_unusable(frames, 1), 1000);
    fixture_close(&fixture);
}

/* Three quarters in one block of 512 and one of 256, a quarter in pieces of 64. */
static void test_unusable(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, base, 2048, 0, 0);
    weir_frames_add(frames, base, 512, 0);
    weir_frames_add(frames, base + FRAME(1024), 256, 0);
    for (size_t i = 0; i < 4; i++)
        weir_frames_add(frames, base + FRAME(1536 + 128 * i), 64, 0);
    assert_int_equal(weir_frames_unusable(frames, 6), 0);
    assert_int_equal(weir_frames_unusable(frames, 7), 250);
    assert_int_equal(weir_frames_unusable(frames, 9), 500);
    assert_int_equal(weir_frames_fragmentation(frames), 500);
    fixture_close(&fixture);
}

/* What lies in caches is free, but usable for single frames only until they are flushed. */
static void test_cached_is_free(void **state)
{
    (void)state;
    struct fixture fixture;
    test_set_slot(0);
    struct weir_frames *frames = fixture_open(&fixture, base, 1024, 0, 1);
    weir_frames_add(frames, base, 1024, 0);
    weir_frames_free(frames, weir_frames_alloc(frames, 1, 1, 0, NULL), 1);
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_int_equal(stats.free, 1024);
    assert_true(stats.cached > 0);
    assert_int_equal(stats.allocs, 1);
    assert_int_equal(stats.frees, 1);
    assert_int_equal(weir_frames_fragmentation(frames), 0);
    assert_int_equal(fixture_stats(frames).cached, 0);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_checkerboard),
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_cached_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
