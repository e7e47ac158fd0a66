/*
 * Options, as a program sees them that is started with this or that environment. argv[1]: options_shower, argv[2]:
 * docs/options.md.
 */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/options.h"

static const char *shower, *manual;
static char output[1 << 14];

/* Runs the program with these variables set, quoted as for a shell; returns its status. What it prints, errors
 * first, is in `output`. */
static int run_program(const char *program, const char *variables)
{
    char line[8192];
    snprintf(line, sizeof line, "exec env -i $(env | grep -o '^[A-Z]*SAN_OPTIONS=[^ ]*') %s '%s' 2>&1", variables,
             program);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    return pclose(pipe);
}

static void run(const char *variables)
{
    assert_int_equal(run_program(shower, variables), 0);
}

static void assert_says(const char *text)
{
    if (!strstr(output, text))
        fail_msg("no \"%s\" in: %s", text, output);
}

static bool is_silent(void)
{
    return strstr(output, "weir:") == NULL;
}

static void defaults_hold_where_nothing_is_said(void **state)
{
    (void)state;
    run("WEIR_KEEP= HOME=/");
    assert_string_equal(output, "help=0 verbose=0 stats=0 abort=0\n"
                                "limit=0 reserve=0 keep=33554432 keep_part=25 cold_ms=500\n"
                                "madvise=0 huge=0 background=0 background_ms=100\n"
                                "stats_file=<> secure=0\n");
}

static void values_of_every_kind_are_read(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"WEIR_KEEP=0", "keep=0 "},
        {"WEIR_KEEP=1000", "keep=1000 "},
        {"WEIR_KEEP=64K", "keep=65536 "},
        {"WEIR_KEEP=64m", "keep=67108864 "},
        {"WEIR_KEEP=1GiB", "keep=1073741824 "},
        {"WEIR_KEEP=2TB", "keep=2199023255552 "},
        {"WEIR_KEEP=18446744073709551615", "keep=18446744073709551615 "},
        {"WEIR_LIMIT=100M", "limit=104857600 "},
        {"WEIR_RESERVE=512G", "reserve=549755813888 "},
        {"WEIR_KEEP_PART=0", "keep_part=0 "},
        {"WEIR_COLD_MS=3600000", "cold_ms=3600000"},
        {"WEIR_BACKGROUND_MS=1", "background_ms=1\n"},
        {"WEIR_BACKGROUND=1", "background=1 "},
        {"WEIR_BACKGROUND=yes", "background=1 "},
        {"WEIR_ABORT=on", "abort=1\n"},
        {"WEIR_ABORT=off", "abort=0\n"},
        {"WEIR_STATS=json", "stats=2 "},
        {"WEIR_STATS=1", "stats=1 "},
        {"WEIR_MADVISE=free", "madvise=1 "},
        {"WEIR_HUGE=always", "huge=2 "},
        {"WEIR_HUGE=never", "huge=1 "},
        {"WEIR_STATS_FILE='/tmp/a b=%p'", "stats_file=</tmp/a b=%p>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(cases[i][0]);
        assert_says(cases[i][1]);
        assert_true(is_silent());
    }
}

