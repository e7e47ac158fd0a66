/*
 * Blocks in address order cover the memory without gaps. They are described outside of it, so that a flaw spoils what
 * it is meant to spoil and nothing else.
 *
 *   (1) a block ends where the next one starts, but at the end of a region
 *   (2) no two free blocks of one region are neighbours
 *   (3) every block before `first_free` is used
 *   (4) live = the sum of the sizes of all used blocks
 *   (5) at[grain of a block's start] is the block; null for all other grains
 *
 * Each flaw is one condition at the place that it spoils.
 */
#include "tests/conformance/reference.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/bits.h"

enum {
    GRAIN = 16,
    INVALID = 22,
    NO_MEMORY = 12
};

struct block {
    struct block *next, *previous;
    uintptr_t start;
    size_t size;
    bool used;
};

struct reference {
    pthread_mutex_t lock;
    struct block *first, *last, *first_free;
    struct block **at; /* by grain */
    uintptr_t base;
    size_t grains;
    struct weir_allocator_stats stats;
    uintptr_t regions[4][2]; /* start, end */
    unsigned region_count;
    enum flaw flaw;
    unsigned requests;
    bool exhausted;
};

enum flaw reference_flaw;

#define NAME(flaw) [flaw] = #flaw
const char *const flaw_names[FLAWS] = {
    NAME(FLAW_NONE),
    NAME(FLAW_MISALIGNED),
    NAME(FLAW_OVERLAP),
    NAME(FLAW_OUTSIDE),
    NAME(FLAW_ZERO_SHARED),
    NAME(FLAW_CALLOC_DIRTY),
    NAME(FLAW_CALLOC_OVERFLOW),
    NAME(FLAW_HUGE_WRAPS),
    NAME(FLAW_USABLE_TOO_MUCH),
    NAME(FLAW_ALIGN_IGNORED),
    NAME(FLAW_ALIGN_ANY),
    NAME(FLAW_POSIX_WRITES),
    NAME(FLAW_REALLOC_LOSES),
    NAME(FLAW_REALLOC_FREES),
    NAME(FLAW_FREE_LEAKS),
    NAME(FLAW_NO_COALESCING),
    NAME(FLAW_DOUBLE_FREE_QUIET),
    NAME(FLAW_DOUBLE_FREE_HARM),
    NAME(FLAW_PAGES_UNALIGNED),
    NAME(FLAW_PFREE_PART),
    NAME(FLAW_MAXALLOC_OPTIMIST),
    NAME(FLAW_AVAILMEM_CONSTANT),
    NAME(FLAW_ADDMEM_TWICE),
    NAME(FLAW_ADDMEM_FORGET),
    NAME(FLAW_STATS_DRIFT),
    NAME(FLAW_STATS_LIVE),
    NAME(FLAW_PEAK_LOST),
    NAME(FLAW_REFUSAL_UNCOUNTED),
    NAME(FLAW_WALK_TWICE),
    NAME(FLAW_WALK_SKIPS),
    NAME(FLAW_WALK_RUNS_ON),
    NAME(FLAW_REFUSES_GOOD),
    NAME(FLAW_EXHAUSTED_BREAKS),
    NAME(FLAW_ABILITY_MISSING),
    NAME(FLAW_ABILITY_EXTRA),
};

static struct reference *of(struct weir_allocator *a)
{
    return a->instance;
}

/* The block that starts at `object`; null if none does. */
static struct block *block_at(const struct reference *r, const void *object)
{
    size_t grain = ((uintptr_t)object - r->base) / GRAIN;
    return (uintptr_t)object % GRAIN == 0 && grain < r->grains ? r->at[grain] : NULL;
}

static uintptr_t end_of(const struct block *block)
{
    return block->start + block->size;
}

static void report(enum weir_status status, const char *operation, const void *object)
{
    const struct weir_error error = {status, operation, (uintptr_t)object, 0};
    conformance_platform.error(conformance_platform.context, &error);
}

/* --- the list --- */

