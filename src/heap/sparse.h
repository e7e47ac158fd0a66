/* Giving back frames inside slabs that few objects keep alive: see sparse.c. The heap is always the caller's. */
#ifndef WEIR_HEAP_SPARSE_H
#define WEIR_HEAP_SPARSE_H

#include "src/heap/heap.h"

/* Sets the countdown of a slab that is not away. */
void sparse_watch(struct weir_heap *heap, struct slab *slab);

/* What follows when it ends above zero. */
void sparse_event(struct weir_heap *heap, struct slab *slab);

/* The slab is not idle any more, or no longer the heap's. */
void sparse_leave(struct weir_heap *heap, struct slab *slab);

/* The slab is about to be somebody else's, with nothing in it. */
void sparse_forget(struct weir_arena *arena, struct slab *slab);

/* How many of the slab's objects touch holes; marks them in `bits` (if not null), one for each object. */
unsigned sparse_withdrawn(const struct slab *slab, uint64_t *bits);

/* Makes objects of holes again; returns how many, linked from *list. None: there were none in them, and now there are
 * no holes. */
unsigned sparse_fill(struct weir_arena *arena, struct slab *slab, struct object **list);

#endif
