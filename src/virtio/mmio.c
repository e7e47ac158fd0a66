/* The virtio-mmio transport, version 2 (VIRTIO 1.2, 4.2): a window of 32-bit registers. */
#include "weir/virtio.h"

enum mmio_register {
    MAGIC = 0x00,
    VERSION = 0x04,
    DEVICE_ID = 0x08, /* 0: an empty slot */
    DEVICE_FEATURES = 0x10,
    DEVICE_FEATURES_SELECT = 0x14,
    DRIVER_FEATURES = 0x20,
    DRIVER_FEATURES_SELECT = 0x24,
    QUEUE_SELECT = 0x30,
    QUEUE_SIZE_MAX = 0x34,
    QUEUE_SIZE = 0x38,
    QUEUE_READY = 0x44,
    QUEUE_NOTIFY = 0x50,
    STATUS = 0x70,
    QUEUE_DESCRIPTORS = 0x80,
    QUEUE_AVAILABLE = 0x90,
    QUEUE_USED = 0xa0,
    CONFIGURATION = 0x100,
};

enum {
    MMIO_MAGIC = 0x74726976, /* "virt" */
    MMIO_VERSION = 2,
};

static uint32_t get(const struct weir_virtio *device, unsigned at)
{
    return device->registers.read(device->registers.context, device->common + at, 4);
}

static void put(const struct weir_virtio *device, unsigned at, uint32_t value)
{
    device->registers.write(device->registers.context, device->common + at, 4, value);
}

/* A 64-bit address in two registers, low half first. */
static void put_address(const struct weir_virtio *device, unsigned at, uint64_t value)
{
    put(device, at, (uint32_t)value);
    put(device, at + 4, (uint32_t)(value >> 32));
}

static uint8_t mmio_status(struct weir_virtio *device)
{
    return (uint8_t)get(device, STATUS);
}

static void mmio_set_status(struct weir_virtio *device, uint8_t status)
{
    put(device, STATUS, status);
}

static uint64_t mmio_features(struct weir_virtio *device)
{
    put(device, DEVICE_FEATURES_SELECT, 0);
    uint64_t low = get(device, DEVICE_FEATURES);
    put(device, DEVICE_FEATURES_SELECT, 1);
    return low | (uint64_t)get(device, DEVICE_FEATURES) << 32;
}

static void mmio_accept(struct weir_virtio *device, uint64_t features)
{
    put(device, DRIVER_FEATURES_SELECT, 0);
    put(device, DRIVER_FEATURES, (uint32_t)features);
    put(device, DRIVER_FEATURES_SELECT, 1);
    put(device, DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static unsigned mmio_queue_max(struct weir_virtio *device, unsigned queue)
{
    put(device, QUEUE_SELECT, queue);
    return get(device, QUEUE_READY) != 0 ? 0 : get(device, QUEUE_SIZE_MAX);
}

static bool mmio_queue_start(struct weir_virtio *device, unsigned queue, unsigned size,
                             const struct weir_virtio_rings *rings)
{
    put(device, QUEUE_SELECT, queue);
    put(device, QUEUE_SIZE, size);
    put_address(device, QUEUE_DESCRIPTORS, rings->descriptors);
    put_address(device, QUEUE_AVAILABLE, rings->available);
    put_address(device, QUEUE_USED, rings->used);
    put(device, QUEUE_READY, 1);
    return get(device, QUEUE_READY) == 1;
}

static void mmio_notify(struct weir_virtio *device, unsigned queue)
{
    put(device, QUEUE_NOTIFY, queue);
}

static uint32_t mmio_config_read(struct weir_virtio *device, unsigned offset)
{
    return get(device, CONFIGURATION + offset);
}

static void mmio_config_write(struct weir_virtio *device, unsigned offset, uint32_t value)
{
    put(device, CONFIGURATION + offset, value);
}

static const struct weir_virtio_transport mmio_transport = {
    .status = mmio_status,
    .set_status = mmio_set_status,
    .features = mmio_features,
    .accept = mmio_accept,
    .queue_max = mmio_queue_max,
    .queue_start = mmio_queue_start,
    .notify = mmio_notify,
    .config_read = mmio_config_read,
    .config_write = mmio_config_write,
};

bool weir_virtio_open_mmio(struct weir_virtio *device, const struct weir_registers *registers, uintptr_t window,
                           uint32_t id)
{
    *device = (struct weir_virtio){.transport = &mmio_transport, .registers = *registers, .common = window};
    return get(device, MAGIC) == MMIO_MAGIC && get(device, VERSION) == MMIO_VERSION && get(device, DEVICE_ID) == id;
}
