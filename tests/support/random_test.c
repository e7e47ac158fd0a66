/* The generator and the shrinker themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/random.h"

static void test_generator(void **state)
{
    (void)state;
    struct random a = random_seeded(1), b = random_seeded(1), c = random_seeded(2);
    assert_int_equal(random_next(&a), random_next(&b));
    assert_int_not_equal(random_next(&a), random_next(&c));
    unsigned seen[10] = {0}, small = 0;
    for (int i = 0; i < 10000; i++) {
        seen[random_below(&a, 10)]++;
        uint64_t size = random_size(&a, 1000);
        assert_in_range(size, 1, 1000);
        small += size <= 32;
        assert_int_equal(random_size(&a, 1), 1);
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_in_range(small, 4000, 7000);
}

static void test_seed_from_environment(void **state)
{
    (void)state;
    const char *given = getenv("WEIR_SEED");
    char *saved = given ? strdup(given) : NULL;
    setenv("WEIR_SEED", "12345", 1);
    struct random a = random_start("seed"), b = random_seeded(12345);
    assert_int_equal(random_next(&a), random_next(&b));
    if (saved)
        setenv("WEIR_SEED", saved, 1);
    else
        unsetenv("WEIR_SEED");
    free(saved);
}

/* Fails when a 7 comes before a 9 that comes before a 7. */
static const char *run(void *context, const void *operations, size_t count)
{
    static const int pattern[] = {7, 9, 7};
    const int *ops = operations;
    size_t matched = 0;
    ++*(int *)context;
    for (size_t i = 0; i < count && matched < 3; i++)
        matched += ops[i] == pattern[matched];
    return matched == 3 ? "seven, nine, seven" : NULL;
}

static void print(void *context, const void *operation)
{
    (void)context;
    (void)operation;
}

static void test_shrinks(void **state)
{
    (void)state;
    struct random random = random_start("shrink");
    int runs = 0, ops[500];
    struct random_test test = {run, print, &runs, sizeof(int)};
    for (int i = 0; i < 500; i++)
        ops[i] = (int)random_below(&random, 12);
    ops[100] = ops[300] = 7;
    ops[200] = 9;
    assert_int_equal(random_shrink(&test, ops, 500), 3);
    assert_true(ops[0] == 7 && ops[1] == 9 && ops[2] == 7);
    assert_true(runs < 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generator),
        cmocka_unit_test(test_seed_from_environment),
        cmocka_unit_test(test_shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
