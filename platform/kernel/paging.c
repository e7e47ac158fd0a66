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
#include "exception.h"
#include "kernel.h"
#include "src/base/bits.h"
#include "src/base/lock.h"
#include "thread.h"

#define PAGE ((uint64_t)4096)
#define UNIT ((uint64_t)2 << 20)

#define ENTRY_PRESENT  ((uint64_t)1)
#define ENTRY_WRITE    ((uint64_t)2)
#define ENTRY_USER     ((uint64_t)4)
#define ENTRY_UNCACHED ((uint64_t)0x18)
#define ENTRY_USED     ((uint64_t)0x60) /* accessed, dirty: set beforehand, the processor need not write them */
#define ENTRY_HUGE     ((uint64_t)0x80)
#define ENTRY_NO_EXEC  ((uint64_t)1 << 63)

#define ENTRY_TABLE     (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER | ENTRY_USED)
#define ENTRY_DATA      (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER | ENTRY_USED | ENTRY_NO_EXEC)
#define ENTRY_STUB_TEXT (ENTRY_PRESENT | ENTRY_USED)
#define ENTRY_STUB_DATA (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USED | ENTRY_NO_EXEC)
#define ENTRY_ADDRESS   ((uint64_t)0x000ffffffffff000)

#define FLUSH_TIMEOUT_NS 100000000

#define SPARE_MIN  4  /* fewer spare frames: make more, */
#define SPARE_MORE 16 /* so many at a time */

extern char weir_stub_data[], weir_stub_frames[], weir_text[], weir_rodata[], weir_data[], weir_plain[],
    weir_symbols_start[], weir_image_end[], kernel_stacks[];

struct window window;

static struct lock paging;

/* Boot: where the next table goes. */
static uint64_t table_next, table_end;
static uint64_t *root_table;

/* Spare frames: a list through their first words (window addresses). */
struct spare {
    struct spare *next;
};
static struct spare *spares;
static unsigned spare_count;

/* One bit per unit of the window, one per frame of it; see (2), (3). */
static uint64_t *split, *changed;

/* Generations of the tables: what made somebody's rights less. */
static _Atomic(uint64_t) translations;

static bool some_read_only; /* a page was, once. Guarded by `paging` */

/* --- building, before the tables are sealed --- */

static uint64_t *new_table(void)
{
    if (table_next == table_end)
        kernel_refuse("too little memory for the page tables");
    uint64_t *table = (uint64_t *)table_next;
    memset(table, 0, PAGE);
    table_next += PAGE;
    return table;
}

/* The table of `level` (1: of 4 KiB pages, 2: of 2 MiB pages) that maps `address`, made if need be. */
static uint64_t *table_of(uintptr_t address, unsigned level)
{
    uint64_t *table = root_table;
    for (unsigned l = 4; l > level; l--) {
        uint64_t *entry = &table[address >> (12 + 9 * (l - 1)) & 511];
        if (*entry == 0)
            *entry = (uintptr_t)new_table() | ENTRY_TABLE;
        table = (uint64_t *)(uintptr_t)(*entry & ENTRY_ADDRESS);
    }
    return table;
}

static void build(uintptr_t address, uint64_t physical, uint64_t bytes, uint64_t entry)
{
    while (bytes > 0) {
        bool huge = ((address | physical) & (UNIT - 1)) == 0 && bytes >= UNIT;
        uint64_t size = huge ? UNIT : PAGE;
        unsigned shift = huge ? 21 : 12;
        uint64_t *table = table_of(address, huge ? 2 : 1);
        for (unsigned i = address >> shift & 511; i < 512 && bytes >= size; i++) {
            table[i] = physical | entry | (huge ? ENTRY_HUGE : 0);
            address += size;
            physical += size;
            bytes -= size;
        }
    }
}

static void build_section(const char *start, const char *end, uint64_t entry)
{
    build((uintptr_t)start, (uintptr_t)start, (uint64_t)(end - start), entry);
}

static void build_image(void)
{
    build_section((char *)IMAGE_BASE, weir_stub_data, ENTRY_STUB_TEXT);
    build_section(weir_stub_data, weir_stub_frames, ENTRY_STUB_DATA);
    build_section(weir_stub_frames, weir_text, ENTRY_PRESENT | ENTRY_USER | ENTRY_USED | ENTRY_NO_EXEC);
    build_section(weir_text, weir_rodata, ENTRY_PRESENT | ENTRY_USER | ENTRY_USED);
    build_section(weir_rodata, weir_data, ENTRY_PRESENT | ENTRY_USER | ENTRY_USED | ENTRY_NO_EXEC);
    build_section(weir_data, weir_symbols_start, ENTRY_DATA);
    build_section(weir_symbols_start, weir_image_end, ENTRY_PRESENT | ENTRY_USER | ENTRY_USED | ENTRY_NO_EXEC);
    for (uintptr_t guard = 0; guard <= EXCEPTION_TOP; guard += EXCEPTION_TOP) {
        uintptr_t address = (uintptr_t)kernel_stacks + guard;
        table_of(address, 1)[address >> 12 & 511] = 0;
    }
}

