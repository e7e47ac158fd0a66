/*
 * Areas: memory that the program brings, or sets aside, for heaps of its own.
 *
 * An area is a frame table and an arena over that memory alone. Heaps can be made in it; what they allocate lies in it.
 * The process's arena knows nothing of it: a pointer into an area reaches the functions below from the slow paths of
 * the family, where it would be reported otherwise. Areas are never undone.
 */
#ifndef WEIR_API_AREAS_H
#define WEIR_API_AREAS_H

#include "api/thread.h"

struct area;

extern atomic_uint area_count;

static inline bool areas_exist(void)
{
    return unlikely(atomic_load_explicit(&area_count, memory_order_acquire) != 0);
}

/* An area of [start, start + size), of which whole frames are used. Null if it is too small, or without memory. */
struct area *area_make(void *start, size_t size, bool zero);

/* The area of this number, or that holds `address`; null if there is none. */
struct area *area_number(unsigned number);
struct area *area_of(const void *address);

struct weir_arena *area_arena(const struct area *area);
uintptr_t area_start(const struct area *area);
size_t area_size(const struct area *area);

/* The same for objects of first-class heaps, in areas or not: whether there are any, and freeing one.
 */
extern atomic_bool heaps_made;

static inline bool heaps_exist(void)
{
    return unlikely(atomic_load_explicit(&heaps_made, memory_order_relaxed));
}

bool heaps_free(void *object);

/* The arena whose object `object` can be: an area's, or the process's. */
static inline struct weir_arena *arena_of(const void *object)
{
    struct area *area = areas_exist() ? area_of(object) : NULL;
    return area ? area_arena(area) : process_arena();
}

/* Frees an object of an area. False if it is in none. */
bool area_free(void *object);

/* Resizes an object of an area: where it is, or into the process's memory. */
void *area_realloc(void *object, size_t size);

/* For fork. */
void areas_lock_all(void);
void areas_unlock_all(void);

#endif
