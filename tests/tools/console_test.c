/* The frame filter: what is text stays text, byte for byte, and what is a frame never reaches stdout. */
#include "tests/support/random.h"
#include "tests/tools/harness.h"
#include "tools/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    char text[65536];
    size_t text_length;
    char frames[65536]; /* "word|rest;" each */
    size_t frames_length;
};

static void on_text(void *context, const char *data, size_t length)
{
    struct seen *seen = context;
    memcpy(seen->text + seen->text_length, data, length);
    seen->text_length += length;
    seen->text[seen->text_length] = '\0';
}

static void on_frame(void *context, const struct frame *frame)
{
    struct seen *seen = context;
    seen->frames_length += (size_t)sprintf(seen->frames + seen->frames_length, "%s|%s;", frame->word, frame->rest);
}

static struct seen *feed_all(const char *data, size_t length)
{
    struct seen *seen = calloc(1, sizeof *seen);
    struct console console = {.sink = {on_text, on_frame, seen}};
    console_feed(&console, data, length);
    console_finish(&console);
    return seen;
}

static void expect(const char *data, const char *text, const char *frames)
{
    struct seen *seen = feed_all(data, strlen(data));
    assert_string_equal(seen->text, text);
    assert_string_equal(seen->frames, frames);
    free(seen);
}

static void test_text_passes(void **state)
{
    (void)state;
    expect("", "", "");
    expect("hello\nworld", "hello\nworld", "");
    expect("a\x1e"
           "b\x1e\x1e\n",
           "a\x1e"
           "b\x1e\x1e\n",
           "");
}

static void test_frames_are_taken_out(void **state)
{
    (void)state;
    expect("\x1eweir exit 3\n", "", "exit|3;");
    expect("\x1eweir exit 3\r\n", "", "exit|3;");
    expect("one\n\x1eweir main us=12 cpus=2\ntwo\n", "one\ntwo\n", "main|us=12 cpus=2;");
    expect("half \x1eweir phase peak live=5\nline\n", "half line\n", "phase|peak live=5;");
    expect("\x1eweir a\n\x1eweir b\n", "", "a|;b|;");
    expect("\x1eweir \n", "", "|;");
}

static void test_what_only_begins_like_a_frame_is_text(void **state)
{
    (void)state;
    expect("\x1eweird\n", "\x1eweird\n", "");
    expect("\x1eweir", "\x1eweir", "");
    expect("\x1eweir exit 3", "\x1eweir exit 3", "");
    expect("\x1e\x1eweir exit 3\n", "\x1e", "exit|3;");
    expect("\x1ewe\x1eweir exit 3\n", "\x1ewe", "exit|3;");
}

static void test_a_frame_without_end_is_text(void **state)
{
    (void)state;
    char data[3 * FRAME_LIMIT];
    static const char start[] = {'\x1e', 'w', 'e', 'i', 'r', ' '};
    memset(data, 'x', sizeof data);
    memcpy(data, start, sizeof start);
    struct seen *seen = feed_all(data, sizeof data);
    assert_int_equal(seen->text_length, sizeof data);
    assert_memory_equal(seen->text, data, sizeof data);
    free(seen);
}

static void test_text_is_not_held_back(void **state)
{
    (void)state;
    struct seen *seen = calloc(1, sizeof *seen);
    struct console console = {.sink = {on_text, on_frame, seen}};
    console_feed(&console, "no newline", 10);
    assert_string_equal(seen->text, "no newline");
    console_feed(&console, "!\x1e", 2);
    assert_string_equal(seen->text, "no newline!");
    console_feed(&console, "?", 1);
    assert_string_equal(seen->text, "no newline!\x1e?");
    free(seen);
}

/* However the stream is cut, the same comes out. */
static void test_cuts_do_not_matter(void **state)
{
    (void)state;
    static const char *const pieces[] = {"text", "\n", "\x1e", "\x1eweir ", "weir ", "exit 0", "\x1eweir exit 0\n",
                                         " ",    "\r"};
    struct random random = random_start("console_cuts");
    for (size_t round = 0; round < random_rounds(2000); round++) {
        char data[512] = "";
        const uint64_t count = random_below(&random, 20);
        size_t length = 0;
        for (uint64_t i = 0; i < count; i++)
            length += (size_t)snprintf(data + length, sizeof data - length, "%s",
                                       pieces[random_below(&random, sizeof pieces / sizeof *pieces)]);
        struct seen *whole = feed_all(data, length);
        struct seen *cut = calloc(1, sizeof *cut);
        struct console console = {.sink = {on_text, on_frame, cut}};
        for (size_t done = 0; done < length;) {
            const size_t size = 1 + random_below(&random, length - done);
            console_feed(&console, data + done, size);
            done += size;
        }
        console_finish(&console);
        assert_string_equal(cut->text, whole->text);
        assert_string_equal(cut->frames, whole->frames);
        free(whole);
        free(cut);
    }
}

static void test_numbers_of_a_frame(void **state)
{
    (void)state;
    double number;
    assert_true(frame_number("us=1500 cpus=2 timer=0", "cpus", &number));
    assert_true(number == 2);
    assert_true(frame_number("freed seconds=0.25", "seconds", &number));
    assert_true(number == 0.25);
    assert_false(frame_number("us=1500", "s", &number));
    assert_false(frame_number("us=", "us", &number));
    assert_false(frame_number("us=abc", "us", &number));
    assert_false(frame_number("us=nan", "us", &number));
    assert_false(frame_number("", "us", &number));
}

static void test_pairs_become_json(void **state)
{
    (void)state;
    json_t *object = json_object();
    frame_to_json("words are skipped live=12345678901 ratio=0.5 note=x-y =bad bytes=\xff\xfe last=-3", object);
    json_t *expected = json_loads("{\"live\": 12345678901, \"ratio\": 0.5, \"note\": \"x-y\", \"last\": -3}", 0, NULL);
    assert_true(json_equal(object, expected));
    json_decref(object);
    json_decref(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_passes),
        cmocka_unit_test(test_frames_are_taken_out),
        cmocka_unit_test(test_what_only_begins_like_a_frame_is_text),
        cmocka_unit_test(test_a_frame_without_end_is_text),
        cmocka_unit_test(test_text_is_not_held_back),
        cmocka_unit_test(test_cuts_do_not_matter),
        cmocka_unit_test(test_numbers_of_a_frame),
        cmocka_unit_test(test_pairs_become_json),
    };
    return cmocka_run_group_tests_name("tools/console", tests, NULL, NULL);
}
