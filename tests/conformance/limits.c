/* Fixed cases: what becomes of memory as a whole: its end, its way back, its count. */
#include "src/base/bits.h"
#include "tests/conformance/conformance.h"
#include "tests/conformance/stamp.h"

/* Objects that are chained through their first word, so that any number of them needs no table. */
struct chained {
    struct chained *next;
    uint64_t stamp;
};

static uint64_t chained_stamp(const struct chained *object, size_t size)
{
    return stamp_mix((uintptr_t)object) ^ size;
}

static struct chained *take(struct weir_allocator *a, size_t size, struct chained *chain)
{
    struct chained *object = a->ops->malloc(a, size);
    if (object != NULL) {
        object->next = chain;
        object->stamp = chained_stamp(object, size);
        ((unsigned char *)object)[size - 1] = (unsigned char)object->stamp;
    }
    return object;
}

/* Takes objects until there are none. Returns how many. */
static size_t fill(struct weir_allocator *a, size_t size, struct chained **chain)
{
    size_t n = 0;
    for (struct chained *object; (object = take(a, size, *chain)) != NULL; n++)
        *chain = object;
    return n;
}

/* Verifies and frees them all; false if one was overwritten. */
static bool drain(struct weir_allocator *a, size_t size, struct chained *chain)
{
    bool good = true;
    while (chain != NULL && good) {
        struct chained *next = chain->next;
        uint64_t stamp = chained_stamp(chain, size);
        good = ((unsigned char *)chain)[size - 1] == (unsigned char)stamp && (size < 24 || chain->stamp == stamp);
        if (a->ops->free != NULL)
            a->ops->free(a, chain);
        chain = next;
    }
    return good;
}

static const size_t fill_sizes[] = {64, 250, 1000, 4096, 10000, 70000, 400000};
enum {
    FILL_SIZES = sizeof fill_sizes / sizeof *fill_sizes
};

/* --- the end of memory --- */

static problem exhaustion_is_an_answer(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    for (unsigned i = 0; i < FILL_SIZES; i++) {
        size_t size = fill_sizes[i];
        struct chained *chain = NULL;
        size_t n = fill(a, size, &chain);
        if (n < subject->memory.bytes / 4 / (size < WEIR_FRAME_SIZE ? WEIR_FRAME_SIZE : size))
            return fault(subject, "only %zu objects of %zu bytes fit", n, size);
        if (a->ops->calloc(a, size, 8) != NULL)
            return fault(subject, "memory ends at objects of %zu bytes, not at eight times as much", size);
        const char *what = "";
        if (a->ops->check(a, &what) != WEIR_OK)
            return fault(subject, "when memory has run out: %s", what);
        if (a->ops->free == NULL)
            return drain(a, size, chain) ? NULL : "an object was overwritten";
        struct chained *rest = chain->next;
        a->ops->free(a, chain);
        chain = take(a, size, rest);
        if (chain == NULL)
            return fault(subject, "memory has run out; one of %zu bytes is freed, and cannot be had again", size);
        if (!drain(a, size, chain))
            return fault(subject, "when memory ran out, an object of %zu bytes was overwritten", size);
        if (a->ops->check(a, &what) != WEIR_OK)
            return fault(subject, "after memory had run out: %s", what);
    }
    if (atomic_load(&conformance_errors) != 0)
        return "running out of memory is reported as misuse";
    return NULL;
}

/* Fill, free, fill: what fits once fits again, ten times. How large objects meet the ends of regions and of blocks may
 * change with the order of the free lists: they may miss a sixteenth, small ones a sixty-fourth, but no more each
 * time. */
static problem memory_comes_back(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    for (unsigned i = 0; i < FILL_SIZES; i++) {
        size_t size = fill_sizes[i], first = 0;
        for (unsigned round = 0; round < 10; round++) {
            struct chained *chain = NULL;
            size_t n = fill(a, size, &chain);
            if (!drain(a, size, chain))
                return fault(subject, "an object of %zu bytes was overwritten", size);
            if (round == 0)
                first = n;
            if (n < first - first / (size <= WEIR_FRAME_SIZE ? 64 : 16))
                return fault(subject, "round %u fits %zu objects of %zu bytes, the first %zu", round, n, size, first);
        }
    }
    return NULL;
}

