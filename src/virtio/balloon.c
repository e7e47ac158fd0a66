/*
 * The balloon device: queues and registers, no policy.
 *
 * Life: init → WELL → (a breach of protocol) → RESET or LOST. There is no way back.
 *
 * Queues are numbered compactly by what the device OFFERS (QEMU, Firecracker and Linux agree), whether accepted or not:
 * inflate 0, deflate 1, then statistics, hinting, reporting, each only if offered.
 *
 * Shape of the requests. Firecracker reads only the first descriptor of an inflate request and at most 256 page numbers
 * of it; more are never answered. QEMU frees a huge page only when all its 512 page numbers come in one request. So a
 * request is always ONE descriptor, of 512 numbers where the device offers INDIRECT descriptors (QEMU: such a device
 * has to walk whole requests) and of 256 otherwise; and many requests go to the device with one doorbell, because
 * Firecracker merges what it finds queued into large discards.
 */
#include "weir/balloon.h"

#include <stdalign.h>

#include "src/virtio/queue.h"

enum balloon_config_offset {
    CONFIG_TARGET = 0,
    CONFIG_ACTUAL = 4,
};

enum {
    NUMBERS_ANYWHERE = 256,
    NUMBERS_INDIRECT = 512,
    REPORT_QUEUE = 64, /* two reports in flight where the device's queue allows that (QEMU: 32, Firecracker: 256) */
    STATS_QUEUE = 8,
};

/* One queue's memory: what the device sees, then what it does not. */
#define RINGS(n)                                                                                                       \
    struct {                                                                                                           \
        alignas(16) uint8_t descriptors[VIRTQ_DESCRIPTORS_BYTES(n)];                                                   \
        alignas(4) uint8_t available[VIRTQ_AVAILABLE_BYTES(n)];                                                        \
        alignas(4) uint8_t used[VIRTQ_USED_BYTES(n)];                                                                  \
        struct virtqueue_slot slots[n];                                                                                \
    }

/* As the device reads it: 10 bytes, packed. */
struct statistic_entry {
    uint16_t tag;
    uint64_t value;
} __attribute__((packed));

static_assert(sizeof(struct statistic_entry) == 10, "VIRTIO 1.2, 5.5.6.3");

struct weir_balloon {
    uint32_t spare[WEIR_BALLOON_SPARE / 4];
    struct statistic_entry statistics[WEIR_STATISTICS];
    RINGS(WEIR_BALLOON_ELEMENTS) inflate_rings;
    RINGS(WEIR_BALLOON_ELEMENTS) deflate_rings;
    RINGS(REPORT_QUEUE) report_rings;
    RINGS(STATS_QUEUE) stats_rings;

    /* constant after init */
    struct weir_virtio *device;
    const struct weir_platform *platform;
    uint64_t bus; /* of this structure */
    unsigned numbers_max;
    uint8_t number[WEIR_BALLOON_QUEUES]; /* the device's number of each queue */

    struct virtqueue queues[WEIR_BALLOON_QUEUES]; /* size 0: not there */
    enum weir_balloon_health health;
    bool asked; /* the statistics buffer is here, the host waits for it */
};

static_assert(sizeof(struct weir_balloon) <= WEIR_BALLOON_MEMORY, "raise WEIR_BALLOON_MEMORY");

static uint64_t bus_of(const struct weir_balloon *balloon, const void *part)
{
    return balloon->bus + (uint64_t)((uintptr_t)part - (uintptr_t)balloon);
}

/* The device broke its protocol. */
static void breach(struct weir_balloon *balloon, const char *operation)
{
    if (balloon->health != WEIR_BALLOON_WELL)
        return;
    balloon->health = weir_virtio_reset(balloon->device) ? WEIR_BALLOON_RESET : WEIR_BALLOON_LOST;
    balloon->asked = false;
    struct weir_error error = {.status = WEIR_DEVICE, .operation = operation};
    balloon->platform->error(balloon->platform->context, &error);
}

