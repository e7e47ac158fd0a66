/*
 * mimalloc's interface: functions that tell an object's room, the names of other systems, and C++.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "api/mimalloc.h"

/* --- with the room of the object --- */

static void *tell_room(void *object, size_t *room)
{
    if (room)
        *room = room_of(object);
    return object;
}

FACE void *mi_umalloc(size_t size, size_t *block_size)
{
    return tell_room(object_allocate(NULL, size, plain, false), block_size);
}

FACE void *mi_ucalloc(size_t count, size_t size, size_t *block_size)
{
    return tell_room(object_allocate_array(NULL, count, size, plain, true), block_size);
}

FACE void *mi_urealloc(void *p, size_t newsize, size_t *block_size_pre, size_t *block_size_post)
{
    tell_room(p, block_size_pre);
    return tell_room(object_resize(NULL, p, newsize, plain, false), block_size_post);
}

FACE void mi_ufree(void *p, size_t *block_size)
{
    object_release(tell_room(p, block_size));
}

FACE void *mi_umalloc_aligned(size_t size, size_t alignment, size_t *block_size)
{
    return tell_room(object_allocate(NULL, size, at(alignment, 0), false), block_size);
}

FACE void *mi_uzalloc_aligned(size_t size, size_t alignment, size_t *block_size)
{
    return tell_room(object_allocate(NULL, size, at(alignment, 0), true), block_size);
}

FACE void *mi_umalloc_small(size_t size, size_t *block_size)
{
    return mi_umalloc(size, block_size);
}

FACE void *mi_uzalloc_small(size_t size, size_t *block_size)
{
    return tell_room(object_allocate(NULL, size, plain, true), block_size);
}

/* --- the names of other systems --- */

FACE void mi_cfree(void *p)
{
    if (room_of(p))
        object_release(p);
}

FACE void *mi__expand(void *p, size_t newsize)
{
    void *expanded = mi_expand(p, newsize);
    if (!expanded)
        errno = ENOMEM;
    return expanded;
}

FACE size_t mi_malloc_size(const void *p)
{
    return room_of(p);
}

FACE size_t mi_malloc_usable_size(const void *p)
{
    return room_of(p);
}

FACE size_t mi_malloc_good_size(size_t size)
{
    return room_for(size);
}

FACE int mi_posix_memalign(void **p, size_t alignment, size_t size)
{
    if (!p || !is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    int error = errno;
    void *object = object_allocate(NULL, size, at(alignment, 0), false);
    errno = error;
    if (!object)
        return ENOMEM;
    *p = object;
    return 0;
}

FACE int mi__posix_memalign(void **p, size_t alignment, size_t size)
{
    return mi_posix_memalign(p, alignment, size);
}

FACE void *mi_memalign(size_t alignment, size_t size)
{
    return object_allocate(NULL, size, at(alignment, 0), false);
}

FACE void *mi_aligned_alloc(size_t alignment, size_t size)
{
    return object_allocate(NULL, size, at(alignment, 0), false);
}

FACE void *mi_valloc(size_t size)
{
    return object_allocate(NULL, size, at(WEIR_FRAME_SIZE, 0), false);
}

FACE void *mi_pvalloc(size_t size)
{
    return object_allocate(NULL, size <= PTRDIFF_MAX ? round_up(size, WEIR_FRAME_SIZE) : size, at(WEIR_FRAME_SIZE, 0),
                           false);
}

FACE void *mi_reallocarray(void *p, size_t count, size_t size)
{
    return object_resize_array(NULL, p, count, size, plain, false);
}

/* NetBSD's: the pointer is behind `ptrp`, and changes only on success; returns an error, and leaves errno alone. */
FACE int mi_reallocarr(void *ptrp, size_t count, size_t size)
{
    int error = errno;
    void *object;
    if (!ptrp)
        return EINVAL;
    memcpy(&object, ptrp, sizeof object);
    object = object_resize_array(NULL, object, count, size, plain, false);
    int result = object ? 0 : errno;
    if (object)
        memcpy(ptrp, &object, sizeof object);
    errno = error;
    return result;
}

FACE void *mi_aligned_recalloc(void *p, size_t newcount, size_t size, size_t alignment)
{
    return mi_recalloc_aligned(p, newcount, size, alignment);
}

FACE void *mi_aligned_offset_recalloc(void *p, size_t newcount, size_t size, size_t alignment, size_t offset)
{
    return mi_recalloc_aligned_at(p, newcount, size, alignment, offset);
}

/* mimalloc allows any size up to the object's room: nothing to hold it to. */
FACE void mi_free_size(void *p, size_t size)
{
    (void)size;
    object_release(p);
}

FACE void mi_free_size_aligned(void *p, size_t size, size_t alignment)
{
    (void)size, (void)alignment;
    object_release(p);
}

FACE void mi_free_aligned(void *p, size_t alignment)
{
    (void)alignment;
    object_release(p);
}

FACE wchar_t *mi_wcsdup(const wchar_t *s)
{
    return s ? object_copy(NULL, s, wcslen(s) * sizeof *s, sizeof *s) : NULL;
}

FACE unsigned char *mi_mbsdup(const unsigned char *s)
{
    return (unsigned char *)mi_strdup((const char *)s);
}

FACE int mi_dupenv_s(char **buf, size_t *size, const char *name)
{
    if (!buf || !name)
        return EINVAL;
    const char *value = getenv(name);
    *buf = value ? mi_strdup(value) : NULL;
    if (size)
        *size = *buf ? strlen(*buf) + 1 : 0;
    return value && !*buf ? ENOMEM : 0;
}

/* The environment has no wide characters. */
FACE int mi_wdupenv_s(wchar_t **buf, size_t *size, const wchar_t *name)
{
    (void)name;
    if (buf)
        *buf = NULL;
    if (size)
        *size = 0;
    return EINVAL;
}

/* --- C++ --- */

FACE void *mi_new_n(size_t count, size_t size)
{
    return face_new(product(count, size), 1, false);
}

FACE void *mi_new_aligned(size_t size, size_t alignment)
{
    return face_new(size, alignment, false);
}

FACE void *mi_new_nothrow(size_t size)
{
    return face_new(size, 1, true);
}

FACE void *mi_new_aligned_nothrow(size_t size, size_t alignment)
{
    return face_new(size, alignment, true);
}

FACE void *mi_new_realloc(void *p, size_t newsize)
{
    void *resized;
    while (unlikely(!(resized = object_resize(NULL, p, newsize, plain, false))))
        if (!face_new_refused(false))
            break;
    return resized;
}

FACE void *mi_new_reallocn(void *p, size_t newcount, size_t size)
{
    return mi_new_realloc(p, product(newcount, size));
}
