/*
 * ISO C: malloc, calloc, realloc, free, aligned_alloc, and C23's sized frees.
 *
 * Translation only: the standard's rules for sizes and errors here, everything else in src/heap. free preserves errno,
 * as POSIX.1-2024 asks. realloc(p, 0) gives an object of its own; so do malloc(0) and calloc(0, n).
 * Parameters have the names that the C library's headers give them.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/areas.h"
#include "api/faces.h"

void *face_malloc(size_t size)
{
    struct weir_heap *heap = thread_enter();
    void *object = heap_malloc_slow(heap, size);
    thread_leave(heap);
    if (unlikely(atomic_load_explicit(&face_deferring, memory_order_relaxed)))
        face_deferred();
    return likely(object != NULL) ? object : face_refused(ENOMEM);
}

void *face_aligned(size_t alignment, size_t size)
{
    struct weir_heap *heap = thread_enter();
    void *object = weir_heap_aligned(heap, alignment, size, false);
    thread_leave(heap);
    return object;
}

static SLOW void free_slow(void *object, const char *operation)
{
    if (!object || (heaps_exist() && heaps_free(object)))
        return;
    struct weir_heap *heap = thread_enter();
    heap_free_slow(heap, object, operation);
    thread_leave(heap);
}

void face_free(void *object, struct slab *slab, const char *operation)
{
    if (unlikely(!slab) || unlikely(!thread_push_other(slab, object)))
        free_slow(object, operation);
}

void face_free_sized(void *object, size_t size)
{
    if (!object || (areas_exist() && area_free(object)))
        return;
    struct weir_heap *heap = thread_enter();
    weir_heap_free_sized(heap, object, size);
    thread_leave(heap);
}

static __attribute__((noinline)) void *malloc_above_table(size_t size)
{
    void *object = likely(size <= SMALL_MAX) ? thread_pop(size) : NULL;
    return likely(object != NULL) ? object : face_malloc(size);
}

FAST_FACE void *malloc(size_t size)
{
    if (unlikely(size > TABLED_SIZE_MAX))
        return malloc_above_table(size);
    void *object = thread_pop_tabled(size);
    return likely(object != NULL) ? object : face_malloc(size);
}

FAST_FACE void free(void *ptr)
{
    struct slab *slab;
    if (unlikely(!thread_push(ptr, &slab)))
        face_free(ptr, slab, "free");
}

FAST_FACE void *calloc(size_t nmemb, size_t size)
{
    size_t bytes;
    void *object = NULL;
    if (likely(!__builtin_mul_overflow(nmemb, size, &bytes))) {
        struct weir_heap *heap = thread_enter();
        object = weir_heap_zalloc(heap, bytes);
        thread_leave(heap);
    }
    return likely(object != NULL) ? object : face_refused(ENOMEM);
}

FAST_FACE void *realloc(void *ptr, size_t size)
{
    if (!ptr)
        return malloc(size);
    if (areas_exist() && area_of(ptr))
        return area_realloc(ptr, size);
    struct weir_heap *heap = thread_enter();
    void *resized = weir_heap_realloc(heap, ptr, size);
    thread_leave(heap);
    return likely(resized != NULL) ? resized : face_refused(ENOMEM);
}

FACE void *aligned_alloc(size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    void *object = face_aligned(alignment, size);
    if (!object)
        errno = ENOMEM;
    return object;
}

FACE void free_sized(void *object, size_t size)
{
    free_with_size(object, size);
}

FACE void free_aligned_sized(void *object, size_t alignment, size_t size)
{
    free_with_size(object, aligned_size(alignment, size));
}

/* mimalloc's names for the same functions; an alias must be where its function is. */
#if __has_attribute(copy)
#define COPY(name) , copy(name)
#else
#define COPY(name)
#endif
#define ALSO(name, as, result, parameters)                                                                             \
    FACE result name parameters;                                                                                       \
    FACE result name parameters __attribute__((alias(#as) COPY(as)));

ALSO(mi_malloc, malloc, void *, (size_t size))
ALSO(mi_malloc_small, malloc, void *, (size_t size))
ALSO(mi_realloc, realloc, void *, (void *object, size_t size))
ALSO(mi_free, free, void, (void *object))
ALSO(mi_free_small, free, void, (void *object))