/* What was split for small objects serves large ones again, and the other way round. */
static problem sizes_take_turns(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    size_t first[FILL_SIZES];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned k = 0; k < FILL_SIZES; k++) {
            unsigned i = k * 5 % FILL_SIZES;
            struct chained *chain = NULL;
            size_t n = fill(a, fill_sizes[i], &chain);
            if (round == 0)
                first[i] = n;
            if (n + 1 < first[i] - first[i] / 16)
                return fault(subject, "after other sizes %zu objects of %zu bytes fit, at first %zu", n, fill_sizes[i],
                             first[i]);
            drain(a, fill_sizes[i], chain);
        }
    }
    return NULL;
}

/* Every second object freed, each hole serves again. */
static problem holes_are_filled(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    const size_t size = 1024;
    struct chained *all = NULL, *kept = NULL, *freed = NULL;
    size_t n = fill(a, size, &all), holes = 0, refilled;
    for (struct chained *next; all != NULL; all = next) {
        next = all->next;
        if (++holes % 2) {
            all->next = kept;
            kept = all;
        } else {
            a->ops->free(a, all);
        }
    }
    refilled = fill(a, size, &freed);
    if (refilled < n / 2)
        return fault(subject, "%zu holes of %zu bytes serve only %zu objects", n / 2, size, refilled);
    if (!drain(a, size, kept) || !drain(a, size, freed))
        return "an object was overwritten";
    return NULL;
}

/* --- counts --- */

static problem maxalloc_is_honest(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    void *pieces[64];
    for (unsigned round = 0; round < 64; round++) {
        size_t largest = a->ops->maxalloc(a);
        if (round == 0 && largest < subject->memory.bytes / 4)
            return fault(subject, "of %zu fresh bytes maxalloc offers only %zu", subject->memory.bytes, largest);
        if (largest > 0) {
            void *object = a->ops->malloc(a, largest);
            if (object == NULL)
                return fault(subject, "malloc(maxalloc()), %zu bytes, gives nothing", largest);
            stamp_write(object, largest, round);
            if (!stamp_holds(object, largest, largest, round))
                return "the largest object cannot be written";
            a->ops->free(a, object);
        }
        if (a->ops->palloc != NULL) {
            size_t pages = a->ops->pmaxalloc(a);
            void *run = pages ? a->ops->palloc(a, pages) : NULL;
            if (pages && run == NULL)
                return fault(subject, "palloc(pmaxalloc()), %zu frames, gives nothing", pages);
            if (pages)
                a->ops->pfree(a, run, pages);
        }
        /* Break the memory up further, with a piece that stays. */
        pieces[round] = a->ops->malloc(a, 1 + stamp_mix(round) % (subject->memory.bytes / 128));
        if (pieces[round] != NULL && round % 3 == 2) {
            a->ops->free(a, pieces[round - 1]);
            pieces[round - 1] = NULL;
        }
    }
    for (unsigned round = 0; round < 64; round++)
        a->ops->free(a, pieces[round]);
    return NULL;
}

static problem availmem_follows(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    size_t bytes = subject->memory.bytes, before = a->ops->availmem(a), piece = bytes / 8;
    if (before > bytes || before < bytes / 2)
        return fault(subject, "availmem is %zu of %zu fresh bytes", before, bytes);
    if (a->ops->pavailmem(a) * WEIR_FRAME_SIZE > bytes)
        return "pavailmem is more than the memory";
    if (a->ops->maxalloc(a) > before)
        return "maxalloc is more than availmem";
    void *object = a->ops->malloc(a, piece);
    if (object == NULL)
        return "an eighth of the memory cannot be had";
    size_t during = a->ops->availmem(a);
    if (during > before - piece)
        return fault(subject, "availmem was %zu; with %zu bytes taken it is %zu", before, piece, during);
    if (during < before - piece - bytes / 16)
        return fault(subject, "an object of %zu bytes takes %zu from availmem", piece, before - during);
    a->ops->free(a, object);
    size_t after = a->ops->availmem(a);
    if (after > bytes || after < before - bytes / 16)
        return fault(subject, "availmem was %zu; with everything freed it is %zu", before, after);
    return NULL;
}