static void bad_values_are_told_and_the_default_holds(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"WEIR_KEEP=lots", "weir: WEIR_KEEP=lots: expected bytes, such as 100000, 64K, 32M or 1G; 32M is used\n"},
        {"WEIR_KEEP=-1", "weir: WEIR_KEEP=-1: expected bytes, such as 100000, 64K, 32M or 1G; 32M is used\n"},
        {"WEIR_KEEP=1X", "weir: WEIR_KEEP=1X: expected"},
        {"WEIR_KEEP=1MX", "weir: WEIR_KEEP=1MX: expected"},
        {"WEIR_KEEP=' 1'", "weir: WEIR_KEEP= 1: expected"},
        {"WEIR_KEEP=18446744073709551616", "weir: WEIR_KEEP=18446744073709551616: expected"},
        {"WEIR_KEEP=16777216T", "weir: WEIR_KEEP=16777216T: expected"},
        {"WEIR_RESERVE=513G", "weir: WEIR_RESERVE=513G: expected bytes, such as 100000, 64K, 32M or 1G, from 0 to "
                              "512G; 0 is used\n"},
        {"WEIR_KEEP_PART=1001", "weir: WEIR_KEEP_PART=1001: expected a number from 0 to 1000; 25 is used\n"},
        {"WEIR_COLD_MS=1K", "weir: WEIR_COLD_MS=1K: expected a number from 0 to 3600000; 500 is used\n"},
        {"WEIR_BACKGROUND_MS=0", "weir: WEIR_BACKGROUND_MS=0: expected a number from 1 to 3600000; 100 is used\n"},
        {"WEIR_ABORT=2", "weir: WEIR_ABORT=2: expected 0 or 1; 0 is used\n"},
        {"WEIR_STATS=xml", "weir: WEIR_STATS=xml: expected 0, 1 or json; 0 is used\n"},
        {"WEIR_MADVISE=fre", "weir: WEIR_MADVISE=fre: expected dontneed or free; dontneed is used\n"},
        {"WEIR_HUGE=1", "weir: WEIR_HUGE=1: expected default, never, always or system; default is used\n"},
        {"\"WEIR_STATS_FILE=$(printf %2000d 7)\"", "...: expected at most 1023 characters; nothing is used\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(cases[i][0]);
        assert_says(cases[i][1]);
        assert_ptr_equal(strstr(output, "weir:"), output);
        assert_null(strstr(output + 1, "weir:"));
        assert_says("abort=0\nlimit=0 reserve=0 keep=33554432 keep_part=25 cold_ms=500\n"
                    "madvise=0 huge=0 background=0 background_ms=100\nstats_file=<> secure=0\n");
    }
}

static void unknown_names_are_told_with_the_nearest(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"WEIR_STAT=1", "weir: no option is called WEIR_STAT; the nearest is WEIR_STATS, and WEIR_HELP=1 lists all\n"},
        {"WEIR_SATTS=1", "the nearest is WEIR_STATS,"},
        {"WEIR_STATSFILE=x", "the nearest is WEIR_STATS_FILE,"},
        {"WEIR_keep=1M", "the nearest is WEIR_KEEP,"},
        {"WEIR_BACKROUND_MS=1", "the nearest is WEIR_BACKGROUND_MS,"},
        {"WEIR_MAX_LIMIT=1", "the nearest is WEIR_LIMIT,"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(cases[i][0]);
        assert_says(cases[i][1]);
    }
    run("WEIR_=1");
    assert_says("weir: no option is called WEIR_;");
    run("WEIR_$(printf %500d 7 | tr ' ' X)=1");
    assert_says("weir: no option is called WEIR_XXXX");
    run("WEIR_SEED=12 WEIR_LIB=/x WEIR_PHASES=1 WEIRD=1 weir_keep=1");
    assert_true(is_silent());
}

/* The environment is somebody else's text. */
static void nothing_unprintable_reaches_the_terminal(void **state)
{
    (void)state;
    run("WEIR_KEEP=\"$(printf 'a\\033[31m\\nb')\" \"WEIR_$(printf '\\033c')=1\"");
    assert_says("WEIR_KEEP=a?[31m?b: expected");
    assert_says("no option is called WEIR_?c;");
}

