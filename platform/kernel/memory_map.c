/* Freestanding and without state: tests/kernel/memory_map_test.c runs it on the host. */
#include "memory_map.h"

#define FRAME ((uint64_t)4096)
#define HUGE  ((uint64_t)2 << 20)

static void insert(struct memory_map *map, unsigned at, uint64_t start, uint64_t end)
{
    for (unsigned i = map->n++; i > at; i--)
        map->ranges[i] = map->ranges[i - 1];
    map->ranges[at] = (struct memory_range){start, end};
}

static void erase(struct memory_map *map, unsigned at)
{
    map->n--;
    for (unsigned i = at; i < map->n; i++)
        map->ranges[i] = map->ranges[i + 1];
}

bool memory_map_add(struct memory_map *map, uint64_t start, uint64_t end)
{
    start = (start + FRAME - 1) & ~(FRAME - 1);
    end &= ~(FRAME - 1);
    if (start >= end)
        return true;
    unsigned at = 0;
    while (at < map->n && map->ranges[at].end < start)
        at++;
    while (at < map->n && map->ranges[at].start <= end) { /* touches: swallow it */
        if (map->ranges[at].start < start)
            start = map->ranges[at].start;
        if (map->ranges[at].end > end)
            end = map->ranges[at].end;
        erase(map, at);
    }
    if (map->n == MAP_RANGES)
        return false;
    insert(map, at, start, end);
    return true;
}

bool memory_map_remove(struct memory_map *map, uint64_t start, uint64_t end)
{
    start &= ~(FRAME - 1);
    end = (end + FRAME - 1) & ~(FRAME - 1);
    bool exact = true;
    for (unsigned i = 0; i < map->n && start < end;) {
        struct memory_range *r = &map->ranges[i];
        if (r->end <= start || r->start >= end) {
            i++;
        } else if (r->start >= start && r->end <= end) {
            erase(map, i);
        } else if (r->start >= start) {
            r->start = end;
            i++;
        } else {
            uint64_t tail = r->end;
            r->end = start;
            i++;
            if (tail <= end)
                continue;
            if (map->n == MAP_RANGES)
                exact = false; /* the tail is lost */
            else
                insert(map, i++, end, tail);
        }
    }
    return exact;
}

static void extent_add(struct window *window, uintptr_t virtual, uint64_t physical, uint64_t bytes)
{
    unsigned at = window->n;
    if (bytes == 0 || at == WINDOW_EXTENTS)
        return;
    for (; at > 0 && window->extents[at - 1].virtual > virtual; at--)
        window->extents[at] = window->extents[at - 1];
    window->extents[at] = (struct extent){virtual, physical, bytes};
    window->n++;
}

/* Fills [start, end) from its end down with frames of the small pieces, as far as they go; takes them out of `small`.
 * Returns the start of what was filled. */
static uintptr_t fill(struct window *window, struct memory_map *small, uintptr_t start, uintptr_t end)
{
    while (end > start && small->n > 0) {
        struct memory_range *last = &small->ranges[small->n - 1];
        uint64_t bytes = last->end - last->start;
        if (bytes > end - start)
            bytes = end - start;
        end -= bytes;
        last->end -= bytes;
        extent_add(window, end, last->end, bytes);
        if (last->start == last->end)
            small->n--;
    }
    return end;
}

void window_layout(struct window *window, const struct memory_map *map, uintptr_t base)
{
    uint64_t largest = 0;
    for (unsigned i = 0; i < map->n; i++) {
        uint64_t bytes = map->ranges[i].end - map->ranges[i].start;
        if (bytes > largest)
            largest = bytes;
    }
    uint64_t threshold = largest < BIG_PIECE ? largest : BIG_PIECE;

    struct memory_map small = {.n = 0}, big = {.n = 0};
    uint64_t small_bytes = 0;
    for (unsigned i = 0; i < map->n; i++) {
        const struct memory_range *r = &map->ranges[i];
        if (r->end - r->start >= threshold) {
            big.ranges[big.n++] = *r;
        } else {
            small.ranges[small.n++] = *r;
            small_bytes += r->end - r->start;
        }
    }

    window->n = 0;
    uintptr_t floor = base, cursor = base + small_bytes, first = 0;
    for (unsigned i = 0; i < big.n; i++) {
        const struct memory_range *r = &big.ranges[i];
        uintptr_t start = cursor + ((r->start - cursor) & (HUGE - 1));
        if (i == 0)
            first = start;
        else
            fill(window, &small, cursor, start);
        extent_add(window, start, r->start, r->end - r->start);
        cursor = start + (r->end - r->start);
    }
    window->start = fill(window, &small, floor, first);
    window->end = cursor;
}

const struct extent *window_find(const struct window *window, uintptr_t address)
{
    for (unsigned i = 0; i < window->n; i++) {
        const struct extent *e = &window->extents[i];
        if (address >= e->virtual && address - e->virtual < e->bytes)
            return e;
    }
    return NULL;
}