/* A new free block behind `before`. The test's own memory does not run out. */
static struct block *insert_after(struct reference *r, struct block *before, uintptr_t start, size_t size)
{
    struct block *block = calloc(1, sizeof *block);
    if (block == NULL)
        abort();
    *block = (struct block){.start = start, .size = size, .previous = before};
    block->next = before != NULL ? before->next : r->first;
    *(before != NULL ? &before->next : &r->first) = block;
    *(block->next != NULL ? &block->next->previous : &r->last) = block;
    r->at[(start - r->base) / GRAIN] = block;
    return block;
}

static void forget(struct reference *r, struct block *block)
{
    *(block->previous != NULL ? &block->previous->next : &r->first) = block->next;
    *(block->next != NULL ? &block->next->previous : &r->last) = block->previous;
    r->at[(block->start - r->base) / GRAIN] = NULL;
    free(block);
}

/* Cuts a free block so that it ends at `at`; what lies behind becomes a free block of its own. */
static struct block *split(struct reference *r, struct block *block, uintptr_t at)
{
    size_t rest = end_of(block) - at;
    block->size = at - block->start;
    return insert_after(r, block, at, rest);
}

static void join_with_next(struct reference *r, struct block *block)
{
    struct block *next = block->next;
    if (next == NULL || block->used || next->used || end_of(block) != next->start)
        return;
    if (r->first_free == next)
        r->first_free = block;
    block->size += next->size;
    forget(r, next);
}

/* Where in the free block an object of `size` can start; 0 for nowhere. */
static uintptr_t place(const struct block *block, size_t align, size_t size)
{
    uintptr_t at = round_up(block->start, align);
    return at >= block->start && at <= end_of(block) && end_of(block) - at >= size ? at : 0;
}

static struct block *find(struct reference *r, size_t align, size_t size)
{
    for (struct block *block = r->first_free; block != NULL; block = block->next) {
        uintptr_t at = block->used ? 0 : place(block, align, size);
        if (at == 0)
            continue;
        if (at != block->start)
            block = split(r, block, at);
        if (block->size != size)
            split(r, block, at + size);
        return block;
    }
    return NULL;
}

/* --- taking and giving back, under the lock --- */

static void count_taken(struct reference *r, const struct block *block)
{
    r->stats.live += r->flaw == FLAW_STATS_LIVE ? 1 : block->size;
    r->stats.held += block->size;
    if (r->flaw != FLAW_PEAK_LOST && r->stats.live > r->stats.peak_live)
        r->stats.peak_live = r->stats.live;
    if (r->stats.held > r->stats.peak_held)
        r->stats.peak_held = r->stats.held;
    r->stats.mallocs++;
}

static void *take(struct reference *r, size_t align, size_t size)
{
    struct block *block = NULL;
    size_t rounded = round_up(size > 0 ? size : 1, GRAIN);
    if (r->flaw == FLAW_OVERLAP && size > 1000)
        rounded -= GRAIN;
    bool refuse = r->flaw == FLAW_REFUSES_GOOD && ++r->requests % 101 == 0;
    if ((size <= PTRDIFF_MAX || r->flaw == FLAW_HUGE_WRAPS) && !refuse)
        block = find(r, align > GRAIN ? align : GRAIN, rounded);
    if (block == NULL) {
        r->stats.failed += r->flaw != FLAW_REFUSAL_UNCOUNTED;
        r->exhausted = true;
        return NULL;
    }
    block->used = true;
    while (r->first_free != NULL && r->first_free->used)
        r->first_free = r->first_free->next;
    count_taken(r, block);
    return (void *)block->start;
}