static void help_lists_every_option_with_the_value_in_force(void **state)
{
    (void)state;
    run("WEIR_HELP=1 WEIR_KEEP=128M WEIR_HUGE=never");
    static const char *const names[] = {"HELP",    "VERBOSE", "STATS",      "STATS_FILE",   "ABORT",
                                        "LIMIT",   "RESERVE", "KEEP",       "KEEP_PART",    "COLD_MS",
                                        "MADVISE", "HUGE",    "BACKGROUND", "BACKGROUND_MS"};
    static_assert(sizeof names / sizeof *names == OPTIONS, "all of them");
    for (size_t i = 0; i < OPTIONS; i++) {
        char line[40];
        snprintf(line, sizeof line, "\nWEIR_%s ", names[i]);
        assert_says(line);
    }
    assert_says("\nWEIR_KEEP           128M      32M       bytes ");
    assert_says("\nWEIR_HUGE           never     default ");
}

static void the_manual_holds_the_table(void **state)
{
    (void)state;
    static char text[1 << 16];
    FILE *file = fopen(manual, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    run("WEIR_HELP=1");
    *strstr(output, "help=1 ") = '\0';
    if (!strstr(text, output))
        fail_msg("%s does not hold this:\n%s", manual, output);
}

static void verbose_says_what_is_not_the_default(void **state)
{
    (void)state;
    run("WEIR_VERBOSE=1");
    assert_says(": WEIR_VERBOSE=1\n");
    run("WEIR_VERBOSE=1 WEIR_STATS_FILE=/x WEIR_LIMIT=1G WEIR_KEEP=32M");
    assert_says(": WEIR_VERBOSE=1 WEIR_STATS_FILE=/x WEIR_LIMIT=1G\n");
}

static void options_can_be_set_within_their_ranges(void **state)
{
    (void)state;
    assert_true(option_set(OPTION_KEEP, SIZE_MAX));
    assert_int_equal(option(OPTION_KEEP), SIZE_MAX);
    assert_true(option_set(OPTION_KEEP, 5));
    assert_int_equal(option(OPTION_KEEP), 5);
    assert_false(option_set(OPTION_ABORT, 2));
    assert_true(option_set(OPTION_ABORT, 1));
    assert_int_equal(option(OPTION_ABORT), 1);
    assert_false(option_set(OPTION_HUGE, HUGE_SYSTEM + 1));
    assert_true(option_set(OPTION_HUGE, HUGE_ALWAYS));
    assert_false(option_set(OPTION_BACKGROUND_MS, 0));
    assert_int_equal(option(OPTION_BACKGROUND_MS), 100);
    assert_false(option_set(OPTION_STATS_FILE, 1));
}

/* What runs with more privileges than its user does not listen to him. */
static void privileged_programs_ignore_the_environment(void **state)
{
    (void)state;
    char copy[] = "/tmp/weir-options-XXXXXX", command[4096];
    int file = mkstemp(copy);
    assert_true(file >= 0);
    close(file);
    snprintf(command, sizeof command, "cp '%s' %s", shower, copy);
    assert_int_equal(system(command), 0);
    bool possible = geteuid() == 0 && chown(copy, 65534, 65534) == 0 && chmod(copy, 04755) == 0;
    if (possible)
        run_program(copy, "WEIR_KEEP=1 WEIR_HELP=1 WEIR_NONSENSE=1"); /* the leak sanitizer refuses to work there */
    unlink(copy);
    if (!possible || strstr(output, "secure=0")) {
        print_message("no privileges to give here\n");
        skip();
    }
    assert_says("keep=33554432 ");
    assert_true(is_silent());
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 1;
    shower = argv[1];
    manual = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_where_nothing_is_said),
        cmocka_unit_test(values_of_every_kind_are_read),
        cmocka_unit_test(bad_values_are_told_and_the_default_holds),
        cmocka_unit_test(unknown_names_are_told_with_the_nearest),
        cmocka_unit_test(nothing_unprintable_reaches_the_terminal),
        cmocka_unit_test(help_lists_every_option_with_the_value_in_force),
        cmocka_unit_test(the_manual_holds_the_table),
        cmocka_unit_test(verbose_says_what_is_not_the_default),
        cmocka_unit_test(options_can_be_set_within_their_ranges),
        cmocka_unit_test(privileged_programs_ignore_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
