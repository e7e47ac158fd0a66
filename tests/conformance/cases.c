/* Fixed cases: what each operation does to objects. */
#include "src/base/bits.h"
#include "tests/conformance/conformance.h"
#include "tests/conformance/stamp.h"

#define ALIGNMENT 16

/* Sizes around everything that allocators like to switch on. */
static const size_t sizes[] = {0,      1,      2,      7,      8,       15,     16,    17,     24,     31,     33,
                               48,     63,     64,     65,     100,     127,    128,   129,    240,    255,    256,
                               257,    288,    500,    511,    512,     513,    1000,  1023,   1024,   1025,   2047,
                               2048,   2049,   4000,   4095,   4096,    4097,   6000,  8191,   8192,   8193,   16384,
                               20000,  32767,  32768,  32769,  40000,   65536,  65537, 100000, 131072, 200000, 262143,
                               262144, 262145, 300001, 524288, 1000000, 1048576};
enum {
    SIZES = sizeof sizes / sizeof *sizes
};

static void drop(struct weir_allocator *a, void *object)
{
    if (a->ops->free != NULL)
        a->ops->free(a, object);
}

/* --- the table itself --- */

static problem table_matches_abilities(struct subject *subject)
{
    const struct weir_allocator_ops *ops = subject->allocator.ops;
    const struct {
        const char *operation;
        unsigned ability;
        bool there;
    } rows[] = {
        {"malloc", WEIR_CAN_SMALL, ops->malloc != NULL},
        {"calloc", WEIR_CAN_SMALL, ops->calloc != NULL},
        {"realloc", WEIR_CAN_RESIZE, ops->realloc != NULL},
        {"memalign", WEIR_CAN_ALIGN, ops->memalign != NULL},
        {"posix_memalign", WEIR_CAN_ALIGN, ops->posix_memalign != NULL},
        {"free", WEIR_CAN_FREE, ops->free != NULL},
        {"usable_size", WEIR_CAN_SIZE, ops->usable_size != NULL},
        {"palloc", WEIR_CAN_PAGES, ops->palloc != NULL},
        {"pfree", WEIR_CAN_PAGES | WEIR_CAN_FREE, ops->pfree != NULL},
        {"maxalloc", WEIR_CAN_COUNT, ops->maxalloc != NULL},
        {"availmem", WEIR_CAN_COUNT, ops->availmem != NULL},
        {"pmaxalloc", WEIR_CAN_COUNT, ops->pmaxalloc != NULL},
        {"pavailmem", WEIR_CAN_COUNT, ops->pavailmem != NULL},
        {"addmem", WEIR_CAN_GROW, ops->addmem != NULL},
        {"stats", 0, ops->stats != NULL},
        {"walk", WEIR_CAN_WALK, ops->walk != NULL},
        {"check", 0, ops->check != NULL},
    };
    if (ops->name == NULL || *ops->name == 0)
        return "it has no name";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (((ops->abilities & rows[i].ability) == rows[i].ability) != rows[i].there)
            return fault(subject, "%s is %s, against the declared abilities %#x", rows[i].operation,
                         rows[i].there ? "there" : "missing", ops->abilities);
    return NULL;
}

/* --- malloc --- */

static problem malloc_every_size(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    void *objects[SIZES];
    for (unsigned i = 0; i < SIZES; i++) {
        objects[i] = a->ops->malloc(a, sizes[i]);
        if (objects[i] == NULL)
            return fault(subject, "malloc(%zu) gives nothing though there is memory", sizes[i]);
        if ((uintptr_t)objects[i] % ALIGNMENT != 0)
            return fault(subject, "malloc(%zu) is not aligned to %d", sizes[i], ALIGNMENT);
        stamp_write(objects[i], sizes[i], i);
    }
    for (unsigned i = 0; i < SIZES; i++) {
        if (!stamp_holds(objects[i], sizes[i], sizes[i], i))
            return fault(subject, "the object of malloc(%zu) overlaps another", sizes[i]);
        drop(a, objects[i]);
    }
    return NULL;
}

static problem malloc_stays_inside(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    for (unsigned i = 0; i < SIZES; i++) {
        uintptr_t object = (uintptr_t)a->ops->malloc(a, sizes[i]);
        if (object < subject->memory.start || object + sizes[i] > subject->memory.start + subject->memory.bytes)
            return fault(subject, "malloc(%zu) lies outside the memory", sizes[i]);
    }
    return NULL;
}

