/* The road to the host and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"

#define CHUNK ((size_t)512)
#define MIB   ((size_t)256)
#define GIB   (1024 * MIB)

static struct fixture fixture;
static struct weir_frames *frames;
static const uintptr_t base = (uintptr_t)1 << 32;

static void with_memory(size_t count, unsigned flags)
{
    frames = fixture_open(&fixture, base, count, 0, 1);
    weir_frames_add(frames, base, count, flags);
    test_set_slot(0);
}

static void without(void)
{
    assert_int_equal(atomic_load(&test_errors), 0);
    assert_sound(frames);
    fixture_close(&fixture);
}

/* Touches [from, from + count) of the memory, as a program would that used it and freed it. */
static void use(size_t from, size_t count)
{
    uintptr_t start = base + FRAME(from);
    assert_int_equal(weir_frames_alloc_within(frames, count, 1, start, start + FRAME(count), 0, NULL), start);
    assert_int_equal(weir_frames_free(frames, start, count), WEIR_OK);
}

static void test_report_all(void **state)
{
    (void)state;
    struct weir_range ranges[16];
    with_memory(4 * GIB, WEIR_REGION_BACKED);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 0, ranges, 16), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ranges[i].frames, GIB);
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_int_equal(stats.free, 0);
    assert_int_equal(stats.isolated, 4 * GIB);
    assert_int_equal(weir_frames_alloc(frames, 1, 1, 0, NULL), 0);
    assert_sound(frames);
    weir_frames_unisolate(frames, ranges, 4, true);
    stats = fixture_stats(frames);
    assert_int_equal(stats.free, 4 * GIB);
    assert_int_equal(stats.backed, 0);
    assert_int_equal(stats.reported, 4 * GIB);
    assert_int_equal(stats.retaken, 0);
    /* nothing is reported twice */
    assert_int_equal(weir_frames_isolate(frames, 0, SIZE_MAX, 0, ranges, 16), 0);
    bool zero;
    assert_int_not_equal(weir_frames_alloc(frames, 300, 1, 0, &zero), 0);
    assert_false(zero);
    assert_int_equal(fixture_stats(frames).retaken, 300);
    assert_int_equal(fixture_stats(frames).backed, 300);
    without();
}

/* What was not reported after all is as it was. */
static void test_report_failed(void **state)
{
    (void)state;
    struct weir_range ranges[4];
    with_memory(GIB, WEIR_REGION_BACKED | WEIR_REGION_ZERO);
    assert_int_equal(weir_frames_isolate(frames, 9, 1000, 0, ranges, 4), 1);
    weir_frames_unisolate(frames, ranges, 1, false);
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_int_equal(stats.free_backed, GIB);
    assert_int_equal(stats.reported, 0);
    assert_int_equal(stats.largest, GIB);
    bool zero;
    weir_frames_alloc(frames, GIB, 1, 0, &zero);
    assert_true(zero);
    without();
}

/* Of a gigabyte in which 96 MiB and 2 MiB were used: exactly these, in two ranges. */
static void test_report_what_was_used(void **state)
{
    (void)state;
    struct weir_range ranges[16];
    with_memory(GIB, WEIR_REGION_ZERO);
    use(200 * MIB, 96 * MIB);
    use(600 * MIB, 2 * MIB);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 0, ranges, 16), 2);
    assert_int_equal(ranges[0].start, base + FRAME(200 * MIB));
    assert_int_equal(ranges[0].frames, 96 * MIB);
    assert_int_equal(ranges[1].start, base + FRAME(600 * MIB));
    assert_int_equal(ranges[1].frames, 2 * MIB);
    assert_sound(frames);
    weir_frames_unisolate(frames, ranges, 2, true);
    assert_int_equal(fixture_stats(frames).largest, GIB);
    without();
}

static void test_limits(void **state)
{
    (void)state;
    struct weir_range ranges[16];
    with_memory(GIB, WEIR_REGION_ZERO);
    for (size_t i = 0; i < 20; i++)
        use(i * 10 * MIB, 4 * MIB);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 0, ranges, 3), 3);
    assert_int_equal(weir_frames_isolate(frames, 9, 5 * MIB, 0, ranges + 3, 10), 2);
    assert_int_equal(ranges[3].frames + ranges[4].frames, 5 * MIB);
    assert_int_equal(weir_frames_isolate(frames, 9, 0, 0, ranges + 5, 10), 0);
    assert_int_equal(weir_frames_isolate(frames, 9, 5, 0, ranges + 5, 0), 0);
    assert_sound(frames);
    weir_frames_unisolate(frames, ranges, 5, false);
    assert_int_equal(fixture_stats(frames).free_backed, 80 * MIB);
    without();
}

