/* Finding, opening and starting a device over both transports; what refuses to make sense is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/virtio/fake.h"

static bool open_mmio(struct weir_virtio *device, struct fake *fake)
{
    struct weir_registers registers = fake_registers(fake);
    return weir_virtio_open_mmio(device, &registers, FAKE_WINDOW, WEIR_VIRTIO_ID_BALLOON);
}

static bool open_pci(struct weir_virtio *device, struct fake *fake, const struct weir_pci *pci)
{
    struct weir_registers registers = fake_registers(fake);
    return weir_virtio_open_pci(device, &registers, pci, FAKE_FUNCTION, WEIR_VIRTIO_ID_BALLOON);
}

static void start_device(struct weir_virtio *device)
{
    const struct weir_virtio_transport *transport = device->transport;
    static _Alignas(4096) uint8_t rings[4096];
    struct weir_virtio_rings where = {(uintptr_t)rings, (uintptr_t)rings + 2048, (uintptr_t)rings + 3072};
    assert_true(weir_virtio_negotiate(device, WEIR_BALLOON_REPORTING));
    assert_int_equal(device->accepted, WEIR_BALLOON_REPORTING | WEIR_VIRTIO_VERSION1);
    unsigned most = transport->queue_max(device, 3);
    assert_true(most >= 32);
    assert_true(transport->queue_start(device, 3, 32, &where));
    assert_int_equal(transport->queue_max(device, 4), 0);
    assert_true(weir_virtio_ready(device));
}

static void assert_started(struct fake *fake, const struct weir_virtio *device)
{
    assert_null(fake->complaint);
    assert_int_equal(fake->accepted, device->accepted);
    assert_int_equal(fake->queues[3].size, 32);
    assert_true(fake->queues[3].ready);
    assert_int_equal(fake->queues[3].used - fake->queues[3].descriptors, 3072);
}

static void mmio_starts_in_the_order_that_firecracker_demands(void **state)
{
    static const uint8_t order[] = {0, 1, 3, 11, 15};
    struct fake fake;
    struct weir_virtio device;
    (void)state;
    fake_init_firecracker(&fake);
    assert_true(open_mmio(&device, &fake));
    start_device(&device);
    assert_started(&fake, &device);
    assert_int_equal(fake.status_writes, sizeof(order));
    assert_memory_equal(fake.status_log, order, sizeof(order));
}

static void mmio_registers(void **state)
{
    struct fake fake;
    struct weir_virtio device;
    (void)state;
    fake_init_qemu(&fake);
    fake.target = 12345;
    assert_true(open_mmio(&device, &fake));
    start_device(&device);
    assert_int_equal(device.transport->config_read(&device, 0), 12345);
    device.transport->config_write(&device, 4, 99);
    assert_int_equal(fake.actual, 99);
    device.transport->notify(&device, 3);
    assert_int_equal(fake.queues[3].doorbells, 1);
    assert_true(weir_virtio_reset(&device));
    assert_int_equal(fake.status, 0);
    assert_null(fake.complaint);
}

static void mmio_other_devices_are_left_alone(void **state)
{
    struct fake fake;
    struct weir_virtio device;
    (void)state;
    fake_init_qemu(&fake);
    struct weir_registers registers = fake_registers(&fake);
    assert_false(weir_virtio_open_mmio(&device, &registers, FAKE_WINDOW, 24));
    assert_int_equal(fake.status_writes, 0);
}

static void pci_starts_and_rings(void **state)
{
    struct fake fake;
    struct weir_virtio device;
    uint32_t function;
    (void)state;
    fake_init_qemu(&fake);
    fake.target = 777;
    struct weir_pci pci = fake_pci(&fake);
    assert_true(weir_virtio_find_pci(&pci, WEIR_VIRTIO_ID_BALLOON, &function));
    assert_int_equal(function, FAKE_FUNCTION);
    assert_true(open_pci(&device, &fake, &pci));
    assert_int_equal(fake.pci[4] & 6, 6);
    start_device(&device);
    assert_started(&fake, &device);
    assert_int_equal(device.transport->config_read(&device, 0), 777);
    assert_int_equal(device.transport->config_read(&device, 8), 0);
    device.transport->config_write(&device, 4, 55);
    device.transport->config_write(&device, 8, 66);
    assert_int_equal(fake.actual, 55);
    device.transport->notify(&device, 3);
    assert_int_equal(fake.queues[3].doorbells, 1);
    assert_true(weir_virtio_reset(&device));
    assert_null(fake.complaint);
}

static void pci_nonsense_is_refused(void **state)
{
    struct fake fake;
    struct weir_virtio device;
    (void)state;
    for (unsigned misdeed = 0; misdeed < 8; misdeed++) {
        fake_init_qemu(&fake);
        struct weir_pci pci = fake_pci(&fake);
        uint32_t ones = UINT32_MAX, zero = 0, io = 0xc001;
        switch (misdeed) {
        case 0: /* a circle of capabilities without the common structure */
            fake.pci[0x50 + 1] = 0x98;
            break;
        case 1: /* no capabilities */
            fake.pci[6] = 0;
            break;
        case 2: /* a base address register beyond the last */
            fake.pci[0x40 + 4] = 6;
            break;
        case 3: /* an offset that wraps around */
            memcpy(fake.pci + 0x20, &ones, 4);
            fake.pci[0x20] = 12 | 0xf0;
            memcpy(fake.pci + 0x24, &ones, 4);
            break;
        case 4: /* ports instead of memory */
            memcpy(fake.pci + 0x20, &io, 4);
            break;
        case 5: /* a common structure that is too short */
            fake.pci[0x40 + 12] = 0x30;
            break;
        case 6: /* a capability that leaves the configuration space */
            fake.pci[0x50 + 1] = 0xfc;
            fake.pci[0xfc] = 9;
            fake.pci[0xff] = 1;
            break;
        default: /* never assigned an address */
            memcpy(fake.pci + 0x20, &zero, 4);
            memcpy(fake.pci + 0x24, &zero, 4);
        }
        assert_false(open_pci(&device, &fake, &pci));
    }
    fake_init_qemu(&fake);
    struct weir_pci pci = fake_pci(&fake);
    assert_true(open_pci(&device, &fake, &pci));
    device.notify_length = 4; /* the doorbell of queue 3 lies beyond */
    assert_true(weir_virtio_negotiate(&device, 0));
    assert_false(device.transport->queue_start(&device, 3, 32, &(struct weir_virtio_rings){0}));
}