static problem malloc_zero_bytes(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    void *objects[4] = {a->ops->malloc(a, 0), a->ops->malloc(a, 0), a->ops->calloc(a, 0, 8), a->ops->calloc(a, 8, 0)};
    for (unsigned i = 0; i < 4; i++) {
        if (objects[i] == NULL)
            return "malloc or calloc of no bytes gives nothing";
        for (unsigned j = 0; j < i; j++)
            if (objects[i] == objects[j])
                return "two objects of no bytes are the same";
    }
    for (unsigned i = 0; i < 4; i++)
        drop(a, objects[i]);
    return NULL;
}

static problem too_large_is_refused(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    const size_t too_large[] = {subject->memory.bytes + 1,
                                SIZE_MAX / 4,
                                PTRDIFF_MAX,
                                (size_t)PTRDIFF_MAX + 1,
                                SIZE_MAX - 8192,
                                SIZE_MAX - 4096,
                                SIZE_MAX - 4095,
                                SIZE_MAX - 16,
                                SIZE_MAX - 15,
                                SIZE_MAX - 1,
                                SIZE_MAX};
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
        size_t size = too_large[i];
        if (a->ops->malloc(a, size) != NULL)
            return fault(subject, "malloc(%zu) gives something", size);
        if (a->ops->calloc(a, 1, size) != NULL || a->ops->calloc(a, size, 1) != NULL)
            return fault(subject, "calloc of %zu bytes gives something", size);
        if (a->ops->memalign != NULL && a->ops->memalign(a, 64, size) != NULL)
            return fault(subject, "memalign(64, %zu) gives something", size);
        if (a->ops->realloc != NULL && a->ops->realloc(a, NULL, size) != NULL)
            return fault(subject, "realloc(null, %zu) gives something", size);
        if (a->ops->palloc != NULL && a->ops->palloc(a, size) != NULL)
            return fault(subject, "palloc(%zu) gives something", size);
    }
    return NULL;
}

static problem calloc_overflow_is_refused(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    const size_t half = (size_t)1 << 32;
    if (a->ops->calloc(a, half, half) != NULL || a->ops->calloc(a, SIZE_MAX / 2, 3) != NULL ||
        a->ops->calloc(a, SIZE_MAX / 16 + 2, 16) != NULL || a->ops->calloc(a, 2, SIZE_MAX / 2 + 2) != NULL)
        return "calloc gives something for a product that overflows";
    return NULL;
}

/* Memory is written and freed first, so that what is not zeroed shows. */
static problem calloc_is_zero(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < SIZES; i++) {
            unsigned char *objects[4];
            for (unsigned k = 0; k < 4; k++) {
                objects[k] = a->ops->calloc(a, k % 2 ? 1 : sizes[i], k % 2 ? sizes[i] : 1);
                if (objects[k] == NULL)
                    return fault(subject, "calloc of %zu bytes gives nothing", sizes[i]);
                size_t size = a->ops->usable_size != NULL ? a->ops->usable_size(a, objects[k]) : sizes[i];
                for (size_t at = 0; at < sizes[i]; at++)
                    if (objects[k][at] != 0)
                        return fault(subject, "byte %zu of calloc(%zu) is not zero", at, sizes[i]);
                memset(objects[k], 0xa5, size);
            }
            for (unsigned k = 0; k < 4; k++)
                drop(a, objects[k]);
        }
        for (unsigned i = 0; i < SIZES; i++) {
            void *dirty = a->ops->malloc(a, sizes[i]);
            if (dirty == NULL)
                return fault(subject, "malloc(%zu) gives nothing", sizes[i]);
            memset(dirty, 0x5a, sizes[i]);
            drop(a, dirty);
        }
    }
    return NULL;
}

static problem free_of_null(struct subject *subject)
{
    subject->allocator.ops->free(&subject->allocator, NULL);
    return atomic_load(&conformance_errors) ? "free(null) is reported as misuse" : NULL;
}

/* --- usable_size --- */

static problem usable_bytes_are_usable(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    void *objects[SIZES];
    size_t usable[SIZES];
    if (a->ops->usable_size(a, NULL) != 0)
        return "usable_size(null) is not 0";
    for (unsigned i = 0; i < SIZES; i++) {
        objects[i] = a->ops->malloc(a, sizes[i]);
        if (objects[i] == NULL)
            return fault(subject, "malloc(%zu) gives nothing", sizes[i]);
        usable[i] = a->ops->usable_size(a, objects[i]);
        if (usable[i] < sizes[i])
            return fault(subject, "of malloc(%zu) only %zu bytes are usable", sizes[i], usable[i]);
        stamp_write(objects[i], usable[i], i);
    }
    for (unsigned i = 0; i < SIZES; i++) {
        if (!stamp_holds(objects[i], usable[i], usable[i], i))
            return fault(subject, "the %zu usable bytes of malloc(%zu) overlap another object", usable[i], sizes[i]);
        drop(a, objects[i]);
    }
    return NULL;
}

