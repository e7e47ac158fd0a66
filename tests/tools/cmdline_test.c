/*
 * The kernel command line. Judges of the quoting are a real shell, and the kernel's own parser: what they make of the
 * line is what was meant.
 */
#include "platform/kernel/command_line.h"
#include "tests/support/random.h"
#include "tests/tools/harness.h"
#include "tools/cmdline.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Lets sh read `text` as words; each comes back ended by a NUL. Returns their length in all. */
static size_t shell_words(const char *text, char *words, size_t room)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    char *script = malloc(strlen(text) + 64);
    sprintf(script, "printf '%%s\\0' %s", text);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], words + length, room - length)) > 0)
        length += (size_t)got;
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    free(script);
    return length;
}

static void expect_intact(char *const *args, size_t count)
{
    struct guest_words guest = {.name = "program"};
    char expected[8192];
    size_t expected_length = 0;
    for (size_t i = 0; i < count; i++) {
        words_add(&guest.args, args[i]);
        expected_length += (size_t)sprintf(expected + expected_length, "%s", args[i]) + 1;
    }
    char *line = cmdline_build(&guest);
    char *separator = strstr(line, " -- ");
    assert_non_null(separator);
    assert_null(strstr(separator + 1, " -- "));
    struct command_line *parsed = malloc(sizeof *parsed);
    command_line_parse(parsed, line);
    assert_false(parsed->cut);
    assert_int_equal(parsed->n - parsed->options, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(parsed->words[parsed->options + i], args[i]);
    free(parsed);
    char found[8192];
    const size_t length = shell_words(separator + 4, found, sizeof found);
    assert_int_equal(length, expected_length);
    assert_memory_equal(found, expected, length);
    /* What trims the line must not cut off anything. */
    assert_true(line[strlen(line) - 1] != ' ');
    free(line);
    words_free(&guest.args);
}

static void test_arguments_arrive(void **state)
{
    (void)state;
    char *args[] = {"a",       "b c",       "",          "it's",   "say \"no\"", "back\\slash", "\\",
                    "'",       "tab\there", "new\nline", "x -- y", "--",         " -- ",        " lead",
                    "trail ",  "$HOME",     "`ls`",      "*",      "~",          "naïve ☃",     "-x=1",
                    "a;b|c&d", "#",         "!",         "{a,b}",  "\"",         " -- -- "};
    expect_intact(args, sizeof args / sizeof *args);
    for (size_t i = 0; i < sizeof args / sizeof *args; i++)
        expect_intact(&args[i], 1);
}

static void test_random_arguments_arrive(void **state)
{
    (void)state;
    static const char alphabet[] = "ab -'\"\\ \t$-- ";
    struct random random = random_start("cmdline_arguments");
    for (size_t round = 0; round < random_rounds(30); round++) {
        char storage[8][32];
        char *args[8];
        const size_t count = 1 + random_below(&random, 8);
        for (size_t i = 0; i < count; i++) {
            const size_t length = random_below(&random, 31);
            for (size_t j = 0; j < length; j++)
                storage[i][j] = alphabet[random_below(&random, sizeof alphabet - 1)];
            storage[i][length] = '\0';
            args[i] = storage[i];
        }
        expect_intact(args, count);
    }
}

static void expect_quoted(const char *word, const char *quoted)
{
    char *text = cmdline_quote(word);
    assert_string_equal(text, quoted);
    free(text);
}

static void test_plain_words_stay_plain(void **state)
{
    (void)state;
    expect_quoted("script.lua", "script.lua");
    expect_quoted("--n=1,2:3/x@y%z^+", "--n=1,2:3/x@y%z^+");
    expect_quoted("naïve", "naïve");
    expect_quoted("", "''");
    expect_quoted("--", "'--'");
    expect_quoted("it's", "'it'\\''s'");
    expect_quoted("a -- b", "'a --'' b'");
}

static void test_the_whole_line(void **state)
{
    (void)state;
    struct guest_words guest = {.name = "my prog"};
    words_add(&guest.options, "weir.report=off");
    words_add(&guest.env, "A=b c");
    words_add(&guest.env, "EMPTY=");
    char *line = cmdline_build(&guest);
    assert_string_equal(line, "weir.tool=1 weir.name='my prog' weir.report=off env.A='b c' env.EMPTY=''");
    free(line);
    words_add(&guest.args, "x");
    line = cmdline_build(&guest);
    assert_string_equal(line, "weir.tool=1 weir.name='my prog' weir.report=off env.A='b c' env.EMPTY='' -- x");
    free(line);
    words_free(&guest.options);
    words_free(&guest.env);
    words_free(&guest.args);
}

/* Firecracker takes for the separator only what has an even number of double quotes before it. */
static void test_double_quotes_before_the_separator_are_even(void **state)
{
    (void)state;
    struct guest_words guest = {.name = "p"};
    words_add(&guest.env, "Q=a\"b");
    words_add(&guest.args, "x");
    char *line = cmdline_build(&guest);
    size_t quotes = 0;
    for (const char *c = line; c < strstr(line, " -- "); c++)
        quotes += *c == '"';
    assert_int_equal(quotes % 2, 0);
    free(line);
    words_free(&guest.env);
    words_free(&guest.args);
}

static void test_values_arrive(void **state)
{
    (void)state;
    struct guest_words guest = {.name = "two words"};
    words_add(&guest.env, "A=b -- c");
    words_add(&guest.env, "Q=\"");
    words_add(&guest.args, "x");
    char *line = cmdline_build(&guest);
    struct command_line *parsed = malloc(sizeof *parsed);
    command_line_parse(parsed, line);
    assert_string_equal(command_line_option(parsed, "weir.name"), "two words");
    assert_string_equal(command_line_option(parsed, "env.A"), "b -- c");
    assert_string_equal(command_line_option(parsed, "env.Q"), "\"");
    assert_int_equal(parsed->n - parsed->options, 1);
    assert_int_equal(cmdline_words(&guest), parsed->n);
    free(parsed);
    free(line);
    words_free(&guest.env);
    words_free(&guest.args);
}

static void test_ascii(void **state)
{
    (void)state;
    assert_true(cmdline_is_ascii("plain 'words' ~"));
    assert_false(cmdline_is_ascii("snow ☃"));
    assert_false(cmdline_is_ascii("tab\t"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments_arrive),
        cmocka_unit_test(test_random_arguments_arrive),
        cmocka_unit_test(test_plain_words_stay_plain),
        cmocka_unit_test(test_the_whole_line),
        cmocka_unit_test(test_double_quotes_before_the_separator_are_even),
        cmocka_unit_test(test_values_arrive),
        cmocka_unit_test(test_ascii),
    };
    return cmocka_run_group_tests_name("tools/cmdline", tests, NULL, NULL);
}
