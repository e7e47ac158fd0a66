/*
 * Objects on their way home: frees by heaps that do not own the slab.
 *
 * The freeing heap collects objects of one slab in a batch (eight batches, direct-mapped by slab) and sends the batch
 * when it holds 32 objects or 4 KiB, when another slab wants its place, or when the heap steps, collects or goes quiet.
 * A batch arrives with one compare-and-swap on the slab's remote word, however many objects it holds.
 *
 * The remote word leaves zero only under the owner's lock: whoever brings the first batch either puts the slab on the
 * owner's list of notices, so that the owner need never search for what came home, or, when the owner is quiet or
 * gone, does the owner's work at once. Every later batch joins the first without a lock. This is also what makes a
 * change of owners safe: it happens with the lock held and all notices taken in, hence with all remote words zero.
 */
#include "src/heap/heap.h"

#define BATCH_OBJECTS 32u
#define BATCH_BYTES   4096u

/* Locks the heap that owns the slab, whichever that is by then; null if the slab is gone. */
static struct weir_heap *lock_owner(const struct weir_platform *platform, struct slab *slab)
{
    struct weir_heap *owner;
    while ((owner = slab_owner(slab)) != NULL) {
        lock_take(&owner->lock, platform);
        if (slab_owner(slab) == owner)
            break;
        lock_drop(&owner->lock);
    }
    return owner;
}

/* Brings a batch to a slab whose remote word is zero. False if it no longer is. */
static bool deliver(struct weir_arena *arena, const struct batch *batch)
{
    struct slab *slab = batch->slab;
    struct weir_heap *owner = lock_owner(arena->config.platform, slab);
    if (!owner) {
        misuse(arena, WEIR_DOUBLE_FREE, (uintptr_t)batch->head, 0, "weir_heap_free");
        return true;
    }
    bool delivered = true;
    if (!atomic_load_explicit(&owner->quiet, memory_order_relaxed)) {
        uint32_t empty = 0;
        batch->tail->next = NULL;
        delivered =
            atomic_compare_exchange_strong_explicit(&slab->remote, &empty, remote_word(slab, batch->head, batch->count),
                                                    memory_order_release, memory_order_relaxed);
        if (delivered) {
            slab->notice = atomic_load_explicit(&owner->notices, memory_order_relaxed);
            atomic_store_explicit(&owner->notices, slab, memory_order_relaxed);
        }
    } else if (batch->count <= slab->used) {
        batch->tail->next = slab->free;
        slab->free = batch->head;
        slab->used = (uint16_t)(slab->used - batch->count);
        heap_slab_shrunk(owner, slab);
    } else {
        misuse(arena, WEIR_DOUBLE_FREE, (uintptr_t)batch->head, class_size(slab->class), "weir_heap_free");
    }
    lock_drop(&owner->lock);
    return delivered;
}

static void send(struct weir_arena *arena, const struct batch *batch)
{
    struct slab *slab = batch->slab;
    uint32_t old = atomic_load_explicit(&slab->remote, memory_order_relaxed);
    for (;;) {
        if (old == 0) {
            if (deliver(arena, batch))
                return;
            old = atomic_load_explicit(&slab->remote, memory_order_relaxed);
            continue;
        }
        unsigned count = remote_count(old) + batch->count;
        if (count > slab->capacity) {
            misuse(arena, WEIR_DOUBLE_FREE, (uintptr_t)batch->head, class_size(slab->class), "weir_heap_free");
            return;
        }
        batch->tail->next = remote_head(slab, old);
        if (atomic_compare_exchange_weak_explicit(&slab->remote, &old, remote_word(slab, batch->head, count),
                                                  memory_order_release, memory_order_relaxed))
            return;
    }
}

void heap_free_remote(struct weir_heap *heap, struct slab *slab, struct object *object, const char *operation)
{
    struct batch *batch = &heap->batches[(uintptr_t)slab / sizeof *slab % BATCHES];
    if (batch->slab != slab) {
        if (batch->slab)
            send(heap->arena, batch);
        *batch = (struct batch){.slab = slab, .tail = object};
    } else if (batch->head == object) {
        misuse(heap->arena, WEIR_DOUBLE_FREE, (uintptr_t)object, class_size(slab->class), operation);
        return;
    }
    object->next = batch->head;
    batch->head = object;
    batch->count++;
    heap->remote_frees++;
    if (batch->count >= BATCH_OBJECTS || batch->count * class_size(slab->class) >= BATCH_BYTES) {
        send(heap->arena, batch);
        batch->slab = NULL;
    }
}

void heap_send_batches(struct weir_heap *heap)
{
    for (unsigned i = 0; i < BATCHES; i++)
        if (heap->batches[i].slab) {
            send(heap->arena, &heap->batches[i]);
            heap->batches[i].slab = NULL;
        }
}
