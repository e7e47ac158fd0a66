/*
 * Misuse: what a pointer that cannot be freed really is, and telling so.
 *
 * The frame's word gives the verdict: a pointer into a slab or run that is not at an object's start, a frame that is
 * free (so that what was there has been freed already), or memory that was never this arena's.
 */
#include "src/heap/heap.h"

void misuse(const struct weir_arena *arena, enum weir_status status, uintptr_t address, size_t size,
            const char *operation)
{
    const struct weir_platform *platform = arena->config.platform;
    const struct weir_error error = {.status = status, .operation = operation, .address = address, .size = size};
    platform->error(platform->context, &error);
}

static bool is_free_frame(const struct weir_arena *arena, uintptr_t address)
{
    enum weir_frame_kind kind = weir_frames_kind(arena->config.frames, address);
    return kind == WEIR_FRAME_FREE || kind == WEIR_FRAME_CACHED || kind == WEIR_FRAME_ISOLATED;
}

void misuse_report(const struct weir_arena *arena, uintptr_t address, const char *operation)
{
    struct slab *slab = arena_slab(arena, address);
    enum weir_status status = WEIR_NOT_ALLOCATED;
    size_t size = 0;
    if (slab) {
        size = class_size(slab->class);
        if (slab_marks(slab) & SLAB_EMPTY)
            status = WEIR_DOUBLE_FREE;
        else if ((address - slab->start) % size != 0)
            status = WEIR_NOT_START;
    } else if (run_holds(arena, address)) {
        uintptr_t start = weir_frames_run_start(arena->config.frames, address);
        size = run_length(arena, start) << WEIR_FRAME_SHIFT;
        status = start == address || size == 0 ? WEIR_DOUBLE_FREE : WEIR_NOT_START;
    } else if (is_free_frame(arena, address)) {
        status = WEIR_DOUBLE_FREE;
    }
    misuse(arena, status, address, size, operation);
}
