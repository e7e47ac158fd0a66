/* Which memory is taken first: the smallest block that serves, what the host backs, what was used last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"
#include "tests/support/random.h"

#define CHUNK ((size_t)512)

static struct fixture fixture;
static struct weir_frames *frames;
static const uintptr_t base = (uintptr_t)1 << 32;

static void with_memory(size_t count, unsigned flags)
{
    frames = fixture_open(&fixture, base, count, 0, 0);
    weir_frames_add(frames, base, count, flags);
}

static void without(void)
{
    assert_int_equal(atomic_load(&test_errors), 0);
    assert_sound(frames);
    fixture_close(&fixture);
}

static uintptr_t alloc(size_t count)
{
    uintptr_t run = weir_frames_alloc(frames, count, 1, 0, NULL);
    assert_int_not_equal(run, 0);
    return run;
}

static void test_counts(void **state)
{
    (void)state;
    with_memory(1 << 18, 0);
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_int_equal(stats.blocks[18], 1);
    assert_int_equal(stats.largest, 1 << 18);
    uintptr_t run = alloc(1);
    stats = fixture_stats(frames);
    for (unsigned order = 0; order < 18; order++)
        assert_int_equal(stats.blocks[order], 1);
    assert_int_equal(stats.blocks[18], 0);
    assert_int_equal(stats.largest, 1 << 17);
    weir_frames_free(frames, run, 1);
    assert_int_equal(fixture_stats(frames).blocks[18], 1);
    without();
}

/* Requests of every order, freed in random order, leave one block again. */
static void test_merging(void **state)
{
    (void)state;
    struct random random = random_start("merging");
    with_memory(1 << 16, 0);
    uintptr_t runs[1000];
    size_t counts[1000], n = 0;
    while (n < 1000) {
        counts[n] = random_size(&random, 2000);
        runs[n] = weir_frames_alloc(frames, counts[n], 1, 0, NULL);
        if (runs[n] == 0)
            break;
        n++;
    }
    for (; n > 0; n--) {
        size_t k = random_below(&random, n);
        assert_int_equal(weir_frames_free(frames, runs[k], counts[k]), WEIR_OK);
        runs[k] = runs[n - 1];
        counts[k] = counts[n - 1];
    }
    assert_int_equal(fixture_stats(frames).blocks[16], 1);
    assert_int_equal(fixture_stats(frames).largest, 1 << 16);
    without();
}

/* Memory of which the host backs a part: that part is used up before any other is touched, at every size. */
static void test_backed_first(void **state)
{
    (void)state;
    with_memory(1 << 16, WEIR_REGION_ZERO);
    uintptr_t run = alloc(5000);
    weir_frames_free(frames, run, 5000);
    assert_int_equal(fixture_stats(frames).free_backed, 5000);
    static const size_t counts[] = {1, 2, 3, 64, 100, 512, 700, 1024};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        alloc(counts[i]);
        assert_int_equal(fixture_stats(frames).backed, 5000);
    }
    /* frame by frame up to the last one */
    while (fixture_stats(frames).free_backed > 0) {
        alloc(1);
        assert_int_equal(fixture_stats(frames).backed, 5000);
    }
    alloc(1);
    assert_int_equal(fixture_stats(frames).backed, 5001);
    without();
}

/* A block of which only a part far inside is backed: split towards that part. */
static void test_backed_half(void **state)
{
    (void)state;
    static const size_t places[] = {0, 1, 77, 511, 512, 1000, 3000, 4095};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        with_memory(4096, WEIR_REGION_ZERO);
        uintptr_t place = base + FRAME(places[i]);
        assert_int_equal(weir_frames_alloc_within(frames, 1, 1, place, place + FRAME(1), 0, NULL), place);
        weir_frames_free(frames, place, 1);
        assert_int_equal(fixture_stats(frames).largest, 4096);
        assert_int_equal(alloc(1), place);
        without();
    }
}

