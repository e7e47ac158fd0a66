/*
 * Real programs under LD_PRELOAD, tight limits, misuse, dlopen. argv[1]: libweir.so, argv[2]: a program of ours that
 * misuses free.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *library, *misuser;
static char output[1 << 16];

/* Runs a shell command with the library preloaded; its exit code, its output (errors included) in `output`. */
static int run(const char *before, const char *command)
{
    char line[4096];
    snprintf(line, sizeof line, "{ %s LD_PRELOAD=%s %s ; } 2>&1", before, library, command);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t length = fread(output, 1, sizeof output - 1, pipe);
    output[length] = '\0';
    while (fgetc(pipe) != EOF)
        ;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool have(const char *program)
{
    char line[256];
    snprintf(line, sizeof line, "command -v %s >/dev/null", program);
    return system(line) == 0;
}

static void real_programs_run(void **state)
{
    (void)state;
    static const struct {
        const char *program, *command, *says;
    } cases[] = {
        {"ls", "ls /", "tmp"},
        {"sort", "sh -c 'seq 1 200000 | sort -R | sort -n | tail -n 1'", "200000\n"},
        {"awk", "awk 'BEGIN { for (i = 0; i < 100000; i++) a[i \"x\"] = i; print length(a) }'", "100000\n"},
        {"python3", "python3 -c 'print(sum(len(str(i)) for i in range(200000)))'", "1088890\n"},
        {"sqlite3",
         "sqlite3 :memory: 'with recursive c(x) as (select 1 union all select x+1 from c where x<50000) "
         "select count(distinct hex(x)) from c'",
         "50000\n"},
        {"lua5.4", "lua5.4 -e 'local t={} for i=1,200000 do t[i]=tostring(i) end print(#t)'", "200000\n"},
        {"perl", "perl -e '$h{$_} = \"x\" x ($_ % 50) for 1..100000; print scalar(keys %h), \"\\n\"'", "100000\n"},
        {"gcc", "sh -c 'echo \"int main(void) { return 0; }\" | gcc -O2 -x c - -o /dev/null && echo compiled'",
         "compiled\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!have(cases[i].program)) {
            print_message("no %s here\n", cases[i].program);
            continue;
        }
        assert_int_equal(run("", cases[i].command), 0);
        if (!strstr(output, cases[i].says) || strstr(output, "weir:"))
            fail_msg("%s said: %s", cases[i].program, output);
    }
}

static void little_address_space_is_enough(void **state)
{
    (void)state;
    assert_int_equal(run("ulimit -v 65536;", "sort --version"), 0);
    assert_int_equal(run("ulimit -v 32768;", "ls /"), 0);
    assert_int_equal(run("ulimit -v 65536;", "awk 'BEGIN { for (i = 0; i < 20000; i++) a[i] = i; print length(a) }'"),
                     0);
    assert_string_equal(output, "20000\n");
}

static void misuse_is_told_and_survived(void **state)
{
    (void)state;
    assert_int_equal(run("", misuser), 0);
    assert_non_null(strstr(output, "weir: free: double free: 0x"));
    assert_non_null(strstr(output, "weir: free: not allocated here: 0x"));
    assert_non_null(strstr(output, "still alive"));
}

static void misuse_ends_the_program_when_asked(void **state)
{
    (void)state;
    char before[] = "export WEIR_ABORT=1;";
    assert_int_not_equal(run(before, misuser), 0);
    assert_non_null(strstr(output, "weir: free: double free: 0x"));
    assert_null(strstr(output, "still alive"));
}

/* Static thread-local storage is scarce in libraries that are loaded late. */
static void it_can_be_loaded_again_and_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < 40; i++) {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        assert_non_null(handle);
        void *(*allocate)(size_t) = (void *(*)(size_t))(uintptr_t)dlsym(handle, "malloc");
        void (*release)(void *) = (void (*)(void *))(uintptr_t)dlsym(handle, "free");
        release(allocate(100));
        assert_int_equal(handle ? dlclose(handle) : 1, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 1;
    library = argv[1];
    misuser = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_programs_run),
        cmocka_unit_test(little_address_space_is_enough),
        cmocka_unit_test(misuse_is_told_and_survived),
        cmocka_unit_test(misuse_ends_the_program_when_asked),
        cmocka_unit_test(it_can_be_loaded_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