/* The most tables that window `w` and the rest can need: the directories, the tables of small pieces and of seams, and
 * those of the units that hold the tables themselves. */
static uint64_t tables_needed(const struct window *w)
{
    uint64_t directories = ((w->end - w->start) >> 30) + 2;
    uint64_t n = 16 + directories + (directories >> 9) + (((uintptr_t)weir_image_end - IMAGE_BASE) >> 21) + 2;
    for (unsigned i = 0; i < w->n; i++) {
        const struct extent *e = &w->extents[i];
        n += e->bytes < BIG_PIECE ? (e->bytes >> 21) + 2 : 2;
    }
    n += SPARE_MORE;
    return n + (n >> 9) + 2;
}

uint64_t paging_init(const struct window *w, uint64_t memory)
{
    uint64_t first = memory;
    table_next = memory;
    table_end = memory + tables_needed(w) * PAGE;
    root_table = new_table();
    build_image();
    table_of(DEVICE_BASE, 1);
    table_of(DEVICE_BASE + UNIT, 1);

    /* The units that hold the tables come last: they need the number of tables. */
    uintptr_t held = 0, held_end = 0;
    const struct extent *home = NULL;
    for (unsigned i = 0; i < w->n; i++) {
        const struct extent *e = &w->extents[i];
        if (first >= e->physical && table_end <= e->physical + e->bytes) {
            home = e;
            held = round_down(e->virtual + (first - e->physical), UNIT);
            held_end = round_up(e->virtual + (table_end - e->physical), UNIT);
            if (held < e->virtual)
                held = e->virtual;
            if (held_end > e->virtual + e->bytes)
                held_end = e->virtual + e->bytes;
            build(e->virtual, e->physical, held - e->virtual, ENTRY_DATA);
            build(held_end, e->physical + (held_end - e->virtual), e->virtual + e->bytes - held_end, ENTRY_DATA);
        } else {
            build(e->virtual, e->physical, e->bytes, ENTRY_DATA);
        }
    }
    if (!home)
        kernel_refuse("too little memory for the page tables");
    for (uintptr_t address = held; address < held_end; address += UNIT)
        table_of(address, 1);
    root_table[SELF_SLOT] = (uintptr_t)root_table | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USED | ENTRY_NO_EXEC;
    for (uintptr_t address = held; address < held_end; address += PAGE) {
        uint64_t physical = home->physical + (address - home->virtual);
        if (physical < first || physical >= table_next)
            table_of(address, 1)[address >> 12 & 511] = physical | ENTRY_DATA;
    }
    kernel_gate(GATE_ROOT, (uintptr_t)root_table, 0);

    for (uint64_t physical = table_next; physical < table_end; physical += PAGE) {
        struct spare *spare = (struct spare *)(home->virtual + (physical - home->physical));
        spare->next = spares;
        spares = spare;
        spare_count++;
    }
    return table_end;
}

/* --- changing --- */

/* What ring 0 copies. */
struct entry_run {
    uint64_t *destination;
    const uint64_t *source;
    uint64_t count;
};

/* Where the entry for `address` in a table of `level` is seen through SELF_SLOT; for ring 0. */
static uint64_t *entry_of(uintptr_t address, unsigned level)
{
    while (level-- > 0)
        address = SELF_BASE + ((address & 0xfffffffff000) >> 9);
    return (uint64_t *)address;
}

static void write_entries(struct entry_run *runs, unsigned n)
{
    kernel_gate(GATE_ENTRIES, (uintptr_t)runs, n);
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
     * tables: a spare frame is among each of them. */
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
    for (const struct spare *s = spares; s; s = s->next)
        bit_put(split, unit_of((uintptr_t)s), true);
    const struct extent *home = window_find(&window, (uintptr_t)spares);
    if (home) {
        uintptr_t first = home->virtual + ((uintptr_t)root_table - home->physical);
        for (uintptr_t unit = round_down(first, UNIT); unit < (uintptr_t)spares; unit += UNIT)
            bit_put(split, unit_of(unit), true);
    }
}

/* Lock held, a spare frame there: maps a unit of the window by 4 KiB pages. */
static void split_unit(uintptr_t unit)
{
    struct spare *spare = spares;
    spares = spare->next;
    spare_count--;
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
    if (spare_count >= SPARE_MIN)
        return true;
    uintptr_t run = weir_frames_alloc(weir_kernel_frames(), SPARE_MORE, SPARE_MORE, WEIR_FRAMES_METADATA, NULL);
    if (run == 0)
        return spare_count > 1;
    if (!bit_get(split, unit_of(run)))
        split_unit(round_down(run, UNIT));
    for (unsigned i = 0; i < SPARE_MORE; i++) {
        struct spare *spare = (struct spare *)(run + i * PAGE);
        spare->next = spares;
        spares = spare;
    }
    spare_count += SPARE_MORE;
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
        if (windowed) {
            const struct extent *e = window_find(&window, page);
            physical = e->physical + (page - e->virtual);
            bit_put(changed, frame_of(page), rights != RIGHTS_DATA);
        }
        entries[n++] = entry_with(physical, rights);
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

/* --- devices, firmware, stacks --- */

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
