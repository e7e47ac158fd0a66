/* Sizes at the ends: nothing, too much, and products that overflow. */
#include "tests/acceptance/faces.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Null, with ENOMEM. */
#define CHECK_REFUSED(call) (errno = 0, CHECK(plain(call) == NULL), CHECK(errno == ENOMEM))

static const size_t too_large[] = {
    SIZE_MAX,        SIZE_MAX - 1,     SIZE_MAX - 15,      SIZE_MAX - 16,           SIZE_MAX - 4095,
    SIZE_MAX - 4096, SIZE_MAX - 65535, SIZE_MAX / 2 + 2,   (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
    PTRDIFF_MAX - 1, PTRDIFF_MAX - 15, PTRDIFF_MAX - 4095, PTRDIFF_MAX - 65536,     (size_t)1 << 62,
    (size_t)1 << 52, (size_t)1 << 48,  (size_t)1 << 47,
};

void zero_sizes_are_objects(void)
{
    void *posix = NULL;
    CHECK(posix_memalign(&posix, 64, 0) == 0);
    void *objects[] = {
        malloc(0),
        malloc(0),
        calloc(0, 8),
        calloc(8, 0),
        calloc(0, 0),
        realloc(NULL, 0),
        aligned_alloc(64, 0),
        memalign(4096, 0),
        valloc(0),
        pvalloc(0),
        reallocarray(NULL, 0, 8),
        posix,
    };
    for (size_t i = 0; i < COUNT(objects); i++) {
        CHECK(plain(objects[i]) != NULL);
        for (size_t k = 0; k < i; k++)
            CHECK(plain(objects[i]) != plain(objects[k]));
    }
    for (size_t i = 0; i < COUNT(objects); i++)
        free(objects[i]);
}

void null_is_nothing(void)
{
    free(NULL);
    release_sized(NULL, 17);
    release_aligned_sized(NULL, 64, 17);
    CHECK(malloc_usable_size(NULL) == 0);
    for (size_t size = 1; size < 200000; size = size * 3 + 1) {
        char *object = realloc(NULL, size);
        char *array = reallocarray(NULL, 1, size);
        if (CHECK(object && array))
            object[size - 1] = array[size - 1] = 1;
        free(object);
        free(array);
    }
}

void what_is_too_large_is_refused(void)
{
    for (size_t i = 0; i < COUNT(too_large); i++) {
        size_t size = too_large[i];
        CHECK_REFUSED(malloc(size));
        CHECK_REFUSED(calloc(1, size));
        CHECK_REFUSED(calloc(size, 1));
        CHECK_REFUSED(realloc(NULL, size));
        CHECK_REFUSED(reallocarray(NULL, 1, size));
        CHECK_REFUSED(valloc(size));
        CHECK_REFUSED(pvalloc(size));
        for (size_t alignment = 1; alignment && alignment <= (size_t)1 << 62; alignment *= 2) {
            CHECK_REFUSED(aligned_alloc(alignment, size));
            CHECK_REFUSED(memalign(alignment, size));
            void *untouched = &untouched;
            if (alignment >= sizeof(void *)) {
                CHECK(posix_memalign(&untouched, alignment, size) == ENOMEM);
                CHECK(untouched == &untouched);
            }
        }
    }
}

void products_that_overflow_are_refused(void)
{
    static const size_t factors[][2] = {
        {SIZE_MAX / 2 + 1, 2},
        {(size_t)1 << 32, (size_t)1 << 32},
        {SIZE_MAX, SIZE_MAX},
        {SIZE_MAX / 2, 3},
        {SIZE_MAX / 4 + 1, 4},
        {SIZE_MAX / 8 + 2, 8},
        {((size_t)1 << 33) + 1, (size_t)1 << 31},
        {SIZE_MAX / 16 + 2, 16},
        {PTRDIFF_MAX, 2},
    };
    void *kept = malloc(100);
    for (size_t i = 0; i < COUNT(factors); i++)
        for (size_t k = 0; k < 2; k++) {
            size_t n = factors[i][k], size = factors[i][1 - k];
            CHECK_REFUSED(calloc(n, size));
            CHECK_REFUSED(reallocarray(NULL, n, size));
            CHECK_REFUSED(reallocarray(kept, n, size));
        }
    free(kept);
}

void a_refused_realloc_leaves_the_object(void)
{
    static const size_t sizes[] = {1, 16, 100, 4096, 32768, 32769, 100000, 3000000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        void *object = malloc(sizes[i]);
        size_t usable = malloc_usable_size(object);
        stamp_write(object, usable, i);
        for (size_t k = 0; k < COUNT(too_large); k++) {
            CHECK_REFUSED(realloc(object, too_large[k]));
            CHECK_REFUSED(reallocarray(object, 1, too_large[k]));
        }
        CHECK(malloc_usable_size(object) == usable);
        CHECK(stamp_holds(object, usable, i));
        free(object);
    }
}

/* As this malloc's documentation has it; C23 leaves it open. Not null: that would read as "out of memory". */
void realloc_to_nothing_is_an_object(void)
{
    static const size_t sizes[] = {0, 1, 100, 5000, 40000, 1000000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        void *object = realloc(malloc(sizes[i]), 0);
        CHECK(object != NULL);
        void *array = reallocarray(malloc(sizes[i]), 0, 16);
        CHECK(array != NULL && array != object);
        free(object);
        free(array);
    }
}
