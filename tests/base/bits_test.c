#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "src/base/bits.h"
#include "tests/support/random.h"

static void test_powers(void **state)
{
    (void)state;
    assert_false(is_power_of_two(0));
    for (unsigned k = 0; k < 64; k++) {
        size_t n = (size_t)1 << k;
        assert_true(is_power_of_two(n));
        assert_int_equal(log2_floor(n), k);
        assert_int_equal(log2_ceil(n), k);
        if (k < 2)
            continue;
        assert_false(is_power_of_two(n - 1));
        assert_int_equal(log2_floor(n - 1), k - 1);
        assert_int_equal(log2_ceil(n - 1), k);
        assert_int_equal(log2_floor(n + 1), k);
        assert_int_equal(log2_ceil(n + 1), k == 63 ? 64 : k + 1);
    }
}

static void test_rounding(void **state)
{
    (void)state;
    for (size_t n = 0; n < 100; n++) {
        for (size_t unit = 1; unit <= 64; unit *= 2) {
            assert_int_equal(round_up(n, unit), (n + unit - 1) / unit * unit);
            assert_int_equal(round_down(n, unit), n / unit * unit);
        }
    }
}

static void test_ones(void **state)
{
    (void)state;
    struct random random = random_start("ones");
    for (unsigned from = 0; from < 64; from++) {
        for (unsigned n = 1; n <= 64 - from; n++) {
            uint64_t mask = ones(from, n);
            assert_int_equal(count_ones(mask), n);
            assert_int_equal(__builtin_ctzll(mask), from);
            assert_int_equal(63 - __builtin_clzll(mask), from + n - 1);
        }
    }
    assert_int_equal(count_ones(0), 0);
    for (int i = 0; i < 10000; i++) {
        uint64_t mask = random_next(&random), x = random_next(&random) & mask;
        assert_int_equal(count_ones(x), __builtin_popcountll(x));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powers),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
