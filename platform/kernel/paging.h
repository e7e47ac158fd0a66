/* Page tables: built in ring 3 before they are sealed, changed through ring 0 afterwards. See paging.c. */
#ifndef WEIR_KERNEL_PAGING_H
#define WEIR_KERNEL_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory_map.h"
#include "src/base/lock.h"

/* Rights, as the program names them in mprotect. */
#define RIGHT_READ  1u
#define RIGHT_WRITE 2u
#define RIGHT_EXEC  4u
#define RIGHTS_DATA (RIGHT_READ | RIGHT_WRITE)

/* Builds the tables for the image and `window` in memory from `memory` (physical = virtual now) up, and loads them.
 * Returns the first physical address that they do not need. */
uint64_t paging_init(uint64_t memory);

/* Once there is a frame table: what records changed rights. `record` is paging_record_size() zero bytes. */
size_t paging_record_size(const struct window *window);
void paging_record(void *record);

/* Changes the rights of whole pages of the window or of the image's data. False without memory for a table, or for
 * other addresses. `fresh`: nobody uses the pages yet; a CPU need not know before it runs its next thread. */
bool paging_protect(uintptr_t start, size_t bytes, unsigned rights, bool fresh);

/* Gives pages of the window the rights of data again, where they were changed. */
void paging_reset(uintptr_t start, size_t bytes);

/* The rights of a page as the tables have them; false if it is not mapped for ring 3 at all. */
bool paging_rights(uintptr_t address, unsigned *rights);

/* Whether a page of the window was taken away with paging_protect (a guard page). */
bool paging_is_guard(uintptr_t address);

/* Stacks for another CPU, guard pages included; null without memory. */
char *paging_map_stacks(unsigned cpu);

/* Firmware's tables: read-only, cached. Null as kernel_map_mmio. */
const void *paging_map_firmware(uint64_t physical, size_t length);

/* Forgets translations of this CPU that are older than the newest change. */
void paging_refresh(void);

extern struct window window; /* constant after boot */
extern struct lock paging;   /* guards all tables */

#endif
