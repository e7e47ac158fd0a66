/* Numbers and sizes as text, and text that is longer than the buffer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/text.h"

static void sizes_are_for_people(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1, "1 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1075, "1.0 KiB"},
        {1076, "1.1 KiB"},
        {10188, "9.9 KiB"},
        {10189, "10 KiB"},
        {10752, "11 KiB"},
        {UINT64_C(1023) << 10, "1023 KiB"},
        {(1 << 20) - 570, "1023 KiB"},
        {(1 << 20) - 512, "1.0 MiB"},
        {UINT64_C(1) << 20, "1.0 MiB"},
        {UINT64_C(23) << 20, "23 MiB"},
        {UINT64_C(3) << 29, "1.5 GiB"},
        {UINT64_C(1) << 60, "1.0 EiB"},
        {UINT64_MAX, "16 EiB"},
    };
    char out[NUMBER_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(size_text(out, cases[i].bytes), cases[i].text);
}

static void exact_sizes_can_be_read_back(void **state)
{
    (void)state;
    char out[NUMBER_MAX];
    assert_string_equal(exact_size_text(out, 0), "0");
    assert_string_equal(exact_size_text(out, 1000), "1000");
    assert_string_equal(exact_size_text(out, 1025), "1025");
    assert_string_equal(exact_size_text(out, 65536), "64K");
    assert_string_equal(exact_size_text(out, UINT64_C(3) << 30), "3G");
    assert_string_equal(exact_size_text(out, UINT64_C(1) << 50), "1024T");
    assert_string_equal(exact_size_text(out, UINT64_MAX), "18446744073709551615");
    assert_string_equal(number_text(out, UINT64_MAX), "18446744073709551615");
}

/* What is written through a pipe. */
static size_t read_back(int from, char *out, size_t room)
{
    size_t length = 0;
    for (ssize_t n; length < room && (n = read(from, out + length, room - length)) > 0;)
        length += (size_t)n;
    return length;
}

static void columns_and_long_texts_arrive_whole(void **state)
{
    (void)state;
    int ends[2];
    static char out[20000];
    assert_int_equal(pipe(ends), 0);
    struct text text = {.file = ends[1]};
    text_left(&text, "ab", 4);
    text_right(&text, "cd", 4);
    text_left(&text, "too long", 4);
    text_hex(&text, 0xdeadbeef);
    text_quote(&text, "\x1b\x7f\xffok", 4);
    for (unsigned i = 0; i < 3000; i++)
        text_number(&text, i % 10);
    text_put(&text, "end");
    text_flush(&text);
    close(ends[1]);
    size_t length = read_back(ends[0], out, sizeof out);
    close(ends[0]);
    static const char start[] = "ab    cdtoo long0xdeadbeef???o0123456789";
    assert_memory_equal(out, start, sizeof start - 1);
    assert_int_equal(length, sizeof start - 1 - 10 + 3000 + 3);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(out[sizeof start - 1 - 10 + i], '0' + i % 10);
    assert_memory_equal(out + length - 3, "end", 3);
}

static void a_stream_takes_it_too(void **state)
{
    (void)state;
    char *out = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&out, &length);
    assert_non_null(stream);
    struct text text = {.stream = stream};
    for (unsigned i = 0; i < 5000; i++)
        text_put(&text, "x");
    text_flush(&text);
    fclose(stream);
    assert_int_equal(length, 5000);
    free(out);
}

static void errors_leave_errno_alone(void **state)
{
    (void)state;
    struct text text = {.file = -1};
    errno = 77;
    text_put(&text, "nobody reads this");
    text_flush(&text);
    assert_int_equal(errno, 77);
    assert_int_equal(text.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_for_people),
        cmocka_unit_test(exact_sizes_can_be_read_back),
        cmocka_unit_test(columns_and_long_texts_arrive_whole),
        cmocka_unit_test(a_stream_takes_it_too),
        cmocka_unit_test(errors_leave_errno_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
