/* GNU's names: what they say about memory that is known, what mallopt accepts, and that no name of the family is
 * glibc's. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <malloc.h>

static void every_name_of_the_family_is_weirs(void **state)
{
    (void)state;
    /* nm -D libc.so.6, what allocates, frees, measures or tunes; and C23's */
    static const char *const names[] = {"malloc",
                                        "calloc",
                                        "realloc",
                                        "free",
                                        "aligned_alloc",
                                        "free_sized",
                                        "free_aligned_sized",
                                        "posix_memalign",
                                        "reallocarray",
                                        "memalign",
                                        "valloc",
                                        "pvalloc",
                                        "cfree",
                                        "malloc_usable_size",
                                        "malloc_trim",
                                        "mallinfo",
                                        "mallinfo2",
                                        "malloc_info",
                                        "malloc_stats",
                                        "mallopt",
                                        "__libc_malloc",
                                        "__libc_calloc",
                                        "__libc_realloc",
                                        "__libc_free",
                                        "__libc_memalign",
                                        "__libc_valloc",
                                        "__libc_pvalloc",
                                        "__libc_mallinfo",
                                        "__libc_mallopt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Dl_info info;
        void *found = dlsym(RTLD_DEFAULT, names[i]);
        if (!found || !dladdr(found, &info) || !strstr(info.dli_fname, "libweir"))
            fail_msg("%s is not weir's", names[i]);
    }
}

static void objects_by_glibcs_other_names_are_weirs(void **state)
{
    (void)state;
    void *(*allocate)(size_t) = (void *(*)(size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "__libc_malloc");
    void *(*align)(size_t, size_t) = (void *(*)(size_t, size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "__libc_memalign");
    void *(*page)(size_t) = (void *(*)(size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "__libc_pvalloc");
    void (*release)(void *) = (void (*)(void *))(uintptr_t)dlsym(RTLD_DEFAULT, "__libc_free");
    void (*old_release)(void *) = (void (*)(void *))(uintptr_t)dlsym(RTLD_DEFAULT, "cfree");
    void *object = allocate(100);
    assert_int_equal(malloc_usable_size(object), 112);
    free(object);
    object = align(4096, 10);
    assert_int_equal((uintptr_t)object % 4096, 0);
    old_release(object);
    object = page(1);
    assert_int_equal(malloc_usable_size(object), 4096);
    release(object);
}

static void mallinfo_follows_what_is_allocated(void **state)
{
    (void)state;
    struct mallinfo2 before = mallinfo2();
    static void *volatile large[3];
    static void *volatile small[1000];
    for (size_t i = 0; i < 3; i++)
        large[i] = malloc((size_t)2 << 20);
    for (size_t i = 0; i < 1000; i++)
        small[i] = malloc(160);
    struct mallinfo2 during = mallinfo2();
    assert_int_equal(during.hblks - before.hblks, 3);
    assert_int_equal(during.hblkhd - before.hblkhd, (size_t)6 << 20);
    assert_int_equal(during.uordblks - before.uordblks, 160000);
    assert_true(during.arena >= before.arena + 100000);
    assert_int_equal(during.fordblks, during.arena - during.uordblks);
    for (size_t i = 0; i < 1000; i++)
        free(small[i]);
    for (size_t i = 0; i < 3; i++)
        free(large[i]);
    struct mallinfo2 after = mallinfo2();
    assert_int_equal(after.hblkhd, before.hblkhd);
    assert_int_equal(after.uordblks, before.uordblks);
    assert_true(after.keepcost > 0);
    malloc_trim(0);
    assert_true(mallinfo2().keepcost < after.keepcost);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void the_old_mallinfo_stops_at_its_largest_number(void **state)
{
    (void)state;
    void *volatile huge = malloc((size_t)3 << 30);
    if (!huge)
        skip();
    assert_int_equal(mallinfo().hblkhd, INT_MAX);
    free(huge);
    struct mallinfo2 now = mallinfo2();
    assert_int_equal(mallinfo().uordblks, now.uordblks);
    assert_int_equal(mallinfo().hblks, now.hblks);
}

static void errno_is_preserved(void **state)
{
    (void)state;
    errno = 77;
    mallinfo2();
    mallopt(M_MMAP_THRESHOLD, 1000);
    assert_int_equal(errno, 77);
}

static void malloc_info_accepts_no_options(void **state)
{
    (void)state;
    char *out = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&out, &length);
    assert_int_equal(malloc_info(1, stream), EINVAL);
    assert_int_equal(malloc_info(-1, stream), EINVAL);
    fflush(stream);
    assert_int_equal(length, 0);
    assert_int_equal(malloc_info(0, stream), 0);
    fclose(stream);
    assert_ptr_equal(strstr(out, "<malloc version=\"1\">\n"), out);
    assert_string_equal(out + length - strlen("</malloc>\n"), "</malloc>\n");
    free(out);
}

struct ring {
    struct ring *next, *previous;
};

static struct ring *_Atomic shared[64];
static atomic_bool stop;

/* What is freed here was often allocated by another thread, and looks like a list that leads in a circle. */
static void *pass_rings_around(void *argument)
{
    size_t seed = (size_t)argument;
    while (!stop) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        struct ring *ring = malloc(sizeof *ring + (seed >> 40) % 2000);
        ring->next = ring->previous = ring;
        free(atomic_exchange(&shared[seed >> 58], ring));
    }
    return NULL;
}

static void looking_while_threads_go_on_does_no_harm(void **state)
{
    (void)state;
    pthread_t threads[3];
    FILE *nowhere = fopen("/dev/null", "w");
    assert_non_null(nowhere);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pass_rings_around, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 300; i++) {
        struct mallinfo2 info = mallinfo2();
        assert_true(info.arena < (size_t)1 << 30 && info.fordblks <= info.arena);
        assert_int_equal(malloc_info(0, nowhere), 0);
    }
    stop = true;
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 64; i++)
        free(shared[i]);
    fclose(nowhere);
}

static void mallopt_takes_what_glibcs_takes(void **state)
{
    (void)state;
    static const int taken[] = {M_TRIM_THRESHOLD, M_TOP_PAD,    M_MMAP_THRESHOLD, M_MMAP_MAX, M_CHECK_ACTION,
                                M_PERTURB,        M_ARENA_TEST, M_ARENA_MAX,      M_MXFAST};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        assert_int_equal(mallopt(taken[i], 1), 1);
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, -1), 1);
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, 32 << 20), 1);
    assert_int_equal(mallopt(M_MXFAST, 161), 0);
    assert_int_equal(mallopt(M_MXFAST, -1), 0);
    assert_int_equal(mallopt(M_ARENA_MAX, 0), 0);
    assert_int_equal(mallopt(12345, 1), 0);
    assert_int_equal(mallopt(-9, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_of_the_family_is_weirs),
        cmocka_unit_test(objects_by_glibcs_other_names_are_weirs),
        cmocka_unit_test(mallinfo_follows_what_is_allocated),
        cmocka_unit_test(the_old_mallinfo_stops_at_its_largest_number),
        cmocka_unit_test(errno_is_preserved),
        cmocka_unit_test(malloc_info_accepts_no_options),
        cmocka_unit_test(looking_while_threads_go_on_does_no_harm),
        cmocka_unit_test(mallopt_takes_what_glibcs_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
