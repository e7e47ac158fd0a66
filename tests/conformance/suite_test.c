/*
 * The test of the suite: a plain allocator passes it, and each flaw that can be planted in it is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/conformance/memory.h"
#include "tests/conformance/reference.h"

enum {
    MEMORY = 8 << 20,
    LITTLE = 2 << 20, /* enough for what fills the memory over and over */
    OPERATIONS = 400,
    PROGRAMS = 40,
    THREADS = 3
};

static struct memory memory;
static struct subject subject;

static problem run_cases(const struct conformance_case *cases, size_t count, size_t bytes, const char **name)
{
    for (size_t i = 0; i < count; i++) {
        *name = cases[i].name;
        memory_renew(&memory);
        struct memory part = {memory.start, bytes, true};
        problem found = conformance_run(&reference_maker, &part, &cases[i], &subject, NULL);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static problem run_programs(const char **name)
{
    static struct operation program[OPERATIONS];
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        memory.zero = false;
        program_make(seed, memory.bytes, program, OPERATIONS);
        *name = "a program";
        problem found = program_run(&reference_maker, &memory, program, OPERATIONS, &subject);
        if (found == NULL && seed % 4 == 0) {
            *name = "a threaded program";
            found = program_run_threads(&reference_maker, &memory, seed, OPERATIONS, THREADS, &subject);
        }
        if (found != NULL)
            return found;
    }
    return NULL;
}

static problem run_all(const char **name)
{
    problem found = run_cases(object_cases, object_case_count, MEMORY, name);
    if (found == NULL)
        found = run_cases(limit_cases, limit_case_count, LITTLE, name);
    return found != NULL ? found : run_programs(name);
}

static void a_right_allocator_passes(void **state)
{
    (void)state;
    const char *name = "";
    reference_flaw = FLAW_NONE;
    problem found = run_all(&name);
    if (found != NULL)
        fail_msg("%s: %s", name, found);
}

static void each_flaw_is_found(void **state)
{
    (void)state;
    unsigned missed = 0;
    for (reference_flaw = FLAW_NONE + 1; reference_flaw < FLAWS; reference_flaw++) {
        const char *name = "";
        problem found = run_all(&name);
        print_message("# %-24s %s%s%s\n", flaw_names[reference_flaw], found == NULL ? "NOT FOUND" : name,
                      found == NULL ? "" : ": ", found == NULL ? "" : found);
        missed += found == NULL;
    }
    reference_flaw = FLAW_NONE;
    assert_int_equal(missed, 0);
}

/* Random programs alone find what harms contents or counts, so that they add to the cases and do not repeat them. */
static void programs_find_flaws_alone(void **state)
{
    static const enum flaw visible[] = {
        FLAW_OVERLAP,         FLAW_CALLOC_DIRTY,      FLAW_USABLE_TOO_MUCH, FLAW_ALIGN_IGNORED, FLAW_REALLOC_LOSES,
        FLAW_PAGES_UNALIGNED, FLAW_MAXALLOC_OPTIMIST, FLAW_STATS_DRIFT,     FLAW_REFUSES_GOOD,  FLAW_PFREE_PART};
    (void)state;
    for (size_t i = 0; i < sizeof visible / sizeof *visible; i++) {
        const char *name = "";
        reference_flaw = visible[i];
        if (run_programs(&name) == NULL)
            fail_msg("no program finds %s", flaw_names[visible[i]]);
    }
    reference_flaw = FLAW_NONE;
}

static void a_program_repeats_from_its_seed(void **state)
{
    static struct operation one[OPERATIONS], two[OPERATIONS], other[OPERATIONS];
    (void)state;
    program_make(7, MEMORY, one, OPERATIONS);
    program_make(7, MEMORY, two, OPERATIONS);
    program_make(8, MEMORY, other, OPERATIONS);
    assert_memory_equal(one, two, sizeof one);
    assert_memory_not_equal(one, other, sizeof one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_allocator_passes),
        cmocka_unit_test(each_flaw_is_found),
        cmocka_unit_test(programs_find_flaws_alone),
        cmocka_unit_test(a_program_repeats_from_its_seed),
    };
    memory = memory_map(MEMORY);
    int failed = cmocka_run_group_tests_name("conformance/suite", tests, NULL, NULL);
    memory_unmap(&memory);
    return failed;
}