/* --- alignment --- */

static problem memalign_every_power(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    const size_t asked[] = {0, 1, 24, 100, 4096, 5000, 40000};
    void *in_the_way = a->ops->memalign(a, 16, 100); /* the memory itself is aligned well: no luck, please */
    for (size_t alignment = 1; alignment <= (size_t)1 << 30; alignment *= 2) {
        for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
            void *object = a->ops->memalign(a, alignment, asked[i]);
            if (object == NULL && alignment + asked[i] > subject->memory.bytes / 4)
                continue; /* there may be no such address in the memory */
            if (object == NULL)
                return fault(subject, "memalign(%zu, %zu) gives nothing", alignment, asked[i]);
            if ((uintptr_t)object % alignment != 0 || (uintptr_t)object % ALIGNMENT != 0)
                return fault(subject, "memalign(%zu, %zu) is not aligned", alignment, asked[i]);
            if (a->ops->usable_size != NULL && a->ops->usable_size(a, object) < asked[i])
                return fault(subject, "memalign(%zu, %zu) is too small", alignment, asked[i]);
            stamp_write(object, asked[i], alignment);
            if (!stamp_holds(object, asked[i], asked[i], alignment))
                return fault(subject, "memalign(%zu, %zu) cannot be written", alignment, asked[i]);
            drop(a, object);
        }
    }
    drop(a, in_the_way);
    return NULL;
}

/* Many at once, so that each kind of alignment meets memory that is partly taken. */
static problem memalign_does_not_overlap(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    enum {
        OBJECTS = 160
    };
    void *objects[OBJECTS];
    size_t asked[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++) {
        size_t alignment = (size_t)1 << i % 16;
        asked[i] = stamp_mix(i) % 3000;
        objects[i] = a->ops->memalign(a, alignment, asked[i]);
        if (objects[i] == NULL)
            return fault(subject, "memalign(%zu, %zu) gives nothing", alignment, asked[i]);
        if ((uintptr_t)objects[i] % alignment != 0)
            return fault(subject, "memalign(%zu, %zu) is not aligned", alignment, asked[i]);
        stamp_write(objects[i], asked[i], i);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (!stamp_holds(objects[i], asked[i], asked[i], i))
            return fault(subject, "an aligned object of %zu bytes overlaps another", asked[i]);
        drop(a, objects[i]);
    }
    return NULL;
}

static problem bad_alignment_is_refused(struct subject *subject)
{
    enum {
        NO_MEMORY = 12,
        INVALID = 22
    };
    struct weir_allocator *a = &subject->allocator;
    const size_t bad[] = {0, 3, 24, 48, 4095, 4097, SIZE_MAX};
    void *const untouched = &subject->memory;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (a->ops->memalign(a, bad[i], 100) != NULL)
            return fault(subject, "memalign(%zu, 100) gives something", bad[i]);
        void *object = untouched;
        if (a->ops->posix_memalign(a, &object, bad[i], 100) != INVALID)
            return fault(subject, "posix_memalign with alignment %zu does not say EINVAL", bad[i]);
        if (object != untouched)
            return "posix_memalign writes its argument though it fails";
    }
    void *object = untouched;
    if (a->ops->posix_memalign(a, &object, 4, 100) != INVALID)
        return "posix_memalign with an alignment less than a pointer does not say EINVAL";
    if (a->ops->posix_memalign(a, &object, 64, SIZE_MAX / 2 - 64) != NO_MEMORY || object != untouched)
        return "posix_memalign of too much does not say ENOMEM, or writes its argument";
    if (a->ops->memalign(a, (size_t)1 << 62, 1) != NULL || a->ops->memalign(a, (size_t)1 << 63, 1) != NULL)
        return "memalign gives something for an alignment beyond memory";
    if (a->ops->posix_memalign(a, &object, 256, 1000) != 0 || (uintptr_t)object % 256 != 0)
        return "posix_memalign(256, 1000) fails or is not aligned";
    drop(a, object);
    return NULL;
}

/* --- realloc --- */

