/*
 * The allocators of the family, and how each is made in a stretch of memory.
 *
 * To join: write a maker, add one line to the table at the end.
 *
 * Layout of the memory under every maker here: [metadata of the frame table][managed frames][spare frames for addmem]
 */
#include <string.h>

#include "src/base/bits.h"
#include "tests/conformance/conformance.h"

enum {
    SPARE_PART = 8 /* of the memory is held back */
};

/* A frame table over the subject's memory; null if it does not fit. */
static struct weir_frames *make_frames(struct subject *subject)
{
    size_t frames = subject->memory.bytes / WEIR_FRAME_SIZE;
    size_t metadata = round_up(weir_frames_metadata_size(subject->memory.start, frames), WEIR_FRAME_SIZE);
    if (metadata == 0 || metadata >= subject->memory.bytes / 2)
        return NULL;
    memset((void *)subject->memory.start, 0, metadata);
    uintptr_t base = subject->memory.start + metadata;
    frames -= metadata / WEIR_FRAME_SIZE;
    struct weir_frames *table = weir_frames_init(&(struct weir_frames_config){
        .base = base,
        .frames = frames,
        .metadata = (void *)subject->memory.start,
        .slots = 4,
        .platform = &conformance_platform,
    });
    if (table == NULL)
        return NULL;
    size_t spare = frames / SPARE_PART;
    subject->spare = base + (frames - spare) * WEIR_FRAME_SIZE;
    subject->spare_bytes = spare * WEIR_FRAME_SIZE;
    unsigned flags = subject->memory.zero ? WEIR_REGION_ZERO : 0;
    return weir_frames_add(table, base, frames - spare, flags) == WEIR_OK ? table : NULL;
}

/* --- frames --- */

static bool frames_make(struct subject *subject)
{
    struct weir_frames *frames = make_frames(subject);
    subject->allocator = (struct weir_allocator){.ops = &weir_frames_allocator, .instance = frames};
    return frames != NULL;
}

/* A frame table needs no undoing. */
static void frames_unmake(struct subject *subject)
{
    subject->allocator.instance = NULL;
}

/* --- weir: the heap --- */

/* The arena under test, and its number: a heap that a thread still has of an earlier one is not asked. */
static struct weir_arena *arena;
static unsigned arena_number;

static _Thread_local struct weir_heap *my_heap;
static _Thread_local unsigned my_number;

static struct weir_heap *find_my_heap(void)
{
    if (my_number != arena_number || my_heap == NULL) {
        my_number = arena_number;
        my_heap = weir_heap_acquire(arena);
    }
    return my_heap;
}

static void heap_leave(struct subject *subject)
{
    (void)subject;
    if (my_number == arena_number && my_heap != NULL)
        weir_heap_release(my_heap);
    my_heap = NULL;
}

/* Objects that one thread frees for another count as live while they are on their way. */
static void heap_settle(struct subject *subject)
{
    (void)subject;
    weir_arena_trim(arena, find_my_heap(), 0);
}

static bool heap_make(struct subject *subject)
{
    struct weir_frames *table = make_frames(subject);
    if (table == NULL)
        return false;
    arena = weir_arena_create(&(struct weir_arena_config){.frames = table, .platform = &conformance_platform});
    arena_number++;
    subject->allocator = (struct weir_allocator){
        .ops = &weir_heap_allocator, .instance = arena, .owner = (void *)(uintptr_t)find_my_heap};
    return arena != NULL && find_my_heap() != NULL; /* now, for what a heap costs is not to be seen by maxalloc */
}

static void heap_unmake(struct subject *subject)
{
    heap_leave(subject);
    weir_arena_destroy(arena);
    subject->allocator.instance = arena = NULL;
}

const struct maker registry[] = {
    {.name = "frames", .frees_parts = true, .make = frames_make, .unmake = frames_unmake},
    {.name = "weir", .make = heap_make, .unmake = heap_unmake, .leave = heap_leave, .settle = heap_settle},
};
const size_t registry_count = sizeof registry / sizeof *registry;
