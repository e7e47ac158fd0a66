/*
 * mimalloc's interface: objects.
 *
 * Each function comes twice, with a heap and without; without, it means the heap from which malloc allocates.
 * mi_malloc, mi_calloc, mi_realloc and mi_free are malloc.c's functions by another name: they cost what those cost.
 *
 * Zeroed objects are zero to the end of their room, and what a zeroed object grows by is zeroed, so that mi_rezalloc
 * keeps its promise without knowing how much had been asked for:
 *
 *     (1)  of an object from mi_zalloc, mi_calloc, mi_rezalloc … all bytes behind the size asked for are zero
 *
 * Aligned objects are ordinary ones; those with an odd offset take whole frames (src/heap/apart.c).
 */
#include "api/mimalloc.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* How an object shall lie. */
struct layout {
    size_t alignment, offset; /* address + offset is a multiple of alignment */
};

static const struct layout plain = {1, 0};

static struct layout at(size_t alignment, size_t offset)
{
    return (struct layout){alignment, offset};
}

static size_t product(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

/* The room that an object of this size gets. */
static size_t room_for(size_t size)
{
    if (size <= SMALL_MAX)
        return class_size(class_of(size));
    return size <= PTRDIFF_MAX ? round_up(size, WEIR_FRAME_SIZE) : size;
}

static void *allocate(mi_heap_t *heap, size_t size, struct layout layout, bool zero)
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

static void *allocate_array(mi_heap_t *heap, size_t count, size_t size, struct layout layout, bool zero)
{
    size_t bytes = product(count, size);
    return unlikely(bytes == SIZE_MAX) ? face_refused(EOVERFLOW) : allocate(heap, bytes, layout, zero);
}

static void release(void *object)
{
    if (unlikely(!thread_push(object)))
        face_free(object, "mi_free");
}

/* Another object with the contents of `object`, which is freed. Null leaves it. */
static void *move(mi_heap_t *heap, void *object, size_t size, struct layout layout, bool zero)
{
    size_t room = room_of(object);
    void *moved = allocate(heap, size, layout, false);
    if (moved) {
        size_t kept = size < room ? size : room;
        memcpy(moved, object, kept);
        if (zero)
            memset((char *)moved + kept, 0, room_of(moved) - kept);
        release(object);
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

static void *resize(mi_heap_t *heap, void *object, size_t size, struct layout layout, bool zero)
{
    if (!object)
        return allocate(heap, size, layout, zero);
    if (!is_power_of_two(layout.alignment))
        return face_refused(EINVAL);
    if (layout.alignment <= GRANULE && layout.offset % layout.alignment == 0)
        return resize_plain(heap, object, size, zero);
    return keep_or_move(heap, object, size, layout, zero);
}

static void *resize_array(mi_heap_t *heap, void *object, size_t count, size_t size, struct layout layout, bool zero)
{
    size_t bytes = product(count, size);
    return unlikely(bytes == SIZE_MAX) ? face_refused(EOVERFLOW) : resize(heap, object, bytes, layout, zero);
}

static void *copy(mi_heap_t *heap, const void *bytes, size_t length, size_t terminator)
{
    char *object = allocate(heap, length + terminator, plain, false);
    if (object) {
        memcpy(object, bytes, length);
        memset(object + length, 0, terminator);
    }
    return object;
}

static char *duplicate(mi_heap_t *heap, const char *s, size_t most)
{
    return s ? copy(heap, s, strnlen(s, most), 1) : NULL;
}

/* Without an allocation by the C library, which may come from elsewhere. */
static char *real_path(mi_heap_t *heap, const char *name, char *resolved)
{
    char path[PATH_MAX];
    if (resolved)
        return realpath(name, resolved);
    return realpath(name, path) ? duplicate(heap, path, SIZE_MAX) : NULL;
}

/* As C++'s new. */
static void *allocate_new(mi_heap_t *heap, size_t size, struct layout layout)
{
    void *object;
    do
        object = allocate(heap, size, layout, false);
    while (unlikely(!object) && face_new_refused(false));
    return object;
}

/* --- without a heap --- */

FACE void *mi_zalloc(size_t size)
{
    return allocate(NULL, size, plain, true);
}

FACE void *mi_calloc(size_t count, size_t size)
{
    return allocate_array(NULL, count, size, plain, true);
}

FACE void *mi_mallocn(size_t count, size_t size)
{
    return allocate_array(NULL, count, size, plain, false);
}

FACE void *mi_reallocn(void *p, size_t count, size_t size)
{
    return resize_array(NULL, p, count, size, plain, false);
}

FACE void *mi_reallocf(void *p, size_t newsize)
{
    void *resized = resize(NULL, p, newsize, plain, false);
    if (!resized)
        release(p);
    return resized;
}

FACE void *mi_expand(void *p, size_t newsize)
{
    return p && newsize <= room_of(p) ? p : NULL;
}

FACE void *mi_zalloc_small(size_t size)
{
    return allocate(NULL, size, plain, true);
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
    return duplicate(NULL, s, SIZE_MAX);
}

FACE char *mi_strndup(const char *s, size_t n)
{
    return duplicate(NULL, s, n);
}

FACE char *mi_realpath(const char *fname, char *resolved_name)
{
    return real_path(NULL, fname, resolved_name);
}

FACE void *mi_rezalloc(void *p, size_t newsize)
{
    return resize(NULL, p, newsize, plain, true);
}

FACE void *mi_recalloc(void *p, size_t newcount, size_t size)
{
    return resize_array(NULL, p, newcount, size, plain, true);
}

FACE void *mi_malloc_aligned(size_t size, size_t alignment)
{
    return allocate(NULL, size, at(alignment, 0), false);
}

FACE void *mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset)
{
    return allocate(NULL, size, at(alignment, offset), false);
}

FACE void *mi_zalloc_aligned(size_t size, size_t alignment)
{
    return allocate(NULL, size, at(alignment, 0), true);
}

FACE void *mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset)
{
    return allocate(NULL, size, at(alignment, offset), true);
}

FACE void *mi_calloc_aligned(size_t count, size_t size, size_t alignment)
{
    return allocate_array(NULL, count, size, at(alignment, 0), true);
}

FACE void *mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset)
{
    return allocate_array(NULL, count, size, at(alignment, offset), true);
}