static problem realloc_keeps_contents(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    for (unsigned from = 0; from < SIZES; from++) {
        for (unsigned to = 0; to < SIZES; to++) {
            size_t least = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            void *object = a->ops->malloc(a, sizes[from]);
            if (object == NULL)
                return fault(subject, "malloc(%zu) gives nothing", sizes[from]);
            stamp_write(object, sizes[from], from);
            object = a->ops->realloc(a, object, sizes[to]);
            if (object == NULL)
                return fault(subject, "realloc from %zu to %zu gives nothing", sizes[from], sizes[to]);
            if ((uintptr_t)object % ALIGNMENT != 0)
                return fault(subject, "realloc from %zu to %zu is not aligned", sizes[from], sizes[to]);
            if (!stamp_holds(object, least, sizes[from], from))
                return fault(subject, "realloc from %zu to %zu loses contents", sizes[from], sizes[to]);
            if (a->ops->usable_size != NULL && a->ops->usable_size(a, object) < sizes[to])
                return fault(subject, "realloc from %zu to %zu gives too little", sizes[from], sizes[to]);
            stamp_write(object, sizes[to], to);
            if (!stamp_holds(object, sizes[to], sizes[to], to))
                return fault(subject, "realloc from %zu to %zu cannot be written", sizes[from], sizes[to]);
            drop(a, object);
        }
    }
    return NULL;
}

/* An object that grows and shrinks between two neighbours, which must not notice. */
static problem realloc_among_neighbours(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    const size_t steps[] = {10, 100, 1000, 5000, 20000, 100000, 400000, 70000, 33000, 4096, 300, 20, 0, 64};
    void *before = a->ops->malloc(a, 50000), *object = a->ops->realloc(a, NULL, 1), *after = a->ops->malloc(a, 50000);
    if (before == NULL || object == NULL || after == NULL)
        return "malloc or realloc(null, 1) gives nothing";
    stamp_write(before, 50000, 1);
    stamp_write(after, 50000, 2);
    stamp_write(object, 1, 3);
    size_t size = 1;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        size_t least = size < steps[i] ? size : steps[i];
        void *moved = a->ops->realloc(a, object, steps[i]);
        if (moved == NULL)
            return fault(subject, "realloc to %zu gives nothing", steps[i]);
        if (!stamp_holds(moved, least, size, i + 2 + (i == 0)))
            return fault(subject, "realloc to %zu loses contents", steps[i]);
        object = moved;
        size = steps[i];
        stamp_write(object, size, i + 3);
        if (!stamp_holds(before, 50000, 50000, 1) || !stamp_holds(after, 50000, 50000, 2))
            return fault(subject, "realloc to %zu overwrites a neighbour", steps[i]);
    }
    drop(a, before);
    drop(a, object);
    drop(a, after);
    return NULL;
}

static problem realloc_that_fails_keeps(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    const size_t from[] = {1, 100, 5000, 100000};
    for (unsigned i = 0; i < 4; i++) {
        void *object = a->ops->malloc(a, from[i]);
        if (object == NULL)
            return fault(subject, "malloc(%zu) gives nothing", from[i]);
        stamp_write(object, from[i], i);
        if (a->ops->realloc(a, object, subject->memory.bytes + 1) != NULL ||
            a->ops->realloc(a, object, SIZE_MAX - 100) != NULL)
            return fault(subject, "realloc from %zu to more than there is gives something", from[i]);
        void *other = a->ops->malloc(a, from[i]);
        if (other == object)
            return fault(subject, "realloc that failed has freed its object of %zu bytes", from[i]);
        if (other != NULL)
            stamp_write(other, from[i], i + 10);
        if (!stamp_holds(object, from[i], from[i], i))
            return fault(subject, "realloc that failed has harmed its object of %zu bytes", from[i]);
        drop(a, object);
        drop(a, other);
    }
    return NULL;
}

/* --- pages --- */

