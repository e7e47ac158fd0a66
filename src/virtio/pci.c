/*
 * The virtio-pci transport, modern (VIRTIO 1.2, 4.1): structures inside the function's base address registers, found
 * through vendor-specific capabilities. Interrupts are not used; the ISR structure is left alone.
 */
#include "weir/virtio.h"

#include "src/base/bits.h"

/* --- configuration space, PCI 3.0, 6.1 --- */

enum pci_offset {
    PCI_ID = 0x00,
    PCI_COMMAND = 0x04,
    PCI_HEADER = 0x0c,
    PCI_BAR = 0x10,
    PCI_BUSES = 0x18, /* of a bridge: primary, secondary, subordinate */
    PCI_CAPABILITIES = 0x34,
    PCI_FIRST_CAPABILITY = 0x40,
    PCI_CONFIG_BYTES = 0x100,
};

enum {
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_STATUS_CAPABILITIES = 1 << 20, /* of the dword at PCI_COMMAND */
    PCI_BAR_IO = 1,
    PCI_BAR_64 = 2 << 1,
    PCI_BARS = 6,
    PCI_VENDOR_CAPABILITY = 9,
    PCI_DEVICES = 32,
    PCI_FUNCTIONS = 8,
    PCI_DEPTH = 4, /* bridges behind bridges that are searched */

    VIRTIO_VENDOR = 0x1af4,
    VIRTIO_MODERN = 0x1040,         /* + device id */
    VIRTIO_BALLOON_LEGACY = 0x1002, /* a transitional balloon: speaks modern, too */
};

/* --- the structures --- */

enum pci_structure {
    STRUCTURE_COMMON = 1,
    STRUCTURE_NOTIFY = 2,
    STRUCTURE_ISR = 3,
    STRUCTURE_DEVICE = 4,
};

enum common_register {
    DEVICE_FEATURES_SELECT = 0x00,
    DEVICE_FEATURES = 0x04,
    DRIVER_FEATURES_SELECT = 0x08,
    DRIVER_FEATURES = 0x0c,
    STATUS = 0x14,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFFSET = 0x1e,
    QUEUE_DESCRIPTORS = 0x20,
    QUEUE_AVAILABLE = 0x28,
    QUEUE_USED = 0x30,
    COMMON_BYTES = 0x38,
};

static uint32_t get(const struct weir_virtio *device, unsigned at, unsigned bytes)
{
    return device->registers.read(device->registers.context, device->common + at, bytes);
}

static void put(const struct weir_virtio *device, unsigned at, unsigned bytes, uint32_t value)
{
    device->registers.write(device->registers.context, device->common + at, bytes, value);
}

static void put_address(const struct weir_virtio *device, unsigned at, uint64_t value)
{
    put(device, at, 4, (uint32_t)value);
    put(device, at + 4, 4, (uint32_t)(value >> 32));
}

static uint8_t pci_status(struct weir_virtio *device)
{
    return (uint8_t)get(device, STATUS, 1);
}

static void pci_set_status(struct weir_virtio *device, uint8_t status)
{
    put(device, STATUS, 1, status);
}

static uint64_t pci_features(struct weir_virtio *device)
{
    put(device, DEVICE_FEATURES_SELECT, 4, 0);
    uint64_t low = get(device, DEVICE_FEATURES, 4);
    put(device, DEVICE_FEATURES_SELECT, 4, 1);
    return low | (uint64_t)get(device, DEVICE_FEATURES, 4) << 32;
}

static void pci_accept(struct weir_virtio *device, uint64_t features)
{
    put(device, DRIVER_FEATURES_SELECT, 4, 0);
    put(device, DRIVER_FEATURES, 4, (uint32_t)features);
    put(device, DRIVER_FEATURES_SELECT, 4, 1);
    put(device, DRIVER_FEATURES, 4, (uint32_t)(features >> 32));
}

static unsigned pci_queue_max(struct weir_virtio *device, unsigned queue)
{
    put(device, QUEUE_SELECT, 2, queue);
    return get(device, QUEUE_ENABLE, 2) != 0 ? 0 : get(device, QUEUE_SIZE, 2);
}