static problem stats_add_up(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    enum {
        OBJECTS = 500
    };
    void *objects[OBJECTS];
    size_t asked[OBJECTS], requested = 0, most = 0, live = 0;
    struct weir_allocator_stats at_start, now;
    a->ops->stats(a, &at_start);
    for (unsigned step = 0; step < 3 * OBJECTS; step++) {
        unsigned i = step % OBJECTS;
        if (step >= OBJECTS && step < 2 * OBJECTS && i % 3 == 0 && a->ops->free != NULL) {
            a->ops->free(a, objects[i]);
            objects[i] = NULL;
            requested -= asked[i];
            live--;
        } else if (step < OBJECTS || objects[i] == NULL) {
            asked[i] = 1 + stamp_mix(step) % (i % 10 == 0 ? 20000 : 300);
            objects[i] = a->ops->malloc(a, asked[i]);
            if (objects[i] == NULL)
                return fault(subject, "malloc(%zu) gives nothing", asked[i]);
            requested += asked[i];
            live++;
        }
        if (requested > most)
            most = requested;
        if (step % 100 != 99)
            continue;
        a->ops->stats(a, &now);
        if (now.mallocs - now.frees - (at_start.mallocs - at_start.frees) != live)
            return fault(subject, "%zu objects live, but mallocs - frees is %lld", live,
                         (long long)(now.mallocs - now.frees - (at_start.mallocs - at_start.frees)));
        if (now.live < requested || now.held < now.live)
            return fault(subject, "requested %zu, live %zu, held %zu: each should be at least the one before",
                         requested, now.live, now.held);
        if (now.held > subject->memory.bytes)
            return fault(subject, "%zu bytes are held of %zu", now.held, subject->memory.bytes);
        if (now.peak_live < most || now.peak_live < now.live || now.peak_held < now.held)
            return fault(subject, "peaks (live %zu, held %zu) lie below what was", now.peak_live, now.peak_held);
    }
    uint64_t failed = now.failed;
    if (a->ops->malloc(a, subject->memory.bytes - subject->memory.bytes / 16) != NULL)
        return "more than all memory can be had";
    a->ops->stats(a, &now);
    if (now.failed <= failed)
        return "a refusal is not counted";
    for (unsigned i = 0; i < OBJECTS && a->ops->free != NULL; i++)
        a->ops->free(a, objects[i]);
    return NULL;
}

/* --- the walk --- */

enum {
    WALKED = 700
};

struct walked {
    uintptr_t start[WALKED];
    size_t asked[WALKED];
    unsigned seen[WALKED];
    bool live[WALKED];
    size_t count, strangers;
    bool too_small;
};

static bool visit(void *context, const struct weir_object *object)
{
    struct walked *walked = context;
    if (!object->live)
        return true;
    for (size_t i = 0; i < walked->count; i++) {
        if (walked->start[i] != object->start || !walked->live[i])
            continue;
        walked->seen[i]++;
        walked->too_small |= object->size < walked->asked[i];
        return true;
    }
    walked->strangers++;
    return true;
}

static bool stop_at_once(void *context, const struct weir_object *object)
{
    (void)object;
    return ++*(unsigned *)context > 100000;
}

