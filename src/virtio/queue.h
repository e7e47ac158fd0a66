/*
 * The split virtqueue, driver's side.
 *
 * A queue is three arrays in memory that the device reads and writes: descriptors (pieces of memory), the available
 * ring (chains of descriptors that the driver submits) and the used ring (chains that the device returns). What the
 * device could scribble on is written by this side and never read back: everything that a decision needs lies in
 * `slots`, private memory.
 *
 * A descriptor is free (linked from free_head through slots[].next) or part of one chain; the chain's first descriptor,
 * its head, names it. A chain is added (private), then shown (the device may work on it), then taken (returned).
 *
 *     (1)  free + sum of slots[head].count over the chains in flight = size
 *     (2)  chains = added - taken  (modulo 65536)
 *     (3)  taken <= used.index <= shown <= added  (modulo 65536); the device owns used.index, so taking checks it
 *     (4)  slots[i].count != 0 exactly for the heads of chains in flight
 *
 * Submission never runs more than `size` chains ahead: each holds a descriptor (Firecracker panics when one does).
 */
#ifndef WEIR_VIRTIO_QUEUE_H
#define WEIR_VIRTIO_QUEUE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- what the device sees; little-endian, VIRTIO 1.2, 2.7 --- */

enum virtq_flags {
    VIRTQ_NEXT = 1,
    VIRTQ_WRITE = 2, /* the device writes, otherwise reads */
};

struct virtq_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

enum {
    VIRTQ_NO_INTERRUPT = 1, /* available.flags: the driver polls */
    VIRTQ_NO_NOTIFY = 1,    /* used.flags: the device polls */
};

struct virtq_available {
    uint16_t flags, index;
    uint16_t ring[];
};

struct virtq_used_element {
    uint32_t id, length;
};

struct virtq_used {
    uint16_t flags, index;
    struct virtq_used_element ring[];
};

static_assert(sizeof(struct virtq_descriptor) == 16, "VIRTIO 1.2, 2.7.5");
static_assert(sizeof(struct virtq_used_element) == 8, "VIRTIO 1.2, 2.7.8");

/* Bytes of each array for a queue of `size`, the trailing event index included. Alignment 16, 2 and 4. */
#define VIRTQ_DESCRIPTORS_BYTES(size) (16 * (size))
#define VIRTQ_AVAILABLE_BYTES(size)   (6 + 2 * (size))
#define VIRTQ_USED_BYTES(size)        (6 + 8 * (size))

/* --- what only the driver sees --- */

struct virtqueue_slot {
    uint64_t bytes;  /* of a head: of all pieces of the chain */
    uint32_t cookie; /* of a head */
    uint16_t next;   /* the chain, or the list of free descriptors */
    uint16_t count;  /* of a head: descriptors in the chain; else 0 */
};

struct virtqueue {
    /* constant after init */
    struct virtq_descriptor *descriptors;
    struct virtq_available *available;
    struct virtq_used *used;
    struct virtqueue_slot *slots; /* one for each descriptor */
    uint16_t size;                /* a power of two */

    /* driver only */
    uint16_t free, free_head;
    uint16_t added, shown, taken;
};

struct virtqueue_piece {
    uint64_t bus;
    uint32_t bytes;
    bool device_writes;
};

/* Makes an empty queue over zero-filled arrays. `size` is a power of two, at most 32768. Interrupts are off. */
void virtqueue_init(struct virtqueue *queue, uint16_t size, struct virtq_descriptor *descriptors,
                    struct virtq_available *available, struct virtq_used *used, struct virtqueue_slot *slots);

/* Adds a chain of `count` pieces, those that the device reads first. False if there are not enough descriptors. */
bool virtqueue_add(struct virtqueue *queue, const struct virtqueue_piece *pieces, unsigned count, uint32_t cookie);

/* Shows the device what was added. True if it wants to be notified. */
bool virtqueue_show(struct virtqueue *queue);

enum virtqueue_answer {
    VIRTQUEUE_NONE,
    VIRTQUEUE_TAKEN,
    VIRTQUEUE_BROKEN, /* the device cannot mean this: an index that runs ahead, an id not in flight, too many bytes */
};

/* Takes the next returned chain; `*cookie` and `*length` only if VIRTQUEUE_TAKEN. `*length` should be the bytes that
 * the device wrote, and is held to the bytes of the whole chain: QEMU returns statistics with the bytes that it read.
 */
enum virtqueue_answer virtqueue_take(struct virtqueue *queue, uint32_t *cookie, uint32_t *length);

/* Chains that were added and not taken. */
static inline unsigned virtqueue_in_flight(const struct virtqueue *queue)
{
    return (uint16_t)(queue->added - queue->taken);
}

/* Tests equations (1) to (4), but for the device's index. */
bool virtqueue_check(const struct virtqueue *queue);

#endif