/* Blocks below the order asked for stay; so do those that are not backed. */
static void test_least_order(void **state)
{
    (void)state;
    struct weir_range ranges[600];
    with_memory(2 * CHUNK, WEIR_REGION_BACKED);
    uintptr_t odd[CHUNK];
    size_t n = 0;
    for (size_t i = 1; i < CHUNK; i += 2) {
        uintptr_t at = base + FRAME(i);
        odd[n++] = weir_frames_alloc_within(frames, 1, 1, at, at + FRAME(1), 0, NULL);
    }
    assert_int_equal(weir_frames_isolate(frames, 10, SIZE_MAX, 0, ranges, 600), 0);
    assert_int_equal(weir_frames_isolate(frames, 1, SIZE_MAX, 0, ranges, 600), 1);
    assert_int_equal(ranges[0].frames, CHUNK);
    assert_int_equal(weir_frames_isolate(frames, 0, SIZE_MAX, 0, ranges + 1, 600), CHUNK / 2);
    assert_sound(frames);
    weir_frames_unisolate(frames, ranges, 1 + CHUNK / 2, true);
    while (n > 0)
        weir_frames_free(frames, odd[--n], 1);
    /* those freed now are backed, their neighbours are not */
    assert_int_equal(fixture_stats(frames).free_backed, CHUNK / 2);
    without();
}

/* What was freed just now is left alone, 2 MiB by 2 MiB. */
static void test_cold(void **state)
{
    (void)state;
    struct weir_range ranges[16];
    with_memory(64 * CHUNK, WEIR_REGION_ZERO);
    atomic_store(&test_clock, 1000);
    use(0, 10 * CHUNK);
    atomic_store(&test_clock, 2000);
    use(5 * CHUNK, 2 * CHUNK);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 1000, ranges, 16), 0);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 2000, ranges, 16), 2);
    assert_int_equal(ranges[0].frames, 5 * CHUNK);
    assert_int_equal(ranges[1].frames, 3 * CHUNK);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 2001, ranges + 2, 14), 2);
    assert_int_equal(ranges[2].frames + ranges[3].frames, 2 * CHUNK);
    weir_frames_unisolate(frames, ranges, 4, true);
    /* frame by frame: when the last frame of a chunk comes home, the chunk is warm */
    uintptr_t run = weir_frames_alloc(frames, CHUNK, 1, 0, NULL);
    atomic_store(&test_clock, 3000);
    weir_frames_free(frames, run, CHUNK - 1);
    atomic_store(&test_clock, 4000);
    weir_frames_free(frames, run + FRAME(CHUNK - 1), 1);
    weir_frames_largest_run(frames);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 4000, ranges, 16), 0);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 4001, ranges, 16), 1);
    weir_frames_unisolate(frames, ranges, 1, true);
    atomic_store(&test_clock, 0);
    without();
}

/* Who reports small blocks too has them left alone while they are warm, from the first time on that he asks. */
static void test_cold_small_blocks(void **state)
{
    (void)state;
    struct weir_range ranges[16];
    with_memory(CHUNK, WEIR_REGION_ZERO);
    atomic_store(&test_clock, 1000);
    uintptr_t wall = weir_frames_alloc(frames, 17, 1, 0, NULL);
    weir_frames_isolate(frames, 4, SIZE_MAX, 1, ranges, 16);
    uintptr_t run = weir_frames_alloc(frames, 32, 1, 0, NULL);
    weir_frames_free(frames, run, 32);
    assert_int_equal(weir_frames_isolate(frames, 4, SIZE_MAX, 1000, ranges, 16), 0);
    assert_true(weir_frames_isolate(frames, 4, SIZE_MAX, 1001, ranges, 16) > 0);
    assert_int_not_equal(wall, 0);
    atomic_store(&test_clock, 0);
    without();
}

/* What the caches hold is reported too. */
static void test_caches_are_flushed(void **state)
{
    (void)state;
    struct weir_range ranges[16];
    with_memory(CHUNK, WEIR_REGION_BACKED);
    uintptr_t run = weir_frames_alloc(frames, 1, 1, 0, NULL);
    weir_frames_free(frames, run, 1);
    assert_true(fixture_stats(frames).cached > 0);
    assert_int_equal(weir_frames_isolate(frames, 9, SIZE_MAX, 0, ranges, 16), 1);
    assert_int_equal(ranges[0].frames, CHUNK);
    weir_frames_unisolate(frames, ranges, 1, false);
    without();
}

/* What a host takes is undefined when it comes back, unless it promises zeros. */
static void test_zeroed_by_the_host(void **state)
{
    (void)state;
    with_memory(CHUNK, 0);
    struct weir_range range;
    for (int zeroed = 0; zeroed < 2; zeroed++) {
        bool zero = false;
        weir_frames_free(frames, weir_frames_alloc(frames, CHUNK, 1, 0, NULL), CHUNK);
        assert_int_equal(weir_frames_isolate(frames, 0, CHUNK, 0, &range, 1), 1);
        if (zeroed)
            weir_frames_unisolate_zeroed(frames, &range, 1);
        else
            weir_frames_unisolate(frames, &range, 1, true);
        assert_int_equal(fixture_stats(frames).free_backed, 0);
        uintptr_t run = weir_frames_alloc(frames, CHUNK, 1, 0, &zero);
        assert_int_equal(zero, zeroed);
        weir_frames_free(frames, run, CHUNK);
        assert_sound(frames);
    }
    without();
}

