/* What lies in objects: zero where calloc says so, otherwise what the program wrote, however objects are resized. */
#include "tests/acceptance/faces.h"

#include <sys/mman.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    BORDERS = 512
};

static size_t borders[BORDERS], border_count;

/* The usable sizes that this malloc has, as far as they can be told apart, then powers of two with their neighbours. */
static void find_borders(void)
{
    size_t most = parameter("object", (size_t)64 << 20);
    border_count = 0;
    for (size_t size = 1; size <= 49152 && border_count < BORDERS - 64;) {
        void *object = malloc(size);
        borders[border_count++] = malloc_usable_size(object);
        size = borders[border_count - 1] + 1;
        free(object);
    }
    for (size_t size = 65536; size <= most && border_count < BORDERS - 2; size *= 2) {
        borders[border_count++] = size;
        borders[border_count++] = size + 4096;
    }
}

static bool is_zero(const void *object, size_t size)
{
    const unsigned char *bytes = object;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

void all_that_is_usable_can_be_written(void)
{
    enum {
        EACH = 24
    };
    find_borders();
    CHECK(border_count > 20);
    for (size_t b = 0; b < border_count && borders[b] <= 200000; b++)
        for (size_t size = borders[b] - 1; size <= borders[b] + 1; size++) {
            void *objects[EACH];
            for (size_t i = 0; i < EACH; i++) {
                objects[i] = i % 3 == 0 ? calloc(1, size) : i % 3 == 1 ? malloc(size) : aligned_alloc(64, size);
                CHECK_AT_MOST(size, malloc_usable_size(objects[i]));
                stamp_write(objects[i], malloc_usable_size(objects[i]), i);
            }
            for (size_t i = 0; i < EACH; i++) {
                CHECK(stamp_holds(objects[i], malloc_usable_size(objects[i]), i));
                free(objects[i]);
            }
        }
}

void calloc_is_zero_after_reuse(void)
{
    enum {
        EACH = 5
    };
    find_borders();
    for (size_t b = 0; b < border_count; b++)
        for (size_t round = 0; round < 4; round++) {
            size_t size = borders[b] + round % 2;
            void *objects[EACH];
            size_t each = size > 1 << 20 ? 1 : EACH;
            for (size_t i = 0; i < each; i++) {
                objects[i] = round < 2 ? calloc(size, 1) : calloc(1 + i, (size + i) / (1 + i));
                CHECK(objects[i] && is_zero(objects[i], size));
                memset(objects[i], 0xff, malloc_usable_size(objects[i]));
                if (round == 3)
                    objects[i] = realloc(objects[i], size / 2 + 1);
            }
            for (size_t i = 0; i < each; i++)
                free(objects[i]);
            if (round == 1)
                malloc_trim(0);
        }
}

/* Pages that are locked in memory cannot be taken away: what was given back is then not zero. */
void calloc_is_zero_in_locked_memory(void)
{
    static const size_t sizes[] = {4000, 40000, 400000, 4000000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        void *object = malloc(sizes[i]);
        uintptr_t start = ((uintptr_t)object + 4095) & ~(uintptr_t)4095;
        size_t length = ((uintptr_t)object + sizes[i] - start) & ~(size_t)4095;
        if (mlock((void *)start, length) != 0) {
            free(object);
            skip("memory cannot be locked here");
            return;
        }
        memset(object, 0xff, sizes[i]);
        free(object);
        malloc_trim(0);
        void *zero = calloc(1, sizes[i]);
        CHECK(zero && is_zero(zero, sizes[i]));
        free(zero);
        munlock((void *)start, length);
    }
}

/* Resizes, and says whether all that was to stay did; the whole object carries the stamp before and after. */
static bool resize(void **object, size_t *size, size_t to, uint64_t stamp)
{
    size_t kept = *size < to ? *size : to;
    void *moved = realloc(*object, to);
    if (!CHECK(moved != NULL) || !CHECK_AT_MOST(to, malloc_usable_size(moved)))
        return false;
    *object = moved;
    *size = to;
    bool same = stamp_holds(moved, kept, stamp);
    stamp_write((char *)moved + kept / 8 * 8, to - kept / 8 * 8, stamp + kept / 8 * 8);
    return CHECK(same);
}

void realloc_keeps_what_was_there(void)
{
    find_borders();
    void *object = NULL;
    size_t size = 0;
    for (size_t b = 0; b < border_count; b++)
        for (size_t more = 0; more < 2; more++)
            if (!resize(&object, &size, borders[b] + more, 1))
                return;
    for (size_t b = border_count; b-- > 0;)
        for (size_t more = 2; more-- > 0;)
            if (!resize(&object, &size, borders[b] + more, 1))
                return;
    /* To each border and back to a small one, with something in the way that hinders growing in place. */
    for (size_t b = 0; b < border_count && borders[b] <= (size_t)4 << 20; b++) {
        void *obstacle = malloc(borders[b]);
        if (!resize(&object, &size, borders[b] + 1, 1) || !resize(&object, &size, borders[b / 2], 1))
            return;
        free(obstacle);
    }
    free(object);
}

void realloc_keeps_what_was_there_at_random(void)
{
    enum {
        OBJECTS = 64
    };
    uint64_t chance = chance_seed();
    size_t most = parameter("object", (size_t)64 << 20) / 64;
    void *objects[OBJECTS] = {0};
    size_t sizes[OBJECTS] = {0};
    for (size_t i = 0; i < 8000; i++) {
        size_t k = chance_below(&chance, OBJECTS);
        if (chance_below(&chance, 16) == 0) {
            free(objects[k]);
            objects[k] = NULL;
            sizes[k] = 0;
        } else if (!resize(&objects[k], &sizes[k], chance_size(&chance, most), k)) {
            return;
        }
    }
    for (size_t k = 0; k < OBJECTS; k++) {
        CHECK(stamp_holds(objects[k], sizes[k], k));
        free(objects[k]);
    }
}

void sized_frees_take_the_size_that_was_asked_for(void)
{
    /* A wrong answer would end the program (WEIR_ABORT=1), or leave objects behind. */
    for (size_t round = 0; round < 2; round++)
        for (size_t size = 0; size < 300000; size += size < 3000 ? 1 : size / 7) {
            release_sized(malloc(size), size);
            release_sized(calloc(1, size), size);
            release_sized(realloc(malloc(size / 3), size), size);
            void *shrunk = realloc(malloc(size), size - size / 4);
            release_sized(shrunk, size - size / 4);
            for (size_t alignment = 1; alignment <= 65536; alignment *= 4)
                release_aligned_sized(aligned_alloc(alignment, size), alignment, size);
        }
    size_t before = resident();
    for (size_t i = 0; i < 4000; i++)
        release_sized(malloc(100000 + i), 100000 + i);
    CHECK_AT_MOST(resident(), before + (4 << 20));
}

void trim_takes_nothing_that_is_in_use(void)
{
    enum {
        OBJECTS = 400
    };
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = malloc(i * 61);
        stamp_write(objects[i], i * 61, i);
    }
    for (size_t i = 0; i < OBJECTS; i += 2)
        free(objects[i]);
    for (size_t keep = 0; keep < 3; keep++) {
        int given = malloc_trim(keep << 12);
        CHECK(given == 0 || given == 1);
    }
    for (size_t i = 1; i < OBJECTS; i += 2) {
        CHECK(stamp_holds(objects[i], i * 61, i));
        free(objects[i]);
    }
}
