/* Page table entries, for the files that make them: tables.c, paging.c, mappings.c. */
#ifndef WEIR_KERNEL_ENTRIES_H
#define WEIR_KERNEL_ENTRIES_H

#include <stdint.h>

#include "cpu.h"

#define PAGE ((uint64_t)4096)
#define UNIT ((uint64_t)2 << 20)

#define ENTRY_PRESENT  ((uint64_t)1)
#define ENTRY_WRITE    ((uint64_t)2)
#define ENTRY_USER     ((uint64_t)4)
#define ENTRY_UNCACHED ((uint64_t)0x18)
#define ENTRY_USED     ((uint64_t)0x60) /* accessed, dirty: set beforehand, the processor need not write them */
#define ENTRY_HUGE     ((uint64_t)0x80)
#define ENTRY_NO_EXEC  ((uint64_t)1 << 63)
#define ENTRY_ADDRESS  ((uint64_t)0x000ffffffffff000)

#define ENTRY_TABLE     (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER | ENTRY_USED)
#define ENTRY_TEXT      (ENTRY_PRESENT | ENTRY_USER | ENTRY_USED)
#define ENTRY_CONSTANT  (ENTRY_PRESENT | ENTRY_USER | ENTRY_USED | ENTRY_NO_EXEC)
#define ENTRY_DATA      (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER | ENTRY_USED | ENTRY_NO_EXEC)
#define ENTRY_STUB_TEXT (ENTRY_PRESENT | ENTRY_USED)
#define ENTRY_STUB_DATA (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USED | ENTRY_NO_EXEC)

/* The sections of the image, from link.ld. */
extern char weir_stub_data[], weir_stub_frames[], weir_text[], weir_rodata[], weir_data[], weir_symbols_start[],
    weir_image_end[], kernel_stacks[];

/* What ring 0 copies: GATE_ENTRIES. */
struct entry_run {
    uint64_t *destination;
    const uint64_t *source;
    uint64_t count;
};

/* Where the entry for `address` in a table of `level` (1: of 4 KiB pages, 2: of 2 MiB pages) is seen through SELF_SLOT;
 * for ring 0. */
static inline uint64_t *entry_of(uintptr_t address, unsigned level)
{
    while (level-- > 0)
        address = SELF_BASE + ((address & 0xfffffffff000) >> 9);
    return (uint64_t *)address;
}

static inline void write_entries(const struct entry_run *runs, unsigned n)
{
    kernel_gate(GATE_ENTRIES, (uintptr_t)runs, n);
}

/* Frames for tables to come, as tables.c left them: a list through their first words (window addresses). */
struct spare {
    struct spare *next;
};

/* What tables.c built and paging.c goes on with: the stock, and the tables' own place [tables, tables_end) in the
 * window. */
struct tables {
    struct spare *spares;
    unsigned spare_count;
    uintptr_t start, end;
};

/* Builds the tables for the image and the window in memory from `memory` (physical = virtual now) up, with `spares`
 * spare frames, and loads them. Returns the first physical address that they do not need. */
struct window;
uint64_t tables_build(const struct window *window, uint64_t memory, unsigned spares, struct tables *tables);

#endif
