/* Per-CPU caches: hold little, give everything back, and hide nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"

static struct fixture fixture;
static struct weir_frames *frames;
static const uintptr_t base = (uintptr_t)1 << 32;
enum {
    FRAMES = 16384
};

static void open_with(unsigned slots)
{
    frames = fixture_open(&fixture, base, FRAMES, 0, slots);
    weir_frames_add(frames, base, FRAMES, WEIR_REGION_ZERO);
    test_set_slot(0);
}

static void done(void)
{
    assert_int_equal(atomic_load(&test_errors), 0);
    assert_sound(frames);
    fixture_close(&fixture);
}

/* What is freed comes back at once, for each length. */
static void test_comes_back(void **state)
{
    (void)state;
    open_with(2);
    for (size_t count = 1; count <= 16; count++) {
        uintptr_t run = weir_frames_alloc(frames, count, 1, 0, NULL);
        assert_int_equal(weir_frames_free(frames, run, count), WEIR_OK);
        assert_int_equal(weir_frames_alloc(frames, count, 1, 0, NULL), run);
        assert_int_equal(weir_frames_run_length(frames, run), count);
        assert_int_equal(weir_frames_run_start(frames, run + FRAME(count) - 1), run);
        assert_int_equal(weir_frames_free(frames, run, count), WEIR_OK);
        assert_int_equal(weir_frames_run_length(frames, run), 0);
        assert_int_equal(weir_frames_run_start(frames, run + FRAME(count) - 1), 0);
        assert_int_equal(fixture_stats(frames).free, FRAMES);
        assert_sound(frames);
    }
    assert_true(fixture_stats(frames).cached > 0);
    /* the largest run wants what the caches hold */
    assert_int_equal(weir_frames_alloc(frames, FRAMES, 1, 0, NULL), base);
    assert_int_equal(fixture_stats(frames).cached, 0);
    done();
}

/* No slot withholds more than a mebibyte, however much is freed. */
static void test_bounded(void **state)
{
    (void)state;
    static uintptr_t runs[FRAMES];
    open_with(1);
    for (size_t count = 1; count <= 16; count++) {
        size_t n = 0;
        while (n < 600 && (runs[n] = weir_frames_alloc(frames, count, 1, 0, NULL)) != 0)
            n++;
        while (n-- > 0) {
            assert_int_equal(weir_frames_free(frames, runs[n], count), WEIR_OK);
            assert_in_range(fixture_stats(frames).cached, 0, 256);
        }
        assert_sound(frames);
    }
    done();
}

