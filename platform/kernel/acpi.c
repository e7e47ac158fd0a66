/*
 * Firmware's lists of CPUs. The tables are checked (signature, length, sum) before they are believed.
 */
#include "acpi.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "paging.h"

#define BIOS       0xe0000
#define BIOS_BYTES 0x20000
#define BASE_TOP   0x9fc00 /* the last KiB of base memory: Firecracker's MP table */

struct table {
    char signature[4];
    uint32_t length;
    char rest[28];
} __attribute__((packed));

static bool sums_up(const void *start, size_t bytes)
{
    const uint8_t *p = start;
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + p[i]);
    return sum == 0;
}

static uint32_t word32(const void *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof v);
    return v;
}

static uint64_t word64(const void *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return v;
}

static const struct table *map_table(uint64_t physical, const char *signature)
{
    const struct table *t = physical ? paging_map_firmware(physical, sizeof *t) : NULL;
    if (!t || (signature && memcmp(t->signature, signature, 4) != 0) || t->length < sizeof *t)
        return NULL;
    t = paging_map_firmware(physical, t->length);
    return t && sums_up(t, t->length) ? t : NULL;
}

/* The entries of a MADT: type, length, then for local APICs (0): processor, id, flags; for x2APICs (9): 2 bytes, id,
 * flags. */
static unsigned read_madt(const struct table *madt, uint32_t *apics, unsigned max)
{
    unsigned n = 0;
    const uint8_t *p = (const uint8_t *)madt + 44, *end = (const uint8_t *)madt + madt->length;
    for (; p + 2 <= end && p[1] >= 2 && p + p[1] <= end && n < max; p += p[1]) {
        if (p[0] == 0 && p[1] >= 8 && (word32(p + 4) & 1))
            apics[n++] = p[3];
        else if (p[0] == 9 && p[1] >= 16 && (word32(p + 8) & 1) && word32(p + 4) < 255)
            apics[n++] = word32(p + 4);
    }
    return n;
}

static unsigned find_by_acpi(uint64_t rsdp, uint32_t *apics, unsigned max)
{
    const char *root = rsdp ? paging_map_firmware(rsdp, 36) : NULL;
    if (!root) {
        const char *bios = paging_map_firmware(BIOS, BIOS_BYTES);
        for (unsigned i = 0; bios && i < BIOS_BYTES && !root; i += 16)
            if (memcmp(bios + i, "RSD PTR ", 8) == 0 && sums_up(bios + i, 20))
                root = bios + i;
    }
    if (!root || memcmp(root, "RSD PTR ", 8) != 0)
        return 0;
    bool wide = root[15] >= 2 && word64(root + 24);
    const struct table *list = wide ? map_table(word64(root + 24), "XSDT") : map_table(word32(root + 16), "RSDT");
    unsigned step = wide ? 8 : 4;
    for (unsigned at = sizeof *list; list && at + step <= list->length; at += step) {
        const char *entry = (const char *)list + at;
        const struct table *madt = map_table(wide ? word64(entry) : word32(entry), "APIC");
        if (madt)
            return read_madt(madt, apics, max);
    }
    return 0;
}

/* MultiProcessor Specification 1.4: the floating pointer, the configuration table, its processor entries. */
static unsigned find_by_mp(uint32_t *apics, unsigned max)
{
    static const struct {
        uint32_t start, bytes;
    } places[] = {{BASE_TOP, 0x400}, {0xf0000, 0x10000}};
    for (unsigned place = 0; place < 2; place++) {
        const char *low = paging_map_firmware(places[place].start, places[place].bytes);
        for (uint32_t i = 0; low && i < places[place].bytes; i += 16) {
            const char *p = low + i;
            if (memcmp(p, "_MP_", 4) != 0 || !sums_up(p, 16))
                continue;
            const uint8_t *table = paging_map_firmware(word32(p + 4), 44);
            uint32_t length = table ? table[4] | (uint32_t)table[5] << 8 : 0;
            if (!table || memcmp(table, "PCMP", 4) != 0 || !(table = paging_map_firmware(word32(p + 4), length)))
                return 0;
            unsigned n = 0;
            for (const uint8_t *e = table + 44; e + 20 <= table + length && e[0] == 0 && n < max; e += 20)
                if (e[3] & 1)
                    apics[n++] = e[1];
            return n;
        }
    }
    return 0;
}

unsigned cpus_find(uint64_t rsdp, uint32_t *apics, unsigned max)
{
    unsigned n = find_by_acpi(rsdp, apics, max);
    return n ? n : find_by_mp(apics, max);
}
