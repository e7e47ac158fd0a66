/* Programs the tool starts: found, run, watched, ended with all they started. */
#include "tests/tools/harness.h"
#include "tools/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void words_of(struct words *words, const char *first, const char *second, const char *third)
{
    const char *all[] = {first, second, third};
    for (size_t i = 0; i < 3 && all[i] != NULL; i++)
        words_add(words, all[i]);
}

static void test_programs_are_found(void **state)
{
    (void)state;
    char *path = find_program("sh");
    assert_non_null(path);
    assert_int_equal(path[0], '/');
    free(path);
    assert_null(find_program("no-such-program-anywhere"));
    assert_int_equal(errno, ENOENT);
    assert_null(find_program("/etc/passwd"));
    assert_int_equal(errno, EACCES);
    assert_null(find_program("/tmp"));
    assert_int_equal(errno, EACCES);
}

static void test_a_command_answers(void **state)
{
    struct interrupts *interrupts = *state;
    struct words words = {0};
    words_of(&words, "sh", "-c", "echo hello; exit 3");
    char *output = NULL;
    assert_int_equal(command_run(interrupts, &words, false, &output), 3);
    assert_string_equal(output, "hello\n");
    free(output);
    words_free(&words);
    words_of(&words, "sh", "-c", "kill -9 $$");
    assert_int_equal(command_run(interrupts, &words, false, NULL), 128 + 9);
    words_free(&words);
    words_of(&words, "no-such-program-anywhere", NULL, NULL);
    assert_int_equal(command_run(interrupts, &words, false, NULL), 127);
    words_free(&words);
}

static void test_long_output_is_whole(void **state)
{
    struct interrupts *interrupts = *state;
    struct words words = {0};
    words_of(&words, "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x");
    char *output = NULL;
    assert_int_equal(command_run(interrupts, &words, false, &output), 0);
    assert_int_equal(strlen(output), 300000);
    free(output);
    words_free(&words);
}

static void test_an_interrupt_ends_a_command(void **state)
{
    struct interrupts *interrupts = *state;
    struct words words = {0};
    words_of(&words, "sh", "-c", "kill -TERM $PPID; sleep 60");
    assert_int_equal(command_run(interrupts, &words, false, NULL), 128 + SIGTERM);
    assert_int_equal(interrupts->caught, SIGTERM);
    interrupts->caught = 0;
    words_free(&words);
}

/* The group of a killed child is gone, its children, too: their end of the pipe closes. */
static void test_killing_reaches_grandchildren(void **state)
{
    (void)state;
    struct words words = {0};
    struct process process;
    words_of(&words, "/bin/sh", "-c", "sleep 60 & echo started; wait");
    assert_int_equal(process_start(&process, &words, PIPE_OUTPUT, -1), 0);
    char text[16];
    struct pollfd fd = {process.output, POLLIN, 0};
    assert_int_equal(poll(&fd, 1, 60000), 1);
    assert_int_equal(read(process.output, text, sizeof text), 8);
    assert_false(process_ended(&process));
    process_kill(&process);
    assert_int_equal(process_exit_code(process.status), 128 + SIGKILL);
    assert_int_equal(poll(&fd, 1, 60000), 1);
    assert_int_equal(read(process.output, text, sizeof text), 0);
    process_close(&process);
    words_free(&words);
}

static void test_what_does_not_start(void **state)
{
    (void)state;
    struct words words = {0};
    struct process process;
    words_of(&words, "/etc/passwd", NULL, NULL);
    assert_int_equal(process_start(&process, &words, PIPE_INPUT | PIPE_OUTPUT | PIPE_ERRORS, -1), EACCES);
    words_free(&words);
}

static int set_up(void **state)
{
    static struct interrupts interrupts;
    *state = &interrupts;
    return interrupts_open(&interrupts);
}

static int tear_down(void **state)
{
    interrupts_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs_are_found),
        cmocka_unit_test(test_a_command_answers),
        cmocka_unit_test(test_long_output_is_whole),
        cmocka_unit_test(test_an_interrupt_ends_a_command),
        cmocka_unit_test(test_killing_reaches_grandchildren),
        cmocka_unit_test(test_what_does_not_start),
    };
    return cmocka_run_group_tests_name("tools/process", tests, set_up, tear_down);
}
