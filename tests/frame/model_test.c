/* The whole layer against a plain model, by random operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"
#include "tests/frame/model.h"
#include "tests/support/random.h"

static const char *run(void *context, const void *operations, size_t count)
{
    return model_run(context, operations, count);
}

static void print(void *context, const void *operation)
{
    (void)context;
    model_print(operation);
}

static struct op random_op(struct random *random, size_t frames)
{
    static const uint8_t weights[OP_KINDS] = {30, 6, 18, 8, 4, 6, 14, 10, 3, 4, 2, 4, 3, 6};
    unsigned sum = 0, kind = 0;
    for (unsigned i = 0; i < OP_KINDS; i++)
        sum += weights[i];
    for (uint64_t at = random_below(random, sum); at >= weights[kind]; kind++)
        at -= weights[kind];
    struct op op = {kind, (uint32_t)random_next(random), (uint32_t)random_next(random), (uint32_t)random_next(random)};
    if (kind == OP_ALLOC || kind == OP_ALLOC_WITHIN)
        op.a = (uint32_t)random_size(random, frames);
    /* often as long as a block: short paths begin there */
    if ((kind == OP_ALLOC || kind == OP_ALLOC_WITHIN) && random_below(random, 2))
        op.a = UINT32_C(1) << (31 - __builtin_clz(op.a));
    if (kind == OP_ISOLATE || kind == OP_BALLOON || kind == OP_GROW)
        op.b = (uint32_t)random_size(random, frames / 4 + 1);
    if (kind == OP_SLAB)
        op.b %= 100000;
    return op;
}

static void differential(const struct setup *setup, const char *name, size_t rounds)
{
    enum {
        OPS = 400
    };
    struct random random = random_start(name);
    struct random_test test = {run, print, (void *)setup, sizeof(struct op)};
    static struct op ops[OPS];
    for (size_t round = 0; round < random_rounds(rounds); round++) {
        for (size_t i = 0; i < OPS; i++)
            ops[i] = random_op(&random, setup->frames);
        /* memory to start with */
        ops[0] = (struct op){OP_ADD, (uint32_t)random_below(&random, setup->frames / 2), (uint32_t)random_next(&random),
                             (uint32_t)random_next(&random)};
        random_check(&test, ops, OPS);
    }
}

static void test_small_blocks(void **state)
{
    (void)state;
    struct setup setup = {FRAME(0x12345), 300, 4, 0};
    differential(&setup, "small blocks, odd base", 60);
}

static void test_large_blocks(void **state)
{
    (void)state;
    struct setup setup = {FRAME(0x40000 - 700), 4000, WEIR_ORDER_MAX, 0};
    differential(&setup, "large blocks across a gigabyte boundary", 60);
}

static void test_cached(void **state)
{
    (void)state;
    struct setup setup = {FRAME(0x1000), 1200, 9, 2};
    differential(&setup, "with caches", 30);
}

static void test_top_of_address_space(void **state)
{
    (void)state;
    struct setup setup = {UINTPTR_MAX - FRAME(200) + 1 - FRAME(1), 200, 6, 0};
    differential(&setup, "near the end of the address space", 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_blocks),
        cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_cached),
        cmocka_unit_test(test_top_of_address_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
