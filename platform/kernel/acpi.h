/* Which CPUs there are. */
#ifndef WEIR_KERNEL_ACPI_H
#define WEIR_KERNEL_ACPI_H

#include <stdint.h>

/* Finds the local APIC ids of the enabled CPUs: ACPI's MADT (`rsdp` is its root's physical address, 0: search), else
 * the MP table, else none. Returns how many, at most `max`. */
unsigned cpus_find(uint64_t rsdp, uint32_t *apics, unsigned max);

#endif
