/* The thread that gives back in silence: when there is one, what it does, and what fork makes of it. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

enum {
    COUNT = 50000,
    SIZE = 2000,
};

/* 100 MiB of small objects come and go. */
static void burst(void)
{
    static char *objects[COUNT];
    for (int i = 0; i < COUNT; i++) {
        objects[i] = malloc(SIZE);
        memset(objects[i], 1, SIZE);
    }
    for (int i = 0; i < COUNT; i++)
        free(objects[i]);
}

static int without(void)
{
    burst();
    process_pause();
    require(process_threads() == 1);
    return 0;
}

static int with(void)
{
    require(process_threads() == 1);
    size_t before = process_memory("Rss");
    burst();
    require(process_threads() == 2);
    require(process_until(process_memory("Rss") < before + (4 << 20)));
    /* all that can be blocked: not KILL and STOP, nor the two that the C library uses itself */
    require((process_blocked("weir") | UINT64_C(0x180040100)) == UINT64_MAX);
    /* silence is not disturbed: the next burst wakes it again */
    burst();
    require(process_threads() == 2);
    require(process_until(process_memory("Rss") < before + (4 << 20)));
    return 0;
}

static int forked(void)
{
    burst();
    require(process_threads() == 2);
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            if (process_threads() != 1)
                _exit(1);
            size_t before = process_memory("Rss");
            burst();
            if (process_threads() != 2)
                _exit(2);
            _exit(process_until(process_memory("Rss") < before + (4 << 20)) ? 0 : 3);
        }
        /* forks while the thread is at work, too */
        burst();
        int status = 0;
        waitpid(child, &status, 0);
        require(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    return 0;
}

static void there_is_none_unless_asked_for(void **state)
{
    (void)state;
    assert_int_equal(process_run("without", NULL), 0);
}

static void it_gives_back_in_silence(void **state)
{
    (void)state;
    assert_int_equal(process_run("with", "WEIR_BACKGROUND=1"), 0);
}

static void a_child_gets_one_when_it_needs_one(void **state)
{
    (void)state;
    assert_int_equal(process_run("forked", "WEIR_BACKGROUND=1"), 0);
}

int main(int argc, char **argv)
{
    static const struct process_part parts[] = {{"without", without}, {"with", with}, {"forked", forked}};
    int code = 0;
    if (process_part(argc, argv, parts, sizeof parts / sizeof *parts, &code))
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_none_unless_asked_for),
        cmocka_unit_test(it_gives_back_in_silence),
        cmocka_unit_test(a_child_gets_one_when_it_needs_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
