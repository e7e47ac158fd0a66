/* Alignments: each power of two to 1 GiB, what is none, and what no memory can have. */
#include "tests/acceptance/faces.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool is_aligned(void *object, size_t alignment)
{
    return (uintptr_t)plain(object) % alignment == 0;
}

/* What an object needs to be one: its alignment, its room, which can be written at both ends. */
static bool is_object(void *object, size_t alignment, size_t size)
{
    if (!CHECK(plain(object) != NULL) || !CHECK(is_aligned(object, alignment)))
        return false;
    size_t usable = malloc_usable_size(object);
    if (!CHECK_AT_MOST(size, usable))
        return false;
    if (usable > 0)
        ((volatile char *)object)[0] = ((volatile char *)object)[usable - 1] = 1;
    return true;
}

void every_object_is_aligned_to_16(void)
{
    for (size_t size = 0; size < 70000; size += size < 5000 ? 1 : 61) {
        void *objects[] = {malloc(size), calloc(1, size), realloc(NULL, size), reallocarray(NULL, size, 1)};
        for (size_t i = 0; i < COUNT(objects); i++)
            CHECK(is_aligned(objects[i], 16));
        for (size_t i = 0; i < COUNT(objects); i++)
            free(objects[i]);
    }
}

void every_alignment_is_kept(void)
{
    size_t most = parameter("alignment", (size_t)1 << 30);
    static const size_t sizes[] = {0, 1, 8, 17, 100, 1000, 4096, 5000, 32768, 65537, 300000};
    for (size_t alignment = 1; alignment <= most; alignment *= 2)
        for (size_t i = 0; i < COUNT(sizes) + 2; i++) {
            size_t size = i < COUNT(sizes) ? sizes[i] : i == COUNT(sizes) ? alignment : alignment + alignment / 2;
            void *object = aligned_alloc(alignment, size);
            is_object(object, alignment, size);
            release_aligned_sized(object, alignment, size);
            object = memalign(alignment, size);
            is_object(object, alignment, size);
            free(object);
            if (alignment < sizeof(void *))
                continue;
            object = NULL;
            CHECK(posix_memalign(&object, alignment, size) == 0);
            is_object(object, alignment, size);
            object = realloc(object, size + 1);
            is_object(object, 16, size + 1);
            free(object);
        }
}

void every_size_is_aligned(void)
{
    for (size_t alignment = 1; alignment <= 16384; alignment *= 2)
        for (size_t size = 1; size < 9000; size += size < 600 ? 1 : 23) {
            void *object = memalign(alignment, size);
            is_object(object, alignment, size);
            free(object);
        }
}

void aligned_objects_live_side_by_side(void)
{
    enum {
        EACH = 9
    };
    for (size_t alignment = 8; alignment <= (size_t)1 << 21; alignment *= 2)
        for (size_t size = alignment / 2 + 3; size <= alignment * 2; size = size * 2 - 1) {
            void *objects[EACH];
            for (size_t i = 0; i < EACH; i++) {
                objects[i] = i % 2 ? malloc(size) : aligned_alloc(alignment, size);
                is_object(objects[i], i % 2 ? 16 : alignment, size);
                stamp_write(objects[i], size, i);
            }
            for (size_t i = 0; i < EACH; i++) {
                size_t k = i * 4 % EACH;
                CHECK(stamp_holds(objects[k], size, k));
                if (k % 2)
                    release_sized(objects[k], size);
                else
                    release_aligned_sized(objects[k], alignment, size);
            }
        }
}

void alignments_that_are_none_are_invalid(void)
{
    static const size_t none[] = {0,
                                  3,
                                  5,
                                  6,
                                  7,
                                  9,
                                  10,
                                  12,
                                  24,
                                  48,
                                  100,
                                  1000,
                                  4095,
                                  4097,
                                  12288,
                                  SIZE_MAX,
                                  96,
                                  192,
                                  1025,
                                  6144,
                                  1UL << 30 | 16,
                                  SIZE_MAX / 2,
                                  SIZE_MAX / 2 + 2,
                                  SIZE_MAX - 1};
    static const size_t sizes[] = {0, 1, 100, 4096, 100000};
    for (size_t i = 0; i < COUNT(none); i++)
        for (size_t k = 0; k < COUNT(sizes); k++) {
            errno = 0;
            CHECK(plain(aligned_alloc(none[i], sizes[k])) == NULL);
            CHECK(errno == EINVAL);
            errno = 0;
            CHECK(plain(memalign(none[i], sizes[k])) == NULL);
            CHECK(errno == EINVAL);
            void *untouched = &untouched;
            errno = 0;
            CHECK(posix_memalign(&untouched, none[i], sizes[k]) == EINVAL);
            CHECK(untouched == &untouched && errno == 0);
        }
    for (size_t alignment = 1; alignment < sizeof(void *); alignment *= 2) {
        void *untouched = &untouched;
        CHECK(posix_memalign(&untouched, alignment, 100) == EINVAL);
        CHECK(untouched == &untouched);
    }
}

/* More than 1 GiB may be had or not; more than there are addresses may not. */
void alignments_beyond_memory_are_refused(void)
{
    for (size_t alignment = parameter("alignment", (size_t)1 << 30) * 2; alignment; alignment *= 2) {
        errno = 0;
        void *object = plain(aligned_alloc(alignment, 100));
        CHECK(is_aligned(object, alignment));
        CHECK(object != NULL || errno == ENOMEM);
        CHECK(object == NULL || alignment < (size_t)1 << 47);
        free(object);
        void *other = &other;
        int error = posix_memalign(&other, alignment, 100);
        CHECK(error == 0 ? is_aligned(other, alignment) : error == ENOMEM && other == &other);
        if (error == 0)
            free(other);
    }
}

void pages_are_pages(void)
{
    for (size_t size = 0; size < 70000; size += size < 9000 ? 111 : 1117) {
        void *page = valloc(size), *pages = pvalloc(size);
        is_object(page, 4096, size);
        is_object(pages, 4096, (size + 4095) / 4096 * 4096);
        free(page);
        free(pages);
    }
}
