/*
 * Objects on their way home: frees by heaps that do not own the slab.
 *
 * The freeing heap collects the objects that belong to one other heap in a batch (eight batches, direct-mapped by
 * owner), whatever their slabs and classes. It sends the batch when it is to hold more than 8 KiB, when another owner
 * wants its place, or when the heap steps, collects or goes quiet. A batch arrives with one compare-and-swap at the
 * owner's inbox:
 *
 *     inbox ──► message ──link──► message ──link──► 0       the newest first
 *                  │                 │
 *                 next              next                    the first object of a message is its header; link also
 *                  ▼                 ▼                      holds the number of its objects, in the upper 16 bits
 *               object            object
 *
 * The owner takes the whole inbox when a bin runs empty, and frees the objects into their slabs as if they were its own
 * frees. A quiet heap has nobody to do that, so whoever sends there does it, under the heap's lock: he sends first and
 * looks then whether the heap is quiet, and a heap that goes quiet says so first and looks into its inbox then, so that
 * one of them sees the other. Slabs may have changed owners while their objects were under way: these are sent on.
 */
#include "src/heap/fast.h"

#define BATCH_BYTES 8192u

#define COUNT_SHIFT  48
#define ADDRESS_MASK (((uintptr_t)1 << COUNT_SHIFT) - 1)

/* Also the memory of a free object: the smallest has 16 bytes. */
struct message {
    struct object object;
    uintptr_t link; /* the next message | objects in this one << 48 */
};

static_assert(sizeof(struct message) <= GRANULE, "fits the smallest object");
static_assert(BATCH_BYTES / GRANULE < 1U << (64 - COUNT_SHIFT), "the count fits");

static void push_message(struct weir_heap *owner, struct object *head, uintptr_t count)
{
    struct message *message = (struct message *)head;
    struct object *next = atomic_load_explicit(&owner->inbox, memory_order_relaxed);
    do
        message->link = (uintptr_t)next | count << COUNT_SHIFT;
    while (
        !atomic_compare_exchange_weak_explicit(&owner->inbox, &next, head, memory_order_seq_cst, memory_order_relaxed));
}

/* The message behind one in an inbox. */
struct object *inbox_next(const struct object *message)
{
    return (struct object *)(((const struct message *)message)->link & ADDRESS_MASK);
}

/* What is wrong with an object that came home, or only different. Returns the strangers. */
static __attribute__((noinline)) struct object *unpack_odd(struct weir_heap *heap, struct slab *slab,
                                                           struct object *object, struct object *strangers)
{
    if (!slab_is_of(heap, slab)) {
        misuse(heap->arena, WEIR_CORRUPTED, (uintptr_t)object, 0, "weir_heap_free");
    } else if (slab_owner(slab) != heap) {
        object->next = strangers;
        strangers = object;
    } else if (slab_used(slab) == 0 || !heap_push_slab(heap, slab, object)) {
        misuse(heap->arena, WEIR_DOUBLE_FREE, (uintptr_t)object, slab->size, "weir_heap_free");
    }
    return strangers;
}

/* Frees the objects of a message into the heap's slabs; others are put before *strangers. False if the message is not
 * as many objects as it says, each in a slab and with a marked link, the last one to nowhere: what follows is not
 * trusted then and stays counted as used, lost, but never handed out twice. */
static bool unpack(struct weir_heap *heap, struct object *object, struct object **strangers)
{
    for (uintptr_t count = ((const struct message *)object)->link >> COUNT_SHIFT; count > 0; count--) {
        struct slab *slab;
        if (unlikely(!heap_find_slab(heap, object, &slab)))
            return false;
        uintptr_t link = (uintptr_t)object->next;
        if (unlikely(!(link & ON_ITS_WAY)))
            return false;
        bool usual = slab_owner_word(slab) == (uintptr_t)heap;
        if (unlikely(!usual || !heap_push_slab(heap, slab, object)))
            *strangers = unpack_odd(heap, slab, object, *strangers);
        object = (struct object *)(link - ON_ITS_WAY);
    }
    return object == NULL;
}

struct object *heap_take_inbox_locked(struct weir_heap *heap)
{
    struct object *head = atomic_exchange_explicit(&heap->inbox, NULL, memory_order_seq_cst), *strangers = NULL;
    while (head) {
        struct slab *slab;
        bool known = heap_find_slab(heap, head, &slab);
        struct object *next = known ? inbox_next(head) : NULL;
        if (!known || !unpack(heap, head, &strangers)) {
            misuse(heap->arena, WEIR_CORRUPTED, (uintptr_t)head, 0, "weir_heap_free");
            break;
        }
        head = next;
    }
    return strangers;
}

/* Sends a message, and does the owner's part if nobody else will. */
static void deliver(const struct weir_arena *arena, struct weir_heap *owner, struct object *head, uintptr_t count)
{
    push_message(owner, head, count);
    if (likely(!atomic_load_explicit(&owner->quiet, memory_order_seq_cst)))
        return;
    struct object *strangers = NULL;
    lock_take(&owner->lock, arena->config.platform);
    if (atomic_load_explicit(&owner->quiet, memory_order_relaxed))
        strangers = heap_take_inbox_locked(owner);
    lock_drop(&owner->lock);
    heap_deliver(arena, strangers);
}

void heap_deliver(const struct weir_arena *arena, struct object *list)
{
    for (struct object *next; list; list = next) {
        next = list->next;
        list->next = link_on_its_way(NULL);
        struct weir_heap *owner = slab_owner(frame_word_slab(arena->map, (uintptr_t)list));
        if (owner)
            deliver(arena, owner, list, 1);
        else
            misuse(arena, WEIR_DOUBLE_FREE, (uintptr_t)list, 0, "weir_heap_free");
    }
}

void heap_take_inbox(struct weir_heap *heap)
{
    heap_deliver(heap->arena, heap_take_inbox_locked(heap));
}

static void send(struct weir_heap *heap, struct batch *batch)
{
    heap->remote_frees += batch->count;
    deliver(heap->arena, batch->owner, batch->head, batch->count);
    *batch = (struct batch){0};
}

/* An apart heap may be discarded any time after this: no batch may wait for its slabs then. If it is nobody's turn the
 * object is freed as the owner would. */
static void free_apart(struct weir_heap *heap, struct weir_heap *owner, struct object *object, const char *operation)
{
    if (heap_take_turn(owner, TURN_FREE)) {
        if (unlikely(!heap_push(owner, object)))
            heap_free_slow(owner, object, operation);
        heap_end_turn(owner);
    } else {
        object->next = link_on_its_way(NULL);
        heap->remote_frees++;
        deliver(heap->arena, owner, object, 1);
    }
}

void heap_free_remote(struct weir_heap *heap, struct slab *slab, struct object *object, const char *operation)
{
    struct weir_heap *owner = slab_owner(slab);
    struct batch *batch = heap_batch(heap, owner);
    if (!owner || (batch->owner == owner && batch->head == object)) {
        misuse(heap->arena, WEIR_DOUBLE_FREE, (uintptr_t)object, slab->size, operation);
        return;
    }
    if (owner->apart) {
        free_apart(heap, owner, object, operation);
        return;
    }
    heap_event(heap);
    if (batch->owner)
        send(heap, batch);
    *batch = (struct batch){.owner = owner, .room = BATCH_BYTES};
    heap_batch_push(batch, owner, slab, object);
}

void heap_send_batches(struct weir_heap *heap)
{
    for (unsigned i = 0; i < BATCHES; i++)
        if (heap->batches[i].owner)
            send(heap, &heap->batches[i]);
}
