#include "api/areas.h"

#include <sched.h>
#include <string.h>

#include "api/faces.h"
#include "src/heap/fork.h"

#define AREAS 64u

struct area {
    uintptr_t start, end;
    struct weir_arena *arena;
    struct weir_heap *heap; /* for frees, under the lock */
    atomic_bool locked;
};

static struct area areas[AREAS];
atomic_uint area_count;
static atomic_bool making;

static void lock(atomic_bool *locked)
{
    while (atomic_exchange_explicit(locked, true, memory_order_acquire))
        sched_yield();
}

static void unlock(atomic_bool *locked)
{
    atomic_store_explicit(locked, false, memory_order_release);
}

static void *table_memory(size_t bytes)
{
    struct weir_heap *heap = thread_enter();
    void *memory = weir_heap_aligned(heap, 64, bytes, true);
    thread_leave(heap);
    return memory;
}

/* Frame table, arena and heap. What was made of them before memory ran out is forgotten with the area's memory. */
static bool set_up(struct area *area, bool zero)
{
    size_t frames = (area->end - area->start) >> WEIR_FRAME_SHIFT;
    size_t bytes = weir_frames_metadata_size(area->start, frames);
    void *metadata = bytes ? table_memory(bytes) : NULL;
    if (!metadata)
        return false;
    const struct weir_platform *platform = process_arena()->config.platform;
    struct weir_frames *table = weir_frames_init(&(struct weir_frames_config){
        .base = area->start, .frames = frames, .metadata = metadata, .platform = platform});
    if (table && weir_frames_add(table, area->start, frames, zero ? WEIR_REGION_ZERO : WEIR_REGION_BACKED) == WEIR_OK)
        area->arena = weir_arena_create(&(struct weir_arena_config){.frames = table, .platform = platform});
    area->heap = area->arena ? weir_heap_acquire(area->arena) : NULL;
    if (!area->heap)
        face_free(metadata, NULL, "area_make");
    return area->heap != NULL;
}

struct area *area_make(void *start, size_t size, bool zero)
{
    uintptr_t end;
    if (!start || __builtin_add_overflow((uintptr_t)start, size, &end))
        return NULL;
    struct area *made = NULL;
    lock(&making);
    unsigned count = atomic_load(&area_count);
    if (count < AREAS) {
        areas[count] = (struct area){.start = round_up((uintptr_t)start, WEIR_FRAME_SIZE),
                                     .end = round_down(end, WEIR_FRAME_SIZE)};
        if (areas[count].start < areas[count].end && set_up(&areas[count], zero)) {
            made = &areas[count];
            atomic_store_explicit(&area_count, count + 1, memory_order_release);
        }
    }
    unlock(&making);
    return made;
}

struct area *area_number(unsigned number)
{
    return number < atomic_load_explicit(&area_count, memory_order_acquire) ? &areas[number] : NULL;
}

struct area *area_of(const void *address)
{
    struct area *area;
    for (unsigned i = 0; (area = area_number(i)) != NULL; i++)
        if ((uintptr_t)address - area->start < area->end - area->start)
            return area;
    return NULL;
}

struct weir_arena *area_arena(const struct area *area)
{
    return area->arena;
}

uintptr_t area_start(const struct area *area)
{
    return area->start;
}

size_t area_size(const struct area *area)
{
    return area->end - area->start;
}

bool area_free(void *object)
{
    struct area *area = area_of(object);
    if (!area)
        return false;
    lock(&area->locked);
    weir_heap_free(area->heap, object);
    heap_send_batches(area->heap);
    unlock(&area->locked);
    return true;
}

atomic_bool heaps_made;

bool heaps_free(void *object)
{
    return heap_free_in_turn(process_arena(), object) || (areas_exist() && area_free(object));
}

void *area_realloc(void *object, size_t size)
{
    size_t room = weir_arena_usable_size(arena_of(object), object);
    if (size <= room && size >= room / 2)
        return object;
    void *moved = face_malloc(size);
    if (moved) {
        memcpy(moved, object, size < room ? size : room);
        area_free(object);
    }
    return moved;
}

void areas_lock_all(void)
{
    lock(&making);
    for (unsigned i = 0; i < atomic_load(&area_count); i++) {
        lock(&areas[i].locked);
        arena_lock_all(areas[i].arena);
    }
}

void areas_unlock_all(void)
{
    for (unsigned i = 0; i < atomic_load(&area_count); i++) {
        arena_unlock_all(areas[i].arena);
        unlock(&areas[i].locked);
    }
    unlock(&making);
}