static bool pci_queue_start(struct weir_virtio *device, unsigned queue, unsigned size,
                            const struct weir_virtio_rings *rings)
{
    if (queue >= WEIR_VIRTIO_QUEUES)
        return false;
    put(device, QUEUE_SELECT, 2, queue);
    uint16_t offset = (uint16_t)get(device, QUEUE_NOTIFY_OFFSET, 2);
    if ((uint64_t)offset * device->notify_multiplier + 2 > device->notify_length)
        return false;
    device->doorbell[queue] = offset;
    put(device, QUEUE_SIZE, 2, size);
    put_address(device, QUEUE_DESCRIPTORS, rings->descriptors);
    put_address(device, QUEUE_AVAILABLE, rings->available);
    put_address(device, QUEUE_USED, rings->used);
    put(device, QUEUE_ENABLE, 2, 1);
    return get(device, QUEUE_ENABLE, 2) == 1;
}

static void pci_notify(struct weir_virtio *device, unsigned queue)
{
    uintptr_t doorbell = device->notify + (uintptr_t)device->doorbell[queue] * device->notify_multiplier;
    device->registers.write(device->registers.context, doorbell, 2, queue);
}

static uint32_t pci_config_read(struct weir_virtio *device, unsigned offset)
{
    if (offset + 4 > device->device_length)
        return 0;
    return device->registers.read(device->registers.context, device->device_config + offset, 4);
}

static void pci_config_write(struct weir_virtio *device, unsigned offset, uint32_t value)
{
    if (offset + 4 <= device->device_length)
        device->registers.write(device->registers.context, device->device_config + offset, 4, value);
}

static const struct weir_virtio_transport pci_transport = {
    .status = pci_status,
    .set_status = pci_set_status,
    .features = pci_features,
    .accept = pci_accept,
    .queue_max = pci_queue_max,
    .queue_start = pci_queue_start,
    .notify = pci_notify,
    .config_read = pci_config_read,
    .config_write = pci_config_write,
};

/* --- finding and opening --- */

static uint32_t config(const struct weir_pci *pci, uint32_t function, unsigned offset)
{
    return pci->read(pci->context, function, offset);
}

static bool is_virtio(uint32_t identity, uint32_t id)
{
    uint32_t number = identity >> 16;
    return (identity & 0xffff) == VIRTIO_VENDOR &&
           (number == VIRTIO_MODERN + id || (id == WEIR_VIRTIO_ID_BALLOON && number == VIRTIO_BALLOON_LEGACY));
}

/* One bus; recursion is bounded by `depth` and by bus numbers that must rise. */
static bool find_on_bus(const struct weir_pci *pci, uint32_t bus, unsigned depth, uint32_t id, uint32_t *found)
{
    for (uint32_t device = 0; device < PCI_DEVICES; device++) {
        unsigned functions = 1;
        for (uint32_t index = 0; index < functions; index++) {
            uint32_t function = bus << 8 | device << 3 | index;
            uint32_t identity = config(pci, function, PCI_ID);
            if ((identity & 0xffff) == 0xffff)
                continue;
            if (is_virtio(identity, id)) {
                *found = function;
                return true;
            }
            uint32_t header = config(pci, function, PCI_HEADER) >> 16 & 0xff;
            if (index == 0 && (header & 0x80) != 0)
                functions = PCI_FUNCTIONS;
            if ((header & 0x7f) != 1 || depth == 0)
                continue;
            uint32_t secondary = config(pci, function, PCI_BUSES) >> 8 & 0xff;
            if (secondary > bus && find_on_bus(pci, secondary, depth - 1, id, found))
                return true;
        }
    }
    return false;
}

bool weir_virtio_find_pci(const struct weir_pci *pci, uint32_t id, uint32_t *function)
{
    return find_on_bus(pci, 0, PCI_DEPTH, id, function);
}

/* Gives an unassigned base address register an address: what small firmware leaves to the system. Its size shows in the
 * bits that cannot be written (PCI 3.0, 6.2.5.1); meanwhile the function must not answer. 0 if there is no place. */
