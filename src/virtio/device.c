/*
 * The life of a virtio device, above its transport: reset, negotiation, ready, failed.
 *
 * The status register climbs 0, 1, 3, 11, 15: exactly these values in this order, each written once, because
 * Firecracker ignores any other order. A device that reads back something else is marked failed and left alone.
 */
#include "weir/virtio.h"

/* How often the status is read before a reset counts as refused. QEMU and Firecracker answer at the first read; each
 * read costs up to 74 us (KVM without hardware virtualization), so that this bounds a dead device to 75 ms. */
enum {
    RESET_READS = 1000
};

static bool refuse(struct weir_virtio *device)
{
    device->transport->set_status(device, WEIR_VIRTIO_FAILED);
    return false;
}

bool weir_virtio_reset(struct weir_virtio *device)
{
    device->transport->set_status(device, 0);
    for (unsigned i = 0; i < RESET_READS; i++) {
        uint8_t status = device->transport->status(device);
        if (status == 0)
            return true;
        if (status & WEIR_VIRTIO_FAILED)
            return false;
    }
    return false;
}

bool weir_virtio_negotiate(struct weir_virtio *device, uint64_t wanted)
{
    const struct weir_virtio_transport *transport = device->transport;
    if (!weir_virtio_reset(device))
        return refuse(device);
    uint8_t status = WEIR_VIRTIO_ACKNOWLEDGE;
    transport->set_status(device, status);
    transport->set_status(device, status |= WEIR_VIRTIO_DRIVER);
    device->offered = transport->features(device);
    if ((device->offered & WEIR_VIRTIO_VERSION1) == 0)
        return refuse(device);
    device->accepted = device->offered & (wanted | WEIR_VIRTIO_VERSION1);
    transport->accept(device, device->accepted);
    transport->set_status(device, status |= WEIR_VIRTIO_FEATURES_OK);
    if (transport->status(device) != status)
        return refuse(device);
    return true;
}

bool weir_virtio_ready(struct weir_virtio *device)
{
    const uint8_t status =
        WEIR_VIRTIO_ACKNOWLEDGE | WEIR_VIRTIO_DRIVER | WEIR_VIRTIO_FEATURES_OK | WEIR_VIRTIO_DRIVER_OK;
    device->transport->set_status(device, status);
    return device->transport->status(device) == status || refuse(device);
}
