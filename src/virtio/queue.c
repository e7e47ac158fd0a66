#include "src/virtio/queue.h"

#include "src/base/bits.h"

/* Accesses to memory that the device shares: each exactly once, at the width of the field. */
static uint16_t shared_load(const uint16_t *field)
{
    return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static void shared_store(uint16_t *field, uint16_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELEASE);
}

void virtqueue_init(struct virtqueue *queue, uint16_t size, struct virtq_descriptor *descriptors,
                    struct virtq_available *available, struct virtq_used *used, struct virtqueue_slot *slots)
{
    *queue = (struct virtqueue){
        .descriptors = descriptors,
        .available = available,
        .used = used,
        .slots = slots,
        .size = size,
        .free = size,
    };
    for (unsigned i = 0; i < size; i++)
        slots[i] = (struct virtqueue_slot){.next = (uint16_t)(i + 1)};
    shared_store(&available->flags, VIRTQ_NO_INTERRUPT);
}

bool virtqueue_add(struct virtqueue *queue, const struct virtqueue_piece *pieces, unsigned count, uint32_t cookie)
{
    if (count == 0 || count > queue->free)
        return false;
    uint16_t head = queue->free_head, at = head;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        uint16_t next = queue->slots[at].next;
        bool last = i + 1 == count;
        queue->descriptors[at] = (struct virtq_descriptor){
            .address = pieces[i].bus,
            .length = pieces[i].bytes,
            .flags = (uint16_t)((last ? 0 : VIRTQ_NEXT) | (pieces[i].device_writes ? VIRTQ_WRITE : 0)),
            .next = last ? 0 : next,
        };
        bytes += pieces[i].bytes;
        at = next;
    }
    queue->free_head = at;
    queue->free = (uint16_t)(queue->free - count);
    queue->slots[head].bytes = bytes;
    queue->slots[head].cookie = cookie;
    queue->slots[head].count = (uint16_t)count;
    queue->available->ring[queue->added & (queue->size - 1)] = head;
    queue->added++;
    return true;
}

bool virtqueue_show(struct virtqueue *queue)
{
    if (queue->shown == queue->added)
        return false;
    queue->shown = queue->added;
    /* The device writes its flag, then looks at our index once more; we write our index, then look at its flag. Both
     * accesses are sequentially consistent, so that one of the two sees the other. */
    __atomic_store_n(&queue->available->index, queue->shown, __ATOMIC_SEQ_CST);
    return (__atomic_load_n(&queue->used->flags, __ATOMIC_SEQ_CST) & VIRTQ_NO_NOTIFY) == 0;
}

/* Gives the descriptors of the chain at `head` back. */
static void release(struct virtqueue *queue, uint16_t head)
{
    struct virtqueue_slot *slot = &queue->slots[head];
    uint16_t last = head;
    for (unsigned i = 1; i < slot->count; i++)
        last = queue->slots[last].next;
    queue->slots[last].next = queue->free_head;
    queue->free_head = head;
    queue->free = (uint16_t)(queue->free + slot->count);
    slot->count = 0;
    queue->taken++;
}

enum virtqueue_answer virtqueue_take(struct virtqueue *queue, uint32_t *cookie, uint32_t *length)
{
    uint16_t pending = (uint16_t)(shared_load(&queue->used->index) - queue->taken);
    if (pending == 0)
        return VIRTQUEUE_NONE;
    if (pending > (uint16_t)(queue->shown - queue->taken))
        return VIRTQUEUE_BROKEN;
    const struct virtq_used_element *element = &queue->used->ring[queue->taken & (queue->size - 1)];
    uint32_t id = __atomic_load_n(&element->id, __ATOMIC_RELAXED);
    uint32_t bytes = __atomic_load_n(&element->length, __ATOMIC_RELAXED);
    if (id >= queue->size || queue->slots[id].count == 0 || bytes > queue->slots[id].bytes)
        return VIRTQUEUE_BROKEN;
    *cookie = queue->slots[id].cookie;
    *length = bytes;
    release(queue, (uint16_t)id);
    return VIRTQUEUE_TAKEN;
}

bool virtqueue_check(const struct virtqueue *queue)
{
    unsigned chains = 0, used = 0, listed = 0;
    for (unsigned i = 0; i < queue->size; i++) {
        chains += queue->slots[i].count != 0;
        used += queue->slots[i].count;
    }
    for (uint16_t at = queue->free_head; listed < queue->free; at = queue->slots[at].next, listed++)
        if (at >= queue->size || queue->slots[at].count != 0)
            return false;
    return is_power_of_two(queue->size) && queue->free + used == queue->size && chains == virtqueue_in_flight(queue) &&
           (uint16_t)(queue->shown - queue->taken) <= virtqueue_in_flight(queue);
}
