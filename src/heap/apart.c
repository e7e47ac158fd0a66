/*
 * Objects that the run map cannot describe: the large ones of apart heaps, and those at odd offsets.
 *
 * Two kinds of whole frames need more than a length at a frame number. A large object of an apart heap must be found
 * when that heap is discarded. And an object whose address plus an offset shall be aligned does not start where its
 * frames do. Each has a record, found by the object's address in a hash table that belongs to the arena; the run map
 * knows nothing of them, so that ordinary large objects pay nothing, and the pointer of either kind reaches this file
 * where it would otherwise be reported.
 *
 *     arena->apart.buckets[hash(object)] ──► record ──chain──► record
 *     heap->large ──► record ──next──► record ──► …        of an apart heap only
 *
 *     (1)  a record is in exactly one bucket, and in heap->large of its heap if that is not null
 *     (2)  start <= object < start + frames * 4096, and no two records overlap
 *     (3)  apart.frames = the sum of frames over all records, charged to the arena
 *
 * All of it is under the arena's lock. These objects are rare or large: a lock and a hash are nothing beside the
 * frames.
 */
#include "src/heap/heap.h"

struct apart {
    uintptr_t object, start;
    size_t frames;
    struct weir_heap *heap; /* apart, or null */
    struct apart *chain;    /* in its bucket; among the unused */
    struct apart *next, *previous;
};

struct apart_chunk {
    struct apart_chunk *next;
};

#define CHUNK_RECORDS    ((WEIR_FRAME_SIZE - sizeof(struct apart_chunk)) / sizeof(struct apart))
#define BUCKETS_OF_FRAME (WEIR_FRAME_SIZE / sizeof(struct apart *))

static void table_lock(struct weir_arena *arena)
{
    lock_take(&arena->lock, arena->config.platform);
}

static void table_unlock(struct weir_arena *arena)
{
    lock_drop(&arena->lock);
}