FACE void *mi_realloc_aligned(void *p, size_t newsize, size_t alignment)
{
    return resize(NULL, p, newsize, at(alignment, 0), false);
}

FACE void *mi_realloc_aligned_at(void *p, size_t newsize, size_t alignment, size_t offset)
{
    return resize(NULL, p, newsize, at(alignment, offset), false);
}

FACE void *mi_rezalloc_aligned(void *p, size_t newsize, size_t alignment)
{
    return resize(NULL, p, newsize, at(alignment, 0), true);
}

FACE void *mi_rezalloc_aligned_at(void *p, size_t newsize, size_t alignment, size_t offset)
{
    return resize(NULL, p, newsize, at(alignment, offset), true);
}

FACE void *mi_recalloc_aligned(void *p, size_t newcount, size_t size, size_t alignment)
{
    return resize_array(NULL, p, newcount, size, at(alignment, 0), true);
}

FACE void *mi_recalloc_aligned_at(void *p, size_t newcount, size_t size, size_t alignment, size_t offset)
{
    return resize_array(NULL, p, newcount, size, at(alignment, offset), true);
}

/* --- with the room of the object --- */

static void *tell_room(void *object, size_t *room)
{
    if (room)
        *room = room_of(object);
    return object;
}

FACE void *mi_umalloc(size_t size, size_t *block_size)
{
    return tell_room(allocate(NULL, size, plain, false), block_size);
}

FACE void *mi_ucalloc(size_t count, size_t size, size_t *block_size)
{
    return tell_room(allocate_array(NULL, count, size, plain, true), block_size);
}

FACE void *mi_urealloc(void *p, size_t newsize, size_t *block_size_pre, size_t *block_size_post)
{
    tell_room(p, block_size_pre);
    return tell_room(resize(NULL, p, newsize, plain, false), block_size_post);
}

FACE void mi_ufree(void *p, size_t *block_size)
{
    release(tell_room(p, block_size));
}

FACE void *mi_umalloc_aligned(size_t size, size_t alignment, size_t *block_size)
{
    return tell_room(allocate(NULL, size, at(alignment, 0), false), block_size);
}

FACE void *mi_uzalloc_aligned(size_t size, size_t alignment, size_t *block_size)
{
    return tell_room(allocate(NULL, size, at(alignment, 0), true), block_size);
}

