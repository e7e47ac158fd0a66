/* Where the free objects of a slab are: for the walk and the check, which both need an arena at rest. */
#ifndef WEIR_HEAP_WALK_H
#define WEIR_HEAP_WALK_H

#include "src/heap/heap.h"

struct slab_map {
    uint64_t bits[(WEIR_FRAME_SIZE << SLAB_ORDER_MAX) / GRANULE / 64]; /* bit k: carved object k is free */
    unsigned waiting; /* of these, how many count as used: in bins, batches and inboxes */
};

/* The same of the places that belong to the slab's owner, who may ask at any time: all but batches. */
bool slab_find_own_free(struct slab *slab, struct slab_map *map);

/* False if an object is in two places or a list leads out of the slab. */
bool slab_find_free(struct slab *slab, struct slab_map *map);

#endif
