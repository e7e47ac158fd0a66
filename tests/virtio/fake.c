#include "tests/virtio/fake.h"

#include <string.h>

#include "src/virtio/queue.h"

enum {
    FEATURES_ALL = WEIR_BALLOON_STATISTICS | WEIR_BALLOON_DEFLATE_ON_OOM | WEIR_BALLOON_REPORTING,
    EVENT_INDEX = 1 << 29,
    PCI_BAR4 = 0x20,
    COMMON_AT = 0x10000, /* where map() puts the structures: BAR 4 + offset */
    DEVICE_AT = 0x12000,
    NOTIFY_AT = 0x13000,
    NOTIFY_MULTIPLIER = 4,
};

#define BAR_BUS   UINT64_C(0xc00000000)
#define BAR_BYTES 0x4000u
#define BAR_KIND  12u /* 64 bits, prefetchable */

static void init(struct fake *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake->stats_head = -1;
    fake->at_once = true;
}

void fake_init_qemu(struct fake *fake)
{
    static const uint32_t sizes[FAKE_QUEUES] = {128, 128, 128, 32, 0};
    init(fake);
    fake->offered = FEATURES_ALL | WEIR_BALLOON_POISON | WEIR_VIRTIO_INDIRECT | EVENT_INDEX | WEIR_VIRTIO_VERSION1;
    for (unsigned i = 0; i < FAKE_QUEUES; i++)
        fake->queues[i].size_max = sizes[i];
}

void fake_init_firecracker(struct fake *fake)
{
    init(fake);
    fake->strict = true;
    fake->cannot_reset = true;
    fake->offered = FEATURES_ALL | WEIR_VIRTIO_VERSION1;
    for (unsigned i = 0; i < 4; i++)
        fake->queues[i].size_max = 256;
}

static void complain(struct fake *fake, const char *what)
{
    if (fake->complaint == NULL)
        fake->complaint = what;
}

static void *host(const struct fake *fake, uint64_t bus)
{
    if (fake->reach != NULL)
        return fake->reach(fake->context, bus);
    return (void *)(uintptr_t)(bus - fake->bus_offset);
}

/* --- queues --- */

static int number_of(const struct fake *fake, enum weir_balloon_queue queue)
{
    int number = 2;
    if (queue == WEIR_BALLOON_INFLATE)
        return 0;
    if (queue == WEIR_BALLOON_DEFLATE)
        return 1;
    if ((fake->offered & WEIR_BALLOON_STATISTICS) != 0) {
        if (queue == WEIR_BALLOON_STATS)
            return number;
        number++;
    }
    if ((fake->offered & WEIR_BALLOON_HINTING) != 0)
        number++;
    return queue == WEIR_BALLOON_REPORT && (fake->offered & WEIR_BALLOON_REPORTING) != 0 ? number : -1;
}

static void post(struct fake *fake, struct fake_queue *queue, uint32_t id, uint32_t length)
{
    struct virtq_used *used = host(fake, queue->used);
    if (fake->misdeed == FAKE_ID_BEYOND)
        id = queue->size;
    if (fake->misdeed == FAKE_ID_IDLE)
        id = (id + queue->size / 2) % queue->size;
    if (fake->misdeed == FAKE_LENGTH)
        length = UINT32_MAX;
    for (int i = fake->misdeed == FAKE_ID_TWICE; i >= 0; i--) {
        used->ring[queue->posted % queue->size] = (struct virtq_used_element){id, length};
        queue->posted++;
    }
    uint16_t index = queue->posted;
    if (fake->misdeed == FAKE_INDEX_AHEAD)
        index = (uint16_t)(index + 1000);
    __atomic_store_n(&used->index, index, __ATOMIC_RELEASE);
    queue->served++;
}