FACE void *mi_umalloc_small(size_t size, size_t *block_size)
{
    return mi_umalloc(size, block_size);
}

FACE void *mi_uzalloc_small(size_t size, size_t *block_size)
{
    return tell_room(allocate(NULL, size, plain, true), block_size);
}

/* --- the names of other systems --- */

FACE void mi_cfree(void *p)
{
    if (room_of(p))
        release(p);
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
    void *object = allocate(NULL, size, at(alignment, 0), false);
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
    return allocate(NULL, size, at(alignment, 0), false);
}

FACE void *mi_aligned_alloc(size_t alignment, size_t size)
{
    return allocate(NULL, size, at(alignment, 0), false);
}

FACE void *mi_valloc(size_t size)
{
    return allocate(NULL, size, at(WEIR_FRAME_SIZE, 0), false);
}

FACE void *mi_pvalloc(size_t size)
{
    return allocate(NULL, size <= PTRDIFF_MAX ? round_up(size, WEIR_FRAME_SIZE) : size, at(WEIR_FRAME_SIZE, 0), false);
}

FACE void *mi_reallocarray(void *p, size_t count, size_t size)
{
    return resize_array(NULL, p, count, size, plain, false);
}

/* NetBSD's: the pointer is behind `ptrp`, and changes only on success; returns an error, and leaves errno alone. */
FACE int mi_reallocarr(void *ptrp, size_t count, size_t size)
{
    int error = errno;
    void *object;
    if (!ptrp)
        return EINVAL;
    memcpy(&object, ptrp, sizeof object);
    object = resize_array(NULL, object, count, size, plain, false);
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
    release(p);
}

FACE void mi_free_size_aligned(void *p, size_t size, size_t alignment)
{
    (void)size, (void)alignment;
    release(p);
}

FACE void mi_free_aligned(void *p, size_t alignment)
{
    (void)alignment;
    release(p);
}

FACE wchar_t *mi_wcsdup(const wchar_t *s)
{
    return s ? copy(NULL, s, wcslen(s) * sizeof *s, sizeof *s) : NULL;
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
    while (unlikely(!(resized = resize(NULL, p, newsize, plain, false))))
        if (!face_new_refused(false))
            break;
    return resized;
}

FACE void *mi_new_reallocn(void *p, size_t newcount, size_t size)
{
    return mi_new_realloc(p, product(newcount, size));
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
    return allocate(heap, size, plain, true);
}

FACE void *mi_heap_calloc(mi_heap_t *heap, size_t count, size_t size)
{
    return allocate_array(heap, count, size, plain, true);
}

FACE void *mi_heap_mallocn(mi_heap_t *heap, size_t count, size_t size)
{
    return allocate_array(heap, count, size, plain, false);
}

FACE void *mi_heap_malloc_small(mi_heap_t *heap, size_t size)
{
    return mi_heap_malloc(heap, size);
}

FACE void *mi_heap_zalloc_small(mi_heap_t *heap, size_t size)
{
    return allocate(heap, size, plain, true);
}

FACE void *mi_heap_realloc(mi_heap_t *heap, void *p, size_t newsize)
{
    return resize(heap, p, newsize, plain, false);
}

FACE void *mi_heap_reallocn(mi_heap_t *heap, void *p, size_t count, size_t size)
{
    return resize_array(heap, p, count, size, plain, false);
}

FACE void *mi_heap_reallocf(mi_heap_t *heap, void *p, size_t newsize)
{
    void *resized = resize(heap, p, newsize, plain, false);
    if (!resized)
        release(p);
    return resized;
}

FACE void *mi_heap_rezalloc(mi_heap_t *heap, void *p, size_t newsize)
{
    return resize(heap, p, newsize, plain, true);
}

FACE void *mi_heap_recalloc(mi_heap_t *heap, void *p, size_t newcount, size_t size)
{
    return resize_array(heap, p, newcount, size, plain, true);
}

FACE char *mi_heap_strdup(mi_heap_t *heap, const char *s)
{
    return duplicate(heap, s, SIZE_MAX);
}

FACE char *mi_heap_strndup(mi_heap_t *heap, const char *s, size_t n)
{
    return duplicate(heap, s, n);
}

