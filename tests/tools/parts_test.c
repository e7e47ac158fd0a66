/* The small parts: word lists, the table for people, the bounded series of samples, the outlet, the temporary
 * directory. */
#include "tests/support/random.h"
#include "tests/tools/harness.h"
#include "tools/outlet.h"
#include "tools/sample.h"
#include "tools/table.h"
#include "tools/temporary.h"
#include "tools/words.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_words(void **state)
{
    (void)state;
    struct words words = {0};
    words_add_split(&words, "  ccache  gcc\t-O3\n");
    words_addf(&words, "-m%d", 64);
    assert_int_equal(words.count, 4);
    assert_string_equal(words.items[0], "ccache");
    assert_string_equal(words.items[2], "-O3");
    assert_string_equal(words.items[3], "-m64");
    assert_null(words.items[4]);
    words_free(&words);
    words_add_split(&words, " ");
    assert_int_equal(words.count, 0);
}

static void test_table(void **state)
{
    (void)state;
    struct table table = {0};
    table_row(&table, "name", "n", NULL);
    table_row(&table, "a", "100.5", NULL);
    table_row(&table, "longer", NULL);
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    table_print(&table, 1, file);
    fclose(file);
    assert_string_equal(text, "name        n\n"
                              "------  -----\n"
                              "a       100.5\n"
                              "longer       \n");
    free(text);
    table_free(&table);
}

static void test_a_series_stays_bounded(void **state)
{
    (void)state;
    struct series series;
    series_start(&series, 1);
    const size_t total = 5ul * SAMPLE_LIMIT;
    for (size_t i = 0; i < total; i++)
        series_add(&series, &(struct sample){.time = (double)i, .rss = i});
    assert_true(series.count <= SAMPLE_LIMIT);
    assert_true(series.count >= SAMPLE_LIMIT / 2);
    assert_true(series.interval > 1);
    assert_int_equal(series.samples[0].rss, 0);
    assert_int_equal(series.samples[series.count - 1].rss, total - 1);
    for (size_t i = 1; i < series.count; i++)
        assert_true(series.samples[i].time > series.samples[i - 1].time);
    series_free(&series);
}

static void test_own_memory_is_resident(void **state)
{
    (void)state;
    uint64_t now = 0;
    uint64_t peak = 0;
    assert_true(resident_bytes(getpid(), &now, &peak));
    assert_true(now > 0);
    assert_true(peak > 0);
    assert_false(resident_bytes(1 << 30, &now, &peak));
}

static void test_outlet_delivers_in_order(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct outlet outlet;
    outlet_open(&outlet, ends[1], 10000);
    assert_int_equal(outlet_watch(&outlet).fd, -1);
    char expected[20000];
    for (size_t i = 0; i < sizeof expected; i++)
        expected[i] = (char)(i % 251);
    outlet_put(&outlet, expected, 7000);
    assert_false(outlet_is_full(&outlet));
    outlet_put(&outlet, expected + 7000, sizeof expected - 7000);
    assert_true(outlet_is_full(&outlet));
    char found[sizeof expected];
    size_t length = 0;
    while (outlet_watch(&outlet).fd >= 0) {
        outlet_attend(&outlet, POLLOUT);
        const ssize_t got = read(ends[0], found + length, sizeof found - length);
        assert_true(got > 0);
        length += (size_t)got;
    }
    assert_int_equal(length, sizeof expected);
    assert_memory_equal(found, expected, length);
    close(ends[0]);
    outlet_put(&outlet, "x", 1);
    outlet_attend(&outlet, POLLOUT);
    assert_true(outlet.broken);
    outlet_close(&outlet);
    close(ends[1]);
}

/* Random puts and writes against a counter: every byte once, in order. */
static void test_outlet_under_random_use(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct random random = random_start("outlet");
    struct outlet outlet;
    outlet_open(&outlet, ends[1], 1);
    uint64_t in = 0;
    uint64_t out = 0;
    for (size_t round = 0; round < random_rounds(3000) || out < in; round++) {
        char data[9000];
        const size_t length = round < random_rounds(3000) ? random_below(&random, sizeof data) : 0;
        for (size_t i = 0; i < length; i++)
            data[i] = (char)(in++ % 251);
        outlet_put(&outlet, data, length);
        for (uint64_t i = random_below(&random, 4); i > 0 && outlet_watch(&outlet).fd >= 0; i--) {
            outlet_attend(&outlet, POLLOUT);
            const ssize_t got = read(ends[0], data, sizeof data);
            for (ssize_t j = 0; j < got; j++)
                assert_int_equal(data[j], (char)(out++ % 251));
        }
    }
    assert_int_equal(outlet.length, 0);
    outlet_close(&outlet);
    close(ends[0]);
    close(ends[1]);
}

static void test_temporary_directory_goes_with_its_files(void **state)
{
    (void)state;
    char *path = temporary_create();
    assert_non_null(path);
    char copy[256];
    char inside[300];
    snprintf(copy, sizeof copy, "%s", path);
    snprintf(inside, sizeof inside, "%s/sub", copy);
    assert_int_equal(mkdir(inside, 0700), 0);
    snprintf(inside, sizeof inside, "%s/sub/file", copy);
    const int fd = open(inside, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    temporary_remove(path);
    assert_int_equal(access(copy, F_OK), -1);
    setenv("TMPDIR", "/does/not/exist", 1);
    assert_null(temporary_create());
    unsetenv("TMPDIR");
}

static int ignore_closed_pipes(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_a_series_stays_bounded),
        cmocka_unit_test(test_own_memory_is_resident),
        cmocka_unit_test(test_outlet_delivers_in_order),
        cmocka_unit_test(test_outlet_under_random_use),
        cmocka_unit_test(test_temporary_directory_goes_with_its_files),
    };
    return cmocka_run_group_tests_name("tools/parts", tests, ignore_closed_pipes, NULL);
}