/* One request whose chain starts at `head`. Returns the bytes that it has. */
static uint32_t work(struct fake *fake, enum weir_balloon_queue which, struct fake_queue *queue, uint16_t head)
{
    const struct virtq_descriptor *table = host(fake, queue->descriptors);
    uint32_t bytes = 0;
    unsigned pieces = 0;
    for (uint16_t at = head;; at = table[at].next) {
        const struct virtq_descriptor *piece = &table[at];
        bool device_writes = (piece->flags & VIRTQ_WRITE) != 0;
        if (at >= queue->size || ++pieces > queue->size) {
            complain(fake, "a chain leaves its queue");
            return bytes;
        }
        if (device_writes != (which == WEIR_BALLOON_REPORT))
            complain(fake, "a descriptor of the wrong direction");
        bytes += piece->length;
        if (which == WEIR_BALLOON_REPORT) {
            if (fake->take != NULL)
                fake->take(fake->context, which, piece->address, piece->length);
        } else if (which == WEIR_BALLOON_STATS) {
            fake->statistics_bytes = piece->length < sizeof(fake->statistics) ? piece->length : 0;
            memcpy(fake->statistics, host(fake, piece->address), fake->statistics_bytes);
        } else {
            const uint32_t *numbers = host(fake, piece->address);
            if (piece->length % 4 != 0 || (fake->strict && piece->length > 1024))
                complain(fake, "more page numbers than the device takes");
            if (piece->length / 4 > fake->largest_request)
                fake->largest_request = piece->length / 4;
            fake->huge_requests += piece->length == 2048 && numbers[0] % 512 == 0 && numbers[511] == numbers[0] + 511;
            for (unsigned i = 0; i < piece->length / 4 && fake->take != NULL; i++)
                fake->take(fake->context, which, (uint64_t)numbers[i] << 12, 4096);
        }
        if ((piece->flags & VIRTQ_NEXT) == 0)
            break;
        if (which != WEIR_BALLOON_REPORT)
            complain(fake, "a request of several descriptors");
    }
    if (pieces > WEIR_BALLOON_REPORT_SEGMENTS)
        complain(fake, "a report of too many ranges");
    return bytes;
}

unsigned fake_serve(struct fake *fake, enum weir_balloon_queue queue_name, unsigned most)
{
    int number = number_of(fake, queue_name);
    if (number < 0 || !fake->queues[number].ready || (fake->status & WEIR_VIRTIO_DRIVER_OK) == 0)
        return 0;
    struct fake_queue *queue = &fake->queues[number];
    const struct virtq_available *available = host(fake, queue->available);
    uint16_t index = __atomic_load_n(&available->index, __ATOMIC_ACQUIRE);
    unsigned n = 0;
    if ((uint16_t)(index - queue->seen) > queue->size)
        complain(fake, "more requests than the queue is long");
    while (fake->misdeed != FAKE_SILENT && queue->seen != index && n < most) {
        uint16_t head = available->ring[queue->seen++ % queue->size];
        uint32_t bytes = work(fake, queue_name, queue, head);
        n++;
        if (queue_name == WEIR_BALLOON_STATS) {
            if (fake->stats_head >= 0)
                complain(fake, "more than one statistics buffer");
            fake->stats_head = head;
        } else {
            post(fake, queue, head, queue_name == WEIR_BALLOON_REPORT ? bytes : 0);
        }
    }
    return n;
}

bool fake_ask(struct fake *fake)
{
    if (fake->stats_head < 0)
        return false;
    /* As QEMU: the length is what it read. */
    post(fake, &fake->queues[number_of(fake, WEIR_BALLOON_STATS)], (uint32_t)fake->stats_head, fake->statistics_bytes);
    fake->stats_head = -1;
    return true;
}

static void doorbell(struct fake *fake, unsigned number)
{
    if ((fake->status & WEIR_VIRTIO_DRIVER_OK) == 0)
        complain(fake, "a doorbell before DRIVER_OK");
    if (number >= FAKE_QUEUES || !fake->queues[number].ready) {
        complain(fake, "a doorbell of a queue that is not there");
        return;
    }
    fake->queues[number].doorbells++;
    if (!fake->at_once)
        return;
    for (enum weir_balloon_queue queue = 0; queue < WEIR_BALLOON_QUEUES; queue++)
        if (number_of(fake, queue) == (int)number)
            fake_serve(fake, queue, 1u << 16);
}

/* --- registers that both transports have --- */

static void set_status(struct fake *fake, uint8_t status)
{
    static const uint8_t order[] = {0, 1, 3, 11, 15};
    if (fake->status_writes < FAKE_LOG)
        fake->status_log[fake->status_writes] = status;
    fake->status_writes++;
    if (status == 0) {
        if (fake->cannot_reset && (fake->status & WEIR_VIRTIO_DRIVER_OK) != 0) {
            fake->status |= WEIR_VIRTIO_FAILED;
            return;
        }
        for (unsigned i = 0; i < FAKE_QUEUES; i++)
            fake->queues[i] = (struct fake_queue){.size_max = fake->queues[i].size_max};
        fake->status = 0;
        fake->accepted = 0;
        fake->stats_head = -1;
        return;
    }
    if ((status & WEIR_VIRTIO_FAILED) != 0) {
        fake->status |= WEIR_VIRTIO_FAILED;
        return;
    }
    for (unsigned i = 1; i < sizeof(order) && fake->strict; i++) {
        if (order[i] == status && order[i - 1] == fake->status)
            break;
        if (i + 1 == sizeof(order)) {
            complain(fake, "a status out of order");
            return;
        }
    }
    if (fake->no_features_ok)
        status &= (uint8_t)~WEIR_VIRTIO_FEATURES_OK;
    fake->status = status;
}

