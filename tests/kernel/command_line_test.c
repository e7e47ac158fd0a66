/* The kernel's command line, as a machine hands it over. */
#include "test.h"

#include "platform/kernel/command_line.h"

static struct command_line line;

static void parse(const char *text)
{
    memset(&line, 0xa5, sizeof line);
    command_line_parse(&line, text);
}

static void assert_words(unsigned options, unsigned n, const char *const *words)
{
    assert_int_equal(line.options, options);
    assert_int_equal(line.n, n);
    for (unsigned i = 0; i < n; i++)
        assert_string_equal(line.words[i], words[i]);
}

#define WORDS(options, ...)                                                                                            \
    do {                                                                                                               \
        const char *const expected[] = {__VA_ARGS__};                                                                  \
        assert_words(options, sizeof expected / sizeof *expected, expected);                                           \
    } while (0)

static void words_and_the_dashes_between(void **state)
{
    (void)state;
    parse("  weir.tool=1\tx\n-- a  b ");
    WORDS(2, "weir.tool=1", "x", "a", "b");
    parse("");
    assert_int_equal(line.n, 0);
    parse("-- -- --x");
    WORDS(0, "--", "--x");
    parse("a --b");
    WORDS(2, "a", "--b");
}

static void quotes(void **state)
{
    (void)state;
    parse("-- \"b c\" 'd \"e\"' f\\ g a\"b\"'c' \"x\\\"y\\\\z\\n\" '' \"\"");
    WORDS(0, "b c", "d \"e\"", "f g", "abc", "x\"y\\z\\n", "", "");
    parse("\"--\" '--' \\-- -- a"); /* quoted dashes are a word */
    WORDS(3, "--", "--", "--", "a");
    parse("-- \"never closed");
    WORDS(0, "never closed");
    parse("-- end\\");
    WORDS(0, "end\\");
}

static void options_by_name(void **state)
{
    (void)state;
    parse("weir.cpus=2 env.A=\"x y\" weir.tool weir.cpus=3 weir.cpusx=9 -- weir.cpus=4 weir.other=1");
    assert_string_equal(command_line_option(&line, "weir.cpus"), "3");
    assert_string_equal(command_line_option(&line, "env.A"), "x y");
    assert_string_equal(command_line_option(&line, "weir.tool"), "");
    assert_null(command_line_option(&line, "weir.other"));
    assert_null(command_line_option(&line, "weir.cpu"));
    assert_null(command_line_option(&line, "weir.cpusxy"));
    assert_string_equal(command_word_value("pci=off", "pci"), "off");
    assert_null(command_word_value("pci", "pcix"));
}

static void too_long(void **state)
{
    (void)state;
    static char text[4 * COMMAND_LINE_MAX];
    memset(text, 'a', sizeof text - 1);
    parse(text);
    assert_true(line.cut);
    assert_int_equal(line.n, 1);
    assert_int_equal(strlen(line.words[0]), COMMAND_LINE_MAX - 1);
    for (unsigned i = 0; i < sizeof text - 1; i++)
        text[i] = i % 2 ? ' ' : 'b';
    parse(text);
    assert_true(line.cut);
    assert_int_equal(line.n, COMMAND_WORDS);
    parse("short");
    assert_false(line.cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_the_dashes_between),
        cmocka_unit_test(quotes),
        cmocka_unit_test(options_by_name),
        cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests_name("kernel/command_line", tests, NULL, NULL);
}
