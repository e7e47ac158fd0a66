/* Slabs that a few objects keep: their other frames are discarded, and come back when they are wanted. */
#include "src/heap/heap.h"
#include "tests/heap/fixture.h"
#include "tests/support/random.h"

enum {
    STAYS = 1000, /* every so manyth object */
    MOST = 1 << 18,
};

static struct fixture fixture;
static struct weir_heap *heap;
static unsigned char *objects[MOST];

static void open_with(unsigned idle_part)
{
    fixture_open(&fixture, &(struct fixture_config){.idle_part = idle_part});
    heap = weir_heap_acquire(fixture.arena);
}

static void close_clean(void)
{
    weir_heap_release(heap);
    assert_sound(&fixture);
    assert_int_equal(fixture_stats(&fixture).held, fixture_stats(&fixture).metadata);
    fixture_close(&fixture);
}

static size_t holes(void)
{
    return atomic_load(&fixture.arena->holes);
}

static size_t allocate(size_t bytes, size_t size)
{
    size_t count = bytes / size;
    for (size_t i = 0; i < count; i++) {
        objects[i] = weir_heap_malloc(heap, size);
        stamp_write(objects[i], size, (unsigned)i);
    }
    return count;
}

static void free_most(size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (i % STAYS != 0)
            weir_heap_free(heap, objects[i]);
}

static void assert_contents(size_t count, size_t size, size_t step)
{
    for (size_t i = 0; i < count; i += step)
        assert_true(stamp_holds(objects[i], size, (unsigned)i));
}

/* Frames that an object occupies in part at least. */
static size_t frames_in_use(size_t count)
{
    size_t frames = 0;
    for (size_t i = 0; i < count; i += STAYS)
        frames += i == 0 || (uintptr_t)objects[i] >> 12 != (uintptr_t)objects[i - STAYS] >> 12;
    return frames;
}

static void a_burst_leaves_what_is_in_use(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 64, 256};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        open_with(64);
        size_t bytes = sizes[i] == 16 ? (size_t)MOST * 16 : (size_t)16 << 20, count = allocate(bytes, sizes[i]);
        free_most(count);
        assert_sound(&fixture);
        assert_contents(count, sizes[i], STAYS);
        size_t held = fixture_stats(&fixture).held / WEIR_FRAME_SIZE;
        assert_in_range(held - holes(), frames_in_use(count), frames_in_use(count) + 300);
        for (size_t k = 0; k < count; k += STAYS)
            weir_heap_free(heap, objects[k]);
        assert_sound(&fixture);
        close_clean();
    }
}

static void holes_are_filled_before_anything_new_is_taken(void **state)
{
    (void)state;
    open_with(64);
    size_t count = allocate((size_t)8 << 20, 64);
    free_most(count);
    size_t held = fixture_stats(&fixture).held;
    assert_int_not_equal(holes(), 0);
    for (size_t i = 0; i < count; i++) {
        if (i % STAYS == 0)
            continue;
        objects[i] = weir_heap_malloc(heap, 64);
        stamp_write(objects[i], 64, (unsigned)i);
    }
    assert_in_range(fixture_stats(&fixture).held, 0, held + (2 << 20));
    assert_in_range(holes(), 0, 64);
    assert_contents(count, 64, 1);
    assert_sound(&fixture);
    for (size_t i = 0; i < count; i++)
        weir_heap_free(heap, objects[i]);
    assert_int_equal(holes(), 0);
    close_clean();
}

/* Two thirds of what is held may lie idle if nobody asks for less, and a small heap is left alone. */
static void bounds_are_those_of_the_configuration(void **state)
{
    (void)state;
    open_with(0);
    size_t count = allocate((size_t)3 << 20, 64);
    free_most(count);
    assert_int_equal(holes(), 0);
    for (size_t i = 0; i < count; i += STAYS)
        weir_heap_free(heap, objects[i]);
    count = allocate((size_t)16 << 20, 64);
    free_most(count);
    size_t held = fixture_stats(&fixture).held / WEIR_FRAME_SIZE;
    assert_in_range(held - holes(), frames_in_use(count), frames_in_use(count) + 1500);
    assert_sound(&fixture);
    weir_arena_discard(fixture.arena, heap);
    assert_in_range(held - holes(), frames_in_use(count), frames_in_use(count) + 64);
    assert_contents(count, 64, STAYS);
    for (size_t i = 0; i < count; i += STAYS)
        weir_heap_free(heap, objects[i]);
    close_clean();
}

static void slabs_of_released_heaps_are_discarded(void **state)
{
    (void)state;
    open_with(0);
    size_t count = allocate((size_t)2 << 20, 64);
    weir_heap_release(heap);
    heap = weir_heap_acquire(fixture.arena);
    free_most(count);
    weir_heap_collect(heap);
    weir_arena_discard(fixture.arena, NULL);
    assert_sound(&fixture);
    size_t held = fixture_stats(&fixture).held / WEIR_FRAME_SIZE;
    assert_in_range(held - holes(), frames_in_use(count), frames_in_use(count) + 96);
    assert_contents(count, 64, STAYS);
    for (size_t i = 0; i < count; i += STAYS)
        weir_heap_free(heap, objects[i]);
    weir_heap_collect(heap);
    close_clean();
}

/* Tides of objects of all sizes: what lives keeps its contents, whatever is discarded meanwhile. */
static void tides(void **state)
{
    (void)state;
    enum {
        LIVE = 20000
    };
    struct random random = random_start("heap/sparse");
    static size_t sizes[LIVE];
    for (unsigned idle_part = 0; idle_part < 2; idle_part++) {
        open_with(idle_part * 64);
        for (unsigned i = 0; i < LIVE; i++)
            objects[i] = NULL;
        for (unsigned tide = 0; tide < 30; tide++) {
            unsigned level = tide % 2 == 0 ? LIVE : (unsigned)random_below(&random, LIVE / 50);
            size_t most = random_size(&random, 2000);
            for (unsigned turn = 0; turn < LIVE; turn++) {
                unsigned i = (unsigned)random_below(&random, LIVE);
                if (objects[i]) {
                    assert_true(stamp_holds(objects[i], sizes[i], i));
                    weir_heap_free(heap, objects[i]);
                    objects[i] = NULL;
                }
                if (i < level) {
                    sizes[i] = 1 + random_below(&random, most);
                    objects[i] = weir_heap_zalloc(heap, sizes[i]);
                    assert_true(all_zero(objects[i], sizes[i]));
                    stamp_write(objects[i], sizes[i], i);
                }
            }
            if (tide % 7 == 5)
                weir_arena_discard(fixture.arena, heap);
            assert_sound(&fixture);
        }
        for (unsigned i = 0; i < LIVE; i++)
            weir_heap_free(heap, objects[i]);
        close_clean();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_leaves_what_is_in_use),
        cmocka_unit_test(holes_are_filled_before_anything_new_is_taken),
        cmocka_unit_test(bounds_are_those_of_the_configuration),
        cmocka_unit_test(slabs_of_released_heaps_are_discarded),
        cmocka_unit_test(tides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
