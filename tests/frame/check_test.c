/* weir_frames_check finds every kind of damage, and survives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "src/frame/table.h"
#include "tests/frame/fixture.h"
#include "tests/support/random.h"

static const uintptr_t base = (uintptr_t)1 << 32;
static struct fixture fixture;
static struct weir_frames *f;

/* A table with something of everything in it. */
static void build(void)
{
    static _Alignas(16) char descriptor[16];
    struct weir_range range;
    f = fixture_open(&fixture, base, 4096, 0, 1);
    test_set_slot(0);
    weir_frames_add(f, base, 3000, WEIR_REGION_BACKED);
    weir_frames_alloc(f, 13, 1, 0, NULL);
    weir_frames_alloc(f, 1, 1, 0, NULL);
    weir_frames_alloc_slab(f, 3, descriptor, NULL);
    weir_frames_alloc(f, 700, 1, 0, NULL);
    weir_frames_balloon(f, 5, true, &range, 1);
    weir_frames_isolate(f, 0, 5, 0, &range, 1);
    weir_frames_free(f, weir_frames_alloc(f, 3, 1, 0, NULL), 3);
    assert_sound(f);
}

static size_t find(enum block_kind kind)
{
    for (size_t n = f->first; n < f->end; n++) {
        if (word_kind(word_load(f, n)) == kind)
            return n;
    }
    fail_msg("no such block");
    return 0;
}

static void break_run_length(void)
{
    size_t n = find(KIND_RUN);
    word_store(f, n, word_block(word_order(word_load(f, n)), KIND_RUN, word_value(word_load(f, n)) + 1));
}

static void break_body(void)
{
    word_store(f, find(KIND_BODY), 0);
}

static void break_slab(void)
{
    for (size_t n = f->first; n < f->end; n++) {
        if (word_load(f, n) & WORD_SLAB) {
            word_store(f, n, 0);
            return;
        }
    }
}

/* The lowest bits of a word: of a run's head, of a frame that is a run by itself. */
static void break_head_bit(void)
{
    size_t n = find(KIND_RUN);
    word_store(f, n, word_load(f, n) | 2);
}

static void break_slab_null(void)
{
    for (size_t n = f->first; n < f->end; n++) {
        if (single_is(f, n)) {
            word_store(f, n, WORD_SLAB);
            return;
        }
    }
}

static void break_single(void)
{
    single_set(f, f->end - 1200);
}

static void break_free_bit(void)
{
    f->bits[f->first >> CHUNK_ORDER].free[0] ^= 1;
}

static void break_count(void)
{
    f->free++;
}

static void break_backed(void)
{
    f->bits[f->first >> CHUNK_ORDER].backed[0] ^= 2;
}

static void break_managed(void)
{
    f->added[(f->first >> CHUNK_ORDER) + 1]--;
}

static void break_list(void)
{
    for (size_t c = f->first >> CHUNK_ORDER; c <= (f->end - 1) >> CHUNK_ORDER; c++) {
        if (f->chunk[c].state != CHUNK_NONE) {
            f->chunk[c].next = (uint32_t)c;
            return;
        }
    }
}

static void break_link(void)
{
    for (size_t c = f->first >> CHUNK_ORDER; c <= (f->end - 1) >> CHUNK_ORDER; c++) {
        if (f->chunk[c].state != CHUNK_NONE)
            f->chunk[c].next = 4000000000u;
    }
}

static void break_order(void)
{
    for (size_t c = f->first >> CHUNK_ORDER; c <= (f->end - 1) >> CHUNK_ORDER; c++) {
        if (f->chunk[c].state == CHUNK_FREE)
            f->chunk[c].order = 17;
    }
}

static void break_cache(void)
{
    f->slots[0].depth[3]++;
}

static void break_cached_word(void)
{
    word_store(f, find(KIND_CACHED), 0);
}

static void break_balloon(void)
{
    f->ballooned--;
}

static void test_each(void **state)
{
    (void)state;
    static void (*const breakers[])(void) = {
        break_run_length, break_head_bit, break_slab_null,   break_body,    break_slab, break_single,
        break_free_bit,   break_count,    break_backed,      break_managed, break_list, break_link,
        break_order,      break_cache,    break_cached_word, break_balloon,
    };
    for (size_t i = 0; i < sizeof(breakers) / sizeof(breakers[0]); i++) {
        build();
        breakers[i]();
        const char *what = NULL;
        assert_int_equal(weir_frames_check(f, &what), WEIR_CORRUPTED);
        assert_non_null(what);
        assert_int_equal(atomic_load(&test_errors), 0);
        assert_int_equal(weir_frames_check(f, NULL), WEIR_CORRUPTED);
        fixture_close(&fixture);
    }
}

/* Any single bit flipped in the words is found. */
static void test_flipped_words(void **state)
{
    (void)state;
    struct random random = random_start("flipped words");
    build();
    for (int i = 0; i < 300; i++) {
        size_t n = f->first + random_below(&random, 3000);
        uint64_t word = word_load(f, n), flipped = word ^ UINT64_C(1) << random_below(&random, 64);
        /* a slab's descriptor is not ours to know */
        if (word & flipped & WORD_SLAB && ((word ^ flipped) & 14) == 0)
            continue;
        /* nor, without a look at the memory, is whether a cached run is zero */
        if (word_kind(word) == KIND_CACHED && flipped == (word ^ UINT64_C(1) << (WORD_VALUE_SHIFT + 8)))
            continue;
        word_store(f, n, flipped);
        const char *what = NULL;
        if (weir_frames_check(f, &what) != WEIR_CORRUPTED)
            fail_msg("word %zx: %llx for %llx is not found", n, (unsigned long long)flipped, (unsigned long long)word);
        word_store(f, n, word);
    }
    assert_sound(f);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_flipped_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
