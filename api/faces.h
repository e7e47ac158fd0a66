/* What the files of the malloc family share. */
#ifndef WEIR_API_FACES_H
#define WEIR_API_FACES_H

#include "api/thread.h"

/* A function of the family: visible whatever the library is built with. */
#define FACE __attribute__((visibility("default")))

/* Kept out of the fast paths, which then need no stack frame. */
#define SLOW __attribute__((noinline, cold))

/* The slow halves. face_malloc sets errno, face_aligned does not; both frees preserve it. */
SLOW void *face_malloc(size_t size);
void *face_aligned(size_t alignment, size_t size);
SLOW void face_free(void *object, const char *operation);
SLOW void face_free_sized(void *object, size_t size);

/* free, held to a size. */
static inline void free_with_size(void *object, size_t size)
{
    if (unlikely(size > TABLED_SIZE_MAX || !thread_push_tabled(object, size)))
        face_free_sized(object, size);
}

/* The size by which an object allocated with this alignment is known to its slab. */
static inline size_t aligned_size(size_t alignment, size_t size)
{
    unsigned class = alignment <= WEIR_FRAME_SIZE ? class_of_aligned(size, alignment) : CLASSES;
    return class < CLASSES ? class_size(class) : size;
}

#endif
