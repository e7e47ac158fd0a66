/*
 * Who called whom.
 *
 * Where code keeps frame pointers, they are followed as long as they make sense: they rise, and a call instruction's
 * return address lies above each. Where they end too soon the stack is scanned for words that point behind a call
 * instruction: such lines are marked with a question mark, some of them are old.
 */
#include <string.h>

#include "exception.h"
#include "kernel.h"
#include "paging.h"

#define FRAMES_MAX 32
#define SCAN_WORDS 512
#define SCAN_MAX   24

extern const char weir_text[], weir_rodata[];
extern const char weir_symbols_start[], weir_symbols_end[];

const char *symbol_of(uint64_t address, uint64_t *offset)
{
    size_t bytes = (size_t)(weir_symbols_end - weir_symbols_start);
    if (bytes < 4)
        return NULL;
    uint32_t count;
    memcpy(&count, weir_symbols_start, 4);
    if (count == 0 || 4 + (size_t)count * 8 >= bytes)
        return NULL;
    const struct {
        uint32_t address, name;
    } *table = (const void *)(weir_symbols_start + 4);
    const char *names = (const char *)(table + count);
    uint32_t low = 0, high = count;
    while (low < high) { /* the last that is not above */
        uint32_t middle = (low + high) / 2;
        if (table[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || names + table[low - 1].name >= weir_symbols_end)
        return NULL;
    *offset = address - table[low - 1].address;
    return names + table[low - 1].name;
}

static void print_place(uint64_t address, const char *mark)
{
    uint64_t offset = 0;
    const char *name = symbol_of(address, &offset);
    if (name)
        kprintf("  %016lx %s%s+0x%lx\n", address, mark, name, offset);
    else
        kprintf("  %016lx %s\n", address, mark);
}

static bool is_text(uint64_t address)
{
    return address >= (uintptr_t)weir_text && address < (uintptr_t)weir_rodata;
}

/* Whether `address` lies behind a call: E8 and four bytes, or FF /2 in one of its common lengths. */
static bool is_return(uint64_t address)
{
    if (!is_text(address) || !is_text(address - 7))
        return false;
    const unsigned char *p = (const unsigned char *)(uintptr_t)address;
    return p[-5] == 0xe8 || (p[-2] == 0xff && (p[-1] & 0x38) == 0x10) || (p[-3] == 0xff && (p[-2] & 0x38) == 0x10) ||
           (p[-6] == 0xff && (p[-5] & 0x38) == 0x10) || (p[-7] == 0xff && (p[-6] & 0x38) == 0x10);
}

static bool readable(uint64_t address)
{
    unsigned rights;
    return (address & 7) == 0 && paging_rights(address, &rights) && (rights & RIGHT_READ);
}

/* Follows frame pointers; how many it found. Callers that call themselves over and over are one line. */
static unsigned follow(uint64_t frame, uint64_t rsp)
{
    unsigned lines = 0, repeated = 0;
    uint64_t last = 0;
    while (lines < FRAMES_MAX && frame >= rsp && readable(frame) && readable(frame + 8)) {
        const uint64_t *words = (const uint64_t *)(uintptr_t)frame;
        if (!is_return(words[1]))
            break;
        if (words[1] == last) {
            repeated++;
        } else {
            if (repeated)
                kprintf("  (the same %u times more)\n", repeated);
            repeated = 0;
            last = words[1];
            print_place(last, "");
            lines++;
        }
        if (words[0] <= frame)
            break;
        frame = words[0];
    }
    if (repeated)
        kprintf("  (the same %u times more)\n", repeated);
    return lines;
}

void backtrace(uint64_t rip, uint64_t rbp, uint64_t rsp)
{
    kprintf("backtrace:\n");
    print_place(rip, "");
    if (follow(rbp, rsp) > 1)
        return;
    uint64_t at = (rsp + 7) & ~(uint64_t)7;
    unsigned found = 0;
    if (!readable(at)) /* an overflow: the stack begins above its guard page */
        at = (at | 4095) + 1;
    for (unsigned i = 0; i < SCAN_WORDS && found < SCAN_MAX && readable(at); i++, at += 8) {
        uint64_t word = *(const uint64_t *)(uintptr_t)at;
        if (is_return(word)) {
            print_place(word, "? ");
            found++;
        }
    }
}
