/* Making tables and adding memory: what is refused, what it costs, and spans of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"

static void test_refused_spans(void **state)
{
    (void)state;
    static const struct {
        uintptr_t base;
        size_t frames;
    } refused[] = {
        {FRAME(1), 0},                        /* empty */
        {FRAME(1) + 8, 10},                   /* misaligned */
        {FRAME(1), WEIR_FRAMES_SPAN_MAX + 1}, /* too long */
        {FRAME(1), SIZE_MAX},
        {UINTPTR_MAX - FRAME(4) + 1, 5}, /* wraps around */
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(weir_frames_metadata_size(refused[i].base, refused[i].frames), 0);
    assert_true(weir_frames_metadata_size(UINTPTR_MAX - FRAME(5) + 1, 5) > 0);
    assert_true(weir_frames_metadata_size(0, WEIR_FRAMES_SPAN_MAX) > 0);
}

static void test_refused_configurations(void **state)
{
    (void)state;
    _Alignas(64) static char metadata[64 * 1024];
    const struct weir_frames_config good = {
        .base = FRAME(7), .frames = 100, .metadata = metadata, .platform = test_platform()};
    assert_true(weir_frames_metadata_size(good.base, good.frames) <= sizeof(metadata));
    struct weir_frames_config config = good;
    config.metadata = NULL;
    assert_null(weir_frames_init(&config));
    config.metadata = metadata + 8;
    assert_null(weir_frames_init(&config));
    config = good;
    config.order_max = WEIR_ORDER_MAX + 1;
    assert_null(weir_frames_init(&config));
    config = good;
    config.slots = 65;
    assert_null(weir_frames_init(&config));
    config = good;
    config.base += 1;
    assert_null(weir_frames_init(&config));
    config = good;
    config.platform = NULL;
    assert_null(weir_frames_init(&config));
    assert_non_null(weir_frames_init(&good));
}

static void test_metadata_is_small(void **state)
{
    (void)state;
    size_t frames = (size_t)1 << 20; /* 4 GiB */
    size_t size = weir_frames_metadata_size(FRAME(frames), frames);
    assert_in_range(size, frames * 8, frames * 9);
    /* a guest of 8 MiB spends less than 0.6 % */
    assert_in_range(weir_frames_metadata_size(FRAME(512), 2048), 2048 * 8, FRAME(2048) * 6 / 1000);
}

/* The metadata of two tables side by side: neither writes beyond its own. */
static void test_stays_within_metadata(void **state)
{
    (void)state;
    static const struct {
        uintptr_t base;
        size_t frames;
    } spans[] = {
        {FRAME(0), 1},      {FRAME(1), 1},           {FRAME(511), 2},          {FRAME(0x3ffff), 2},
        {FRAME(300), 1000}, {FRAME(0x7ffff), 70000}, {FRAME(0x80000), 262144}, {FRAME(0x7fe01), 600},
    };
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        size_t size = weir_frames_metadata_size(spans[i].base, spans[i].frames);
        unsigned char *space = aligned_alloc(64, size + 128);
        memset(space, 0xa5, 64);
        memset(space + 64, 0, size);
        memset(space + 64 + size, 0xa5, 64);
        struct weir_frames_config config = {.base = spans[i].base,
                                            .frames = spans[i].frames,
                                            .metadata = space + 64,
                                            .slots = 64,
                                            .platform = test_platform()};
        struct weir_frames *frames = weir_frames_init(&config);
        assert_int_equal(weir_frames_add(frames, spans[i].base, spans[i].frames, WEIR_REGION_BACKED), WEIR_OK);
        for (unsigned slot = 0; slot < 64; slot++) {
            test_set_slot(slot);
            uintptr_t run = weir_frames_alloc(frames, 1, 1, 0, NULL);
            if (run != 0 || spans[i].base == 0)
                weir_frames_free(frames, run, 1);
        }
        uintptr_t all = weir_frames_alloc(frames, spans[i].frames, 1, 0, NULL);
        assert_int_equal(all, spans[i].base);
        assert_int_equal(weir_frames_free(frames, all, spans[i].frames), WEIR_OK);
        assert_sound(frames);
        for (size_t k = 0; k < 64; k++)
            assert_true(space[k] == 0xa5 && space[64 + size + k] == 0xa5);
        free(space);
    }
}

static void test_regions(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, FRAME(1000), 10000, 0, 0);
    assert_int_equal(weir_frames_alloc(frames, 1, 1, 0, NULL), 0);
    assert_int_equal(weir_frames_add(frames, FRAME(1500), 100, 0), WEIR_OK);
    assert_int_equal(weir_frames_add(frames, FRAME(1600), 50, 0), WEIR_OK); /* adjacent */
    assert_int_equal(weir_frames_add(frames, FRAME(3000), 5000, 0), WEIR_OK);
    assert_int_equal(fixture_stats(frames).managed, 5150);
    assert_int_equal(fixture_stats(frames).free, 5150);
    /* runs go across the seam, not over the hole */
    assert_int_equal(weir_frames_alloc(frames, 5001, 1, 0, NULL), 0);
    assert_int_equal(weir_frames_alloc(frames, 5000, 1, 0, NULL), FRAME(3000));
    assert_int_equal(weir_frames_alloc(frames, 150, 1, 0, NULL), FRAME(1500));
    assert_sound(frames);
    /* memory added later serves at once */
    assert_int_equal(weir_frames_add(frames, FRAME(2000), 10, 0), WEIR_OK);
    assert_int_equal(weir_frames_alloc(frames, 10, 1, 0, NULL), FRAME(2000));
    assert_sound(frames);
    fixture_close(&fixture);
}