static uint32_t read_config(struct fake *fake, unsigned at)
{
    if (at == 0) {
        fake->target_reads++;
        return fake->wild_target ? fake->target_reads * UINT32_C(2654435761) : fake->target;
    }
    return at == 4 ? fake->actual : 0;
}

static struct fake_queue *selected(struct fake *fake)
{
    static struct fake_queue none;
    none = (struct fake_queue){0};
    return fake->queue_select < FAKE_QUEUES ? &fake->queues[fake->queue_select] : &none;
}

static void put_half(uint64_t *address, bool high, uint32_t value)
{
    *address = high ? (*address & UINT32_MAX) | (uint64_t)value << 32 : (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void check_queue(struct fake *fake, const struct fake_queue *queue)
{
    if (queue->size == 0 || queue->size > queue->size_max || (queue->size & (queue->size - 1)) != 0)
        complain(fake, "a queue of a wrong size");
    if (queue->descriptors % 16 != 0 || queue->available % 2 != 0 || queue->used % 4 != 0)
        complain(fake, "a queue that is misaligned");
}

/* --- MMIO --- */

static uint32_t mmio_read(struct fake *fake, unsigned at)
{
    switch (at) {
    case 0x00:
        return 0x74726976;
    case 0x04:
        return 2;
    case 0x08:
        return WEIR_VIRTIO_ID_BALLOON;
    case 0x10:
        return fake->feature_select < 2 ? (uint32_t)(fake->offered >> 32 * fake->feature_select) : 0;
    case 0x34:
        return selected(fake)->size_max;
    case 0x44:
        return selected(fake)->ready;
    case 0x70:
        return fake->status;
    default:
        break;
    }
    if (at >= 0x100)
        return read_config(fake, at - 0x100);
    complain(fake, "a read of a register that is not there");
    return 0;
}

static void mmio_write(struct fake *fake, unsigned at, uint32_t value)
{
    struct fake_queue *queue = selected(fake);
    switch (at) {
    case 0x14:
        fake->feature_select = value;
        return;
    case 0x20:
        put_half(&fake->accepted, fake->driver_select != 0, value);
        return;
    case 0x24:
        fake->driver_select = value;
        return;
    case 0x30:
        fake->queue_select = value;
        return;
    case 0x38:
        queue->size = value;
        return;
    case 0x44:
        check_queue(fake, queue);
        queue->ready = value != 0;
        return;
    case 0x50:
        doorbell(fake, value);
        return;
    case 0x70:
        set_status(fake, (uint8_t)value);
        return;
    case 0x80:
    case 0x84:
        put_half(&queue->descriptors, at == 0x84, value);
        return;
    case 0x90:
    case 0x94:
        put_half(&queue->available, at == 0x94, value);
        return;
    case 0xa0:
    case 0xa4:
        put_half(&queue->used, at == 0xa4, value);
        return;
    case 0x104:
        fake->actual = value;
        return;
    default:
        complain(fake, "a write of a register that is not there");
    }
}

/* --- PCI --- */

static uint32_t common_read(struct fake *fake, unsigned at, unsigned bytes)
{
    struct fake_queue *queue = selected(fake);
    switch (at << 4 | bytes) {
    case 0x044:
        return fake->feature_select < 2 ? (uint32_t)(fake->offered >> 32 * fake->feature_select) : 0;
    case 0x141:
        return fake->status;
    case 0x182:
        return queue->size != 0 ? queue->size : queue->size_max;
    case 0x1c2:
        return queue->ready;
    case 0x1e2:
        return fake->queue_select;
    default:
        complain(fake, "a read of a common register that is not there, or of another width");
        return 0;
    }
}

static void common_write(struct fake *fake, unsigned at, unsigned bytes, uint32_t value)
{
    struct fake_queue *queue = selected(fake);
    switch (at << 4 | bytes) {
    case 0x004:
        fake->feature_select = value;
        return;
    case 0x084:
        fake->driver_select = value;
        return;
    case 0x0c4:
        put_half(&fake->accepted, fake->driver_select != 0, value);
        return;
    case 0x141:
        set_status(fake, (uint8_t)value);
        return;
    case 0x162:
        fake->queue_select = value;
        return;
    case 0x182:
        queue->size = value;
        return;
    case 0x1c2:
        check_queue(fake, queue);
        queue->ready = value != 0;
        return;
    case 0x204:
    case 0x244:
        put_half(&queue->descriptors, at == 0x24, value);
        return;
    case 0x284:
    case 0x2c4:
        put_half(&queue->available, at == 0x2c, value);
        return;
    case 0x304:
    case 0x344:
        put_half(&queue->used, at == 0x34, value);
        return;
    default:
        complain(fake, "a write of a common register that is not there, or of another width");
    }
}

static uint32_t any_read(void *context, uintptr_t address, unsigned bytes)
{
    struct fake *fake = context;
    fake->register_accesses++;
    if (address >= FAKE_WINDOW && address < FAKE_WINDOW + 0x200 && bytes == 4)
        return mmio_read(fake, (unsigned)(address - FAKE_WINDOW));
    if (address >= COMMON_AT && address < COMMON_AT + 0x38)
        return common_read(fake, (unsigned)(address - COMMON_AT), bytes);
    if (address >= DEVICE_AT && address < DEVICE_AT + 8 && bytes == 4)
        return read_config(fake, (unsigned)(address - DEVICE_AT));
    complain(fake, "a read of nothing");
    return 0;
}

static void any_write(void *context, uintptr_t address, unsigned bytes, uint32_t value)
{
    struct fake *fake = context;
    fake->register_accesses++;
    if (address >= FAKE_WINDOW && address < FAKE_WINDOW + 0x200 && bytes == 4)
        mmio_write(fake, (unsigned)(address - FAKE_WINDOW), value);
    else if (address >= COMMON_AT && address < COMMON_AT + 0x38)
        common_write(fake, (unsigned)(address - COMMON_AT), bytes, value);
    else if (address == DEVICE_AT + 4 && bytes == 4)
        fake->actual = value;
    else if (address >= NOTIFY_AT && address < NOTIFY_AT + FAKE_QUEUES * NOTIFY_MULTIPLIER && bytes == 2 &&
             (address - NOTIFY_AT) / NOTIFY_MULTIPLIER == value)
        doorbell(fake, value);
    else
        complain(fake, "a write of nothing");
}

struct weir_registers fake_registers(struct fake *fake)
{
    return (struct weir_registers){.context = fake, .read = any_read, .write = any_write};
}

static uint32_t pci_read(void *context, uint32_t function, unsigned offset)
{
    struct fake *fake = context;
    uint32_t value = UINT32_MAX;
    if (function == FAKE_FUNCTION)
        memcpy(&value, fake->pci + offset, 4);
    return value;
}

static void pci_write(void *context, uint32_t function, unsigned offset, uint32_t value)
{
    struct fake *fake = context;
    if (function != FAKE_FUNCTION)
        return;
    if (offset == PCI_BAR4) {
        value = (value & ~(uint32_t)(BAR_BYTES - 1)) | BAR_KIND;
        if (fake->pci[4] & 2)
            complain(fake, "its memory moves while it answers there");
    }
    memcpy(fake->pci + offset, &value, 4);
}

static uint64_t bar_bus(const struct fake *fake)
{
    uint64_t bus;
    memcpy(&bus, fake->pci + PCI_BAR4, sizeof bus);
    return bus & ~(uint64_t)15;
}

static uintptr_t pci_map(void *context, uint64_t bus, size_t bytes)
{
    struct fake *fake = context;
    (void)bytes;
    fake->bars_mapped++;
    if (bus < bar_bus(fake) || bus >= bar_bus(fake) + BAR_BYTES)
        complain(fake, "a mapping of what is not the device's");
    return (uintptr_t)(bus - bar_bus(fake) + COMMON_AT);
}

static void pci_set(struct fake *fake, unsigned at, uint32_t value)
{
    memcpy(fake->pci + at, &value, 4);
}

static void capability(struct fake *fake, unsigned at, unsigned next, unsigned kind, uint32_t offset, uint32_t length)
{
    pci_set(fake, at, 9 | next << 8 | 20u << 16 | kind << 24);
    pci_set(fake, at + 4, 4);
    pci_set(fake, at + 8, offset);
    pci_set(fake, at + 12, length);
}

struct weir_pci fake_pci(struct fake *fake)
{
    pci_set(fake, 0x00, 0x10451af4);
    pci_set(fake, 0x04, 1u << 20);
    pci_set(fake, PCI_BAR4, (uint32_t)BAR_BUS | BAR_KIND);
    pci_set(fake, PCI_BAR4 + 4, BAR_BUS >> 32);
    pci_set(fake, 0x34, 0x98);
    pci_set(fake, 0x98, 0x11 | 0x84u << 8); /* MSI-X: not for us */
    capability(fake, 0x84, 0x70, 5, 0, 4);  /* configuration access: not needed */
    capability(fake, 0x70, 0x60, 2, NOTIFY_AT - COMMON_AT, FAKE_QUEUES * NOTIFY_MULTIPLIER);
    pci_set(fake, 0x80, NOTIFY_MULTIPLIER);
    capability(fake, 0x60, 0x50, 4, DEVICE_AT - COMMON_AT, 8);
    capability(fake, 0x50, 0x40, 3, 0x1000, 4);
    capability(fake, 0x40, 0, 1, 0, 0x38);
    return (struct weir_pci){.context = fake, .read = pci_read, .write = pci_write, .map = pci_map};
}
