/* From memory maps, real ones and random ones, to windows. */
#include "test.h"

#include <stdlib.h>

#include "platform/kernel/memory_map.h"
#include "tests/support/random.h"

#define MIB  ((uint64_t)1 << 20)
#define GIB  ((uint64_t)1 << 30)
#define HUGE (2 * MIB)
#define BASE ((uintptr_t)256 * GIB)

static uint64_t total(const struct memory_map *map)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < map->n; i++)
        bytes += map->ranges[i].end - map->ranges[i].start;
    return bytes;
}

/* The numbered invariants of memory_map.h; returns the bytes in holes. */
static uint64_t check(const struct window *w, const struct memory_map *map)
{
    uint64_t bytes = 0, holes = 0;
    for (unsigned i = 0; i < w->n; i++) {
        const struct extent *e = &w->extents[i];
        assert_true(e->bytes > 0 && e->bytes % 4096 == 0 && e->virtual % 4096 == 0 && e->physical % 4096 == 0);
        assert_true(e->virtual >= BASE);
        if (i > 0) {
            uintptr_t before = w->extents[i - 1].virtual + w->extents[i - 1].bytes;
            assert_true(e->virtual >= before); /* (1), virtual */
            holes += e->virtual - before;
        }
        for (unsigned k = 0; k < i; k++) { /* (1), physical */
            const struct extent *f = &w->extents[k];
            assert_true(e->physical + e->bytes <= f->physical || f->physical + f->bytes <= e->physical);
        }
        bool inside = false;
        for (unsigned k = 0; k < map->n; k++)
            inside |= e->physical >= map->ranges[k].start && e->physical + e->bytes <= map->ranges[k].end;
        assert_true(inside);
        if (e->bytes >= BIG_PIECE) /* (2) */
            assert_int_equal((e->virtual ^ e->physical) % HUGE, 0);
        bytes += e->bytes;
        assert_ptr_equal(window_find(w, e->virtual), e);
        assert_ptr_equal(window_find(w, e->virtual + e->bytes - 1), e);
    }
    if (w->n > 0) {
        assert_int_equal(w->start, w->extents[0].virtual);
        assert_int_equal(w->end, w->extents[w->n - 1].virtual + w->extents[w->n - 1].bytes);
        assert_null(window_find(w, w->start - 1));
        assert_null(window_find(w, w->end));
    }
    if (w->n < WINDOW_EXTENTS) /* (4) */
        assert_int_equal(bytes, total(map));
    return holes;
}

static void layout(const uint64_t (*ranges)[2], unsigned n, struct window *w, struct memory_map *map)
{
    *map = (struct memory_map){.n = 0};
    for (unsigned i = 0; i < n; i++)
        assert_true(memory_map_add(map, ranges[i][0], ranges[i][1]));
    assert_true(memory_map_remove(map, 0, 4096));
    assert_true(memory_map_remove(map, 0x8000, 0x9000));
    assert_true(memory_map_remove(map, 2 * MIB, 2 * MIB + 0x59000));
    window_layout(w, map, BASE);
}

#define LAYOUT(w, map, ...)                                                                                            \
    do {                                                                                                               \
        const uint64_t ranges[][2] = {__VA_ARGS__};                                                                    \
        layout(ranges, sizeof ranges / sizeof *ranges, w, map);                                                        \
    } while (0)

