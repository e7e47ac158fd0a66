/* The probe, over memory whose touches take what a table says: small pages, huge pages, huge pages askew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/reclaim/reclaim.h"
#include "tests/support/platform.h"

#define CHUNK ((size_t)2 << 20)

static const uint64_t *times; /* of the touches, in turn */
static unsigned calls;
static uint64_t clock;

/* Called before and after each touch. */
static uint64_t now(void *context)
{
    (void)context;
    if (calls % 2 == 1)
        clock += times[calls / 2];
    calls++;
    return clock;
}

static uint64_t cost(const struct weir_range *range, const uint64_t *table)
{
    struct weir_platform platform = *test_platform();
    platform.now = now;
    times = table;
    calls = 0;
    return fault_cost(&platform, range);
}

static void pages_of_both_sizes(void **state)
{
    static const uint64_t small[8] = {17000, 16000, 18000, 17000, 90000, 17500, 16500, 17000};
    static const uint64_t huge[8] = {256000, 50, 60, 50, 40, 50, 50, 50};
    static const uint64_t askew[8] = {256000, 50, 60, 256000, 40, 50, 50, 50};
    static const uint64_t nothing[8] = {0};
    char *memory = aligned_alloc(CHUNK, 2 * CHUNK);
    struct weir_range range = {(uintptr_t)memory, 2 * CHUNK / WEIR_FRAME_SIZE};
    (void)state;
    assert_in_range(cost(&range, small), 16000, 18000);
    assert_in_range(cost(&range, huge), 490, 510);
    assert_in_range(cost(&range, askew), 990, 1010);
    assert_int_equal(cost(&range, nothing), 1);
    free(memory);
}

static void less_than_a_huge_page_is_not_touched(void **state)
{
    struct weir_range range = {(uintptr_t)CHUNK + WEIR_FRAME_SIZE, CHUNK / WEIR_FRAME_SIZE + 510};
    (void)state;
    assert_int_equal(cost(&range, NULL), 0);
    range = (struct weir_range){(uintptr_t)CHUNK, 511};
    assert_int_equal(cost(&range, NULL), 0);
    assert_int_equal(calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_both_sizes),
        cmocka_unit_test(less_than_a_huge_page_is_not_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
