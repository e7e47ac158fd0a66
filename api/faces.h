/* What the files of the malloc family share. */
#ifndef WEIR_API_FACES_H
#define WEIR_API_FACES_H

#include "api/thread.h"

/* A function of the family: visible whatever the library is built with. */
#define FACE __attribute__((visibility("default")))

/* The same for what is called all the time: it begins a cache line, and malloc then fits into one. (Pairs of malloc and
 * free take 6 % less time.) */
#define FAST_FACE __attribute__((visibility("default"), aligned(64)))

/* Kept out of the fast paths, which then need no stack frame. */
#define SLOW __attribute__((noinline))

/* The slow halves. face_malloc sets errno, face_aligned does not; both frees preserve it. `slab` is what thread_push
 * found, null if nothing. */
SLOW void *face_malloc(size_t size);
void *face_aligned(size_t alignment, size_t size);
SLOW void face_free(void *object, struct slab *slab, const char *operation);
SLOW void face_free_sized(void *object, size_t size);

/* operator new. face_new_refused: calls the program's new handler and returns true, for another try; if there is none
 * it throws, or (nothrow) returns false. */
SLOW void *face_new(size_t size, size_t alignment, bool nothrow);
bool face_new_refused(bool nothrow);

/* Sets errno, and tells what the program gave to mi_register_error. Returns null. */
SLOW void *face_refused(int error);
void face_misused(enum weir_status status);

/* Whether the program has registered something to be called now and then from malloc's slow path:
 * mi_register_deferred_free. */
extern atomic_bool face_deferring;
void face_deferred(void);

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
