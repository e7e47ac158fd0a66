/*
 * The page tables as they are at boot: built in ring 3 while everything is still open, in memory behind the image, then
 * loaded. From then on they are out of ring 3's reach.
 *
 * A table's frame is not mapped for ring 3 itself, so the unit of 2 MiB that holds tables is mapped by 4 KiB pages and
 * comes last, when it is known how many there are. Room that was reserved and not needed becomes the stock of spare
 * frames.
 */
#include <string.h>

#include "entries.h"
#include "exception.h"
#include "memory_map.h"
#include "src/base/bits.h"

/* Where the next table goes. */
static uint64_t table_next, table_end;
static uint64_t *root_table;

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
    build_section(weir_stub_frames, weir_text, ENTRY_CONSTANT);
    build_section(weir_text, weir_rodata, ENTRY_TEXT);
    build_section(weir_rodata, weir_data, ENTRY_CONSTANT);
    build_section(weir_data, weir_symbols_start, ENTRY_DATA);
    build_section(weir_symbols_start, weir_image_end, ENTRY_CONSTANT);
    for (uintptr_t guard = 0; guard <= EXCEPTION_TOP; guard += EXCEPTION_TOP) {
        uintptr_t address = (uintptr_t)kernel_stacks + guard;
        table_of(address, 1)[address >> 12 & 511] = 0;
    }
}

/* The most tables that window `w` and the rest can need: the directories, the tables of small pieces and of seams, and
 * those of the units that hold the tables themselves. */
static uint64_t tables_needed(const struct window *w, unsigned spares)
{
    uint64_t directories = ((w->end - w->start) >> 30) + 2;
    uint64_t n = 16 + directories + (directories >> 9) + (((uintptr_t)weir_image_end - IMAGE_BASE) >> 21) + 2;
    for (unsigned i = 0; i < w->n; i++) {
        const struct extent *e = &w->extents[i];
        n += e->bytes < BIG_PIECE ? (e->bytes >> 21) + 2 : 2;
    }
    n += spares;
    return n + (n >> 9) + 2;
}

uint64_t tables_build(const struct window *w, uint64_t memory, unsigned spares, struct tables *tables)
{
    uint64_t first = memory;
    table_next = memory;
    table_end = memory + tables_needed(w, spares) * PAGE;
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

    *tables = (struct tables){
        .start = home->virtual + (first - home->physical),
        .end = home->virtual + (table_end - home->physical),
    };
    for (uint64_t physical = table_next; physical < table_end; physical += PAGE) {
        struct spare *spare = (struct spare *)(home->virtual + (physical - home->physical));
        spare->next = tables->spares;
        tables->spares = spare;
        tables->spare_count++;
    }
    return table_end;
}