/* A configuration space with bridges: the balloon is at 5:00.0, behind two of them; one more leads back to bus 0. */
static unsigned bridged_reads;

static uint32_t bridged_read(void *context, uint32_t function, unsigned offset)
{
    static const struct {
        uint32_t function, identity, header, buses;
    } there[] = {
        {0x0000, 0x29c08086, 0x000000, 0},        {0x0008, 0x00011b36, 0x810000, 0x050100}, /* several functions */
        {0x0009, 0x00011b36, 0x010000, 0x000000},                                           /* a circle */
        {0x0100, 0x00011b36, 0x010000, 0x050501}, {0x0500, 0x10451af4, 0x000000, 0},
    };
    (void)context;
    bridged_reads++;
    for (unsigned i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        if (there[i].function == function)
            return offset == 0 ? there[i].identity : offset == 12 ? there[i].header : there[i].buses;
    return UINT32_MAX;
}

static uint64_t place(void *context, size_t bytes)
{
    (void)context;
    assert_int_equal(bytes, 0x4000);
    return 0xfd004000;
}

static void pci_registers_without_an_address_are_given_one(void **state)
{
    struct fake fake;
    struct weir_virtio device;
    (void)state;
    fake_init_qemu(&fake);
    fake.target = 5;
    struct weir_pci pci = fake_pci(&fake);
    memset(fake.pci + 0x20, 0, 8);
    fake.pci[0x20] = 12;
    pci.place = place;
    assert_true(open_pci(&device, &fake, &pci));
    uint64_t bar;
    memcpy(&bar, fake.pci + 0x20, sizeof bar);
    assert_int_equal(bar, 0xfd004000 | 12);
    assert_int_equal(fake.pci[4] & 6, 6);
    start_device(&device);
    assert_int_equal(device.transport->config_read(&device, 0), 5);
    assert_null(fake.complaint);
}

static void pci_is_found_behind_bridges(void **state)
{
    struct weir_pci pci = {.read = bridged_read};
    uint32_t function;
    (void)state;
    assert_true(weir_virtio_find_pci(&pci, WEIR_VIRTIO_ID_BALLOON, &function));
    assert_int_equal(function, 0x0500);
    bridged_reads = 0;
    assert_false(weir_virtio_find_pci(&pci, 24, &function));
    assert_in_range(bridged_reads, 96, 200); /* each of three buses once: no circles */
}

static void devices_that_refuse_are_marked_failed(void **state)
{
    struct fake fake;
    struct weir_virtio device;
    (void)state;
    fake_init_qemu(&fake);
    fake.offered &= ~WEIR_VIRTIO_VERSION1;
    assert_true(open_mmio(&device, &fake));
    assert_false(weir_virtio_negotiate(&device, 0));
    assert_true(fake.status & WEIR_VIRTIO_FAILED);

    fake_init_qemu(&fake);
    fake.no_features_ok = true;
    assert_true(open_mmio(&device, &fake));
    assert_false(weir_virtio_negotiate(&device, 0));
    assert_true(fake.status & WEIR_VIRTIO_FAILED);
}

static void reset_that_is_not_confirmed_is_told(void **state)
{
    struct fake fake;
    struct weir_virtio device;
    (void)state;
    fake_init_firecracker(&fake);
    assert_true(open_mmio(&device, &fake));
    start_device(&device);
    assert_false(weir_virtio_reset(&device));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mmio_starts_in_the_order_that_firecracker_demands),
        cmocka_unit_test(mmio_registers),
        cmocka_unit_test(mmio_other_devices_are_left_alone),
        cmocka_unit_test(pci_starts_and_rings),
        cmocka_unit_test(pci_nonsense_is_refused),
        cmocka_unit_test(pci_registers_without_an_address_are_given_one),
        cmocka_unit_test(pci_is_found_behind_bridges),
        cmocka_unit_test(devices_that_refuse_are_marked_failed),
        cmocka_unit_test(reset_that_is_not_confirmed_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
