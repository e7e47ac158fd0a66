/*
 * Finds the balloon device and connects it with the frame table.
 *
 * A balloon is looked for, in this order, where the command line points to (Firecracker; QEMU microvm with acpi=off),
 * on the PCI buses (q35, pc), and in the 24 slots of QEMU's microvm machine, which announces them only in ACPI's byte
 * code. Each register access costs up to 74 us (KVM without hardware virtualization), so that a search ends at the
 * first hit and the slots are searched in the order in which QEMU fills them, from the last.
 *
 * Options: weir.report=off reports nothing, weir.report_order=N reports free blocks of 2^N frames and more.
 */
#include "platform/kernel/devices.h"

#include <stdalign.h>

#include "platform/kernel/kernel.h"

enum {
    MICROVM_SLOTS = 24,
    MICROVM_STRIDE = 0x200,
};

#define MICROVM_WINDOW UINT64_C(0xfeb00000)

/* One machine, one balloon: the state of both layers, in the image because it must be contiguous on the bus. */
static alignas(4096) uint8_t balloon_memory[WEIR_BALLOON_MEMORY];
static alignas(64) uint8_t reclaim_memory[WEIR_RECLAIM_MEMORY];
static struct weir_virtio device;
static struct weir_reclaim *_Atomic reclaim; /* other CPUs run while devices_init works: null until all is there */

/* --- registers --- */

static uint32_t register_read(void *context, uintptr_t address, unsigned bytes)
{
    (void)context;
    switch (bytes) {
    case 1:
        return *(const volatile uint8_t *)address;
    case 2:
        return *(const volatile uint16_t *)address;
    default:
        return *(const volatile uint32_t *)address;
    }
}

static void register_write(void *context, uintptr_t address, unsigned bytes, uint32_t value)
{
    (void)context;
    switch (bytes) {
    case 1:
        *(volatile uint8_t *)address = (uint8_t)value;
        return;
    case 2:
        *(volatile uint16_t *)address = (uint16_t)value;
        return;
    default:
        *(volatile uint32_t *)address = value;
    }
}

static const struct weir_registers registers = {.read = register_read, .write = register_write};

static uint32_t pci_read(void *context, uint32_t function, unsigned offset)
{
    (void)context;
    return kernel_pci_read(function, offset);
}

static void pci_write(void *context, uint32_t function, unsigned offset, uint32_t value)
{
    (void)context;
    kernel_pci_write(function, offset, value);
}

static uintptr_t pci_map(void *context, uint64_t bus, size_t bytes)
{
    (void)context;
    return (uintptr_t)kernel_map_mmio(bus, bytes);
}

/* Above all RAM below 4 GiB and all that QEMU's chipsets decode, below the I/O APIC. */
static uint64_t pci_place(void *context, size_t bytes)
{
    static uint64_t next = 0xfd000000;
    (void)context;
    uint64_t base = (next + bytes - 1) & ~((uint64_t)bytes - 1);
    if (base + bytes > 0xfe000000)
        return 0;
    next = base + bytes;
    return base;
}

static const struct weir_pci pci = {.read = pci_read, .write = pci_write, .map = pci_map, .place = pci_place};

/* --- finding --- */

static bool open_window(uint64_t base, uint64_t size)
{
    void *window = size >= MICROVM_STRIDE ? kernel_map_mmio(base, size) : NULL;
    return window != NULL && weir_virtio_open_mmio(&device, &registers, (uintptr_t)window, WEIR_VIRTIO_ID_BALLOON);
}

static bool find_on_command_line(void)
{
    uint64_t base, size;
    unsigned irq;
    for (unsigned n = 0; kernel_virtio_mmio(n, &base, &size, &irq); n++)
        if (open_window(base, size))
            return true;
    return false;
}

static bool find_on_pci(void)
{
    uint32_t function;
    return weir_virtio_find_pci(&pci, WEIR_VIRTIO_ID_BALLOON, &function) &&
           weir_virtio_open_pci(&device, &registers, &pci, function, WEIR_VIRTIO_ID_BALLOON);
}

/* Only where there is no PCI: on other machines these addresses are not virtio's. */
static bool find_in_slots(void)
{
    if (kernel_pci_read(0, 0) != UINT32_MAX)
        return false;
    for (unsigned slot = MICROVM_SLOTS; slot-- > 0;)
        if (open_window(MICROVM_WINDOW + (uint64_t)slot * MICROVM_STRIDE, MICROVM_STRIDE))
            return true;
    return false;
}

/* --- connecting --- */

/* A small number, as an option's value; `otherwise` if there is no such option or it is no number up to `most`. */
static unsigned option_number(const char *name, unsigned most, unsigned otherwise)
{
    const char *text = kernel_option(name);
    unsigned value = 0;
    if (text == NULL || *text == '\0')
        return otherwise;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > most)
            return otherwise;
        value = 10 * value + (unsigned)(*text - '0');
    }
    return value <= most ? value : otherwise;
}

static bool reporting_is_off(void)
{
    const char *text = kernel_option("weir.report");
    return text != NULL && text[0] == 'o' && text[1] == 'f' && text[2] == 'f' && text[3] == '\0';
}

void devices_init(void)
{
    uint64_t bus;
    if (!find_on_command_line() && !find_on_pci() && !find_in_slots())
        return;
    if (kernel_bus_range(NULL, (uintptr_t)balloon_memory, sizeof(balloon_memory), &bus) < sizeof(balloon_memory))
        return;
    struct weir_balloon_config balloon = {
        .device = &device,
        .memory = balloon_memory,
        .bus = bus,
        .platform = weir_kernel_platform(),
    };
    struct weir_reclaim_config config = {
        .memory = reclaim_memory,
        .frames = weir_kernel_frames(),
        .balloon = weir_balloon_init(&balloon),
        .platform = weir_kernel_platform(),
        .bus_range = kernel_bus_range,
        .no_reporting = reporting_is_off(),
        .report_order = option_number("weir.report_order", WEIR_ORDER_MAX, WEIR_RECLAIM_REPORT_ORDER),
    };
    if (config.balloon == NULL) {
        kprintf("weir: the balloon device does not work: it is left alone\n");
        return;
    }
    reclaim = weir_reclaim_init(&config);
}

uint64_t devices_poll(uint64_t now)
{
    struct weir_reclaim *instance = reclaim;
    (void)now;
    return instance != NULL ? weir_reclaim_poll(instance) : UINT64_MAX;
}

uint64_t devices_next(void)
{
    struct weir_reclaim *instance = reclaim;
    return instance != NULL ? weir_reclaim_due(instance) : UINT64_MAX;
}

bool devices_relieve(size_t bytes)
{
    struct weir_reclaim *instance = reclaim;
    return instance != NULL && weir_reclaim_relieve(instance, bytes);
}

struct weir_reclaim *weir_kernel_reclaim(void)
{
    return reclaim;
}
