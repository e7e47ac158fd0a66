#include "tests/reclaim/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "src/reclaim/reclaim.h"
#include "tests/support/platform.h"

/* Bus addresses: the device's own memory, then the window in two parts. */
#define BUS_BALLOON UINT64_C(0x100000)
#define BUS_LOW     UINT64_C(0x40000000)
#define BUS_HIGH    UINT64_C(0x200000000)

static struct machine *started; /* whose memory machine_end frees */

static size_t bus_range(void *context, uintptr_t address, size_t bytes, uint64_t *bus)
{
    struct machine *machine = context;
    size_t offset = address - (uintptr_t)machine->window;
    if (offset >= WINDOW || bytes > WINDOW - offset)
        abort();
    *bus = offset < SEAM ? BUS_LOW + offset : BUS_HIGH + (offset - SEAM);
    return offset < SEAM && bytes > SEAM - offset ? SEAM - offset : bytes;
}

static void *reach(void *context, uint64_t bus)
{
    struct machine *machine = context;
    if (bus - BUS_BALLOON < WEIR_BALLOON_MEMORY)
        return (uint8_t *)machine->balloon_memory + (bus - BUS_BALLOON);
    if (bus - BUS_LOW < SEAM)
        return machine->window + (bus - BUS_LOW);
    if (bus - BUS_HIGH < WINDOW - SEAM)
        return machine->window + SEAM + (bus - BUS_HIGH);
    return NULL;
}

/* The host discards what it was given. */
static void take(void *context, enum weir_balloon_queue queue, uint64_t bus, uint64_t bytes)
{
    struct machine *machine = context;
    const uint8_t *start = reach(machine, bus);
    const uint8_t *last = reach(machine, bus + bytes - 1);
    if (start < machine->window || last != start + bytes - 1) {
        machine->complaint = "the host was given what is not the guest's";
        return;
    }
    machine->taken[queue] += bytes / WEIR_FRAME_SIZE;
    for (size_t n = (size_t)(start - machine->window) / WEIR_FRAME_SIZE, end = n + bytes / WEIR_FRAME_SIZE;
         n < end && queue != WEIR_BALLOON_DEFLATE; n++) {
        if (machine->owned[n])
            machine->complaint = "the host was given memory in use";
        machine->rss -= machine->backed[n];
        machine->backed[n] = 0;
    }
}

static uint64_t now(void *context)
{
    return __atomic_load_n(&((struct machine *)context)->now, __ATOMIC_RELAXED);
}

/* Who waits gives the device time to work. */
static void relax(void *context, unsigned round)
{
    struct machine *machine = context;
    (void)round;
    machine->now += MS;
    for (enum weir_balloon_queue queue = 0; queue < WEIR_BALLOON_STATS; queue++)
        fake_serve(&machine->fake, queue, 1);
}

static unsigned slot(void *context)
{
    (void)context;
    return test_platform()->slot(test_platform()->context);
}

