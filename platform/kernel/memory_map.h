/*
 * From the machine's memory map to one window.
 *
 * The program wants its memory contiguous: a 3 GiB object in a 3.5 GiB guest. The machine's RAM is in pieces: two big
 * ones (below and above 4 GiB), and small ones (below 640 KiB, before the image). So the big pieces are laid side by
 * side in virtual memory, each at an address that is congruent to its physical one modulo 2 MiB, so that it can be
 * mapped with 2 MiB pages. What gap that leaves at a seam (less than 2 MiB) is filled with frames of the small pieces;
 * the rest of those lies directly below the first big piece.
 *
 * With v(e), p(e), n(e) an extent's virtual start, physical start and length:
 *
 *   (1) extents are sorted by v and do not overlap, neither in v nor in p;
 *   (2) n(e) >= BIG_PIECE  =>  v(e) = p(e) (mod 2 MiB);
 *   (3) v(e) + n(e) = v(e + 1), unless the small pieces did not suffice;
 *   (4) every usable frame is in exactly one extent, but for those that exceeded WINDOW_EXTENTS.
 */
#ifndef WEIR_KERNEL_MEMORY_MAP_H
#define WEIR_KERNEL_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_EXTENTS 48
#define MAP_RANGES     32
#define BIG_PIECE      ((uint64_t)4 << 20)

struct memory_range {
    uint64_t start, end; /* physical, multiples of 4 KiB */
};

struct memory_map {
    struct memory_range ranges[MAP_RANGES]; /* sorted, disjoint, not adjacent */
    unsigned n;
};

struct extent {
    uintptr_t virtual;
    uint64_t physical;
    uint64_t bytes;
};

struct window {
    struct extent extents[WINDOW_EXTENTS];
    unsigned n;
    uintptr_t start, end;
};

/* Adds RAM (rounded inwards to whole frames) or takes something out of it (rounded outwards). False when the map is
 * full; the range is then left out, or what was to be taken out is taken out with more than asked. */
bool memory_map_add(struct memory_map *map, uint64_t start, uint64_t end);
bool memory_map_remove(struct memory_map *map, uint64_t start, uint64_t end);

/* Lays out the window from `base` (a multiple of 2 MiB) up. */
void window_layout(struct window *window, const struct memory_map *map, uintptr_t base);

/* The extent that holds the virtual address, or null. */
const struct extent *window_find(const struct window *window, uintptr_t address);

#endif
