/*
 * The fast paths, inline: what a face (api/) compiles into malloc and free.
 *
 * malloc pops from the heap's bin for the class: two loads, two stores (the second clears the link, so that no pointer
 * into the heap leaks to the program). free finds the descriptor with one load from the frame table and pushes onto
 * the slab's list, if one comparison says that the slab is the heap's own and in its ordinary state; it counts down to
 * whatever has to follow.
 *
 * What leaves by the slow path: null, foreign, unaligned and large pointers; slabs of other heaps; slabs that are empty
 * or of a quiet heap (marked in the owner word); an object that heads its slab's list already (a double free).
 */
#ifndef WEIR_HEAP_FAST_H
#define WEIR_HEAP_FAST_H

#include "src/heap/heap.h"

/* Null if the bin of the class is empty. */
static inline void *heap_pop_class(struct weir_heap *heap, unsigned class)
{
    struct object **bin = &heap->bin[class];
    struct object *object = *bin;
    if (likely(object != NULL)) {
        *bin = object->next;
        object->next = NULL;
    }
    return object;
}

/* The same for a size up to TABLED_SIZE_MAX, in the fewest instructions. */
static inline void *heap_pop_tabled(struct weir_heap *heap, size_t size)
{
    return heap_pop_class(heap, heap->class_of_granules[(size + GRANULE - 1) / GRANULE]);
}

/* The same for a size up to SMALL_MAX. */
static inline void *heap_pop(struct weir_heap *heap, size_t size)
{
    return heap_pop_class(heap, class_of(size));
}

/* What the frame table says is the slab of an aligned pointer, ours or not. False for all other pointers. */
static inline bool heap_find_slab(const struct weir_heap *heap, const void *pointer, struct slab **slab)
{
    /* Rotating by a granule brings the bits of an unaligned pointer to the top: one comparison sees these, too. */
    uintptr_t offset = (uintptr_t)pointer - heap->base;
    uintptr_t granule = offset >> 4 | offset << 60;
    if (unlikely(granule >= heap->granules))
        return false;
    uint64_t word = atomic_load_explicit(&heap->words[granule >> 8], memory_order_acquire);
    *slab = (struct slab *)(uintptr_t)(word - WORD_SLAB);
    return word & WORD_SLAB;
}

/* Pushes onto the list of a slab of the heap's own. False, with nothing changed, if the object heads it already. */
static inline bool heap_push_slab(struct weir_heap *heap, struct slab *slab, void *pointer)
{
    struct object *object = pointer;
    struct object *head = slab->free;
    if (unlikely(head == object))
        return false;
    object->next = head;
    slab->free = object;
    if (unlikely(--slab->left == 0))
        heap_slab_event(heap, slab);
    return true;
}

/* free. False if this needs the slow path; nothing was changed then. heap_push_found also tells the slab, null if there
 * is none. */
static inline bool heap_push_found(struct weir_heap *heap, void *pointer, struct slab **slab)
{
    if (likely(heap_find_slab(heap, pointer, slab)))
        return likely(slab_owner_word(*slab) == (uintptr_t)heap) && heap_push_slab(heap, *slab, pointer);
    *slab = NULL;
    return false;
}

static inline bool heap_push(struct weir_heap *heap, void *pointer)
{
    struct slab *slab;
    return heap_push_found(heap, pointer, &slab);
}

/* Sized free, of a size up to TABLED_SIZE_MAX: the slow path also for objects of another class. */
static inline bool heap_push_tabled(struct weir_heap *heap, void *pointer, size_t size)
{
    struct slab *slab;
    return likely(heap_find_slab(heap, pointer, &slab)) && likely(slab_owner_word(slab) == (uintptr_t)heap) &&
           likely(slab->class == heap->class_of_granules[(size + GRANULE - 1) / GRANULE]) &&
           heap_push_slab(heap, slab, pointer);
}

/* Where the heap collects what it frees for another. */
static inline struct batch *heap_batch(struct weir_heap *heap, const struct weir_heap *owner)
{
    return &heap->batches[(uintptr_t)owner / WEIR_FRAME_SIZE % BATCHES];
}

/* Puts an object of another heap's slab into the batch for that heap. False, with nothing changed, if the batch is
 * another's, or full, or if the object was the last one put there. */
static inline bool heap_batch_push(struct batch *batch, struct weir_heap *owner, const struct slab *slab,
                                   struct object *object)
{
    if (unlikely(batch->owner != owner) || unlikely(batch->room <= 0) || unlikely(batch->head == object))
        return false;
    object->next = link_on_its_way(batch->head);
    batch->head = object;
    batch->count++;
    batch->room -= (int32_t)slab->size;
    return true;
}

/* The fast half of a free into another heap's slab, as found: there is a batch for that heap already. False if not, or
 * if this is no such free; nothing was changed then. (That the batch's owner owns the slab says that the slab is the
 * arena's.) */
static inline bool heap_push_other(struct weir_heap *heap, struct slab *slab, void *pointer)
{
    struct weir_heap *owner = slab_owner(slab);
    struct batch *batch = heap_batch(heap, owner);
    return likely(batch->owner == owner) && likely(slab_object_lives(slab, (uintptr_t)pointer)) &&
           heap_batch_push(batch, owner, slab, pointer);
}

#endif
