/*
 * Every registered allocator passes the conformance suite: its cases, 1,000 random programs, and 100 in which three
 * threads run at the same time.
 *
 * A failing program is shrunk and printed. WEIR_SEED repeats a run, WEIR_ROUNDS multiplies the number of programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/conformance/memory.h"
#include "tests/support/random.h"

enum {
    MEMORY = 16 << 20,
    OPERATIONS = 300,
    PROGRAMS = 1000,
    THREADED = 100,
    THREADED_OPERATIONS = 1200,
    THREADS = 3
};

static struct memory memory;
static struct subject subject;

struct combination {
    const struct maker *maker;
    const struct conformance_case *c;
};

static void run_case(void **state)
{
    const struct combination *combination = *state;
    /* On fresh memory that is known to be zero, and on memory that others have used. */
    for (int used = 0; used < 2; used++) {
        bool skipped = false;
        if (used)
            memory.zero = false;
        else
            memory_renew(&memory);
        problem found = conformance_run(combination->maker, &memory, combination->c, &subject, &skipped);
        if (found != NULL)
            fail_msg("%s", found);
        if (skipped)
            skip();
    }
}

static const char *run_program(void *context, const void *operations, size_t count)
{
    if (memory.zero)
        memory_renew(&memory);
    return program_run(context, &memory, operations, count, &subject);
}

static void print_operation(void *context, const void *operation)
{
    char line[160];
    (void)context;
    program_describe(operation, line, sizeof line);
    fprintf(stderr, "#   %s\n", line);
}

static void run_programs(void **state)
{
    static struct operation program[OPERATIONS];
    const struct combination *combination = *state;
    const struct random_test test = {run_program, print_operation, (void *)combination->maker, sizeof *program};
    struct random random = random_start(combination->maker->name);
    for (size_t i = 0, n = random_rounds(PROGRAMS); i < n; i++) {
        memory.zero = i % 8 == 0;
        program_make(random_next(&random), memory.bytes, program, OPERATIONS);
        random_check(&test, program, OPERATIONS);
    }
}

static void run_threaded_programs(void **state)
{
    const struct combination *combination = *state;
    struct random random = random_start(combination->maker->name);
    for (size_t i = 0, n = random_rounds(THREADED); i < n; i++) {
        uint64_t seed = random_next(&random);
        memory.zero = false;
        problem found = program_run_threads(combination->maker, &memory, seed, THREADED_OPERATIONS, THREADS, &subject);
        if (found != NULL)
            fail_msg("seed %llu: %s", (unsigned long long)seed, found);
    }
}

/* One test for each allocator and case, and two for its programs. */
int main(void)
{
    size_t per_allocator = object_case_count + limit_case_count + 2, count = registry_count * per_allocator;
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    struct combination *combinations = calloc(count, sizeof *combinations);
    char(*names)[96] = calloc(count, sizeof *names);
    if (tests == NULL || combinations == NULL || names == NULL)
        exit(1);
    for (size_t i = 0; i < count; i++) {
        size_t k = i % per_allocator;
        const struct conformance_case *c = k < object_case_count ? &object_cases[k]
                                           : k < object_case_count + limit_case_count
                                               ? &limit_cases[k - object_case_count]
                                               : NULL;
        combinations[i] = (struct combination){&registry[i / per_allocator], c};
        bool threaded = k == per_allocator - 1;
        snprintf(names[i], sizeof names[i], "%s: %s", combinations[i].maker->name,
                 c != NULL  ? c->name
                 : threaded ? "random programs in threads"
                            : "random programs");
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = c != NULL  ? run_case
                                                    : threaded ? run_threaded_programs
                                                               : run_programs,
                                       .initial_state = &combinations[i]};
    }
    memory = memory_map(MEMORY);
    int failed = _cmocka_run_group_tests("conformance", tests, count, NULL, NULL);
    memory_unmap(&memory);
    free(tests);
    free(combinations);
    free(names);
    return failed;
}
