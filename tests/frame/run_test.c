/* Runs: exact, aligned, long, grown, freed in whole and in part, and freed wrongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"

static struct fixture fixture;
static struct weir_frames *frames;
static const uintptr_t base = (uintptr_t)1 << 32;

/* A table with `count` frames of zeroed memory at `base`. */
static void with_memory(size_t count)
{
    frames = fixture_open(&fixture, base, count, 0, 0);
    weir_frames_add(frames, base, count, WEIR_REGION_ZERO);
}

static void without(void)
{
    assert_int_equal(atomic_load(&test_errors), 0);
    assert_sound(frames);
    fixture_close(&fixture);
}

static void test_exact(void **state)
{
    (void)state;
    with_memory(8192);
    size_t used = 0;
    for (size_t count = 1; count < 80; count++) {
        uintptr_t run = weir_frames_alloc(frames, count, 1, 0, NULL);
        used += count;
        assert_int_equal(weir_frames_run_length(frames, run), count);
        assert_int_equal(weir_frames_run_start(frames, run + FRAME(count) - 1), run);
        assert_int_equal(weir_frames_run_length(frames, run + FRAME(1)), 0); /* inside, or not yet taken */
        assert_int_equal(fixture_stats(frames).free, 8192 - used);
    }
    assert_int_equal(weir_frames_run_length(frames, base + 1), 0);
    assert_int_equal(weir_frames_run_length(frames, base - FRAME(1)), 0);
    assert_int_equal(weir_frames_run_length(frames, base + FRAME(8192)), 0);
    assert_int_equal(weir_frames_run_start(frames, 0), 0);
    without();
}

