/* The bitmaps over ranges that begin and end anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "src/frame/bitmaps.h"
#include "tests/frame/fixture.h"
#include "tests/support/random.h"

enum {
    FRAMES = 3000
};

static void test_ranges(void **state)
{
    (void)state;
    struct random random = random_start("bitmaps");
    struct fixture fixture;
    struct weir_frames *f = fixture_open(&fixture, FRAME(0x10000 + 100), FRAMES, 0, 0);
    static bool backed[FRAMES], dirty[FRAMES], reported[FRAMES];
    for (int i = 0; i < 3000; i++) {
        size_t from = random_below(&random, FRAMES), n = f->first + from;
        size_t count = random_size(&random, FRAMES - from), unbacked = 0, were_reported = 0, sum = 0;
        bool zero = true;
        for (size_t k = from; k < from + count; k++) {
            unbacked += !backed[k];
            were_reported += reported[k];
            zero = zero && !dirty[k];
        }
        assert_int_equal(bits_count_backed(f, n, count), count - unbacked);
        switch (random_below(&random, 5)) {
        case 0: {
            struct bits_taken taken = bits_take(f, n, count);
            assert_int_equal(taken.unbacked, unbacked);
            assert_int_equal(taken.reported, were_reported);
            assert_int_equal(taken.zero, zero);
            memset(backed + from, true, count);
            memset(dirty + from, true, count);
            memset(reported + from, false, count);
            break;
        }
        case 1:
            bits_set_zero(f, n, count);
            memset(dirty + from, false, count);
            break;
        case 2:
            bits_set_dirty(f, n, count);
            memset(dirty + from, true, count);
            break;
        default: {
            bool by_report = random_below(&random, 2);
            bits_set_gone(f, n, count, by_report);
            memset(backed + from, false, count);
            memset(dirty + from, true, count);
            memset(reported + from, by_report, count);
        }
        }
        for (size_t c = f->first >> CHUNK_ORDER; c <= (f->end - 1) >> CHUNK_ORDER; c++) {
            bool any = false;
            for (size_t k = c << CHUNK_ORDER; k < (c + 1) << CHUNK_ORDER; k++)
                any = any || (in_span(f, k) && backed[k - f->first]);
            assert_int_equal(bits_touched(f, c), any);
            sum += any;
        }
        size_t first = f->first >> CHUNK_ORDER, last = (f->end - 1) >> CHUNK_ORDER;
        assert_int_equal(bits_any_touched(f, first, last - first + 1), sum > 0);
    }
    fixture_close(&fixture);
}

static void test_managed(void **state)
{
    (void)state;
    struct random random = random_start("managed");
    struct fixture fixture;
    struct weir_frames *f = fixture_open(&fixture, FRAME(0x10000 + 100), FRAMES, 0, 0);
    static bool managed[FRAMES];
    for (int i = 0; i < 2000; i++) {
        size_t from = random_below(&random, FRAMES), n = f->first + from;
        size_t count = random_size(&random, FRAMES - from);
        bool any = false;
        for (size_t k = from; k < from + count; k++)
            any = any || managed[k];
        assert_int_equal(bits_any_managed(f, n, count), any);
        if (!any) {
            bits_set_managed(f, n, count);
            memset(managed + from, true, count);
        }
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_managed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
