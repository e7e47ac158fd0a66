/* The range of addresses: which pages it has, and life within limits. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

#define MIB ((size_t)1 << 20)

enum {
    PAGE = 4096,
};

/* Objects of `size` bytes, one byte of each page written. */
static void fill(size_t bytes, size_t size)
{
    for (size_t done = 0; done < bytes; done += size) {
        char *object = malloc(size);
        require(object);
        for (size_t i = 0; i < size; i += PAGE)
            object[i] = 1;
    }
}

static int small_is_small(void)
{
    fill(2 * MIB, 100);
    require(process_memory("AnonHugePages") == 0);
    fill(100 * MIB, 100);
    require(process_memory("AnonHugePages") >= 60 * MIB);
    return 0;
}

static int large_is_huge(void)
{
    fill(100 * MIB, 10 * MIB);
    require(process_memory("AnonHugePages") >= 60 * MIB);
    return 0;
}

static int never_huge(void)
{
    fill(100 * MIB, 10 * MIB);
    require(process_memory("AnonHugePages") == 0);
    return 0;
}

static int limited_addresses(void)
{
    for (rlim_t mib = 1024; mib >= 32; mib /= 2) {
        require(setrlimit(RLIMIT_AS, &(struct rlimit){.rlim_cur = mib * MIB, .rlim_max = mib * MIB}) == 0);
        char mode[] = "fills";
        require(process_run(mode, NULL) == 0);
    }
    return 0;
}

static int limited_data(void)
{
    require(setrlimit(RLIMIT_DATA, &(struct rlimit){.rlim_cur = 32 * MIB, .rlim_max = 32 * MIB}) == 0);
    return process_run("fills", NULL);
}

/* Takes all there is, which is a good part of the limit, and gets along with null. */
static int fills(void)
{
    struct rlimit space, data;
    getrlimit(RLIMIT_AS, &space);
    getrlimit(RLIMIT_DATA, &data);
    size_t limit = space.rlim_cur < data.rlim_cur ? space.rlim_cur : data.rlim_cur, got = 0;
    static void *objects[20000];
    size_t count = 0;
    while (count < 20000 && (objects[count] = malloc(100000)) != NULL) {
        count++;
        got += 100000;
    }
    require(got > limit / 3);
    for (size_t i = 0; i < count; i++)
        free(objects[i]);
    return 0;
}

static void processes_get_the_pages_they_need(void **state)
{
    (void)state;
    if (!system_has_huge_pages())
        skip();
    assert_int_equal(process_run("small_is_small", NULL), 0);
    assert_int_equal(process_run("large_is_huge", NULL), 0);
    assert_int_equal(process_run("never_huge", "WEIR_HUGE=never"), 0);
}

static void limits_are_lived_with(void **state)
{
    (void)state;
    assert_int_equal(process_run("limited_addresses", NULL), 0);
    assert_int_equal(process_run("limited_data", NULL), 0);
}

int main(int argc, char **argv)
{
    static const struct process_part parts[] = {
        {"small_is_small", small_is_small},       {"large_is_huge", large_is_huge}, {"never_huge", never_huge},
        {"limited_addresses", limited_addresses}, {"limited_data", limited_data},   {"fills", fills},
    };
    int code = 0;
    if (process_part(argc, argv, parts, sizeof parts / sizeof *parts, &code))
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_get_the_pages_they_need),
        cmocka_unit_test(limits_are_lived_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
