/* Sizes, times, the balloon's timetable. */
#include "tests/tools/harness.h"
#include "tools/quantity.h"

#include <stdbool.h>
#include <stdlib.h>

static void expect_size(const char *text, uint64_t bytes)
{
    uint64_t found = 1;
    assert_true(parse_size(text, &found));
    assert_int_equal(found, bytes);
}

static void test_sizes(void **state)
{
    (void)state;
    expect_size("0", 0);
    expect_size("1K", 1024);
    expect_size("64M", 64ull << 20);
    expect_size("64m", 64ull << 20);
    expect_size("64MiB", 64ull << 20);
    expect_size("64MB", 64ull << 20);
    expect_size("1.5G", 3ull << 29);
    expect_size("2T", 2ull << 40);
}

static void test_what_is_no_size(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",   "64",  "M",     "-1M", "+1M",  " 1M",    "1M ",
                                        "1X", "1MM", "0x10M", "nan", "infM", "1e400M", "9999999T"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse_size(wrong[i], &bytes))
            fail_msg("\"%s\" was taken for a size", wrong[i]);
}

static void test_seconds(void **state)
{
    (void)state;
    double seconds;
    assert_true(parse_seconds("2", &seconds) && seconds == 2);
    assert_true(parse_seconds("0.25", &seconds) && seconds == 0.25);
    assert_true(parse_seconds("1s", &seconds) && seconds == 1);
    static const char *const wrong[] = {"", "-1", "s", "1m", "1e99", "nan", "0x1", " 1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse_seconds(wrong[i], &seconds))
            fail_msg("\"%s\" was taken for seconds", wrong[i]);
}

static void test_numbers(void **state)
{
    (void)state;
    unsigned number;
    assert_true(parse_number("7", 1, 9, &number) && number == 7);
    assert_false(parse_number("0", 1, 9, &number));
    assert_false(parse_number("10", 1, 9, &number));
    assert_false(parse_number("7 ", 1, 9, &number));
    assert_false(parse_number("-7", 0, 9, &number));
    assert_false(parse_number("99999999999999999999", 0, 9, &number));
}

static void test_steps_are_sorted(void **state)
{
    (void)state;
    struct balloon_step *steps;
    size_t count;
    const char *fault;
    assert_true(parse_balloon_steps("1G@4,256M@1.5,max@4,0@9", &steps, &count, &fault));
    assert_int_equal(count, 4);
    assert_true(steps[0].time == 1.5 && steps[0].bytes == 256ull << 20);
    assert_true(steps[1].time == 4 && steps[1].bytes == 1ull << 30);
    assert_true(steps[2].time == 4 && steps[2].bytes == BALLOON_MAX);
    assert_true(steps[3].time == 9 && steps[3].bytes == 0);
    free(steps);
}

static void test_the_wrong_step_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *fault;
    } wrong[] = {{"", ""},       {"1G", "1G"}, {"1G@1,", ""},     {"1G@1,64@2,0@3", "64@2,0@3"},
                 {"1G@", "1G@"}, {"@1", "@1"}, {"1G@-1", "1G@-1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct balloon_step *steps;
        size_t count;
        const char *fault;
        assert_false(parse_balloon_steps(wrong[i].text, &steps, &count, &fault));
        assert_string_equal(fault, wrong[i].fault);
        assert_null(steps);
    }
}

static void test_format(void **state)
{
    (void)state;
    char text[16];
    assert_string_equal(format_size(text, 0), "0 bytes");
    assert_string_equal(format_size(text, 1023), "1023 bytes");
    assert_string_equal(format_size(text, 1536), "1.5 KiB");
    assert_string_equal(format_size(text, 256ull << 20), "256 MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_what_is_no_size),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_steps_are_sorted),
        cmocka_unit_test(test_the_wrong_step_is_named),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests_name("tools/quantity", tests, NULL, NULL);
}