FACE char *mi_heap_realpath(mi_heap_t *heap, const char *fname, char *resolved_name)
{
    return real_path(heap, fname, resolved_name);
}

FACE void *mi_heap_malloc_aligned(mi_heap_t *heap, size_t size, size_t alignment)
{
    return allocate(heap, size, at(alignment, 0), false);
}

FACE void *mi_heap_malloc_aligned_at(mi_heap_t *heap, size_t size, size_t alignment, size_t offset)
{
    return allocate(heap, size, at(alignment, offset), false);
}

FACE void *mi_heap_zalloc_aligned(mi_heap_t *heap, size_t size, size_t alignment)
{
    return allocate(heap, size, at(alignment, 0), true);
}

FACE void *mi_heap_zalloc_aligned_at(mi_heap_t *heap, size_t size, size_t alignment, size_t offset)
{
    return allocate(heap, size, at(alignment, offset), true);
}

FACE void *mi_heap_calloc_aligned(mi_heap_t *heap, size_t count, size_t size, size_t alignment)
{
    return allocate_array(heap, count, size, at(alignment, 0), true);
}

FACE void *mi_heap_calloc_aligned_at(mi_heap_t *heap, size_t count, size_t size, size_t alignment, size_t offset)
{
    return allocate_array(heap, count, size, at(alignment, offset), true);
}

FACE void *mi_heap_realloc_aligned(mi_heap_t *heap, void *p, size_t newsize, size_t alignment)
{
    return resize(heap, p, newsize, at(alignment, 0), false);
}

FACE void *mi_heap_realloc_aligned_at(mi_heap_t *heap, void *p, size_t newsize, size_t alignment, size_t offset)
{
    return resize(heap, p, newsize, at(alignment, offset), false);
}

FACE void *mi_heap_rezalloc_aligned(mi_heap_t *heap, void *p, size_t newsize, size_t alignment)
{
    return resize(heap, p, newsize, at(alignment, 0), true);
}

FACE void *mi_heap_rezalloc_aligned_at(mi_heap_t *heap, void *p, size_t newsize, size_t alignment, size_t offset)
{
    return resize(heap, p, newsize, at(alignment, offset), true);
}

FACE void *mi_heap_recalloc_aligned(mi_heap_t *heap, void *p, size_t newcount, size_t size, size_t alignment)
{
    return resize_array(heap, p, newcount, size, at(alignment, 0), true);
}

FACE void *mi_heap_recalloc_aligned_at(mi_heap_t *heap, void *p, size_t newcount, size_t size, size_t alignment,
                                       size_t offset)
{
    return resize_array(heap, p, newcount, size, at(alignment, offset), true);
}

FACE void *mi_heap_alloc_new(mi_heap_t *heap, size_t size)
{
    return allocate_new(heap, size, plain);
}

FACE void *mi_heap_alloc_new_n(mi_heap_t *heap, size_t count, size_t size)
{
    return allocate_new(heap, product(count, size), plain);
}

FACE void *weir_mi_new_array(mi_heap_t *heap, size_t count, size_t size, size_t alignment)
{
    return allocate_new(heap, product(count, size), at(alignment, 0));
}

/* --- theaps are heaps --- */

FACE void *mi_theap_malloc(mi_theap_t *theap, size_t size)
{
    return allocate((mi_heap_t *)theap, size, plain, false);
}

FACE void *mi_theap_zalloc(mi_theap_t *theap, size_t size)
{
    return allocate((mi_heap_t *)theap, size, plain, true);
}

FACE void *mi_theap_calloc(mi_theap_t *theap, size_t count, size_t size)
{
    return allocate_array((mi_heap_t *)theap, count, size, plain, true);
}

FACE void *mi_theap_malloc_small(mi_theap_t *theap, size_t size)
{
    return allocate((mi_heap_t *)theap, size, plain, false);
}

FACE void *mi_theap_zalloc_small(mi_theap_t *theap, size_t size)
{
    return allocate((mi_heap_t *)theap, size, plain, true);
}

FACE void *mi_theap_malloc_aligned(mi_theap_t *theap, size_t size, size_t alignment)
{
    return allocate((mi_heap_t *)theap, size, at(alignment, 0), false);
}

FACE void *mi_theap_realloc(mi_theap_t *theap, void *p, size_t newsize)
{
    return resize((mi_heap_t *)theap, p, newsize, plain, false);
}