static void test_unisolate_misuse(void **state)
{
    (void)state;
    with_memory(CHUNK, WEIR_REGION_BACKED);
    struct weir_range ranges[3] = {{base, 5}, {base + FRAME(CHUNK), 5}, {base + 5, 1}};
    weir_frames_unisolate(frames, ranges, 3, true);
    assert_int_equal(atomic_load(&test_errors), 3);
    assert_string_equal(test_last_error.operation, "weir_frames_unisolate");
    assert_int_equal(fixture_stats(frames).free_backed, CHUNK);
    test_platform_reset();
    without();
}

/* The balloon takes what is backed first, the largest first, and all that is free if it must. */
static void test_inflate(void **state)
{
    (void)state;
    struct weir_range ranges[16];
    with_memory(64 * CHUNK, WEIR_REGION_ZERO);
    use(10 * CHUNK, 8 * CHUNK);
    use(30 * CHUNK, CHUNK);
    assert_int_equal(weir_frames_balloon(frames, SIZE_MAX, true, ranges, 16), 2);
    assert_int_equal(ranges[0].frames, 8 * CHUNK);
    assert_int_equal(ranges[1].frames, CHUNK);
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_int_equal(stats.ballooned, 9 * CHUNK);
    assert_int_equal(stats.free, 55 * CHUNK);
    assert_int_equal(stats.backed, 0);
    assert_int_equal(weir_frames_balloon(frames, SIZE_MAX, true, ranges, 16), 0);
    size_t n;
    while (weir_frames_balloon(frames, SIZE_MAX, false, ranges, 2) > 0)
        assert_int_equal(weir_frames_check(frames, NULL), WEIR_OK);
    assert_int_equal(fixture_stats(frames).ballooned, 64 * CHUNK);
    assert_int_equal(fixture_stats(frames).free, 0);
    assert_int_equal(weir_frames_alloc(frames, 1, 1, 0, NULL), 0);
    /* all of it comes home */
    while ((n = weir_frames_ballooned(frames, SIZE_MAX, ranges, 16)) > 0)
        assert_int_equal(weir_frames_unballoon(frames, ranges, n, true), WEIR_OK);
    assert_int_equal(fixture_stats(frames).largest, 64 * CHUNK);
    assert_int_equal(fixture_stats(frames).free, 64 * CHUNK);
    without();
}

/* Deflation from the top, 256 frames at a time, as the device wants it. */
static void test_deflate(void **state)
{
    (void)state;
    struct weir_range range;
    with_memory(GIB, WEIR_REGION_BACKED);
    assert_int_equal(weir_frames_balloon(frames, GIB, true, &range, 1), 1);
    for (size_t left = GIB; left > 0; left -= 256) {
        assert_int_equal(weir_frames_ballooned(frames, 256, &range, 1), 1);
        assert_int_equal(range.frames, 256);
        assert_int_equal(range.start, base + FRAME(left - 256));
        assert_int_equal(weir_frames_unballoon(frames, &range, 1, left % 512), WEIR_OK);
        assert_int_equal(fixture_stats(frames).ballooned, left - 256);
    }
    assert_int_equal(weir_frames_ballooned(frames, 256, &range, 1), 0);
    assert_int_equal(fixture_stats(frames).backed, GIB / 2);
    /* and up again: what comes later lies above, and is found all the same */
    assert_int_equal(weir_frames_balloon(frames, 10, false, &range, 1), 1);
    struct weir_range found;
    assert_int_equal(weir_frames_ballooned(frames, 256, &found, 1), 1);
    assert_int_equal(found.start, range.start);
    without();
}

static void test_unballoon_misuse(void **state)
{
    (void)state;
    with_memory(CHUNK, WEIR_REGION_BACKED);
    struct weir_range range = {base, 5};
    assert_misuse(WEIR_DOUBLE_FREE, weir_frames_unballoon(frames, &range, 1, true));
    uintptr_t run = weir_frames_alloc(frames, CHUNK - 10, 1, 0, NULL);
    range.start = run;
    assert_misuse(WEIR_NOT_ALLOCATED, weir_frames_unballoon(frames, &range, 1, true));
    assert_int_equal(weir_frames_balloon(frames, 4, true, &range, 1), 1);
    range.frames = 5;
    assert_misuse(WEIR_WRONG_SIZE, weir_frames_unballoon(frames, &range, 1, true));
    range.frames = 0;
    assert_misuse(WEIR_INVALID, weir_frames_unballoon(frames, &range, 1, true));
    test_platform_reset();
    without();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_all),
        cmocka_unit_test(test_report_failed),
        cmocka_unit_test(test_report_what_was_used),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_least_order),
        cmocka_unit_test(test_cold),
        cmocka_unit_test(test_cold_small_blocks),
        cmocka_unit_test(test_caches_are_flushed),
        cmocka_unit_test(test_zeroed_by_the_host),
        cmocka_unit_test(test_unisolate_misuse),
        cmocka_unit_test(test_inflate),
        cmocka_unit_test(test_deflate),
        cmocka_unit_test(test_unballoon_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
