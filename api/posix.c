/*
 * POSIX, BSD and GNU: posix_memalign, reallocarray, memalign, valloc, pvalloc, malloc_usable_size, malloc_trim.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "api/areas.h"
#include "api/faces.h"
#include "api/platform.h"

FACE int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    int error = errno;
    void *allocated = face_aligned(alignment, size);
    errno = error;
    if (!allocated)
        return ENOMEM;
    *memptr = allocated;
    return 0;
}

FACE void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(nmemb, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(ptr, bytes);
}

FACE void *memalign(size_t alignment, size_t size)
{
    return aligned_alloc(alignment, size);
}

FACE void *valloc(size_t size)
{
    return aligned_alloc(WEIR_FRAME_SIZE, size);
}

FACE void *pvalloc(size_t size)
{
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return aligned_alloc(WEIR_FRAME_SIZE, round_up(size, WEIR_FRAME_SIZE));
}

FACE size_t malloc_usable_size(void *ptr)
{
    struct weir_arena *arena = arena_of(ptr);
    return ptr && arena ? weir_arena_usable_size(arena, ptr) : 0;
}

FACE int malloc_trim(size_t pad)
{
    struct weir_arena *arena = process_arena();
    if (!arena)
        return 0;
    int error = errno;
    struct weir_heap *heap = thread_enter();
    weir_arena_trim(arena, heap, pad);
    thread_leave(heap);
    bool given = platform_give_back(pad);
    errno = error;
    return given;
}
