/* What counting by sum (stats.c) and by size (sizes.c) have in common: looking at heaps while their owners go on. */
#ifndef WEIR_HEAP_STATS_H
#define WEIR_HEAP_STATS_H

#include "src/heap/heap.h"

/* Marks functions that read what owners write without synchronisation: the numbers may be a moment old. */
#if defined(__SANITIZE_THREAD__)
#define RACY __attribute__((no_sanitize("thread"), noinline))
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACY __attribute__((no_sanitize("thread"), noinline))
#endif
#endif
#ifndef RACY
#define RACY
#endif

/* Objects in the bin, followed only as far as its links make sense. */
size_t bin_length(const struct weir_heap *heap, unsigned class);

/* The newest chunk of descriptors. */
const struct slab_chunk *newest_chunk(struct weir_arena *arena);

#endif