/* --- starting --- */

struct queue_memory {
    void *descriptors, *available, *used;
    struct virtqueue_slot *slots;
    unsigned size;
};

#define QUEUE_MEMORY(rings)                                                                                            \
    (struct queue_memory)                                                                                              \
    {                                                                                                                  \
        (rings).descriptors, (rings).available, (rings).used, (rings).slots,                                           \
            sizeof(rings).slots / sizeof(rings).slots[0]                                                               \
    }

static bool start_queue(struct weir_balloon *balloon, enum weir_balloon_queue which, unsigned number,
                        struct queue_memory memory)
{
    const struct weir_virtio_transport *transport = balloon->device->transport;
    unsigned most = transport->queue_max(balloon->device, number);
    unsigned size = memory.size;
    while (size > most)
        size /= 2;
    if (size == 0)
        return false;
    struct weir_virtio_rings rings = {
        .descriptors = bus_of(balloon, memory.descriptors),
        .available = bus_of(balloon, memory.available),
        .used = bus_of(balloon, memory.used),
    };
    virtqueue_init(&balloon->queues[which], (uint16_t)size, memory.descriptors, memory.available, memory.used,
                   memory.slots);
    balloon->number[which] = (uint8_t)number;
    return transport->queue_start(balloon->device, number, size, &rings);
}

static bool start_queues(struct weir_balloon *balloon)
{
    uint64_t offered = balloon->device->offered;
    unsigned number = 2;
    if (!start_queue(balloon, WEIR_BALLOON_INFLATE, 0, QUEUE_MEMORY(balloon->inflate_rings)) ||
        !start_queue(balloon, WEIR_BALLOON_DEFLATE, 1, QUEUE_MEMORY(balloon->deflate_rings)))
        return false;
    if ((offered & WEIR_BALLOON_STATISTICS) != 0 &&
        !start_queue(balloon, WEIR_BALLOON_STATS, number++, QUEUE_MEMORY(balloon->stats_rings)))
        return false;
    if ((offered & WEIR_BALLOON_HINTING) != 0)
        number++;
    if ((offered & WEIR_BALLOON_REPORTING) != 0 &&
        !start_queue(balloon, WEIR_BALLOON_REPORT, number, QUEUE_MEMORY(balloon->report_rings)))
        return false;
    return true;
}

struct weir_balloon *weir_balloon_init(const struct weir_balloon_config *config)
{
    const uint64_t wanted =
        WEIR_BALLOON_MUST_TELL_HOST | WEIR_BALLOON_STATISTICS | WEIR_BALLOON_DEFLATE_ON_OOM | WEIR_BALLOON_REPORTING;
    if (config->memory == NULL || (uintptr_t)config->memory % 4096 != 0 || config->bus % 4096 != 0 ||
        !weir_virtio_negotiate(config->device, wanted))
        return NULL;
    struct weir_balloon *balloon = config->memory;
    balloon->device = config->device;
    balloon->platform = config->platform;
    balloon->bus = config->bus;
    balloon->numbers_max = (config->device->offered & WEIR_VIRTIO_INDIRECT) != 0 ? NUMBERS_INDIRECT : NUMBERS_ANYWHERE;
    if (!start_queues(balloon) || !weir_virtio_ready(config->device)) {
        config->device->transport->set_status(config->device, WEIR_VIRTIO_FAILED);
        return NULL;
    }
    balloon->asked = balloon->queues[WEIR_BALLOON_STATS].size != 0;
    return balloon;
}

/* --- registers --- */

unsigned weir_balloon_features(const struct weir_balloon *balloon)
{
    return (unsigned)balloon->device->accepted & 63;
}

unsigned weir_balloon_numbers_max(const struct weir_balloon *balloon)
{
    return balloon->numbers_max;
}

uint32_t weir_balloon_target(struct weir_balloon *balloon)
{
    return balloon->health == WEIR_BALLOON_WELL
               ? balloon->device->transport->config_read(balloon->device, CONFIG_TARGET)
               : 0;
}