/* One CPU gets what lies in another's cache before it is refused. */
static void test_last_frame(void **state)
{
    (void)state;
    open_with(3);
    static uintptr_t runs[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        test_set_slot(i % 3);
        runs[i] = weir_frames_alloc(frames, 1, 1, 0, NULL);
        assert_int_not_equal(runs[i], 0);
    }
    assert_int_equal(weir_frames_alloc(frames, 1, 1, 0, NULL), 0);
    test_set_slot(0);
    for (size_t i = 100; i < 120; i++)
        weir_frames_free(frames, runs[i], 1);
    test_set_slot(1);
    for (size_t i = 100; i < 120; i++)
        assert_int_not_equal(weir_frames_alloc(frames, 1, 1, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc(frames, 1, 1, 0, NULL), 0);
    done();
}

/* A run and a slab of the same size share the cache; a run that is not aligned cannot serve as a slab. */
static void test_slabs_share(void **state)
{
    (void)state;
    static _Alignas(16) char descriptor[16];
    open_with(1);
    uintptr_t slab = weir_frames_alloc_slab(frames, 2, descriptor, NULL);
    assert_int_equal(weir_frames_free_slab(frames, slab, 2), WEIR_OK);
    assert_int_equal(weir_frames_alloc(frames, 4, 1, 0, NULL), slab);
    assert_int_equal(weir_frames_free(frames, slab, 4), WEIR_OK);
    assert_int_equal(weir_frames_alloc_slab(frames, 2, descriptor, NULL), slab);
    assert_int_equal(weir_frames_free_slab(frames, slab, 2), WEIR_OK);
    uintptr_t run = weir_frames_alloc(frames, 5, 4, 0, NULL);
    assert_int_equal(weir_frames_free(frames, run, 1), WEIR_OK);
    assert_int_equal(weir_frames_free(frames, run + FRAME(1), 4), WEIR_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(weir_frames_alloc_slab(frames, 2, descriptor, NULL) % FRAME(4), 0);
    fixture_close(&fixture);
}

/* CPUs take single frames from different chunks while there are enough, and share the last one. */
static void test_homes(void **state)
{
    (void)state;
    uintptr_t chunk[3];
    open_with(3);
    for (int round = 0; round < 100; round++) {
        for (unsigned slot = 0; slot < 3; slot++) {
            test_set_slot(slot);
            uintptr_t run = weir_frames_alloc(frames, 1, 1, 0, NULL);
            chunk[slot] = round == 0 ? run / FRAME(512) : chunk[slot];
            assert_int_equal(run / FRAME(512), chunk[slot]);
        }
    }
    assert_true(chunk[0] != chunk[1] && chunk[1] != chunk[2] && chunk[0] != chunk[2]);
    done();
    frames = fixture_open(&fixture, base, 1024, 0, 2);
    weir_frames_add(frames, base, 512, WEIR_REGION_ZERO);
    for (unsigned i = 0; i < 512; i++) {
        test_set_slot(i % 2);
        assert_int_not_equal(weir_frames_alloc(frames, 1, 1, 0, NULL), 0);
    }
    done();
}

/* Caching does not lose what is known of the contents. */
static void test_zero(void **state)
{
    (void)state;
    bool zero;
    open_with(1);
    uintptr_t run = weir_frames_alloc(frames, 1, 1, 0, &zero);
    assert_true(zero);
    weir_frames_free(frames, run, 1);
    assert_int_equal(weir_frames_alloc(frames, 1, 1, 0, &zero), run);
    assert_false(zero);
    weir_frames_free_zeroed(frames, run, 1);
    assert_int_equal(weir_frames_alloc(frames, 1, 1, 0, &zero), run);
    assert_true(zero);
    weir_frames_free_zeroed(frames, run, 1);
    weir_frames_largest_run(frames);
    weir_frames_alloc(frames, FRAMES, 1, 0, &zero);
    assert_true(zero);
    fixture_close(&fixture);
}

static void test_double_free(void **state)
{
    (void)state;
    open_with(1);
    for (size_t count = 1; count <= 17; count++) {
        uintptr_t run = weir_frames_alloc(frames, count, 1, 0, NULL);
        assert_int_equal(weir_frames_free(frames, run, count), WEIR_OK);
        assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free(frames, run, count));
        assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free(frames, run + FRAME(count - 1), 1));
        assert_sound(frames);
    }
    test_platform_reset();
    done();
}

/* More slots than the platform names, fewer, and names beyond them. */
static void test_slot_is_a_hint(void **state)
{
    (void)state;
    open_with(3);
    for (unsigned slot = 0; slot < 2000; slot += 37) {
        test_set_slot(slot);
        uintptr_t run = weir_frames_alloc(frames, 1 + slot % 20, 1, 0, NULL);
        test_set_slot(slot * 7);
        assert_int_equal(weir_frames_free(frames, run, 1 + slot % 20), WEIR_OK);
    }
    assert_int_equal(weir_frames_largest_run(frames), FRAMES);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),  cmocka_unit_test(test_bounded),        cmocka_unit_test(test_last_frame),
        cmocka_unit_test(test_slabs_share), cmocka_unit_test(test_homes),          cmocka_unit_test(test_zero),
        cmocka_unit_test(test_double_free), cmocka_unit_test(test_slot_is_a_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