static void test_misuse_of_add(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, FRAME(1000), 10000, 0, 0);
    weir_frames_add(frames, FRAME(2000), 3000, 0);
    static const struct {
        size_t start, count;
    } overlaps[] = {{2000, 3000}, {1000, 10000}, {1999, 2}, {4999, 1}, {2000, 1}, {3000, 5}, {1500, 501}, {4999, 2000}};
    for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
        assert_misuse(WEIR_OVERLAP, weir_frames_add(frames, FRAME(overlaps[i].start), overlaps[i].count, 0));
        assert_string_equal(test_last_error.operation, "weir_frames_add");
        assert_int_equal(test_last_error.address, FRAME(overlaps[i].start));
        assert_int_equal(test_last_error.size, FRAME(overlaps[i].count));
    }
    assert_misuse(WEIR_INVALID, weir_frames_add(frames, FRAME(6000) + 1, 1, 0));
    assert_misuse(WEIR_INVALID, weir_frames_add(frames, FRAME(6000), 0, 0));
    assert_misuse(WEIR_INVALID, weir_frames_add(frames, FRAME(999), 1, 0));
    assert_misuse(WEIR_INVALID, weir_frames_add(frames, FRAME(10999), 2, 0));
    assert_misuse(WEIR_INVALID, weir_frames_add(frames, FRAME(6000), SIZE_MAX, 0));
    assert_int_equal(fixture_stats(frames).managed, 3000);
    assert_sound(frames);
    /* memory in use or with the host was added all the same */
    struct weir_range range;
    assert_int_not_equal(weir_frames_alloc(frames, 1000, 1, 0, NULL), 0);
    assert_int_equal(weir_frames_balloon(frames, 3000, false, &range, 1), 1);
    assert_misuse(WEIR_OVERLAP, weir_frames_add(frames, range.start, 1, 0));
    assert_misuse(WEIR_OVERLAP, weir_frames_add(frames, FRAME(2100), 1, 0));
    fixture_close(&fixture);
}

/* Zero and backing are as the region says. */
static void test_flags(void **state)
{
    (void)state;
    struct fixture fixture;
    bool zero;
    struct weir_frames *frames = fixture_open(&fixture, FRAME(0x1000), 4096, 0, 0);
    weir_frames_add(frames, FRAME(0x1000), 700, WEIR_REGION_ZERO);
    assert_int_equal(fixture_stats(frames).backed, 0);
    assert_int_not_equal(weir_frames_alloc(frames, 700, 1, 0, &zero), 0);
    assert_true(zero);
    assert_int_equal(fixture_stats(frames).backed, 700);
    weir_frames_add(frames, FRAME(0x1400), 700, WEIR_REGION_BACKED);
    assert_int_equal(fixture_stats(frames).backed, 1400);
    assert_int_equal(fixture_stats(frames).free_backed, 700);
    assert_int_not_equal(weir_frames_alloc(frames, 700, 1, 0, &zero), 0);
    assert_false(zero);
    weir_frames_add(frames, FRAME(0x1800), 700, WEIR_REGION_BACKED | WEIR_REGION_ZERO);
    assert_int_not_equal(weir_frames_alloc(frames, 700, 1, 0, &zero), 0);
    assert_true(zero);
    fixture_close(&fixture);
}

/* The longest span there can be, with metadata that is never touched but where memory is. */
static void test_half_a_terabyte(void **state)
{
    (void)state;
    struct fixture fixture;
    struct weir_frames *frames = fixture_open(&fixture, FRAME(1), WEIR_FRAMES_SPAN_MAX, 0, 0);
    assert_int_equal(weir_frames_add(frames, FRAME(1), WEIR_FRAMES_SPAN_MAX, WEIR_REGION_ZERO), WEIR_OK);
    uintptr_t high = FRAME(WEIR_FRAMES_SPAN_MAX) - FRAME(10);
    assert_int_equal(weir_frames_alloc_within(frames, 5, 1, high, high + FRAME(5), 0, NULL), high);
    assert_int_equal(weir_frames_run_length(frames, high), 5);
    uintptr_t huge = weir_frames_alloc(frames, (size_t)100 << 18, 1, 0, NULL);
    assert_int_not_equal(huge, 0);
    assert_int_equal(weir_frames_run_start(frames, huge + ((uintptr_t)99 << 30) + 12345), huge);
    assert_int_equal(weir_frames_free(frames, huge, (size_t)100 << 18), WEIR_OK);
    assert_int_equal(weir_frames_free(frames, high, 5), WEIR_OK);
    assert_int_equal(weir_frames_largest_run(frames), WEIR_FRAMES_SPAN_MAX);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_spans),
        cmocka_unit_test(test_refused_configurations),
        cmocka_unit_test(test_metadata_is_small),
        cmocka_unit_test(test_stays_within_metadata),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_misuse_of_add),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_half_a_terabyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
