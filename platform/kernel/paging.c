/*
 * Page tables.
 *
 * Ring 3 may not touch them, and must change them now and then: guard pages under thread stacks, device memory. The
 * division of work: ring 3 knows what is mapped where (the image's sections, the window's extents, a bit per frame
 * whose rights were changed) and computes entries; ring 0 copies runs of entries to where it is told, through the
 * root's entry that points to the root itself, and flushes. It takes a fixed number of instructions for any number of
 * entries: on some machines each instruction of ring 0 is interpreted.
 *
 * Tables lie in frames that no ring-3 entry maps. At boot they come from `memory` behind the image. Later ones come
 * from a stock of spare frames, which ring 3 can write while they are spare: a frame is filled as a table, then one
 * call to ring 0 unmaps it and puts it in its place.
 *
 * What is mapped for ring 3, and nothing else:
 *
 *   image    physical = virtual; text R X, rodata R, data R W; of the stub only the frames of system calls, R; not the
 *            guard pages of the first CPU
 *   devices  DEVICE_BASE up: device memory RW uncached, firmware's tables R, the stacks of the other CPUs RW
 *   window   RW, 2 MiB pages where a whole unit of 2 MiB is contiguous; 4 KiB pages elsewhere
 *
 * Invariants:
 *   (1) no page is writable and executable, page 0 is not mapped;
 *   (2) bit f of `changed` is set  <=>  the rights of the window's frame f are not RW;
 *   (3) bit u of `split` is set  <=>  unit u of the window is mapped by a table of 4 KiB pages;
 *   (4) a frame that holds a table is not mapped for ring 3.
 */
#include "paging.h"

#include <string.h>

#include "cpu.h"
#include "entries.h"
#include "kernel.h"
#include "src/base/bits.h"
#include "src/base/lock.h"
#include "thread.h"

#define FLUSH_TIMEOUT_NS 100000000

#define SPARE_MIN  4  /* fewer spare frames: make more, */
#define SPARE_MORE 16 /* so many at a time */

struct window window;
struct lock paging;

static struct tables tables;

/* One bit per unit of the window, one per frame of it; see (2), (3). */
static uint64_t *split, *changed;

/* Generations of the tables: what made somebody's rights less. */
static _Atomic(uint64_t) translations;

static bool some_read_only; /* a page was, once. Guarded by `paging` */

uint64_t paging_init(uint64_t memory)
{
    return tables_build(&window, memory, SPARE_MORE, &tables);
}

/* Rights became less: no CPU may go on with what it remembers. Those that run threads are interrupted and waited for,
 * where interrupts arrive in ring 3; all others look at the generation before they run one. */
static void shoot_down(void)
{
    struct cpu *self = this_cpu();
    self->translations = ++translations;
    if (!scheduler_preemptive())
        return;
    uint32_t before[MAX_CPUS] = {0};
    uint64_t waiting = 0; /* a bit for each CPU */
    for (unsigned i = 0; i < cpus_online; i++) {
        if (&cpus[i] == self || !cpus[i].thread)
            continue;
        before[i] = cpus[i].flushes;
        waiting |= (uint64_t)1 << i;
        cpu_interrupt(&cpus[i], VECTOR_FLUSH);
    }
    uint64_t give_up = kernel_now() + FLUSH_TIMEOUT_NS;
    for (unsigned i = 0; i < cpus_online; i++)
        while (waiting >> i & 1 && cpus[i].flushes == before[i] && cpus[i].thread && kernel_now() < give_up)
            pause();
}

void paging_refresh(void)
{
    struct cpu *cpu = this_cpu();
    atomic_thread_fence(memory_order_seq_cst); /* cpu->thread is set: from here on it is interrupted */
    uint64_t now = translations;
    if (cpu->translations != now) {
        cpu->translations = now;
        kernel_gate(GATE_FLUSH, 0, 0);
    }
}

static bool bit_get(const uint64_t *bits, size_t n)
{
    return bits[n / 64] >> (n % 64) & 1;
}

static void bit_put(uint64_t *bits, size_t n, bool value)
{
    uint64_t mask = (uint64_t)1 << (n % 64);
    bits[n / 64] = value ? bits[n / 64] | mask : bits[n / 64] & ~mask;
}