static struct apart **bucket_of(const struct apart_table *table, uintptr_t object)
{
    return &table->buckets[(object >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (table->bucket_count - 1)];
}

/* The link that leads to the record of `object`; null if it has none. The caller holds the lock. */
static struct apart **find(const struct weir_arena *arena, uintptr_t object)
{
    const struct apart_table *table = &arena->apart;
    if (table->count == 0)
        return NULL;
    struct apart **link = bucket_of(table, object);
    while (*link && (*link)->object != object)
        link = &(*link)->chain;
    return *link ? link : NULL;
}

/* Keeps the chains short. Without memory they grow. False if there is no table at all. */
static bool make_buckets(struct weir_arena *arena)
{
    struct apart_table *table = &arena->apart;
    struct apart_table old = *table;
    if (old.count < old.bucket_count)
        return true;
    size_t frames = old.bucket_count ? old.bucket_count / BUCKETS_OF_FRAME * 2 : 1;
    struct apart **buckets = arena_metadata_frames(arena, frames);
    if (!buckets)
        return old.bucket_count != 0;
    table->buckets = buckets;
    table->bucket_count = frames * BUCKETS_OF_FRAME;
    for (size_t i = 0; i < old.bucket_count; i++)
        for (struct apart *record = old.buckets[i], *next; record; record = next) {
            struct apart **bucket = bucket_of(table, record->object);
            next = record->chain;
            record->chain = *bucket;
            *bucket = record;
        }
    if (old.buckets)
        arena_give_metadata(arena, old.buckets, old.bucket_count / BUCKETS_OF_FRAME);
    return true;
}

static struct apart *take_record(struct weir_arena *arena)
{
    struct apart_table *table = &arena->apart;
    if (!table->unused) {
        struct apart_chunk *chunk = arena_metadata(arena);
        if (!chunk)
            return NULL;
        chunk->next = table->chunks;
        table->chunks = chunk;
        struct apart *records = (struct apart *)(chunk + 1);
        for (size_t i = 0; i < CHUNK_RECORDS; i++) {
            records[i].chain = table->unused;
            table->unused = &records[i];
        }
    }
    struct apart *record = table->unused;
    table->unused = record->chain;
    return record;
}

static void own(struct weir_heap *heap, struct apart *record)
{
    record->heap = heap;
    record->previous = NULL;
    record->next = heap ? heap->large : NULL;
    if (record->next)
        record->next->previous = record;
    if (heap)
        heap->large = record;
}

static void disown(struct apart *record)
{
    if (record->next)
        record->next->previous = record->previous;
    if (record->previous)
        record->previous->next = record->next;
    else if (record->heap)
        record->heap->large = record->next;
}

static bool enter(struct weir_heap *heap, uintptr_t object, uintptr_t start, size_t frames)
{
    struct weir_arena *arena = heap->arena;
    table_lock(arena);
    struct apart *record = make_buckets(arena) ? take_record(arena) : NULL;
    if (record) {
        struct apart **bucket = bucket_of(&arena->apart, object);
        record->object = object;
        record->start = start;
        record->frames = frames;
        record->chain = *bucket;
        *bucket = record;
        own(heap->apart ? heap : NULL, record);
        arena->apart.count++;
        arena->apart.frames += frames;
    }
    table_unlock(arena);
    return record != NULL;
}

/* Takes the record at the end of `link` out; what it was is returned. The caller holds the lock. */
static struct weir_range leave(struct weir_arena *arena, struct apart **link)
{
    struct apart *record = *link;
    const struct weir_range range = {.start = record->start, .frames = record->frames};
    *link = record->chain;
    disown(record);
    record->chain = arena->apart.unused;
    arena->apart.unused = record;
    arena->apart.count--;
    arena->apart.frames -= range.frames;
    return range;
}

static void give_back(struct weir_arena *arena, uintptr_t start, size_t frames)
{
    weir_frames_free(arena->config.frames, start, frames);
    arena_refund(arena, frames);
}

static void count_freed(struct weir_arena *arena, size_t frames)
{
    atomic_fetch_sub_explicit(&arena->runs, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&arena->run_frames, frames, memory_order_relaxed);
}

/* `frames` charged and allocated, 0 without memory. */
static uintptr_t take_frames(struct weir_heap *heap, size_t frames, size_t align, bool *zero)
{
    struct weir_arena *arena = heap->arena;
    for (unsigned rung = 0;;) {
        uintptr_t start = 0;
        if (arena_charge(arena, frames)) {
            start = weir_frames_alloc(arena->config.frames, frames, align, 0, zero);
            if (start)
                return start;
            arena_uncharge(arena, frames);
        }
        if (!heap_climb(heap, &rung, (frames + align - 1) << WEIR_FRAME_SHIFT))
            return 0;
    }
}

void *apart_malloc(struct weir_heap *heap, size_t size, size_t alignment, size_t offset, bool zero)
{
    struct weir_arena *arena = heap->arena;
    if (!arena || size > PTRDIFF_MAX)
        return NULL;
    size_t lead = -offset & (alignment - 1);
    size_t align = alignment > WEIR_FRAME_SIZE ? alignment >> WEIR_FRAME_SHIFT : 1;
    size_t bytes = lead + (size ? size : 1);
    size_t frames = run_frames_for(bytes);
    if (bytes < lead || frames > arena->map->count || align > arena->map->count) {
        heap->failed++;
        return NULL;
    }
    heap_wake(heap);
    heap_event(heap);
    bool known_zero = false;
    uintptr_t start = take_frames(heap, frames, align, &known_zero);
    if (start && lead >= WEIR_FRAME_SIZE) {
        size_t unused = lead >> WEIR_FRAME_SHIFT;
        give_back(arena, start, unused);
        start += unused << WEIR_FRAME_SHIFT;
        frames -= unused;
    }
    uintptr_t object = start + lead % WEIR_FRAME_SIZE;
    if (start && !enter(heap, object, start, frames)) {
        give_back(arena, start, frames);
        start = 0;
    }
    if (!start) {
        heap->failed++;
        return NULL;
    }
    if (zero && !known_zero)
        __builtin_memset((void *)start, 0, frames << WEIR_FRAME_SHIFT);
    heap->run_mallocs++;
    atomic_fetch_add_explicit(&arena->runs, 1, memory_order_relaxed);
    arena_count_runs(arena, frames);
    return (void *)object;
}

bool apart_free(struct weir_heap *heap, uintptr_t address)
{
    struct weir_arena *arena = heap->arena;
    struct weir_range range = {0};
    table_lock(arena);
    struct apart **link = find(arena, address);
    if (link)
        range = leave(arena, link);
    table_unlock(arena);
    if (range.frames == 0)
        return false;
    give_back(arena, range.start, range.frames);
    count_freed(arena, range.frames);
    heap->run_frees++;
    return true;
}

bool apart_resize(struct weir_heap *heap, uintptr_t address, size_t frames)
{
    struct weir_arena *arena = heap->arena;
    table_lock(arena);
    struct apart **link = find(arena, address);
    struct weir_range old = link ? (struct weir_range){(*link)->start, (*link)->frames} : (struct weir_range){0};
    size_t wanted = frames + (address != old.start);
    bool zero;
    if (link && wanted > old.frames) {
        if (wanted > arena->map->count || !arena_charge(arena, wanted - old.frames)) {
            link = NULL;
        } else if (!weir_frames_grow(arena->config.frames, old.start, old.frames, wanted, &zero)) {
            arena_uncharge(arena, wanted - old.frames);
            link = NULL;
        }
    }
    if (link) {
        (*link)->frames = wanted;
        arena->apart.frames += wanted - old.frames;
    }
    table_unlock(arena);
    if (!link)
        return false;
    if (wanted < old.frames) {
        give_back(arena, old.start + (wanted << WEIR_FRAME_SHIFT), old.frames - wanted);
        atomic_fetch_sub_explicit(&arena->run_frames, old.frames - wanted, memory_order_relaxed);
    } else {
        arena_count_runs(arena, wanted - old.frames);
    }
    return true;
}

/* The record's copy, all zero if `address` has none. */
static struct apart look(const struct weir_arena *arena, uintptr_t address)
{
    /* Whoever asks about a pointer does not change the arena; the lock in it is another matter. */
    struct weir_arena *locked = (struct weir_arena *)arena;
    struct apart copy = {0};
    table_lock(locked);
    struct apart **link = find(arena, address);
    if (link)
        copy = **link;
    table_unlock(locked);
    return copy;
}

size_t apart_size(const struct weir_arena *arena, uintptr_t address)
{
    const struct apart record = look(arena, address);
    return record.frames ? record.start + (record.frames << WEIR_FRAME_SHIFT) - address : 0;
}

struct weir_heap *apart_heap(const struct weir_arena *arena, uintptr_t address)
{
    return look(arena, address).heap;
}

void apart_join(struct weir_heap *heap)
{
    table_lock(heap->arena);
    for (struct apart *record = heap->large, *next; record; record = next) {
        next = record->next;
        own(NULL, record);
    }
    heap->large = NULL;
    table_unlock(heap->arena);
}

void apart_discard(struct weir_heap *heap)
{
    struct weir_arena *arena = heap->arena;
    for (;;) {
        table_lock(arena);
        const struct apart *record = heap->large;
        uintptr_t object = record ? record->object : 0;
        table_unlock(arena);
        if (!object)
            return;
        apart_free(heap, object);
    }
}

/* The heap's large object with the lowest address above `after`; all zero if there is none. Found anew for every step,
 * so that the visitor may free what it sees. */
static struct apart lowest_above(struct weir_heap *heap, uintptr_t after)
{
    struct apart lowest = {.object = UINTPTR_MAX};
    table_lock(heap->arena);
    for (const struct apart *record = heap->large; record; record = record->next)
        if (record->object > after && record->object < lowest.object)
            lowest = *record;
    table_unlock(heap->arena);
    return lowest.frames ? lowest : (struct apart){0};
}

bool apart_walk_heap(struct weir_heap *heap, apart_visitor *visit, void *context)
{
    struct apart record = {0};
    while ((record = lowest_above(heap, record.object)).frames)
        if (!visit(context, record.start, record.frames, record.object))
            return false;
    return true;
}

bool apart_walk(const struct weir_arena *arena, apart_visitor *visit, void *context)
{
    for (size_t i = 0; i < arena->apart.bucket_count; i++)
        for (const struct apart *record = arena->apart.buckets[i], *next; record; record = next) {
            next = record->chain;
            if (!visit(context, record->start, record->frames, record->object))
                return false;
        }
    return true;
}

static bool destroy(void *context, uintptr_t start, size_t frames, uintptr_t object)
{
    (void)object;
    give_back(context, start, frames);
    return true;
}

void apart_destroy(struct weir_arena *arena)
{
    struct apart_table *table = &arena->apart;
    apart_walk(arena, destroy, arena);
    for (struct apart_chunk *chunk = table->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        arena_give_metadata(arena, chunk, 1);
    }
    if (table->buckets)
        arena_give_metadata(arena, table->buckets, table->bucket_count / BUCKETS_OF_FRAME);
    *table = (struct apart_table){0};
}
