/* Free memory stays within bounds, and what bounces is not given away. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

#define MIB ((size_t)1 << 20)

enum {
    PAGE = 4096,
};

static char *touched(size_t bytes)
{
    char *object = malloc(bytes);
    require(object);
    for (size_t i = 0; i < bytes; i += PAGE)
        object[i] = 1;
    return object;
}

/* Of what was freed, twice what is in use is held, or WEIR_KEEP (32 MiB): at once, without a timer. */
static int bounded(void)
{
    size_t before = process_memory("Rss");
    char *objects[100], *stays = touched(60 * MIB);
    for (int i = 0; i < 100; i++)
        objects[i] = touched(3 * MIB);
    require(process_memory("Rss") > before + 350 * MIB);
    for (int i = 0; i < 100; i++)
        free(objects[i]);
    require(process_memory("Rss") < before + 190 * MIB);
    free(stays);
    require(process_memory("Rss") < before + 45 * MIB);
    malloc_trim(0);
    require(process_memory("Rss") < before + 2 * MIB);
    return 0;
}

/* A program that replaces large objects does not fault them in again and again. */
static int bouncing(void)
{
    char *objects[16] = {NULL};
    unsigned state = 1;
    long faults = 0;
    for (int round = 0; round < 600; round++) {
        if (round == 200)
            faults = process_faults();
        state = state * 1103515245 + 12345;
        char **object = &objects[state >> 16 & 15];
        free(*object);
        *object = touched((2 + (state >> 20) % 7) * MIB);
    }
    /* 400 objects of 5 MiB have 512,000 pages */
    require(process_faults() - faults < 20000);
    return 0;
}

static int kept(void)
{
    size_t before = process_memory("Rss");
    free(touched(200 * MIB));
    require(process_memory("Rss") > before + 190 * MIB);
    malloc_trim(0);
    require(process_memory("Rss") < before + 2 * MIB);
    return 0;
}

/* What the kernel had is zero when it comes back: nobody needs to write it to say so. */
static int zeroed(void)
{
    char *object = malloc(200 * MIB);
    memset(object, 1, 200 * MIB);
    free(object);
    malloc_trim(0);
    size_t before = process_memory("Rss");
    object = calloc(200, MIB);
    require(process_memory("Rss") < before + 10 * MIB);
    for (size_t i = 0; i < 200 * MIB; i += 511)
        require(object[i] == 0);
    return 0;
}

/* Locked memory stays, and is not taken for zero. */
static int locked(void)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        return 0;
    char *object = malloc(100 * MIB);
    if (!object)
        return 0;
    memset(object, 1, 100 * MIB);
    free(object);
    malloc_trim(0);
    object = calloc(100, MIB);
    require(object);
    for (size_t i = 0; i < 100 * MIB; i += 511)
        require(object[i] == 0);
    return 0;
}

/* MADV_FREE: the pages stay until the kernel wants them, and may be written again meanwhile. */
static int lazily(void)
{
    for (int round = 0; round < 3; round++) {
        char *object = touched(100 * MIB);
        memset(object, round + 1, 100 * MIB);
        free(object);
        malloc_trim(0);
        require(process_memory("LazyFree") > 50 * MIB);
        char *zeroed = calloc(25, 4 * MIB);
        for (size_t i = 0; i < 100 * MIB; i += 511)
            require(zeroed[i] == 0);
        free(zeroed);
    }
    return 0;
}

static void free_memory_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(process_run("bounded", NULL), 0);
    assert_int_equal(process_run("bounded", "WEIR_HUGE=never"), 0);
}

static void what_bounces_stays(void **state)
{
    (void)state;
    assert_int_equal(process_run("bouncing", NULL), 0);
    assert_int_equal(process_run("bouncing", "WEIR_HUGE=never"), 0);
}

static void what_comes_back_is_zero(void **state)
{
    (void)state;
    assert_int_equal(process_run("zeroed", NULL), 0);
    assert_int_equal(process_run("locked", "WEIR_RESERVE=256M"), 0);
}

static void all_is_kept_on_request(void **state)
{
    (void)state;
    assert_int_equal(process_run("kept", "WEIR_KEEP=1G"), 0);
}

static void the_kernel_takes_it_when_it_wants(void **state)
{
    (void)state;
    assert_int_equal(process_run("lazily", "WEIR_MADVISE=free"), 0);
}

int main(int argc, char **argv)
{
    static const struct process_part parts[] = {{"bounded", bounded}, {"bouncing", bouncing}, {"kept", kept},
                                                {"zeroed", zeroed},   {"locked", locked},     {"lazily", lazily}};
    int code = 0;
    if (process_part(argc, argv, parts, sizeof parts / sizeof *parts, &code))
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_memory_is_bounded),
        cmocka_unit_test(what_bounces_stays),
        cmocka_unit_test(all_is_kept_on_request),
        cmocka_unit_test(what_comes_back_is_zero),
        cmocka_unit_test(the_kernel_takes_it_when_it_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