static size_t unit_of(uintptr_t address)
{
    return (address >> 21) - (window.start >> 21);
}

static size_t frame_of(uintptr_t address)
{
    return (address - window.start) >> 12;
}

static bool in_window(uintptr_t start, size_t bytes)
{
    return start >= window.start && start < window.end && bytes <= window.end - start;
}

/* Data of the image whose pages can be changed one by one: what lies in units mapped by tables. */
static bool in_image_data(uintptr_t start, size_t bytes)
{
    uintptr_t data = (uintptr_t)weir_data, end = (uintptr_t)weir_symbols_start;
    if (start < data || start >= end || bytes > end - start)
        return false;
    uintptr_t plain = round_up(data, UNIT), plain_end = round_down(end, UNIT);
    return plain >= plain_end || start + bytes <= plain || start >= plain_end;
}

size_t paging_record_size(const struct window *w)
{
    size_t units = (w->end >> 21) - (w->start >> 21) + 1, frames = (w->end - w->start) >> 12;
    return ((units + 63) / 64 + (frames + 63) / 64) * 8;
}

void paging_record(void *record)
{
    size_t units = (window.end >> 21) - (window.start >> 21) + 1;
    split = record;
    changed = split + (units + 63) / 64;
    /* Every unit that is not wholly inside one congruent extent was built with 4 KiB pages. So were those of the
     * tables. */
    uintptr_t whole = window.start;
    for (unsigned i = 0; i < window.n; i++) {
        const struct extent *e = &window.extents[i];
        bool congruent = ((e->virtual ^ e->physical) & (UNIT - 1)) == 0;
        uintptr_t start = round_up(e->virtual, UNIT), end = round_down(e->virtual + e->bytes, UNIT);
        if (!congruent || start >= end)
            continue;
        for (uintptr_t unit = round_down(whole, UNIT); unit < start; unit += UNIT)
            bit_put(split, unit_of(unit), true);
        whole = end;
    }
    for (uintptr_t unit = round_down(whole, UNIT); unit < window.end; unit += UNIT)
        bit_put(split, unit_of(unit), true);
    for (uintptr_t unit = round_down(tables.start, UNIT); unit < tables.end; unit += UNIT)
        bit_put(split, unit_of(unit), true);
}

/* Lock held, a spare frame there: maps a unit of the window by 4 KiB pages. */
static void split_unit(uintptr_t unit)
{
    struct spare *spare = tables.spares;
    tables.spares = spare->next;
    tables.spare_count--;
    uint64_t *table = (uint64_t *)spare;
    const struct extent *e = window_find(&window, unit);
    uint64_t physical = e->physical + (unit - e->virtual);
    for (unsigned i = 0; i < 512; i++)
        table[i] = (physical + i * PAGE) | ENTRY_DATA;
    const struct extent *home = window_find(&window, (uintptr_t)table);
    uint64_t nothing = 0, entry = (home->physical + ((uintptr_t)table - home->virtual)) | ENTRY_TABLE;
    struct entry_run runs[2] = {{entry_of((uintptr_t)table, 1), &nothing, 1}, {entry_of(unit, 2), &entry, 1}};
    write_entries(runs, 2);
    bit_put(split, unit_of(unit), true);
}

/* Lock held: sees to it that there are spare frames. */
static bool replenish(void)
{
    if (tables.spare_count >= SPARE_MIN)
        return true;
    uintptr_t run = weir_frames_alloc(weir_kernel_frames(), SPARE_MORE, SPARE_MORE, WEIR_FRAMES_METADATA, NULL);
    if (run == 0)
        return tables.spare_count > 1;
    if (!bit_get(split, unit_of(run)))
        split_unit(round_down(run, UNIT));
    for (unsigned i = 0; i < SPARE_MORE; i++) {
        struct spare *spare = (struct spare *)(run + i * PAGE);
        spare->next = tables.spares;
        tables.spares = spare;
    }
    tables.spare_count += SPARE_MORE;
    return true;
}

static uint64_t entry_with(uint64_t physical, unsigned rights)
{
    if (rights == 0)
        return 0;
    return physical | ENTRY_PRESENT | ENTRY_USER | ENTRY_USED | (rights & RIGHT_WRITE ? ENTRY_WRITE : 0) |
           (rights & RIGHT_EXEC ? 0 : ENTRY_NO_EXEC);
}