void weir_balloon_set_actual(struct weir_balloon *balloon, uint32_t pages)
{
    if (balloon->health == WEIR_BALLOON_WELL)
        balloon->device->transport->config_write(balloon->device, CONFIG_ACTUAL, pages);
}

/* --- requests --- */

unsigned weir_balloon_room(const struct weir_balloon *balloon, enum weir_balloon_queue queue, unsigned segments)
{
    return balloon->health == WEIR_BALLOON_WELL && segments != 0 ? balloon->queues[queue].free / segments : 0;
}

bool weir_balloon_submit(struct weir_balloon *balloon, enum weir_balloon_queue queue,
                         const struct weir_segment *segments, unsigned count, uint32_t cookie)
{
    struct virtqueue_piece pieces[WEIR_BALLOON_REPORT_SEGMENTS];
    if (balloon->health != WEIR_BALLOON_WELL || count == 0 || count > WEIR_BALLOON_REPORT_SEGMENTS ||
        (queue != WEIR_BALLOON_REPORT && (count != 1 || segments[0].bytes > 4 * balloon->numbers_max)))
        return false;
    for (unsigned i = 0; i < count; i++)
        pieces[i] = (struct virtqueue_piece){segments[i].bus, segments[i].bytes, queue == WEIR_BALLOON_REPORT};
    return virtqueue_add(&balloon->queues[queue], pieces, count, cookie);
}

void weir_balloon_doorbell(struct weir_balloon *balloon, enum weir_balloon_queue queue)
{
    if (balloon->health == WEIR_BALLOON_WELL && virtqueue_show(&balloon->queues[queue]))
        balloon->device->transport->notify(balloon->device, balloon->number[queue]);
}

bool weir_balloon_collect(struct weir_balloon *balloon, enum weir_balloon_queue queue, uint32_t *cookie)
{
    uint32_t length;
    if (balloon->health != WEIR_BALLOON_WELL || balloon->queues[queue].size == 0)
        return false;
    switch (virtqueue_take(&balloon->queues[queue], cookie, &length)) {
    case VIRTQUEUE_TAKEN:
        return true;
    case VIRTQUEUE_BROKEN:
        breach(balloon, "weir_balloon_collect");
        return false;
    case VIRTQUEUE_NONE:
        break;
    }
    return false;
}

uint32_t *weir_balloon_spare(struct weir_balloon *balloon, uint64_t *bus)
{
    *bus = bus_of(balloon, balloon->spare);
    return balloon->spare;
}

/* --- statistics --- */

bool weir_balloon_asked(struct weir_balloon *balloon)
{
    uint32_t cookie;
    if (weir_balloon_collect(balloon, WEIR_BALLOON_STATS, &cookie))
        balloon->asked = true;
    return balloon->asked;
}

void weir_balloon_answer(struct weir_balloon *balloon, const struct weir_statistic *statistics, unsigned count)
{
    if (!balloon->asked || balloon->health != WEIR_BALLOON_WELL)
        return;
    if (count > WEIR_STATISTICS)
        count = WEIR_STATISTICS;
    for (unsigned i = 0; i < count; i++)
        balloon->statistics[i] = (struct statistic_entry){(uint16_t)statistics[i].tag, statistics[i].value};
    struct weir_segment segment = {
        .bus = bus_of(balloon, balloon->statistics),
        .bytes = count * (uint32_t)sizeof(struct statistic_entry),
    };
    if (weir_balloon_submit(balloon, WEIR_BALLOON_STATS, &segment, 1, 0)) {
        balloon->asked = false;
        weir_balloon_doorbell(balloon, WEIR_BALLOON_STATS);
    }
}

/* --- health --- */

enum weir_balloon_health weir_balloon_health(const struct weir_balloon *balloon)
{
    return balloon->health;
}

void weir_balloon_fail(struct weir_balloon *balloon)
{
    breach(balloon, "weir_balloon_fail");
}