static problem pages_are_frames(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    const size_t counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 64, 100, 129};
    enum {
        COUNTS = sizeof counts / sizeof *counts
    };
    void *runs[COUNTS];
    void *in_the_way = a->ops->malloc != NULL ? a->ops->malloc(a, 100) : NULL;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < COUNTS; i++) {
            runs[i] = a->ops->palloc(a, counts[i]);
            if (runs[i] == NULL)
                return fault(subject, "palloc(%zu) gives nothing", counts[i]);
            if ((uintptr_t)runs[i] % WEIR_FRAME_SIZE != 0)
                return fault(subject, "palloc(%zu) is not aligned to a frame", counts[i]);
            stamp_write(runs[i], counts[i] * WEIR_FRAME_SIZE, i);
        }
        for (unsigned i = 0; i < COUNTS; i++)
            if (!stamp_holds(runs[i], counts[i] * WEIR_FRAME_SIZE, counts[i] * WEIR_FRAME_SIZE, i))
                return fault(subject, "the run of palloc(%zu) overlaps another", counts[i]);
        if (a->ops->pfree == NULL)
            return NULL;
        for (unsigned i = 0; i < COUNTS; i++)
            a->ops->pfree(a, runs[(i * 5 + round) % COUNTS], counts[(i * 5 + round) % COUNTS]);
    }
    drop(a, in_the_way);
    if (atomic_load(&conformance_errors) != 0)
        return "pfree of a whole run is reported as misuse";
    return NULL;
}

/* --- misuse --- */

static problem double_free_is_reported(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    for (unsigned i = 0; i < SIZES; i++) {
        void *neighbour = a->ops->malloc(a, sizes[i]), *object = a->ops->malloc(a, sizes[i]);
        if (neighbour == NULL || object == NULL)
            return fault(subject, "malloc(%zu) gives nothing", sizes[i]);
        stamp_write(neighbour, sizes[i], i);
        a->ops->free(a, object);
        unsigned before = atomic_load(&conformance_errors);
        if (before != i)
            return fault(subject, "free of an object of %zu bytes is reported as misuse", sizes[i]);
        a->ops->free(a, object);
        if (atomic_load(&conformance_errors) != before + 1)
            return fault(subject, "a double free of %zu bytes is reported %u times, not once", sizes[i],
                         atomic_load(&conformance_errors) - before);
        const char *what = "";
        if (a->ops->check(a, &what) != WEIR_OK)
            return fault(subject, "a double free of %zu bytes does harm: %s", sizes[i], what);
        void *first = a->ops->malloc(a, sizes[i]), *second = a->ops->malloc(a, sizes[i]);
        if (first == NULL || second == NULL || first == second)
            return fault(subject, "after a double free of %zu bytes malloc fails, or repeats itself", sizes[i]);
        if (!stamp_holds(neighbour, sizes[i], sizes[i], i))
            return fault(subject, "a double free of %zu bytes harms a neighbour", sizes[i]);
        a->ops->free(a, first);
        a->ops->free(a, second);
        a->ops->free(a, neighbour);
    }
    return NULL;
}

const struct conformance_case object_cases[] = {
    {"table_matches_abilities", 0, table_matches_abilities},
    {"malloc_every_size", WEIR_CAN_SMALL, malloc_every_size},
    {"malloc_stays_inside", WEIR_CAN_SMALL, malloc_stays_inside},
    {"malloc_zero_bytes", WEIR_CAN_SMALL, malloc_zero_bytes},
    {"too_large_is_refused", WEIR_CAN_SMALL, too_large_is_refused},
    {"calloc_overflow_is_refused", WEIR_CAN_SMALL, calloc_overflow_is_refused},
    {"calloc_is_zero", WEIR_CAN_SMALL | WEIR_CAN_FREE, calloc_is_zero},
    {"free_of_null", WEIR_CAN_FREE, free_of_null},
    {"usable_bytes_are_usable", WEIR_CAN_SMALL | WEIR_CAN_SIZE, usable_bytes_are_usable},
    {"memalign_every_power", WEIR_CAN_ALIGN | WEIR_CAN_FREE, memalign_every_power},
    {"memalign_does_not_overlap", WEIR_CAN_ALIGN, memalign_does_not_overlap},
    {"bad_alignment_is_refused", WEIR_CAN_ALIGN, bad_alignment_is_refused},
    {"realloc_keeps_contents", WEIR_CAN_SMALL | WEIR_CAN_RESIZE | WEIR_CAN_FREE, realloc_keeps_contents},
    {"realloc_among_neighbours", WEIR_CAN_SMALL | WEIR_CAN_RESIZE, realloc_among_neighbours},
    {"realloc_that_fails_keeps", WEIR_CAN_SMALL | WEIR_CAN_RESIZE, realloc_that_fails_keeps},
    {"pages_are_frames", WEIR_CAN_PAGES, pages_are_frames},
    {"double_free_is_reported", WEIR_CAN_SMALL | WEIR_CAN_FREE | WEIR_CAN_DETECT, double_free_is_reported},
};
const size_t object_case_count = sizeof object_cases / sizeof *object_cases;
