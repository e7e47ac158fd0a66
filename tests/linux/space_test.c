/* The range of addresses: which pages it has, and life within limits. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

/* Large objects that stand in each other's way grow without being copied, and lose nothing. */
static int growing(void)
{
    enum {
        VECTORS = 5,
        STEPS = 14,
    };
    static uint64_t *vectors[VECTORS];
    size_t count = MIB / sizeof **vectors, done = 0;
    for (int step = 0; step < STEPS; step++, done = count, count += count / 2 + 1000) {
        for (int i = 0; i < VECTORS; i++) {
            vectors[i] = realloc(vectors[i], count * sizeof **vectors);
            require(vectors[i]);
            for (size_t k = done; k < count; k++)
                vectors[i][k] = k * VECTORS + (unsigned)i;
        }
    }
    for (int i = 0; i < VECTORS; i++) {
        for (size_t k = 0; k < done; k++)
            require(vectors[i][k] == k * VECTORS + (unsigned)i);
    }
    for (int i = 0; i < VECTORS; i++)
        free(vectors[i]);
    /* what was moved away is memory like any other */
    for (int i = 0; i < VECTORS; i++) {
        vectors[i] = calloc(1, 100 * MIB);
        for (size_t k = 0; k < 100 * MIB / sizeof **vectors; k += 61)
            require(vectors[i][k] == 0);
    }
    return 0;
}

/* An object that was moved, then grew where it was, lies in several mappings of the kernel. */
static int growing_in_pieces(void)
{
    static void *blocks[40];
    size_t count = 0, done = 0;
    uint64_t *vector = NULL;
    for (size_t mib = 8; mib <= 400; mib += 4) {
        vector = realloc(vector, mib * MIB);
        size_t end = mib * MIB / sizeof *vector;
        for (size_t k = 0; k < done; k += 509)
            require(vector[k] == k + 1);
        for (; done < end; done++)
            vector[done] = done + 1;
        /* every fourth time something comes to lie behind it */
        if (mib % 16 == 0) {
            blocks[count] = malloc(5 * MIB);
            memset(blocks[count++], 1, 5 * MIB);
        }
        if (count > 3 && mib % 48 == 0)
            free(blocks[--count]);
    }
    for (size_t k = 0; k < done; k++)
        require(vector[k] == k + 1);
    return 0;
}

/* The same where the kernel refuses to move what lies in several mappings: all of it then. */
static int growing_without_moves(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EFAULT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return 0;
    return growing();
}

static void large_objects_grow(void **state)
{
    (void)state;
    assert_int_equal(process_run("growing", NULL), 0);
    assert_int_equal(process_run("growing", "WEIR_HUGE=never"), 0);
    assert_int_equal(process_run("growing_in_pieces", NULL), 0);
    assert_int_equal(process_run("growing_without_moves", NULL), 0);
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
        {"small_is_small", small_is_small},
        {"large_is_huge", large_is_huge},
        {"never_huge", never_huge},
        {"limited_addresses", limited_addresses},
        {"limited_data", limited_data},
        {"growing", growing},
        {"growing_without_moves", growing_without_moves},
        {"growing_in_pieces", growing_in_pieces},
        {"fills", fills},
    };
    int code = 0;
    if (process_part(argc, argv, parts, sizeof parts / sizeof *parts, &code))
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_get_the_pages_they_need),
        cmocka_unit_test(limits_are_lived_with),
        cmocka_unit_test(large_objects_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