static void test_impossible(void **state)
{
    (void)state;
    with_memory(1000);
    assert_int_equal(weir_frames_alloc(frames, 0, 1, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc(frames, 1001, 1, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc(frames, SIZE_MAX, 1, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc(frames, 1, (size_t)1 << 63, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc_within(frames, 1, 1, base, base, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc_within(frames, 1, 1, base + FRAME(5), base, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc_within(frames, 1, 1, 0, base, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc_within(frames, 2, 1, base, base + FRAME(2) - 1, 0, NULL), 0);
    assert_int_equal(fixture_stats(frames).free, 1000);
    assert_int_equal(fixture_stats(frames).failed, 1);
    assert_int_equal(atomic_load(&test_errors), 0);
    weir_frames_alloc(frames, 1, 3, 0, NULL);
    assert_int_equal(atomic_load(&test_errors), 1);
    assert_int_equal(test_last_error.status, WEIR_INVALID);
    test_platform_reset();
    without();
}

/* Runs that are no powers of two stand side by side: a thread's stack of 35 frames does not cost 64. */
static void test_packed(void **state)
{
    (void)state;
    static const size_t counts[] = {3, 35, 257, 1025, 5000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        with_memory(1 << 16);
        size_t runs = 0;
        while (weir_frames_alloc(frames, counts[i], 1, 0, NULL) != 0)
            runs++;
        assert_int_equal(runs, (1 << 16) / counts[i]);
        without();
    }
}

static void test_aligned(void **state)
{
    (void)state;
    frames = fixture_open(&fixture, base + FRAME(3), 1 << 20, 0, 0);
    weir_frames_add(frames, base + FRAME(3), 1 << 20, 0);
    for (size_t align = 1; align <= (size_t)1 << 19; align *= 2) {
        uintptr_t run = weir_frames_alloc(frames, 3, align, 0, NULL);
        assert_int_not_equal(run, 0);
        assert_int_equal(run % FRAME(align), 0);
    }
    without();
}

/* Longer than the largest block, and in what is left beside others. */
static void test_long(void **state)
{
    (void)state;
    const size_t gib = (size_t)1 << 18;
    with_memory(gib * 7 / 2);
    uintptr_t run = weir_frames_alloc(frames, 3 * gib, 1, 0, NULL);
    assert_int_not_equal(run, 0);
    assert_int_equal(weir_frames_run_length(frames, run), 3 * gib);
    assert_int_equal(weir_frames_free(frames, run, 3 * gib), WEIR_OK);
    without();

    /* 8 MiB of a gigabyte are taken: neither of the largest blocks that remain holds 600 MiB */
    frames = fixture_open(&fixture, base, gib, 0, 0);
    weir_frames_add(frames, base + FRAME(2048), gib - 2048, WEIR_REGION_ZERO);
    run = weir_frames_alloc(frames, (size_t)600 * 256, 1, 0, NULL);
    assert_int_not_equal(run, 0);
    /* and another one beside it as long as what is left in one piece */
    size_t rest = weir_frames_largest_run(frames);
    assert_int_not_equal(weir_frames_alloc(frames, rest, 1, 0, NULL), 0);
    without();
}

static void test_within(void **state)
{
    (void)state;
    with_memory(1 << 16);
    uintptr_t low = base + FRAME(1000), high = base + FRAME(1100);
    size_t got = 0;
    for (;;) {
        uintptr_t run = weir_frames_alloc_within(frames, 7, 2, low + 5, high, 0, NULL);
        if (run == 0)
            break;
        assert_true(run > low && run + FRAME(7) <= high && run % FRAME(2) == 0);
        got++;
    }
    assert_in_range(got, 11, 14);
    without();
}

static void test_free_parts(void **state)
{
    (void)state;
    for (size_t from = 0; from < 13; from++) {
        for (size_t count = 1; count <= 13 - from; count++) {
            with_memory(64);
            uintptr_t guard = weir_frames_alloc(frames, 3, 1, 0, NULL);
            uintptr_t run = weir_frames_alloc_within(frames, 13, 1, base + FRAME(3), base + FRAME(64), 0, NULL);
            assert_int_equal(weir_frames_free(frames, run + FRAME(from), count), WEIR_OK);
            assert_int_equal(weir_frames_run_length(frames, run), from);
            assert_int_equal(weir_frames_run_length(frames, run + FRAME(from + count)), 13 - from - count);
            assert_int_equal(fixture_stats(frames).free, 64 - 3 - 13 + count);
            assert_sound(frames);
            /* what is freed is free, what remains can be freed as runs of their own */
            assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free(frames, run + FRAME(from), count));
            test_platform_reset();
            if (from > 0)
                assert_int_equal(weir_frames_free(frames, run, from), WEIR_OK);
            if (from + count < 13)
                assert_int_equal(weir_frames_free(frames, run + FRAME(from + count), 13 - from - count), WEIR_OK);
            assert_int_equal(weir_frames_free(frames, guard, 3), WEIR_OK);
            assert_int_equal(fixture_stats(frames).largest, 64);
            without();
        }
    }
}

static void test_grow(void **state)
{
    (void)state;
    bool zero;
    with_memory(1024);
    uintptr_t run = weir_frames_alloc_within(frames, 10, 1, base, base + FRAME(10), 0, NULL);
    assert_true(weir_frames_grow(frames, run, 10, 300, &zero));
    assert_true(zero);
    assert_int_equal(weir_frames_run_length(frames, run), 300);
    assert_true(weir_frames_grow(frames, run, 300, 300, NULL));
    uintptr_t wall = weir_frames_alloc_within(frames, 1, 1, base + FRAME(500), base + FRAME(501), 0, NULL);
    assert_false(weir_frames_grow(frames, run, 300, 501, NULL));
    assert_true(weir_frames_grow(frames, run, 300, 500, NULL));
    assert_false(weir_frames_grow(frames, run, 500, 501, NULL));
    assert_int_equal(weir_frames_free(frames, wall, 1), WEIR_OK);
    assert_true(weir_frames_grow(frames, run, 500, 501, &zero));
    assert_false(zero);
    assert_true(weir_frames_grow(frames, run, 501, 1024, NULL));
    assert_false(weir_frames_grow(frames, run, 1024, 1025, NULL));
    assert_false(weir_frames_grow(frames, run, 1024, SIZE_MAX, NULL));
    assert_int_equal(atomic_load(&test_errors), 0);
    /* of what is no run, or not that long */
    assert_false(weir_frames_grow(frames, run, 5, 10, NULL));
    assert_int_equal(atomic_load(&test_errors), 1);
    test_platform_reset();
    assert_int_equal(weir_frames_free(frames, run, 1024), WEIR_OK);
    /* a single frame grows too */
    run = weir_frames_alloc_within(frames, 1, 1, base, base + FRAME(1), 0, NULL);
    assert_true(weir_frames_grow(frames, run, 1, 2, NULL));
    assert_int_equal(weir_frames_free(frames, run, 2), WEIR_OK);
    without();
}

static void test_zero(void **state)
{
    (void)state;
    bool zero;
    with_memory(64);
    uintptr_t run = weir_frames_alloc(frames, 64, 1, 0, &zero);
    assert_true(zero);
    weir_frames_free(frames, run, 64);
    run = weir_frames_alloc(frames, 64, 1, 0, &zero);
    assert_false(zero);
    weir_frames_free_zeroed(frames, run, 64);
    run = weir_frames_alloc(frames, 64, 1, 0, &zero);
    assert_true(zero);
    weir_frames_free(frames, run, 1);
    weir_frames_free_zeroed(frames, run + FRAME(1), 63);
    /* one frame that is not spoils the whole */
    assert_int_equal(weir_frames_alloc(frames, 64, 1, 0, &zero), run);
    assert_false(zero);
    without();
}

/* Each state of a frame, and what freeing it is. */
static void test_misuse(void **state)
{
    (void)state;
    static _Alignas(16) char descriptor[16];
    struct weir_range range;
    frames = fixture_open(&fixture, base, 4096, 0, 0);
    weir_frames_add(frames, base, 2048, WEIR_REGION_BACKED);
    uintptr_t run = weir_frames_alloc(frames, 20, 1, 0, NULL);
    uintptr_t single = weir_frames_alloc(frames, 1, 1, 0, NULL);
    uintptr_t metadata = weir_frames_alloc(frames, 3, 1, WEIR_FRAMES_METADATA, NULL);
    uintptr_t slab = weir_frames_alloc_slab(frames, 2, descriptor, NULL);
    uintptr_t freed = weir_frames_alloc(frames, 30, 1, 0, NULL);
    assert_int_equal(weir_frames_free(frames, freed, 30), WEIR_OK);
    assert_int_equal(weir_frames_isolate(frames, 0, 4, 0, &range, 1), 1);
    uintptr_t isolated = range.start;
    assert_int_equal(weir_frames_balloon(frames, 4, true, &range, 1), 1);
    uintptr_t ballooned = range.start;

    const struct {
        uintptr_t start;
        size_t count;
        enum weir_status status;
    } table[] = {
        {run, 21, WEIR_WRONG_SIZE},
        {run + FRAME(5), 16, WEIR_WRONG_SIZE},
        {run, SIZE_MAX, WEIR_WRONG_SIZE},
        {single, 2, WEIR_WRONG_SIZE},
        {freed, 30, WEIR_DOUBLE_FREE},
        {freed + FRAME(29), 1, WEIR_DOUBLE_FREE},
        {isolated, 4, WEIR_DOUBLE_FREE},
        {isolated + FRAME(1), 1, WEIR_DOUBLE_FREE},
        {slab, 4, WEIR_NOT_ALLOCATED},
        {slab + FRAME(1), 1, WEIR_NOT_ALLOCATED},
        {ballooned, 4, WEIR_NOT_ALLOCATED},
        {ballooned + FRAME(2), 1, WEIR_NOT_ALLOCATED},
        {base + FRAME(2048), 1, WEIR_NOT_ALLOCATED}, /* hole */
        {base + FRAME(4000), 10, WEIR_NOT_ALLOCATED},
        {base + FRAME(4096), 1, WEIR_NOT_ALLOCATED}, /* outside */
        {base - FRAME(1), 1, WEIR_NOT_ALLOCATED},
        {0, 1, WEIR_NOT_ALLOCATED},
        {UINTPTR_MAX - FRAME(1) + 1, 1, WEIR_NOT_ALLOCATED},
        {run, 0, WEIR_INVALID},
        {run + 1, 1, WEIR_INVALID},
        {run + 16, 20, WEIR_INVALID},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct weir_frames_stats before = fixture_stats(frames);
        assert_misuse(table[i].status, weir_frames_free(frames, table[i].start, table[i].count));
        assert_string_equal(test_last_error.operation, "weir_frames_free");
        assert_int_equal(test_last_error.address, table[i].start);
        assert_misuse(table[i].status, weir_frames_free_zeroed(frames, table[i].start, table[i].count));
        assert_string_equal(test_last_error.operation, "weir_frames_free_zeroed");
        struct weir_frames_stats after = fixture_stats(frames);
        assert_memory_equal(&before, &after, sizeof(before));
        assert_sound(frames);
    }
    test_platform_reset();
    /* all that was right before is right still; metadata is freed like a run */
    assert_int_equal(weir_frames_free(frames, run, 20), WEIR_OK);
    assert_int_equal(weir_frames_free(frames, single, 1), WEIR_OK);
    assert_int_equal(weir_frames_run_length(frames, metadata), 0);
    assert_int_equal(weir_frames_run_start(frames, metadata + 5), 0);
    assert_int_equal(weir_frames_free(frames, metadata, 3), WEIR_OK);
    assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free(frames, single, 1));
    assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free(frames, run, 20));
    test_platform_reset();
    without();
}

/* A run as long as a chunk, from the middle of one that was used all over to the middle of one that never was: what it
 * leaves behind is neither zero nor without backing. */
static void test_chunk_long_runs_across_chunks(void **state)
{
    (void)state;
    with_memory(2048);
    uintptr_t whole = weir_frames_alloc_within(frames, 512, 512, base, base + FRAME(512), 0, NULL);
    assert_int_equal(whole, base);
    weir_frames_free(frames, whole, 512);
    bool zero = true;
    uintptr_t across = weir_frames_alloc_within(frames, 512, 1, base + FRAME(256), base + FRAME(768), 0, &zero);
    assert_int_equal(across, base + FRAME(256));
    assert_false(zero);
    assert_sound(frames);
    assert_int_equal(fixture_stats(frames).backed, 768);
    weir_frames_free(frames, across, 512);
    assert_sound(frames);
    assert_int_equal(weir_frames_alloc_within(frames, 256, 1, base + FRAME(512), base + FRAME(768), 0, &zero),
                     base + FRAME(512));
    assert_false(zero);
    without();
}

static void test_peak(void **state)
{
    (void)state;
    with_memory(1000);
    uintptr_t run = weir_frames_alloc(frames, 700, 1, 0, NULL);
    weir_frames_free(frames, run, 700);
    weir_frames_alloc(frames, 100, 1, 0, NULL);
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_int_equal(stats.peak_used, 700);
    assert_int_equal(stats.allocs, 2);
    assert_int_equal(stats.frees, 1);
    without();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),      cmocka_unit_test(test_impossible),
        cmocka_unit_test(test_packed),     cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_long),       cmocka_unit_test(test_within),
        cmocka_unit_test(test_free_parts), cmocka_unit_test(test_grow),
        cmocka_unit_test(test_zero),       cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_peak),       cmocka_unit_test(test_chunk_long_runs_across_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
