/* The buddy system within a chunk against counting by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "src/frame/chunk.h"
#include "tests/frame/fixture.h"
#include "tests/support/random.h"

static struct fixture fixture;
static struct weir_frames *f;
static size_t c; /* the chunk under test, on no list */

static void open_chunk(unsigned order_max)
{
    f = fixture_open(&fixture, FRAME(512), 512, order_max, 0);
    c = f->first >> CHUNK_ORDER;
    chunk_open(f, c);
}

static bool is_free(unsigned at)
{
    return f->bits[c].free[at / 64] >> (at % 64) & 1;
}

/* Counts maximal blocks the slow way and compares. */
static void compare(void)
{
    unsigned count[CHUNK_ORDER] = {0}, free = 0, backed = 0;
    for (unsigned at = 0; at < CHUNK_FRAMES; at++) {
        free += is_free(at);
        backed += is_free(at) && (f->bits[c].backed[at / 64] >> (at % 64) & 1);
    }
    for (unsigned at = 0; at < CHUNK_FRAMES;) {
        unsigned length = 0, order = 0;
        while (at + length < CHUNK_FRAMES && is_free(at + length))
            length++;
        if (length == 0) {
            at++;
            continue;
        }
        while (order < part_order_max(f) && at % (2u << order) == 0 && 2u << order <= length)
            order++;
        count[order]++;
        at += 1u << order;
    }
    for (unsigned order = 0; order < CHUNK_ORDER; order++)
        assert_int_equal(f->chunk[c].count[order], count[order]);
    assert_int_equal(f->chunk[c].free, free);
    assert_int_equal(f->chunk[c].free_backed, backed);
    assert_int_equal(f->free, free);
}

static void random_operations(unsigned order_max)
{
    struct random random = random_start("chunk");
    open_chunk(order_max);
    for (int i = 0; i < 20000; i++) {
        unsigned order = (unsigned)random_below(&random, part_order_max(f) + 1);
        unsigned at = (unsigned)random_below(&random, CHUNK_FRAMES >> order) << order;
        bool all_free = true, none_free = true;
        for (unsigned k = at; k < at + (1u << order); k++) {
            all_free = all_free && is_free(k);
            none_free = none_free && !is_free(k);
        }
        /* never left free as a whole: that is no state of a chunk */
        if (none_free && f->chunk[c].free + (1u << order) < CHUNK_FRAMES) {
            f->bits[c].backed[at / 64] ^= random_next(&random) & ones(at % 64, order < 6 ? 1u << order : 64);
            chunk_give(f, c, at, order, false);
        } else if (all_free && random_below(&random, 2)) {
            chunk_carve(f, c, at, 1u << order);
        } else if (f->chunk[c].free > 0 && chunk_largest(&f->chunk[c]) >= order) {
            unsigned taken = order;
            at = chunk_take(f, c, &taken, random_below(&random, 2));
            assert_true(taken <= order && at % (1u << taken) == 0);
            for (unsigned k = at; k < at + (1u << taken); k++)
                assert_false(is_free(k));
        }
        compare();
    }
    fixture_close(&fixture);
}

static void test_random(void **state)
{
    (void)state;
    random_operations(WEIR_ORDER_MAX);
    random_operations(CHUNK_ORDER - 1);
    random_operations(5);
    random_operations(1);
}

/* The smallest block that serves is taken, and of it the part that is backed. */
static void test_choice(void **state)
{
    (void)state;
    open_chunk(0);
    chunk_carve(f, c, 0, 512);
    chunk_give(f, c, 0, 8, false);
    chunk_give(f, c, 320, 5, false);
    chunk_give(f, c, 400, 2, false);
    unsigned order = 2;
    assert_int_equal(chunk_take(f, c, &order, false), 400);
    order = 1;
    assert_int_equal(chunk_take(f, c, &order, false), 320);
    order = 6;
    assert_int_equal(chunk_take(f, c, &order, false), 0);
    /* a backed frame outweighs a better fit */
    chunk_carve(f, c, 200, 1);
    f->bits[c].backed[200 / 64] |= ones(200 % 64, 1);
    chunk_give(f, c, 200, 0, false);
    order = 0;
    assert_int_equal(chunk_take(f, c, &order, false), 200);
    /* "some": as large as it may be, from the block that fits single frames best */
    order = 5;
    assert_int_equal(chunk_take(f, c, &order, true), 201);
    assert_int_equal(order, 0);
    compare();
    fixture_close(&fixture);
}

static void test_find(void **state)
{
    (void)state;
    open_chunk(0);
    chunk_carve(f, c, 0, 512);
    for (unsigned order = 0; order < CHUNK_ORDER; order++) {
        for (unsigned at = 0; at < CHUNK_FRAMES; at += 1u << order) {
            if (chunk_give(f, c, at, order, false) == CHUNK_ORDER)
                fail_msg("merged with what is not free");
            for (unsigned k = 0; k < CHUNK_ORDER; k++)
                assert_int_equal(chunk_find(f, c, k, false), k == order ? (int)at : -1);
            assert_int_equal(chunk_find(f, c, order, true), -1);
            f->bits[c].backed[(at + (1u << order) - 1) / 64] |= ones((at + (1u << order) - 1) % 64, 1);
            assert_int_equal(chunk_find(f, c, order, true), at);
            assert_int_equal(chunk_maximal(f, c, at, 0), order);
            memset(f->bits[c].backed, 0, sizeof(f->bits[c].backed));
            chunk_carve(f, c, at, 1u << order);
        }
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