void machine_start(struct machine *machine, const struct machine_options *options)
{
    size_t metadata = weir_frames_metadata_size((uintptr_t)machine->window, FRAMES);
    if (machine->window == NULL) {
        uint8_t *memory =
            mmap(NULL, WINDOW + 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        started = machine;
        machine->window = memory + (-(uintptr_t)memory & (2 * MIB - 1));
        metadata = weir_frames_metadata_size((uintptr_t)machine->window, FRAMES);
        machine->metadata = aligned_alloc(4096, (metadata + 4095) & ~(size_t)4095);
        machine->balloon_memory = aligned_alloc(4096, WEIR_BALLOON_MEMORY);
        machine->reclaim_memory = aligned_alloc(4096, WEIR_RECLAIM_MEMORY);
    }
    memset(machine->metadata, 0, metadata);
    memset(machine->balloon_memory, 0, WEIR_BALLOON_MEMORY);
    memset(machine->reclaim_memory, 0, WEIR_RECLAIM_MEMORY);
    memset(machine->backed, 0, sizeof(machine->backed));
    memset(machine->owned, 0, sizeof(machine->owned));
    memset(machine->taken, 0, sizeof(machine->taken));
    machine->rss = 0;
    machine->now = 1000 * MS;
    machine->complaint = NULL;
    test_platform_reset();
    machine->platform = *test_platform();
    if (!options->threads) {
        machine->platform.context = machine;
        machine->platform.now = now;
        machine->platform.relax = relax;
        machine->platform.slot = slot;
    }

    struct weir_frames_config frames = {.base = (uintptr_t)machine->window,
                                        .frames = FRAMES,
                                        .metadata = machine->metadata,
                                        .slots = 2,
                                        .platform = &machine->platform};
    machine->frames = weir_frames_init(&frames);
    weir_frames_add(machine->frames, (uintptr_t)machine->window, FRAMES, 0);

    if (options->firecracker)
        fake_init_firecracker(&machine->fake);
    else
        fake_init_qemu(&machine->fake);
    machine->fake.offered = (machine->fake.offered & ~options->without) | options->with;
    machine->fake.take = options->threads ? NULL : take;
    machine->fake.reach = reach;
    machine->fake.context = machine;
    struct weir_registers registers = fake_registers(&machine->fake);
    weir_virtio_open_mmio(&machine->device, &registers, FAKE_WINDOW, WEIR_VIRTIO_ID_BALLOON);
    struct weir_balloon_config balloon = {.device = &machine->device,
                                          .memory = machine->balloon_memory,
                                          .bus = BUS_BALLOON,
                                          .platform = &machine->platform};
    machine->balloon = weir_balloon_init(&balloon);

    unsigned order = options->order == 0 ? WEIR_RECLAIM_REPORT_ORDER : options->order;
    struct weir_reclaim_config reclaim = {.memory = machine->reclaim_memory,
                                          .frames = machine->frames,
                                          .balloon = machine->balloon,
                                          .platform = &machine->platform,
                                          .bus_range = bus_range,
                                          .bus_context = machine,
                                          .no_reporting = options->no_reporting,
                                          .report_order = order <= WEIR_ORDER_MAX ? order : 0,
                                          .reserve = options->reserve};
    machine->reclaim = weir_reclaim_init(&reclaim);
    if (!options->measure) {
        machine->reclaim->reporting.fault_cost = options->fault_cost;
        machine->reclaim->reporting.probes = FAULT_PROBES;
    }
}

int machine_end(void **state)
{
    (void)state;
    if (started) {
        free(started->metadata);
        free(started->balloon_memory);
        free(started->reclaim_memory);
    }
    return 0;
}

void machine_touch(struct machine *machine, uintptr_t start, size_t frames)
{
    size_t n = (start - (uintptr_t)machine->window) / WEIR_FRAME_SIZE;
    for (size_t end = n + frames; n < end; n++) {
        machine->rss += machine->backed[n] == 0;
        machine->backed[n] = 1;
    }
}

uintptr_t machine_alloc(struct machine *machine, size_t frames)
{
    uintptr_t start = weir_frames_alloc(machine->frames, frames, 1, 0, NULL);
    while (start == 0 && weir_reclaim_relieve(machine->reclaim, frames * WEIR_FRAME_SIZE))
        start = weir_frames_alloc(machine->frames, frames, 1, 0, NULL);
    if (start != 0) {
        memset(machine->owned + (start - (uintptr_t)machine->window) / WEIR_FRAME_SIZE, 1, frames);
        machine_touch(machine, start, frames);
    }
    return start;
}

void machine_free(struct machine *machine, uintptr_t start, size_t frames)
{
    memset(machine->owned + (start - (uintptr_t)machine->window) / WEIR_FRAME_SIZE, 0, frames);
    weir_frames_free(machine->frames, start, frames);
}

void machine_pass(struct machine *machine, uint64_t duration, uint64_t step)
{
    uint64_t end = machine->now + duration;
    while (machine->now < end) {
        uint64_t due = weir_reclaim_poll(machine->reclaim);
        uint64_t next = machine->now + step;
        if (due > machine->now && due < next)
            next = due;
        machine->now = next < end ? next : end;
    }
    weir_reclaim_poll(machine->reclaim);
}

const char *machine_check(struct machine *machine)
{
    const char *what = "unknown";
    if (machine->complaint != NULL)
        return machine->complaint;
    if (machine->fake.complaint != NULL)
        return machine->fake.complaint;
    if (weir_frames_check(machine->frames, &what) != WEIR_OK || weir_reclaim_check(machine->reclaim, &what) != WEIR_OK)
        return what;
    return NULL;
}

struct weir_frames_stats machine_frames(struct machine *machine)
{
    struct weir_frames_stats stats;
    weir_frames_stats(machine->frames, &stats);
    return stats;
}

struct weir_reclaim_stats machine_stats(struct machine *machine)
{
    struct weir_reclaim_stats stats;
    weir_reclaim_stats(machine->reclaim, &stats);
    return stats;
}