static void give_back(struct reference *r, void *object, const char *operation)
{
    struct block *block = block_at(r, object);
    if (block == NULL || !block->used) {
        if (r->flaw != FLAW_DOUBLE_FREE_QUIET)
            report(WEIR_DOUBLE_FREE, operation, object);
        if (r->flaw == FLAW_DOUBLE_FREE_HARM && block != NULL)
            r->stats.live -= block->size;
        return;
    }
    r->stats.live -= r->flaw == FLAW_STATS_LIVE ? 1 : block->size;
    r->stats.held -= block->size;
    r->stats.frees++;
    if (r->flaw == FLAW_FREE_LEAKS && block->size > 50000)
        return;
    block->used = false;
    if (r->first_free == NULL || block->start < r->first_free->start)
        r->first_free = block;
    if (r->flaw == FLAW_NO_COALESCING)
        return;
    join_with_next(r, block);
    if (block->previous != NULL)
        join_with_next(r, block->previous);
}

/* --- operations --- */

static void *allocate(struct weir_allocator *a, size_t align, size_t size)
{
    static char elsewhere[64 * 1024];
    struct reference *r = of(a);
    pthread_mutex_lock(&r->lock);
    char *object = take(r, align, size);
    if (r->flaw == FLAW_OUTSIDE && size > 3000 && size < sizeof elsewhere)
        object = (char *)round_up((uintptr_t)elsewhere, GRAIN);
    pthread_mutex_unlock(&r->lock);
    return object;
}

static void *reference_malloc(struct weir_allocator *a, size_t size)
{
    static char no_bytes[GRAIN] __attribute__((aligned(16)));
    if (of(a)->flaw == FLAW_ZERO_SHARED && size == 0)
        return no_bytes;
    char *object = allocate(a, GRAIN, size);
    return of(a)->flaw == FLAW_MISALIGNED && size == 24 && object != NULL ? object + 8 : object;
}

static void *reference_calloc(struct weir_allocator *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) && of(a)->flaw != FLAW_CALLOC_OVERFLOW)
        return NULL;
    void *object = reference_malloc(a, bytes);
    if (object != NULL)
        memset(object, 0, of(a)->flaw == FLAW_CALLOC_DIRTY && bytes > 8 ? bytes - 8 : bytes);
    return object;
}

static void reference_free(struct weir_allocator *a, void *object)
{
    struct reference *r = of(a);
    if (object == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    give_back(r, object, "free");
    pthread_mutex_unlock(&r->lock);
}

static void *reference_realloc(struct weir_allocator *a, void *object, size_t size)
{
    struct reference *r = of(a);
    if (object == NULL)
        return reference_malloc(a, size);
    void *moved = reference_malloc(a, size);
    if (moved != NULL) {
        size_t had = block_at(r, object)->size, least = had < size ? had : size;
        memcpy(moved, object, r->flaw == FLAW_REALLOC_LOSES && least > 4096 ? 4096 : least);
    }
    if (moved != NULL || r->flaw == FLAW_REALLOC_FREES)
        reference_free(a, object);
    if (r->flaw == FLAW_STATS_DRIFT && moved != NULL)
        r->stats.frees--;
    return moved;
}

static void *reference_memalign(struct weir_allocator *a, size_t align, size_t size)
{
    if (!is_power_of_two(align) && of(a)->flaw != FLAW_ALIGN_ANY)
        return NULL;
    if (!is_power_of_two(align))
        align = GRAIN;
    if (of(a)->flaw == FLAW_ALIGN_IGNORED && align > WEIR_FRAME_SIZE)
        align = WEIR_FRAME_SIZE;
    return align > PTRDIFF_MAX / 2 ? NULL : allocate(a, align, size);
}

static int reference_posix_memalign(struct weir_allocator *a, void **object, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0)
        return INVALID;
    void *got = reference_memalign(a, align, size);
    if (got != NULL || of(a)->flaw == FLAW_POSIX_WRITES)
        *object = got;
    return got != NULL ? 0 : NO_MEMORY;
}

static size_t reference_usable_size(struct weir_allocator *a, const void *object)
{
    const struct block *block = block_at(of(a), object);
    if (block == NULL)
        return 0;
    return block->size + (of(a)->flaw == FLAW_USABLE_TOO_MUCH);
}

