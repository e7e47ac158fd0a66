/*
 * Random programs against a model: small sizes and all, prompt arenas, little memory, limits.
 */
#include <stdlib.h>

#include "tests/heap/model.h"
#include "tests/support/random.h"

enum {
    HEAPS = 3,
    OBJECTS = 600,
    OPERATIONS = 4000,
};

/* How often each kind comes, of a hundred or so. */
static const unsigned char weights[KINDS] = {35, 6, 5, 12, 22, 6, 0, 1, 3, 2, 1, 1, 1};

static enum kind draw(struct random *random)
{
    unsigned total = 0;
    for (size_t i = 0; i < KINDS; i++)
        total += weights[i];
    unsigned n = (unsigned)random_below(random, total), kind = 0;
    while (n >= weights[kind])
        n -= weights[kind++];
    return (enum kind)kind;
}

static void check_programs(const char *name, struct fixture_config config, size_t size_max, size_t programs)
{
    struct random random = random_start(name);
    struct model *model = calloc(1, sizeof *model);
    struct operation *operations = calloc(OPERATIONS, sizeof *operations);
    assert_non_null(model);
    assert_non_null(operations);
    *model = (struct model){.config = config, .check_every = 97, .verify_every = 400};
    const struct random_test test = {
        .run = model_run, .print = model_print, .context = model, .size = sizeof *operations};
    for (size_t p = 0; p < random_rounds(programs); p++) {
        /* Some programs use few sizes, as real ones do: their slabs fill and empty. */
        size_t few = random_size(&random, size_max), narrow = random_below(&random, 2);
        for (size_t i = 0; i < OPERATIONS; i++)
            operations[i] = (struct operation){
                .kind = draw(&random),
                .heap = (unsigned)random_below(&random, HEAPS),
                .object = (unsigned)random_below(&random, OBJECTS),
                .size = narrow && random_below(&random, 4) ? few : random_size(&random, size_max) - 1,
                .alignment = (size_t)1 << random_below(&random, 17),
            };
        random_check(&test, operations, OPERATIONS);
    }
    free(operations);
    free(model);
}

static void small_sizes(void **state)
{
    (void)state;
    check_programs("heap/model small", (struct fixture_config){0}, 600, 5);
}

static void all_sizes(void **state)
{
    (void)state;
    check_programs("heap/model all", (struct fixture_config){.bytes = (size_t)192 << 20, .slots = 2}, 200000, 4);
}

static void prompt(void **state)
{
    (void)state;
    check_programs("heap/model prompt", (struct fixture_config){.prompt = true}, 20000, 5);
}

static void tight(void **state)
{
    (void)state;
    check_programs("heap/model tight", (struct fixture_config){.bytes = (size_t)2 << 20}, 30000, 5);
}

static void limited(void **state)
{
    (void)state;
    check_programs("heap/model limited", (struct fixture_config){.limit = (size_t)1 << 20, .prompt = true}, 60000, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_sizes), cmocka_unit_test(all_sizes), cmocka_unit_test(prompt),
        cmocka_unit_test(tight),       cmocka_unit_test(limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