static uint64_t place_bar(const struct weir_pci *pci, uint32_t function, unsigned at, bool wide)
{
    if (pci->place == NULL)
        return 0;
    uint32_t command = config(pci, function, PCI_COMMAND) & 0xffff;
    pci->write(pci->context, function, PCI_COMMAND, command & ~(uint32_t)PCI_COMMAND_MEMORY);
    pci->write(pci->context, function, at, UINT32_MAX);
    uint32_t size = ~(config(pci, function, at) & ~(uint32_t)15) + 1;
    uint64_t base = size != 0 && is_power_of_two(size) ? pci->place(pci->context, size) : 0;
    pci->write(pci->context, function, at, (uint32_t)base);
    if (wide)
        pci->write(pci->context, function, at + 4, 0);
    pci->write(pci->context, function, PCI_COMMAND, command);
    return base;
}

/* Maps [offset, offset + length) of a base address register. */
static uintptr_t map_structure(const struct weir_pci *pci, uint32_t function, unsigned bar, uint32_t offset,
                               uint32_t length)
{
    if (bar >= PCI_BARS || (offset & 3) != 0)
        return 0;
    uint32_t low = config(pci, function, PCI_BAR + 4 * bar);
    if ((low & PCI_BAR_IO) != 0)
        return 0;
    bool wide = (low & PCI_BAR_64) != 0 && bar + 1 < PCI_BARS;
    uint64_t base = low & ~(uint32_t)15;
    if (wide)
        base |= (uint64_t)config(pci, function, PCI_BAR + 4 * bar + 4) << 32;
    if (base == 0)
        base = place_bar(pci, function, PCI_BAR + 4 * bar, wide);
    if (base == 0 || base + offset + length < base)
        return 0;
    return pci->map(pci->context, base + offset, length);
}

/* Maps the structure that the capability at `at` describes, if it is one that is needed and comes first of its kind. */
static void read_capability(struct weir_virtio *device, const struct weir_pci *pci, uint32_t function, unsigned at)
{
    unsigned kind = config(pci, function, at) >> 24;
    unsigned bar = config(pci, function, at + 4) & 0xff;
    uint32_t offset = config(pci, function, at + 8);
    uint32_t length = config(pci, function, at + 12);
    if (kind == STRUCTURE_COMMON && device->common == 0 && length >= COMMON_BYTES) {
        device->common = map_structure(pci, function, bar, offset, length);
    } else if (kind == STRUCTURE_NOTIFY && device->notify == 0 && at + 20 <= PCI_CONFIG_BYTES) {
        device->notify_multiplier = config(pci, function, at + 16);
        device->notify_length = length;
        device->notify = map_structure(pci, function, bar, offset, length);
    } else if (kind == STRUCTURE_DEVICE && device->device_config == 0) {
        device->device_length = length;
        device->device_config = map_structure(pci, function, bar, offset, length);
    }
}

bool weir_virtio_open_pci(struct weir_virtio *device, const struct weir_registers *registers,
                          const struct weir_pci *pci, uint32_t function, uint32_t id)
{
    *device = (struct weir_virtio){.transport = &pci_transport, .registers = *registers};
    uint32_t command = config(pci, function, PCI_COMMAND);
    if (!is_virtio(config(pci, function, PCI_ID), id) || (command & PCI_STATUS_CAPABILITIES) == 0)
        return false;
    /* The upper half is the status, whose bits clear when written as 1. */
    pci->write(pci->context, function, PCI_COMMAND, (command & 0xffff) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

    unsigned at = config(pci, function, PCI_CAPABILITIES) & 0xfc;
    const unsigned most = (PCI_CONFIG_BYTES - PCI_FIRST_CAPABILITY) / 4; /* a list that is longer is a circle */
    for (unsigned n = 0; n < most && at >= PCI_FIRST_CAPABILITY; n++) {
        uint32_t head = config(pci, function, at);
        if ((head & 0xff) == PCI_VENDOR_CAPABILITY && at + 16 <= PCI_CONFIG_BYTES)
            read_capability(device, pci, function, at);
        at = head >> 8 & 0xfc;
    }
    return device->common != 0 && device->notify != 0 && device->device_config != 0;
}