static void *reference_palloc(struct weir_allocator *a, size_t pages)
{
    size_t bytes;
    if (__builtin_mul_overflow(pages, WEIR_FRAME_SIZE, &bytes))
        return NULL;
    return allocate(a, of(a)->flaw == FLAW_PAGES_UNALIGNED ? 2048 : WEIR_FRAME_SIZE, bytes);
}

static void reference_pfree(struct weir_allocator *a, void *start, size_t pages)
{
    if (of(a)->flaw != FLAW_PFREE_PART || pages < 100)
        reference_free(a, start);
}

/* The largest payload that starts at a multiple of `align`, or (if `all`) the sum of all that is free. */
static size_t free_bytes(struct weir_allocator *a, size_t align, bool all)
{
    struct reference *r = of(a);
    size_t largest = 0, sum = 0;
    pthread_mutex_lock(&r->lock);
    for (const struct block *block = r->first_free; block != NULL; block = block->next) {
        uintptr_t at = block->used ? 0 : place(block, align, 0);
        size_t bytes = at != 0 ? round_down(end_of(block) - at, align) : 0;
        if (bytes > largest)
            largest = bytes;
        sum += block->used ? 0 : block->size;
    }
    pthread_mutex_unlock(&r->lock);
    return all ? sum : largest;
}

static size_t reference_maxalloc(struct weir_allocator *a)
{
    return free_bytes(a, GRAIN, of(a)->flaw == FLAW_MAXALLOC_OPTIMIST);
}

static size_t reference_availmem(struct weir_allocator *a)
{
    if (of(a)->flaw == FLAW_AVAILMEM_CONSTANT)
        return of(a)->regions[0][1] - of(a)->regions[0][0];
    return free_bytes(a, GRAIN, true);
}

static size_t reference_pmaxalloc(struct weir_allocator *a)
{
    return free_bytes(a, WEIR_FRAME_SIZE, false) / WEIR_FRAME_SIZE;
}

static size_t reference_pavailmem(struct weir_allocator *a)
{
    return reference_availmem(a) / WEIR_FRAME_SIZE;
}

static enum weir_status reference_addmem(struct weir_allocator *a, void *start, size_t bytes)
{
    struct reference *r = of(a);
    uintptr_t from = (uintptr_t)start, to = from + bytes;
    for (unsigned i = 0; i < r->region_count && r->flaw != FLAW_ADDMEM_TWICE; i++) {
        if (from < r->regions[i][1] && to > r->regions[i][0]) {
            report(WEIR_OVERLAP, "addmem", start);
            return WEIR_OVERLAP;
        }
    }
    if (r->region_count == 4)
        return WEIR_NO_MEMORY;
    pthread_mutex_lock(&r->lock);
    r->regions[r->region_count][0] = from;
    r->regions[r->region_count++][1] = to;
    if (r->flaw != FLAW_ADDMEM_FORGET || r->first == NULL) {
        struct block *block = insert_after(r, r->last, from, bytes);
        if (r->first_free == NULL)
            r->first_free = block;
    }
    pthread_mutex_unlock(&r->lock);
    return WEIR_OK;
}

static void reference_stats(struct weir_allocator *a, struct weir_allocator_stats *stats)
{
    *stats = of(a)->stats;
}

static void reference_walk(struct weir_allocator *a, bool (*visit)(void *context, const struct weir_object *object),
                           void *context)
{
    struct reference *r = of(a);
    for (const struct block *block = r->first; block != NULL; block = block->next) {
        const struct weir_object object = {block->start, block->size, block->used};
        bool last = block->next == NULL || block->next->next == NULL;
        if (r->flaw == FLAW_WALK_SKIPS && last)
            return;
        bool twice = r->flaw == FLAW_WALK_TWICE && block->size > 10000;
        if (!visit(context, &object) && r->flaw != FLAW_WALK_RUNS_ON)
            return;
        if (twice && !visit(context, &object))
            return;
    }
}

