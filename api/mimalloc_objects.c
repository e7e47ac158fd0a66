/*
 * What the functions of mimalloc's interface have in common: allocating and resizing objects of any heap, aligned
 * anyhow, zeroed or not.
 *
 * Zeroed objects are zero to the end of their room, and what a zeroed object grows by is zeroed, so that mi_rezalloc
 * keeps its promise without knowing how much had been asked for:
 *
 *     (1)  of an object from mi_zalloc, mi_calloc, mi_rezalloc … all bytes behind the size asked for are zero
 *
 * Aligned objects are ordinary ones; those with an odd offset take whole frames (src/heap/apart.c).
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/mimalloc.h"

void *object_allocate(mi_heap_t *heap, size_t size, struct layout layout, bool zero)
{
    if (unlikely(!is_power_of_two(layout.alignment)))
        return face_refused(EINVAL);
    size = zero ? room_for(size) : size;
    struct place place = place_enter(heap);
    void *object;
    if (layout.alignment > GRANULE || layout.offset % layout.alignment != 0)
        object = weir_heap_aligned_at(place.heap, layout.alignment, layout.offset, size, zero);
    else
        object = zero ? weir_heap_zalloc(place.heap, size) : weir_heap_malloc(place.heap, size);
    place_leave(place);
    return likely(object != NULL) ? object : face_refused(ENOMEM);
}

void *object_allocate_array(mi_heap_t *heap, size_t count, size_t size, struct layout layout, bool zero)
{
    size_t bytes = product(count, size);
    return unlikely(bytes == SIZE_MAX) ? face_refused(EOVERFLOW) : object_allocate(heap, bytes, layout, zero);
}

/* Another object with the contents of `object`, which is freed. Null leaves it. */
static void *move(mi_heap_t *heap, void *object, size_t size, struct layout layout, bool zero)
{
    size_t room = room_of(object);
    void *moved = room != 0 ? object_allocate(heap, size, layout, false) : NULL;
    if (room == 0) {
        object_release(object); /* which tells what is wrong with it */
    } else if (moved) {
        size_t kept = size < room ? size : room;
        memcpy(moved, object, kept);
        if (zero)
            memset((char *)moved + kept, 0, room_of(moved) - kept);
        object_release(object);
    }
    return moved;
}

/* Whether the object has room for the size, and not too much. */
static bool stays(const void *object, size_t size)
{
    size_t room = room_of(object);
    return size <= room && size >= room / 2;
}

/* Without the help of the arena. */
static void *keep_or_move(mi_heap_t *heap, void *object, size_t size, struct layout layout, bool zero)
{
    if (((uintptr_t)object + layout.offset) % layout.alignment != 0 || !stays(object, size))
        return move(heap, object, size, layout, zero);
    if (zero)
        memset((char *)object + size, 0, room_of(object) - size);
    return object;
}

static void *resize_plain(mi_heap_t *heap, void *object, size_t size, bool zero)
{
    size_t before = zero ? room_of(object) : 0;
    struct place place = place_enter(heap);
    bool same = !areas_exist() || arena_of(object) == place.heap->arena;
    void *resized = same ? weir_heap_realloc(place.heap, object, size) : NULL;
    place_leave(place);
    if (!same)
        return keep_or_move(heap, object, size, plain, zero);
    if (unlikely(!resized))
        return face_refused(ENOMEM);
    if (zero) {
        size_t kept = size < before ? size : before;
        memset((char *)resized + kept, 0, room_of(resized) - kept);
    }
    return resized;
}

void *object_resize(mi_heap_t *heap, void *object, size_t size, struct layout layout, bool zero)
{
    if (!object)
        return object_allocate(heap, size, layout, zero);
    if (!is_power_of_two(layout.alignment))
        return face_refused(EINVAL);
    if (layout.alignment <= GRANULE && layout.offset % layout.alignment == 0)
        return resize_plain(heap, object, size, zero);
    return keep_or_move(heap, object, size, layout, zero);
}

void *object_resize_array(mi_heap_t *heap, void *object, size_t count, size_t size, struct layout layout, bool zero)
{
    size_t bytes = product(count, size);
    return unlikely(bytes == SIZE_MAX) ? face_refused(EOVERFLOW) : object_resize(heap, object, bytes, layout, zero);
}

void *object_copy(mi_heap_t *heap, const void *bytes, size_t length, size_t terminator)
{
    char *object = object_allocate(heap, length + terminator, plain, false);
    if (object) {
        memcpy(object, bytes, length);
        memset(object + length, 0, terminator);
    }
    return object;
}

char *object_duplicate(mi_heap_t *heap, const char *s, size_t most)
{
    return s ? object_copy(heap, s, strnlen(s, most), 1) : NULL;
}

/* Without an allocation by the C library, which may come from elsewhere. */
char *object_real_path(mi_heap_t *heap, const char *name, char *resolved)
{
    char path[PATH_MAX];
    if (resolved)
        return realpath(name, resolved);
    return realpath(name, path) ? object_copy(heap, path, strlen(path), 1) : NULL;
}

/* As C++'s new. */
void *object_new(mi_heap_t *heap, size_t size, struct layout layout)
{
    void *object;
    do
        object = object_allocate(heap, size, layout, false);
    while (unlikely(!object) && face_new_refused(false));
    return object;
}
