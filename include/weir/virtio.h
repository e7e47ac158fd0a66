/*
 * virtio devices as a driver sees them: registers, feature negotiation, queues, behind one transport interface.
 *
 * Two transports: virtio-mmio version 2 (QEMU microvm, Firecracker) and virtio-pci modern (QEMU q35 and pc). A device
 * is a small struct that the caller owns; nothing here allocates, waits without a bound, or trusts what a register
 * reads. Not thread safe: the driver of the device serialises.
 *
 * "Bus" means guest-physical: the addresses that the device uses. The caller says how registers are read and written,
 * so that a test can put its own device there. OASIS, Virtual I/O Device (VIRTIO) Version 1.2: 2.1 (status), 4.1, 4.2.
 */
#ifndef WEIR_VIRTIO_H
#define WEIR_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_VIRTIO_ID_BALLOON 5
#define WEIR_VIRTIO_QUEUES     8 /* most queues of one device */

/* Access to device registers; `bytes` is 1, 2 or 4 and divides `address`. */
struct weir_registers {
    void *context;
    uint32_t (*read)(void *context, uintptr_t address, unsigned bytes);
    void (*write)(void *context, uintptr_t address, unsigned bytes, uint32_t value);
};

/* Access to the configuration space of PCI functions, and to the memory behind their base address registers.
 * `function` is bus << 8 | device << 3 | function; `offset` a multiple of 4 below 256. */
struct weir_pci {
    void *context;
    uint32_t (*read)(void *context, uint32_t function, unsigned offset);
    void (*write)(void *context, uint32_t function, unsigned offset, uint32_t value);
    /* Makes device memory reachable; returns the address for weir_registers, 0 if it cannot. */
    uintptr_t (*map)(void *context, uint64_t bus, size_t bytes);
    /* Bus addresses below 4 GiB that nothing answers to: `bytes` of them, a power of two, naturally aligned, for a base
     * address register that the firmware has left unassigned; 0 if there are none. Null: such functions fail to open.
     */
    uint64_t (*place)(void *context, size_t bytes);
};

enum weir_virtio_status {
    WEIR_VIRTIO_ACKNOWLEDGE = 1,
    WEIR_VIRTIO_DRIVER = 2,
    WEIR_VIRTIO_DRIVER_OK = 4,
    WEIR_VIRTIO_FEATURES_OK = 8,
    WEIR_VIRTIO_NEEDS_RESET = 64,
    WEIR_VIRTIO_FAILED = 128,
};

#define WEIR_VIRTIO_INDIRECT ((uint64_t)1 << 28) /* the device takes indirect descriptors */
#define WEIR_VIRTIO_VERSION1 ((uint64_t)1 << 32) /* not a legacy device; every driver here accepts it */

struct weir_virtio;

/* Where a queue lies, in bus addresses. */
struct weir_virtio_rings {
    uint64_t descriptors, available, used;
};

/* What a transport does. */
struct weir_virtio_transport {
    uint8_t (*status)(struct weir_virtio *device);
    void (*set_status)(struct weir_virtio *device, uint8_t status);
    uint64_t (*features)(struct weir_virtio *device);
    void (*accept)(struct weir_virtio *device, uint64_t features);
    unsigned (*queue_max)(struct weir_virtio *device, unsigned queue); /* 0: there is no such queue */
    bool (*queue_start)(struct weir_virtio *device, unsigned queue, unsigned size,
                        const struct weir_virtio_rings *rings);
    void (*notify)(struct weir_virtio *device, unsigned queue);
    uint32_t (*config_read)(struct weir_virtio *device, unsigned offset); /* 32 bits, offset a multiple of 4 */
    void (*config_write)(struct weir_virtio *device, unsigned offset, uint32_t value);
};

/* One device. Filled by one of the open functions. */
struct weir_virtio {
    const struct weir_virtio_transport *transport;
    struct weir_registers registers;
    uint64_t offered;  /* features, read once by weir_virtio_negotiate */
    uint64_t accepted; /* part of offered */

    uintptr_t common; /* MMIO: the register window; PCI: the common configuration */
    /* PCI only: */
    uintptr_t device_config, notify;
    uint32_t device_length, notify_length, notify_multiplier;
    uint16_t doorbell[WEIR_VIRTIO_QUEUES]; /* each queue's notify offset, read when it was started */
};

/* Opens the virtio-mmio device at `window` (already mapped). False if there is no version 2 device of this id. */
bool weir_virtio_open_mmio(struct weir_virtio *device, const struct weir_registers *registers, uintptr_t window,
                           uint32_t id);

/* Opens the virtio-pci function `function`, maps its structures and lets it reach memory. False if it is no modern
 * virtio device of this id, or its capabilities make no sense. */
bool weir_virtio_open_pci(struct weir_virtio *device, const struct weir_registers *registers,
                          const struct weir_pci *pci, uint32_t function, uint32_t id);

/* Finds the first virtio function of this id, on bus 0 and behind its bridges. True and `*function` if there is one. */
bool weir_virtio_find_pci(const struct weir_pci *pci, uint32_t id, uint32_t *function);

/* Resets the device and negotiates: afterwards device->accepted = offered & (wanted | VERSION_1). False if the device
 * is no version 1 device or refuses; it is then marked failed. Next: start the queues, then weir_virtio_ready. */
bool weir_virtio_negotiate(struct weir_virtio *device, uint64_t wanted);

/* Sets DRIVER_OK: the device may be notified. False if it does not accept. */
bool weir_virtio_ready(struct weir_virtio *device);

/* Resets the device. True if it confirmed: from then on it touches no memory. Some hosts cannot reset a live device
 * (Firecracker): false, and memory that the device was given stays its own for ever. */
bool weir_virtio_reset(struct weir_virtio *device);

#endif