/* A program that does the same again touches no new memory: the second time it may start from a memory cut up in
 * another way and touch a few frames more (1 seed in 200 does, up to three of 5,000), and from then on none. */
static void test_most_recently_used(void **state)
{
    (void)state;
    struct random random = random_start("most recently used");
    with_memory(1 << 16, WEIR_REGION_ZERO);
    uint64_t seed = random_next(&random);
    size_t before = 0;
    for (int round = 0; round < 10; round++) {
        struct random same = random_seeded(seed);
        uintptr_t runs[200];
        size_t counts[200];
        for (int i = 0; i < 200; i++) {
            counts[i] = random_size(&same, 100);
            runs[i] = alloc(counts[i]);
        }
        for (int i = 0; i < 200; i++)
            weir_frames_free(frames, runs[i], counts[i]);
        size_t backed = fixture_stats(frames).backed;
        if (round == 1)
            assert_in_range(backed, before, before + before / 100);
        else if (round > 1)
            assert_int_equal(backed, before);
        before = backed;
    }
    without();
}

/* A program that changes its mind about sizes all the time uses what it has used before, give or take. */
static void test_reuse_across_sizes(void **state)
{
    (void)state;
    struct random random = random_start("reuse across sizes");
    with_memory(1 << 16, WEIR_REGION_ZERO);
    for (int round = 0; round < 30; round++) {
        uintptr_t runs[200];
        size_t counts[200], most = random_size(&random, 200);
        for (int i = 0; i < 200; i++) {
            counts[i] = random_size(&random, most);
            runs[i] = alloc(counts[i]);
        }
        for (int i = 0; i < 200; i++)
            weir_frames_free(frames, runs[i], counts[i]);
    }
    struct weir_frames_stats stats = fixture_stats(frames);
    assert_in_range(stats.backed, stats.peak_used, stats.peak_used * 14 / 10);
    without();
}

/* The block freed last is used first. */
static void test_last_in_first_out(void **state)
{
    (void)state;
    with_memory(64 * CHUNK, WEIR_REGION_BACKED);
    uintptr_t runs[32];
    for (int i = 0; i < 64; i++) {
        uintptr_t run = alloc(CHUNK);
        if (i % 2 == 0)
            runs[i / 2] = run;
    }
    static const int order[] = {7, 3, 30, 12, 5};
    for (int i = 0; i < 5; i++)
        weir_frames_free(frames, runs[order[i]], CHUNK);
    for (int i = 5; i-- > 0;)
        assert_int_equal(alloc(CHUNK), runs[order[i]]);
    without();
}

/* Single frames come from chunks that are in use already: the others stay whole. */
static void test_fullest_chunk_first(void **state)
{
    (void)state;
    struct random random = random_start("fullest chunk first");
    enum {
        CHUNKS = 64,
        FRAMES = CHUNKS * CHUNK
    };
    static uintptr_t runs[FRAMES];
    with_memory(FRAMES, WEIR_REGION_BACKED);
    size_t n = FRAMES / 2;
    for (size_t i = 0; i < n; i++)
        runs[i] = alloc(1);
    for (size_t i = 0; i < 4 * n; i++) {
        size_t k = random_below(&random, n);
        weir_frames_free(frames, runs[k], 1);
        runs[k] = alloc(1);
    }
    /* half of the memory is in use, one frame at a time in random order: no more than half of the chunks are touched */
    struct weir_frames_stats stats = fixture_stats(frames);
    size_t whole = 0;
    for (unsigned order = 9; order < WEIR_ORDERS; order++)
        whole += stats.blocks[order] << (order - 9);
    assert_in_range(whole, CHUNKS / 2 - 1, CHUNKS / 2);
    without();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_backed_first),
        cmocka_unit_test(test_backed_half),
        cmocka_unit_test(test_most_recently_used),
        cmocka_unit_test(test_reuse_across_sizes),
        cmocka_unit_test(test_last_in_first_out),
        cmocka_unit_test(test_fullest_chunk_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
