/*
 * mimalloc's interface: objects. Each function comes twice, with a heap and without; without, it means the heap from
 * which malloc allocates. mi_malloc, mi_realloc and mi_free are not here: they are malloc, realloc and free by another
 * name (malloc.c), and mi_new is operator new (operators.c).
 */
#include <errno.h>

#include "api/mimalloc.h"

/* --- without a heap --- */

FACE void *mi_zalloc(size_t size)
{
    return object_allocate(NULL, size, plain, true);
}

FACE void *mi_calloc(size_t count, size_t size)
{
    return object_allocate_array(NULL, count, size, plain, true);
}

FACE void *mi_mallocn(size_t count, size_t size)
{
    return object_allocate_array(NULL, count, size, plain, false);
}

FACE void *mi_reallocn(void *p, size_t count, size_t size)
{
    return object_resize_array(NULL, p, count, size, plain, false);
}

FACE void *mi_reallocf(void *p, size_t newsize)
{
    void *resized = object_resize(NULL, p, newsize, plain, false);
    if (!resized)
        object_release(p);
    return resized;
}

FACE void *mi_expand(void *p, size_t newsize)
{
    return p && newsize <= room_of(p) ? p : NULL;
}

FACE void *mi_zalloc_small(size_t size)
{
    return object_allocate(NULL, size, plain, true);
}

FACE size_t mi_usable_size(const void *p)
{
    return room_of(p);
}

FACE size_t mi_good_size(size_t size)
{
    return room_for(size);
}

FACE char *mi_strdup(const char *s)
{
    return object_duplicate(NULL, s, PTRDIFF_MAX);
}

FACE char *mi_strndup(const char *s, size_t n)
{
    return object_duplicate(NULL, s, n);
}

FACE char *mi_realpath(const char *fname, char *resolved_name)
{
    return object_real_path(NULL, fname, resolved_name);
}

FACE void *mi_rezalloc(void *p, size_t newsize)
{
    return object_resize(NULL, p, newsize, plain, true);
}

FACE void *mi_recalloc(void *p, size_t newcount, size_t size)
{
    return object_resize_array(NULL, p, newcount, size, plain, true);
}

FACE void *mi_malloc_aligned(size_t size, size_t alignment)
{
    return object_allocate(NULL, size, at(alignment, 0), false);
}

FACE void *mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset)
{
    return object_allocate(NULL, size, at(alignment, offset), false);
}

FACE void *mi_zalloc_aligned(size_t size, size_t alignment)
{
    return object_allocate(NULL, size, at(alignment, 0), true);
}

FACE void *mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset)
{
    return object_allocate(NULL, size, at(alignment, offset), true);
}

FACE void *mi_calloc_aligned(size_t count, size_t size, size_t alignment)
{
    return object_allocate_array(NULL, count, size, at(alignment, 0), true);
}

FACE void *mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset)
{
    return object_allocate_array(NULL, count, size, at(alignment, offset), true);
}

FACE void *mi_realloc_aligned(void *p, size_t newsize, size_t alignment)
{
    return object_resize(NULL, p, newsize, at(alignment, 0), false);
}

FACE void *mi_realloc_aligned_at(void *p, size_t newsize, size_t alignment, size_t offset)
{
    return object_resize(NULL, p, newsize, at(alignment, offset), false);
}

FACE void *mi_rezalloc_aligned(void *p, size_t newsize, size_t alignment)
{
    return object_resize(NULL, p, newsize, at(alignment, 0), true);
}

FACE void *mi_rezalloc_aligned_at(void *p, size_t newsize, size_t alignment, size_t offset)
{
    return object_resize(NULL, p, newsize, at(alignment, offset), true);
}

FACE void *mi_recalloc_aligned(void *p, size_t newcount, size_t size, size_t alignment)
{
    return object_resize_array(NULL, p, newcount, size, at(alignment, 0), true);
}

FACE void *mi_recalloc_aligned_at(void *p, size_t newcount, size_t size, size_t alignment, size_t offset)
{
    return object_resize_array(NULL, p, newcount, size, at(alignment, offset), true);
}

/* --- with a heap --- */

FACE void *mi_heap_malloc(mi_heap_t *heap, size_t size)
{
    struct place place = place_enter(heap);
    void *object = weir_heap_malloc(place.heap, size);
    place_leave(place);
    return likely(object != NULL) ? object : face_refused(ENOMEM);
}

FACE void *mi_heap_zalloc(mi_heap_t *heap, size_t size)
{
    return object_allocate(heap, size, plain, true);
}

FACE void *mi_heap_calloc(mi_heap_t *heap, size_t count, size_t size)
{
    return object_allocate_array(heap, count, size, plain, true);
}

FACE void *mi_heap_mallocn(mi_heap_t *heap, size_t count, size_t size)
{
    return object_allocate_array(heap, count, size, plain, false);
}

FACE void *mi_heap_malloc_small(mi_heap_t *heap, size_t size)
{
    return mi_heap_malloc(heap, size);
}

FACE void *mi_heap_zalloc_small(mi_heap_t *heap, size_t size)
{
    return object_allocate(heap, size, plain, true);
}

FACE void *mi_heap_realloc(mi_heap_t *heap, void *p, size_t newsize)
{
    return object_resize(heap, p, newsize, plain, false);
}

FACE void *mi_heap_reallocn(mi_heap_t *heap, void *p, size_t count, size_t size)
{
    return object_resize_array(heap, p, count, size, plain, false);
}

