/* Holding an arena still, its frame table included: for platforms that fork. */
#ifndef WEIR_HEAP_FORK_H
#define WEIR_HEAP_FORK_H

#include "weir/heap.h"

/* No other thread is inside the allocator's locks until arena_unlock_all. */
void arena_lock_all(struct weir_arena *arena);
void arena_unlock_all(struct weir_arena *arena);

#endif
