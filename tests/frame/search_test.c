/* Finding room that no single block offers. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"
#include "tests/support/random.h"

static const uintptr_t base = (uintptr_t)1 << 32;

/* Every place and length: the only free range of a small table is always found, and never exceeded. */
static void test_every_span(void **state)
{
    (void)state;
    enum {
        FRAMES = 70
    };
    for (unsigned order_max = 1; order_max <= 6; order_max += 5) {
        for (size_t from = 0; from < FRAMES; from++) {
            for (size_t count = 1; count <= FRAMES - from; count++) {
                struct fixture fixture;
                struct weir_frames *frames = fixture_open(&fixture, base - FRAME(30), FRAMES, order_max, 0);
                uintptr_t start = base - FRAME(30) + FRAME(from);
                weir_frames_add(frames, start, count, 0);
                assert_int_equal(weir_frames_largest_run(frames), count);
                assert_int_equal(weir_frames_alloc(frames, count + 1, 1, 0, NULL), 0);
                assert_int_equal(weir_frames_alloc(frames, count, 1, 0, NULL), start);
                fixture_close(&fixture);
            }
        }
    }
}

static void test_alignment_in_a_span(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, base, 4096, 0, 0);
    /* the largest block of 1 .. 1999 is 1024 */
    weir_frames_add(frames, base + FRAME(1), 1999, 0);
    assert_int_equal(weir_frames_alloc(frames, 1500, 256, 0, NULL), base + FRAME(256));
    assert_int_equal(weir_frames_free(frames, base + FRAME(256), 1500), WEIR_OK);
    assert_int_equal(weir_frames_alloc(frames, 1500, 512, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc(frames, 1488, 512, 0, NULL), base + FRAME(512));
    assert_sound(frames);
    fixture_close(&fixture);
}

/* An alignment beyond the largest block: of the address, not of the place in the span. */
static void test_alignment_beyond_blocks(void **state)
{
    (void)state;
    struct fixture fixture;
    const size_t gib = (size_t)1 << 18;
    struct weir_frames *frames = fixture_open(&fixture, 3 * FRAME(gib), 8 * gib, 0, 0);
    weir_frames_add(frames, 3 * FRAME(gib), 8 * gib, WEIR_REGION_ZERO);
    assert_int_equal(weir_frames_alloc(frames, 1, 8 * gib, 0, NULL), 8 * FRAME(gib));
    assert_int_equal(weir_frames_alloc(frames, 1, 8 * gib, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc(frames, 2 * gib, 4 * gib, 0, NULL), 4 * FRAME(gib));
    assert_sound(frames);
    fixture_close(&fixture);
}

/* The window may begin and end within blocks, and at the ends of the address space. */
static void test_windows(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, base, 2048, 0, 0);
    weir_frames_add(frames, base, 2048, 0);
    assert_int_equal(weir_frames_alloc_within(frames, 100, 1, base + FRAME(700), base + FRAME(800), 0, NULL),
                     base + FRAME(700));
    assert_int_equal(weir_frames_alloc_within(frames, 101, 1, base + FRAME(600), base + FRAME(700), 0, NULL), 0);
    assert_int_equal(weir_frames_alloc_within(frames, 1, 1, base + FRAME(700), base + FRAME(800), 0, NULL), 0);
    assert_int_equal(weir_frames_alloc_within(frames, 700, 1, 0, base + FRAME(701), 0, NULL), base);
    assert_int_equal(weir_frames_alloc_within(frames, 1248, 1, 5, UINTPTR_MAX, 0, NULL), base + FRAME(800));
    assert_int_equal(fixture_stats(frames).free, 0);
    assert_sound(frames);
    fixture_close(&fixture);
}

/* A long run goes where it fits best, though a larger block would do. */
static void test_best_fit(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, base, 16384, 0, 0);
    weir_frames_add(frames, base, 16384, WEIR_REGION_ZERO);
    static const size_t counts[] = {3000, 1, 900, 1, 1500, 1};
    uintptr_t runs[6];
    for (unsigned i = 0; i < 6; i++)
        runs[i] = weir_frames_alloc(frames, counts[i], 1, 0, NULL);
    for (unsigned i = 0; i < 6; i += 2)
        weir_frames_free(frames, runs[i], counts[i]);
    assert_int_equal(weir_frames_alloc(frames, 1400, 1, 0, NULL), runs[4]);
    assert_int_equal(weir_frames_alloc(frames, 890, 1, 0, NULL), runs[2]);
    assert_sound(frames);
    fixture_close(&fixture);
}

/* Long runs that are replaced at random do not touch much more memory than they are. */
static void test_replacement(void **state)
{
    (void)state;
    enum {
        LIVE = 20
    };
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, base, 1 << 19, 0, 0);
    weir_frames_add(frames, base, 1 << 19, WEIR_REGION_ZERO);
    struct random random = random_start("frame/search");
    struct weir_range runs[LIVE] = {0};
    for (unsigned i = 0; i < 4000; i++) {
        struct weir_range *run = &runs[random_below(&random, LIVE)];
        if (run->frames)
            weir_frames_free(frames, run->start, run->frames);
        run->frames = 1280 + random_below(&random, 5120);
        run->start = weir_frames_alloc(frames, run->frames, 1, 0, NULL);
        assert_int_not_equal(run->start, 0);
    }
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_in_range(stats.backed, stats.peak_used, stats.peak_used + stats.peak_used * 2 / 3);
    assert_sound(frames);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_span),
        cmocka_unit_test(test_alignment_in_a_span),
        cmocka_unit_test(test_alignment_beyond_blocks),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_best_fit),
        cmocka_unit_test(test_replacement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