static void machines(void **state)
{
    (void)state;
    struct window w;
    struct memory_map map;
    /* QEMU q35, 3.5 GiB: the seam lies at 2 GiB, ACPI's tables below it */
    LAYOUT(&w, &map, {0, 0x9fc00}, {MIB, 0x7ffdf000}, {4 * GIB, 4 * GIB + 1536 * MIB});
    assert_int_equal(check(&w, &map), 0);
    assert_true(w.end - w.start >= 3 * GIB + 500 * MIB);
    /* microvm and Firecracker, 3.5 GiB */
    LAYOUT(&w, &map, {0, 0x9fc00}, {MIB, 3 * GIB}, {4 * GIB, 4 * GIB + 512 * MIB});
    assert_int_equal(check(&w, &map), 0);
    /* 8 MiB */
    LAYOUT(&w, &map, {0, 0x9fc00}, {MIB, 8 * MIB});
    assert_int_equal(check(&w, &map), 0);
    assert_true(w.end - w.start > 7 * MIB);
    /* nothing big at all */
    LAYOUT(&w, &map, {0, 0x9fc00}, {MIB, 3 * MIB});
    assert_int_equal(check(&w, &map), 0);
    /* a terabyte would be too much for the frame table, not for this */
    LAYOUT(&w, &map, {0, 0x9fc00}, {MIB, 3 * GIB}, {4 * GIB, 1024 * GIB});
    assert_int_equal(check(&w, &map), 0);
}

static void adding_and_removing(void **state)
{
    (void)state;
    struct memory_map map = {.n = 0};
    assert_true(memory_map_add(&map, 0x5001, 0x7fff)); /* rounded inwards */
    assert_int_equal(map.ranges[0].start, 0x6000);
    assert_int_equal(map.ranges[0].end, 0x7000);
    assert_true(memory_map_add(&map, 0x8000, 0xa000));
    assert_true(memory_map_add(&map, 0x7000, 0x8000)); /* joins both */
    assert_int_equal(map.n, 1);
    assert_true(memory_map_remove(&map, 0x7001, 0x7002)); /* rounded outwards: a hole */
    assert_int_equal(map.n, 2);
    assert_int_equal(map.ranges[0].end, 0x7000);
    assert_int_equal(map.ranges[1].start, 0x8000);
    assert_true(memory_map_remove(&map, 0, 0x100000));
    assert_int_equal(map.n, 0);
    assert_true(memory_map_add(&map, 0x1fff, 0x1001)); /* nothing */
    assert_int_equal(map.n, 0);
    for (uint64_t i = 0; i < MAP_RANGES; i++)
        assert_true(memory_map_add(&map, i * 0x4000, i * 0x4000 + 0x3000));
    assert_false(memory_map_add(&map, 0x1000000, 0x1001000));
    assert_false(memory_map_remove(&map, 0x1000, 0x2000)); /* no room for the tail */
    assert_int_equal(total(&map), (MAP_RANGES - 1) * 0x3000 + 0x1000);
}

/* Random maps against a model that knows each frame. */
static void random_maps(void **state)
{
    (void)state;
    enum {
        FRAMES = 4096
    };
    static unsigned char ram[FRAMES];
    struct random random = random_start("kernel/memory_map");
    for (unsigned round = 0; round < 2000; round++) {
        struct memory_map map = {.n = 0};
        memset(ram, 0, sizeof ram);
        unsigned operations = 1 + (unsigned)random_below(&random, 10);
        for (unsigned i = 0; i < operations; i++) {
            uint64_t start = random_below(&random, FRAMES), end = start + random_below(&random, FRAMES - start + 1);
            bool add = random_below(&random, 3) > 0;
            bool done = add ? memory_map_add(&map, start * 4096, end * 4096)
                            : memory_map_remove(&map, start * 4096, end * 4096);
            assert_true(done);
            memset(ram + start, add, end - start);
        }
        for (unsigned i = 0; i < map.n; i++) {
            assert_true(map.ranges[i].start < map.ranges[i].end);
            assert_true(i == 0 || map.ranges[i - 1].end < map.ranges[i].start);
            for (uint64_t f = map.ranges[i].start / 4096; f < map.ranges[i].end / 4096; f++) {
                assert_int_equal(ram[f], 1);
                ram[f] = 2;
            }
        }
        for (unsigned f = 0; f < FRAMES; f++)
            assert_int_not_equal(ram[f], 1);
        struct window w;
        window_layout(&w, &map, BASE);
        check(&w, &map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines),
        cmocka_unit_test(adding_and_removing),
        cmocka_unit_test(random_maps),
    };
    return cmocka_run_group_tests_name("kernel/memory_map", tests, NULL, NULL);
}