FACE void *mi_heap_reallocf(mi_heap_t *heap, void *p, size_t newsize)
{
    void *resized = object_resize(heap, p, newsize, plain, false);
    if (!resized)
        object_release(p);
    return resized;
}

FACE void *mi_heap_rezalloc(mi_heap_t *heap, void *p, size_t newsize)
{
    return object_resize(heap, p, newsize, plain, true);
}

FACE void *mi_heap_recalloc(mi_heap_t *heap, void *p, size_t newcount, size_t size)
{
    return object_resize_array(heap, p, newcount, size, plain, true);
}

FACE char *mi_heap_strdup(mi_heap_t *heap, const char *s)
{
    return object_duplicate(heap, s, PTRDIFF_MAX);
}

FACE char *mi_heap_strndup(mi_heap_t *heap, const char *s, size_t n)
{
    return object_duplicate(heap, s, n);
}

FACE char *mi_heap_realpath(mi_heap_t *heap, const char *fname, char *resolved_name)
{
    return object_real_path(heap, fname, resolved_name);
}

FACE void *mi_heap_malloc_aligned(mi_heap_t *heap, size_t size, size_t alignment)
{
    return object_allocate(heap, size, at(alignment, 0), false);
}

FACE void *mi_heap_malloc_aligned_at(mi_heap_t *heap, size_t size, size_t alignment, size_t offset)
{
    return object_allocate(heap, size, at(alignment, offset), false);
}

FACE void *mi_heap_zalloc_aligned(mi_heap_t *heap, size_t size, size_t alignment)
{
    return object_allocate(heap, size, at(alignment, 0), true);
}

FACE void *mi_heap_zalloc_aligned_at(mi_heap_t *heap, size_t size, size_t alignment, size_t offset)
{
    return object_allocate(heap, size, at(alignment, offset), true);
}

FACE void *mi_heap_calloc_aligned(mi_heap_t *heap, size_t count, size_t size, size_t alignment)
{
    return object_allocate_array(heap, count, size, at(alignment, 0), true);
}

FACE void *mi_heap_calloc_aligned_at(mi_heap_t *heap, size_t count, size_t size, size_t alignment, size_t offset)
{
    return object_allocate_array(heap, count, size, at(alignment, offset), true);
}

FACE void *mi_heap_realloc_aligned(mi_heap_t *heap, void *p, size_t newsize, size_t alignment)
{
    return object_resize(heap, p, newsize, at(alignment, 0), false);
}

FACE void *mi_heap_realloc_aligned_at(mi_heap_t *heap, void *p, size_t newsize, size_t alignment, size_t offset)
{
    return object_resize(heap, p, newsize, at(alignment, offset), false);
}

FACE void *mi_heap_rezalloc_aligned(mi_heap_t *heap, void *p, size_t newsize, size_t alignment)
{
    return object_resize(heap, p, newsize, at(alignment, 0), true);
}

FACE void *mi_heap_rezalloc_aligned_at(mi_heap_t *heap, void *p, size_t newsize, size_t alignment, size_t offset)
{
    return object_resize(heap, p, newsize, at(alignment, offset), true);
}

FACE void *mi_heap_recalloc_aligned(mi_heap_t *heap, void *p, size_t newcount, size_t size, size_t alignment)
{
    return object_resize_array(heap, p, newcount, size, at(alignment, 0), true);
}

FACE void *mi_heap_recalloc_aligned_at(mi_heap_t *heap, void *p, size_t newcount, size_t size, size_t alignment,
                                       size_t offset)
{
    return object_resize_array(heap, p, newcount, size, at(alignment, offset), true);
}

FACE void *mi_heap_alloc_new(mi_heap_t *heap, size_t size)
{
    return object_new(heap, size, plain);
}

FACE void *mi_heap_alloc_new_n(mi_heap_t *heap, size_t count, size_t size)
{
    return object_new(heap, product(count, size), plain);
}

FACE void *weir_mi_new_array(mi_heap_t *heap, size_t count, size_t size, size_t alignment)
{
    return object_new(heap, product(count, size), at(alignment, 0));
}

/* --- theaps are heaps --- */

FACE void *mi_theap_malloc(mi_theap_t *theap, size_t size)
{
    return object_allocate((mi_heap_t *)theap, size, plain, false);
}

FACE void *mi_theap_zalloc(mi_theap_t *theap, size_t size)
{
    return object_allocate((mi_heap_t *)theap, size, plain, true);
}

FACE void *mi_theap_calloc(mi_theap_t *theap, size_t count, size_t size)
{
    return object_allocate_array((mi_heap_t *)theap, count, size, plain, true);
}

FACE void *mi_theap_malloc_small(mi_theap_t *theap, size_t size)
{
    return object_allocate((mi_heap_t *)theap, size, plain, false);
}

FACE void *mi_theap_zalloc_small(mi_theap_t *theap, size_t size)
{
    return object_allocate((mi_heap_t *)theap, size, plain, true);
}

FACE void *mi_theap_malloc_aligned(mi_theap_t *theap, size_t size, size_t alignment)
{
    return object_allocate((mi_heap_t *)theap, size, at(alignment, 0), false);
}

FACE void *mi_theap_realloc(mi_theap_t *theap, void *p, size_t newsize)
{
    return object_resize((mi_heap_t *)theap, p, newsize, plain, false);
}
