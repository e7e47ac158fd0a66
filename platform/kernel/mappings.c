/*
 * What is mapped on request, at DEVICE_BASE: device memory, firmware's tables, the stacks of the other CPUs. And the
 * way back, from the image and the window to what devices call an address.
 *
 * Two units of 2 MiB, whose tables exist from boot: the first for devices and firmware, page after page; the second for
 * stacks, by CPU number.
 */
#include "cpu.h"
#include "entries.h"
#include "kernel.h"
#include "paging.h"
#include "src/base/lock.h"

#define MAPPINGS 64

static struct {
    uint64_t physical;
    uint32_t pages, slot;
    bool firmware;
} mappings[MAPPINGS];
static unsigned mapping_count, device_pages;

static void *map_device(uint64_t physical, size_t length, bool firmware)
{
    uint64_t offset = physical & (PAGE - 1), pages = (offset + length + PAGE - 1) / PAGE;
    void *result = NULL;
    lock_take(&paging, weir_kernel_platform());
    unsigned i = 0;
    while (i < mapping_count && (mappings[i].firmware != firmware || mappings[i].physical > physical ||
                                 physical - mappings[i].physical + length > mappings[i].pages * PAGE))
        i++;
    if (i == mapping_count && i < MAPPINGS && pages <= 512 - device_pages) {
        uint64_t entries[pages];
        for (unsigned p = 0; p < pages; p++)
            entries[p] = (physical - offset + p * PAGE) | ENTRY_PRESENT | ENTRY_USER | ENTRY_USED | ENTRY_NO_EXEC |
                         (firmware ? 0 : ENTRY_WRITE | ENTRY_UNCACHED);
        struct entry_run run = {entry_of(DEVICE_BASE + device_pages * PAGE, 1), entries, pages};
        write_entries(&run, 1);
        mappings[i].physical = physical - offset;
        mappings[i].pages = (uint32_t)pages;
        mappings[i].slot = device_pages;
        mappings[i].firmware = firmware;
        mapping_count++;
        device_pages += pages;
    }
    if (i < mapping_count)
        result = (char *)DEVICE_BASE + mappings[i].slot * PAGE + (physical - mappings[i].physical);
    lock_drop(&paging);
    return result;
}

void *kernel_map_mmio(uint64_t physical, size_t length)
{
    return length == 0 || length > UNIT ? NULL : map_device(physical, length, false);
}

const void *paging_map_firmware(uint64_t physical, size_t length)
{
    return length == 0 || length > UNIT ? NULL : map_device(physical, length, true);
}

char *paging_map_stacks(unsigned cpu)
{
    uint64_t entries[STACKS_SIZE / PAGE];
    uintptr_t frames = weir_frames_alloc(weir_kernel_frames(), STACKS_SIZE / PAGE, 0, WEIR_FRAMES_METADATA, NULL);
    if (frames == 0)
        return NULL;
    char *stacks = (char *)DEVICE_BASE + UNIT + (uint64_t)cpu * STACKS_SIZE;
    for (unsigned i = 0; i < STACKS_SIZE / PAGE; i++) {
        const struct extent *e = window_find(&window, frames + i * PAGE);
        bool guard = i == 0 || i == EXCEPTION_TOP / PAGE;
        entries[i] = guard ? 0 : (e->physical + (frames + i * PAGE - e->virtual)) | ENTRY_DATA;
    }
    struct entry_run run = {entry_of((uintptr_t)stacks, 1), entries, STACKS_SIZE / PAGE};
    lock_take(&paging, weir_kernel_platform());
    write_entries(&run, 1);
    lock_drop(&paging);
    return stacks;
}

size_t kernel_bus_range(void *context, uintptr_t address, size_t length, uint64_t *bus)
{
    (void)context;
    if (address >= (uintptr_t)weir_text && address < (uintptr_t)weir_image_end) {
        size_t left = (uintptr_t)weir_image_end - address;
        *bus = address;
        return length < left ? length : left;
    }
    const struct extent *e = window_find(&window, address);
    if (!e)
        return 0;
    size_t left = e->bytes - (address - e->virtual);
    *bus = e->physical + (address - e->virtual);
    return length < left ? length : left;
}