static enum weir_status reference_check(struct weir_allocator *a, const char **what)
{
    struct reference *r = of(a);
    size_t live = 0;
    *what = NULL;
    for (const struct block *block = r->first; block != NULL; block = block->next) {
        if (block->next != NULL && block->next->previous != block)
            *what = "the list is broken";
        else if (!block->used && block->next != NULL && !block->next->used && end_of(block) == block->next->start &&
                 r->flaw != FLAW_NO_COALESCING)
            *what = "free neighbours";
        else if (block_at(r, (void *)block->start) != block)
            *what = "a block is not at its grain";
        if (*what != NULL)
            return WEIR_CORRUPTED;
        live += block->used ? block->size : 0;
    }
    if (live != r->stats.live && r->flaw != FLAW_STATS_LIVE && r->flaw != FLAW_FREE_LEAKS)
        *what = "live bytes do not add up";
    if (r->flaw == FLAW_EXHAUSTED_BREAKS && r->exhausted)
        *what = "broken since memory ran out";
    return *what == NULL ? WEIR_OK : WEIR_CORRUPTED;
}

#define ABILITIES                                                                                                      \
    (WEIR_CAN_FREE | WEIR_CAN_RESIZE | WEIR_CAN_ALIGN | WEIR_CAN_SIZE | WEIR_CAN_PAGES | WEIR_CAN_GROW |               \
     WEIR_CAN_COUNT | WEIR_CAN_THREADS | WEIR_CAN_DETECT | WEIR_CAN_WALK | WEIR_CAN_SMALL)

static const struct weir_allocator_ops operations = {
    .name = "reference",
    .abilities = ABILITIES,
    .malloc = reference_malloc,
    .calloc = reference_calloc,
    .realloc = reference_realloc,
    .memalign = reference_memalign,
    .posix_memalign = reference_posix_memalign,
    .free = reference_free,
    .usable_size = reference_usable_size,
    .palloc = reference_palloc,
    .pfree = reference_pfree,
    .maxalloc = reference_maxalloc,
    .availmem = reference_availmem,
    .pmaxalloc = reference_pmaxalloc,
    .pavailmem = reference_pavailmem,
    .addmem = reference_addmem,
    .stats = reference_stats,
    .walk = reference_walk,
    .check = reference_check,
};

/* --- making --- */

static bool make(struct subject *subject)
{
    static struct weir_allocator_ops spoilt;
    struct reference *r = calloc(1, sizeof *r);
    if (r == NULL)
        return false;
    r->base = subject->memory.start;
    r->grains = subject->memory.bytes / GRAIN;
    r->at = calloc(r->grains, sizeof(struct block *));
    if (r->at == NULL) {
        free(r);
        return false;
    }
    pthread_mutex_init(&r->lock, NULL);
    r->flaw = reference_flaw;
    subject->allocator = (struct weir_allocator){.ops = &operations, .instance = r};
    if (r->flaw == FLAW_ABILITY_MISSING || r->flaw == FLAW_ABILITY_EXTRA) {
        spoilt = operations;
        if (r->flaw == FLAW_ABILITY_MISSING)
            spoilt.walk = NULL;
        else
            spoilt.abilities &= ~(unsigned)WEIR_CAN_RESIZE;
        subject->allocator.ops = &spoilt;
    }
    subject->spare_bytes = subject->memory.bytes / 8;
    subject->spare = subject->memory.start + subject->memory.bytes - subject->spare_bytes;
    size_t bytes = subject->memory.bytes - subject->spare_bytes - WEIR_FRAME_SIZE; /* a gap: regions stay apart */
    return reference_addmem(&subject->allocator, (void *)subject->memory.start, bytes) == WEIR_OK;
}

static void unmake(struct subject *subject)
{
    struct reference *r = of(&subject->allocator);
    for (struct block *block = r->first, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    pthread_mutex_destroy(&r->lock);
    free(r->at);
    free(r);
}

const struct maker reference_maker = {.name = "reference", .make = make, .unmake = unmake};