/* Lock held: pages of one unit. */
static void protect_within_unit(uintptr_t start, size_t bytes, unsigned rights)
{
    static uint64_t entries[512]; /* guarded by `paging` */
    bool windowed = in_window(start, bytes);
    unsigned n = 0;
    for (uintptr_t page = start; page < start + bytes; page += PAGE) {
        uint64_t physical = page;
        const struct extent *e = windowed ? window_find(&window, page) : NULL;
        if (e) {
            physical = e->physical + (page - e->virtual);
            bit_put(changed, frame_of(page), rights != RIGHTS_DATA);
        }
        entries[n++] = windowed && !e ? 0 : entry_with(physical, rights);
    }
    struct entry_run run = {entry_of(start, 1), entries, n};
    write_entries(&run, 1);
}

bool paging_protect(uintptr_t start, size_t bytes, unsigned rights, bool fresh)
{
    bool windowed = in_window(start, bytes);
    if (bytes == 0 || (!windowed && !in_image_data(start, bytes)))
        return false;
    lock_take(&paging, weir_kernel_platform());
    bool ok = true;
    for (uintptr_t at = start; ok && at < start + bytes;) {
        uintptr_t end = round_down(at, UNIT) + UNIT;
        if (end > start + bytes)
            end = start + bytes;
        if (windowed && !bit_get(split, unit_of(at))) {
            ok = replenish();
            if (ok && !bit_get(split, unit_of(at)))
                split_unit(round_down(at, UNIT));
        }
        if (ok)
            protect_within_unit(at, end - at, rights);
        at = end;
    }
    /* Nobody remembers a page that was not there; one that was read-only may be remembered so. */
    if (rights == RIGHTS_DATA ? some_read_only : !fresh)
        shoot_down();
    else if (rights != RIGHTS_DATA)
        this_cpu()->translations = ++translations;
    some_read_only |= rights != 0 && rights != RIGHTS_DATA;
    lock_drop(&paging);
    return ok;
}

void paging_reset(uintptr_t start, size_t bytes)
{
    bool any = false;
    lock_take(&paging, weir_kernel_platform());
    uintptr_t end = start + bytes;
    for (uintptr_t at = start; at < end;) {
        uintptr_t unit_end = round_down(at, UNIT) + UNIT;
        if (unit_end > end)
            unit_end = end;
        if (bit_get(split, unit_of(at))) {
            uintptr_t low = at, high = unit_end;
            while (low < high && !bit_get(changed, frame_of(low)))
                low += PAGE;
            while (high > low && !bit_get(changed, frame_of(high - PAGE)))
                high -= PAGE;
            if (low < high)
                protect_within_unit(low, high - low, RIGHTS_DATA);
            any |= low < high;
        }
        at = unit_end;
    }
    if (any && some_read_only)
        shoot_down();
    lock_drop(&paging);
}

bool paging_is_guard(uintptr_t address)
{
    return changed && in_window(address, 1) && bit_get(changed, frame_of(address));
}

bool paging_rights(uintptr_t address, unsigned *rights)
{
    uintptr_t stacks = (uintptr_t)kernel_stacks;
    if (address >= (uintptr_t)weir_text && address < (uintptr_t)weir_image_end) {
        if (address - stacks < PAGE || address - stacks - EXCEPTION_TOP < PAGE)
            return false;
        *rights = address < (uintptr_t)weir_rodata                                             ? RIGHT_READ | RIGHT_EXEC
                  : address < (uintptr_t)weir_data || address >= (uintptr_t)weir_symbols_start ? RIGHT_READ
                                                                                               : RIGHTS_DATA;
        return true;
    }
    if (address >= DEVICE_BASE + UNIT && address < DEVICE_BASE + UNIT + (uint64_t)cpus_online * STACKS_SIZE) {
        uint64_t within = (address - DEVICE_BASE - UNIT) % STACKS_SIZE;
        *rights = RIGHTS_DATA;
        return address >= DEVICE_BASE + UNIT + STACKS_SIZE && within >= PAGE && within - EXCEPTION_TOP >= PAGE;
    }
    *rights = RIGHTS_DATA;
    return in_window(address, 1) && window_find(&window, address) && !paging_is_guard(address);
}