static problem walk_sees_each_once(struct subject *subject)
{
    static struct walked walked;
    struct weir_allocator *a = &subject->allocator;
    memset(&walked, 0, sizeof walked);
    walked.count = WALKED;
    for (unsigned i = 0; i < WALKED; i++) {
        walked.asked[i] = i % 50 == 0 ? 20000 + stamp_mix(i) % 100000 : stamp_mix(i) % 700;
        walked.start[i] = (uintptr_t)a->ops->malloc(a, walked.asked[i]);
        walked.live[i] = walked.start[i] != 0;
        if (!walked.live[i])
            return fault(subject, "malloc(%zu) gives nothing", walked.asked[i]);
    }
    for (unsigned i = 0; i < WALKED && a->ops->free != NULL; i++) {
        if (stamp_mix(i + 1) % 3 == 0) {
            a->ops->free(a, (void *)walked.start[i]);
            walked.live[i] = false;
        }
    }
    a->ops->walk(a, visit, &walked);
    for (unsigned i = 0; i < WALKED; i++)
        if (walked.seen[i] != walked.live[i])
            return fault(subject, "a live object of %zu bytes is visited %u times", walked.asked[i], walked.seen[i]);
    if (walked.strangers != 0)
        return fault(subject, "%zu live objects are visited that nobody allocated", walked.strangers);
    if (walked.too_small)
        return "an object is visited with less than its size";
    unsigned visits = 0;
    a->ops->walk(a, stop_at_once, &visits);
    if (visits != 1)
        return fault(subject, "a walk that is told to stop visits %u objects", visits);
    for (unsigned i = 0; i < WALKED && a->ops->free != NULL; i++)
        if (walked.live[i])
            a->ops->free(a, (void *)walked.start[i]);
    return NULL;
}

/* --- growth --- */

static problem memory_is_added(struct subject *subject)
{
    struct weir_allocator *a = &subject->allocator;
    const size_t size = 8192;
    if (subject->spare_bytes == 0)
        return "the allocator declares that it grows, but its maker holds no memory back";
    struct chained *chain = NULL;
    size_t before = fill(a, size, &chain), added = 0;
    if (a->ops->addmem(a, (void *)subject->spare, subject->spare_bytes) != WEIR_OK)
        return "memory cannot be added when all else is taken";
    struct chained *more = NULL;
    added = fill(a, size, &more);
    if (added < subject->spare_bytes / size * 3 / 4)
        return fault(subject, "%zu bytes were added, and only %zu objects of %zu more fit", subject->spare_bytes, added,
                     size);
    if (a->ops->addmem(a, (void *)subject->spare, subject->spare_bytes) == WEIR_OK)
        return "the same memory can be added twice";
    if (atomic_load(&conformance_errors) != 1)
        return "adding the same memory twice is not reported, once";
    const char *what = "";
    if (a->ops->check(a, &what) != WEIR_OK)
        return fault(subject, "after memory was added twice: %s", what);
    if (!drain(a, size, more) || !drain(a, size, chain))
        return "an object was overwritten";
    if (a->ops->free != NULL) {
        chain = NULL;
        size_t again = fill(a, size, &chain);
        if (again < (before + added) - (before + added) / 64)
            return fault(subject, "%zu objects fitted before and %zu more in added memory; now %zu fit", before, added,
                         again);
        drain(a, size, chain);
    }
    return NULL;
}

const struct conformance_case limit_cases[] = {
    {"exhaustion_is_an_answer", WEIR_CAN_SMALL, exhaustion_is_an_answer},
    {"memory_comes_back", WEIR_CAN_SMALL | WEIR_CAN_FREE, memory_comes_back},
    {"sizes_take_turns", WEIR_CAN_SMALL | WEIR_CAN_FREE, sizes_take_turns},
    {"holes_are_filled", WEIR_CAN_SMALL | WEIR_CAN_FREE, holes_are_filled},
    {"maxalloc_is_honest", WEIR_CAN_SMALL | WEIR_CAN_FREE | WEIR_CAN_COUNT, maxalloc_is_honest},
    {"availmem_follows", WEIR_CAN_SMALL | WEIR_CAN_FREE | WEIR_CAN_COUNT, availmem_follows},
    {"stats_add_up", WEIR_CAN_SMALL, stats_add_up},
    {"walk_sees_each_once", WEIR_CAN_SMALL | WEIR_CAN_WALK, walk_sees_each_once},
    {"memory_is_added", WEIR_CAN_SMALL | WEIR_CAN_GROW, memory_is_added},
};
const size_t limit_case_count = sizeof limit_cases / sizeof *limit_cases;
