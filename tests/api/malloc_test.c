/* What the standards say of the malloc family: the process's own, replaced by libweir.so. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void free_sized(void *object, size_t size);
void free_aligned_sized(void *object, size_t alignment, size_t size);

/* Out of the compiler's sight, which knows what malloc does. */
static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;
static void *(*volatile do_reallocarray)(void *, size_t, size_t) = reallocarray;
static void *(*volatile do_aligned_alloc)(size_t, size_t) = aligned_alloc;
static void *(*volatile do_memalign)(size_t, size_t) = memalign;
static void *(*volatile do_valloc)(size_t) = valloc;
static void *(*volatile do_pvalloc)(size_t) = pvalloc;
static void (*volatile do_free)(void *) = free;

#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        assert_null(call);                                                                                             \
        assert_int_equal(errno, ENOMEM);                                                                               \
    } while (0)

static void out_of_memory_is_null_and_enomem(void **state)
{
    (void)state;
    const size_t sizes[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, PTRDIFF_MAX / 2};
    void *kept = do_malloc(10);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        REFUSED(do_malloc(sizes[i]));
        REFUSED(do_calloc(1, sizes[i]));
        REFUSED(do_realloc(kept, sizes[i]));
        REFUSED(do_aligned_alloc(64, sizes[i]));
        REFUSED(do_memalign(8192, sizes[i]));
        REFUSED(do_valloc(sizes[i]));
        REFUSED(do_pvalloc(sizes[i]));
    }
    REFUSED(do_calloc(SIZE_MAX / 2, 3));
    REFUSED(do_reallocarray(kept, SIZE_MAX / 4, 8));
    do_free(kept);
}

static void free_preserves_errno(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1000, 30000, 100000, 100 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *object = do_malloc(sizes[i]);
        errno = 1234;
        do_free(object);
        assert_int_equal(errno, 1234);
    }
    errno = 1234;
    do_free(NULL);
    free_sized(NULL, 4);
    malloc_trim(0);
    assert_int_equal(errno, 1234);
}

static void success_leaves_errno_alone(void **state)
{
    (void)state;
    errno = 77;
    do_free(do_malloc(40 << 20));
    do_free(do_calloc(1000, 1000));
    void *aligned = NULL;
    assert_int_equal(posix_memalign(&aligned, 4096, 10), 0);
    do_free(aligned);
    assert_int_equal(errno, 77);
}

static void zero_sizes_are_objects(void **state)
{
    (void)state;
    void *objects[] = {
        do_malloc(0),        do_calloc(0, 8), do_calloc(8, 0), do_realloc(NULL, 0), do_realloc(do_malloc(8), 0),
        aligned_alloc(64, 0)};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        assert_non_null(objects[i]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(objects[i], objects[k]);
    }
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        do_free(objects[i]);
}

static void calloc_is_zero(void **state)
{
    (void)state;
    for (size_t size = 1; size < 1000000; size = size * 3 + 1)
        for (size_t round = 0; round < 3; round++) {
            unsigned char *object = do_calloc(size, 1);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(object[i], 0);
            memset(object, 0xff, malloc_usable_size(object));
            do_free(object);
        }
}

static void alignments(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 1 << 21; alignment *= 2) {
        void *object = aligned_alloc(alignment, 100);
        assert_int_equal((uintptr_t)object % alignment, 0);
        free_aligned_sized(object, alignment, 100);
        object = memalign(alignment, 5000);
        assert_int_equal((uintptr_t)object % alignment, 0);
        free_aligned_sized(object, alignment, 5000);
        void *posix = NULL;
        int error = posix_memalign(&posix, alignment, 40);
        assert_int_equal(error, alignment < sizeof(void *) ? EINVAL : 0);
        assert_int_equal((uintptr_t)posix % alignment, 0);
        do_free(posix);
    }
    assert_int_equal((uintptr_t)(posix_memalign((void *[]){NULL}, 48, 10)), EINVAL);
    assert_int_equal((uintptr_t)(posix_memalign((void *[]){NULL}, 64, SIZE_MAX - 10)), ENOMEM);
    errno = 0;
    const size_t odd = 24;
    assert_null(do_aligned_alloc(odd, 64));
    assert_int_equal(errno, EINVAL);
    void *page = valloc(10), *pages = pvalloc(4097);
    assert_int_equal((uintptr_t)page % 4096, 0);
    assert_int_equal((uintptr_t)pages % 4096, 0);
    assert_true(malloc_usable_size(pages) >= 8192);
    do_free(page);
    do_free(pages);
}

static void usable_size_is_usable(void **state)
{
    (void)state;
    for (size_t size = 0; size < 200000; size = size * 2 + 1) {
        void *object = do_malloc(size);
        size_t usable = malloc_usable_size(object);
        assert_true(usable >= size);
        memset(object, 1, usable);
        object = do_realloc(object, usable);
        free_sized(object, usable);
    }
    int local;
    assert_int_equal(malloc_usable_size(NULL), 0);
    assert_int_equal(malloc_usable_size(&local), 0);
}

static void trim_gives_back_once(void **state)
{
    (void)state;
    unsigned char *big = do_malloc(64 << 20);
    memset(big, 1, 64 << 20);
    do_free(big);
    assert_int_equal(malloc_trim(0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_memory_is_null_and_enomem),
        cmocka_unit_test(free_preserves_errno),
        cmocka_unit_test(success_leaves_errno_alone),
        cmocka_unit_test(zero_sizes_are_objects),
        cmocka_unit_test(calloc_is_zero),
        cmocka_unit_test(alignments),
        cmocka_unit_test(usable_size_is_usable),
        cmocka_unit_test(trim_gives_back_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
