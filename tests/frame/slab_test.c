/* Slabs: every address finds its descriptor, and only whole slabs are freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "src/frame/word.h"
#include "tests/frame/fixture.h"

static struct fixture fixture;
static struct weir_frames *frames;
static const uintptr_t base = (uintptr_t)1 << 32;
static _Alignas(16) char descriptors[4][16];

static void test_lookup(void **state)
{
    (void)state;
    frames = fixture_open(&fixture, base, 2048, 0, 0);
    weir_frames_add(frames, base, 2048, WEIR_REGION_ZERO);
    const struct frame_map *map = (const struct frame_map *)frames;
    for (unsigned order = 0; order <= 10; order++) {
        bool zero;
        uintptr_t slab = weir_frames_alloc_slab(frames, order, descriptors[1], &zero);
        assert_int_equal(slab % FRAME((size_t)1 << order), 0);
        for (size_t n = 0; n < (size_t)1 << order; n++) {
            assert_ptr_equal(weir_frames_slab(frames, slab + FRAME(n) + 77), descriptors[1]);
            assert_ptr_equal(frame_word_slab(map, slab + FRAME(n) + 77), descriptors[1]);
        }
        assert_null(weir_frames_slab(frames, slab - 1));
        assert_null(weir_frames_slab(frames, slab + FRAME((size_t)1 << order)));
        assert_int_equal(weir_frames_run_length(frames, slab), 0);
        assert_int_equal(weir_frames_run_start(frames, slab), 0);
        assert_sound(frames);
        assert_int_equal(weir_frames_free_slab(frames, slab, order), WEIR_OK);
        assert_null(weir_frames_slab(frames, slab));
    }
    assert_null(weir_frames_slab(frames, 0));
    assert_null(weir_frames_slab(frames, UINTPTR_MAX));
    assert_null(weir_frames_slab(frames, base - 1));
    assert_null(weir_frames_slab(frames, base + FRAME(2048)));
    assert_int_equal(weir_frames_alloc_slab(frames, 12, descriptors[0], NULL), 0);
    assert_int_equal(weir_frames_alloc_slab(frames, 19, descriptors[0], NULL), 0);
    assert_int_equal(weir_frames_alloc_slab(frames, 4000000000u, descriptors[0], NULL), 0);
    assert_int_equal(atomic_load(&test_errors), 0);
    fixture_close(&fixture);
}

static void misuse(unsigned slots)
{
    frames = fixture_open(&fixture, base, 2048, 0, slots);
    weir_frames_add(frames, base, 1024, WEIR_REGION_ZERO);
    uintptr_t slab = weir_frames_alloc_slab(frames, 2, descriptors[0], NULL);
    uintptr_t other = weir_frames_alloc_slab(frames, 2, descriptors[1], NULL);
    uintptr_t single = weir_frames_alloc_slab(frames, 0, descriptors[2], NULL);
    uintptr_t run = weir_frames_alloc(frames, 4, 1, 0, NULL);
    uintptr_t one = weir_frames_alloc(frames, 1, 1, 0, NULL);
    struct weir_frames_stats before = fixture_stats(frames);
    const struct {
        uintptr_t start;
        unsigned order;
        enum weir_status status;
    } table[] = {
        {slab, 1, WEIR_WRONG_SIZE},
        {slab, 0, WEIR_WRONG_SIZE},
        {slab, 3, WEIR_WRONG_SIZE},
        {slab, 18, WEIR_WRONG_SIZE},
        {slab, 19, WEIR_INVALID},
        {slab + FRAME(1), 0, WEIR_WRONG_SIZE},
        {slab + FRAME(2), 1, WEIR_WRONG_SIZE},
        {slab + FRAME(3), 0, WEIR_WRONG_SIZE},
        {slab + FRAME(2), 2, WEIR_WRONG_SIZE},
        {slab + 1, 2, WEIR_INVALID},
        {single, 1, WEIR_WRONG_SIZE},
        {run, 2, WEIR_NOT_ALLOCATED},
        {one, 0, WEIR_NOT_ALLOCATED},
        {base + FRAME(1500), 0, WEIR_NOT_ALLOCATED},
        {base - FRAME(1), 0, WEIR_NOT_ALLOCATED},
        {base + FRAME(1020), 0, WEIR_DOUBLE_FREE}, /* never allocated, but free */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_misuse(table[i].status, weir_frames_free_slab(frames, table[i].start, table[i].order));
        assert_string_equal(test_last_error.operation, "weir_frames_free_slab");
        assert_sound(frames);
    }
    struct weir_frames_stats after = fixture_stats(frames);
    assert_memory_equal(&before, &after, sizeof(before));
    test_platform_reset();
    assert_int_equal(weir_frames_free_slab(frames, slab, 2), WEIR_OK);
    assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free_slab(frames, slab, 2));
    assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free(frames, slab, 4));
    test_platform_reset();
    assert_int_equal(weir_frames_free_slab(frames, single, 0), WEIR_OK);
    assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free_slab(frames, single, 0));
    assert_misuse(WEIR_DOUBLE_FREE, weir_frames_free(frames, single, 1));
    test_platform_reset();
    assert_int_equal(weir_frames_free_slab(frames, other, 2), WEIR_OK);
    assert_int_equal(weir_frames_alloc_slab(frames, 1, NULL, NULL), 0);
    assert_int_equal(weir_frames_alloc_slab(frames, 1, descriptors[0] + 8, NULL), 0);
    assert_int_equal(atomic_load(&test_errors), 2);
    assert_int_equal(test_last_error.status, WEIR_INVALID);
    assert_sound(frames);
    fixture_close(&fixture);
}

static void test_misuse(void **state)
{
    (void)state;
    misuse(0);
    misuse(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
