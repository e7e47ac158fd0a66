/* A single owner's malloc and free. */
#include <string.h>

#include "src/heap/heap.h"
#include "tests/heap/fixture.h"

static struct fixture fixture;
static struct weir_heap *heap;

static void open_with(struct fixture_config config)
{
    fixture_open(&fixture, &config);
    heap = weir_heap_acquire(fixture.arena);
    assert_non_null(heap);
}

/* Everything was freed: nothing but metadata is left. */
static void close_clean(void)
{
    weir_heap_release(heap);
    weir_arena_trim(fixture.arena, NULL, 0);
    assert_sound(&fixture);
    struct weir_arena_stats stats = fixture_stats(&fixture);
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.held, stats.metadata);
    assert_int_equal(atomic_load(&test_errors), 0);
    fixture_close(&fixture);
}

static void objects_are_aligned_disjoint_and_large_enough(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    enum {
        N = 500
    };
    unsigned char *objects[N];
    for (size_t i = 0; i < N; i++) {
        size_t size = i * i % 40000;
        objects[i] = weir_heap_malloc(heap, size);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % 16, 0);
        assert_true(weir_arena_usable_size(fixture.arena, objects[i]) >= size);
        stamp_write(objects[i], size, (unsigned)i);
    }
    assert_sound(&fixture);
    for (size_t i = 0; i < N; i++)
        assert_true(stamp_holds(objects[i], i * i % 40000, (unsigned)i));
    for (size_t i = 0; i < N; i++)
        weir_heap_free(heap, objects[i]);
    close_clean();
}

static void malloc_zero_gives_an_object_of_its_own(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    unsigned char *a = weir_heap_malloc(heap, 0), *b = weir_heap_malloc(heap, 0);
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
    memset(a, 1, 16);
    memset(b, 2, 16);
    assert_int_equal(a[15], 1);
    weir_heap_free(heap, a);
    weir_heap_free(heap, b);
    weir_heap_free(heap, NULL);
    close_clean();
}

static void sizes_without_sense_are_refused(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    const size_t sizes[] = {SIZE_MAX,    SIZE_MAX - 15,  SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1,
                            PTRDIFF_MAX, (size_t)1 << 40};
    void *kept = weir_heap_malloc(heap, 100);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_null(weir_heap_malloc(heap, sizes[i]));
        assert_null(weir_heap_zalloc(heap, sizes[i]));
        assert_null(weir_heap_aligned(heap, 64, sizes[i], false));
        assert_null(weir_heap_aligned(heap, (size_t)1 << 63, sizes[i], false));
        assert_null(weir_heap_realloc(heap, kept, sizes[i]));
    }
    assert_null(weir_heap_aligned(heap, 0, 16, false));
    assert_null(weir_heap_aligned(heap, 48, 16, false));
    assert_null(weir_heap_aligned(heap, (size_t)1 << 62, 16, false));
    weir_heap_free(heap, kept);
    close_clean();
}

static void zalloc_is_zero_however_often_memory_was_used(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    static const size_t sizes[] = {1, 16, 24, 100, 1000, 5000, 32768, 32769, 100000, 1000000};
    for (size_t round = 0; round < 4; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            void *objects[8];
            for (size_t k = 0; k < 8; k++) {
                objects[k] = weir_heap_zalloc(heap, sizes[i]);
                assert_true(all_zero(objects[k], sizes[i]));
                memset(objects[k], 0xa5, weir_arena_usable_size(fixture.arena, objects[k]));
            }
            for (size_t k = 0; k < 8; k++)
                weir_heap_free(heap, objects[k]);
        }
    close_clean();
}

static void malloc_hides_the_link(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    void *a = weir_heap_malloc(heap, 64), *b = weir_heap_malloc(heap, 64);
    weir_heap_free(heap, a);
    weir_heap_free(heap, b);
    for (size_t i = 0; i < 200; i++) {
        uintptr_t *object = weir_heap_malloc(heap, 64);
        assert_int_equal(object[0], 0);
    }
    weir_heap_release(heap);
    fixture_close(&fixture);
}

static void alignment_of_every_power(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    for (size_t alignment = 1; alignment <= (size_t)4 << 20; alignment *= 2)
        for (size_t size = 0; size < 70000; size = size * 3 + 1) {
            unsigned char *object = weir_heap_aligned(heap, alignment, size, true);
            assert_non_null(object);
            assert_int_equal((uintptr_t)object % alignment, 0);
            assert_true(all_zero(object, size));
            memset(object, 1, size);
            weir_heap_free(heap, object);
        }
    close_clean();
}

/* One loop around the edge of a slab shall not ask for frames every time. */
static void a_bouncing_class_keeps_one_slab(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    weir_heap_free(heap, weir_heap_malloc(heap, 4096));
    struct weir_frames_stats before, after;
    weir_frames_stats(fixture.frames, &before);
    for (size_t i = 0; i < 50; i++)
        weir_heap_free(heap, weir_heap_malloc(heap, 4096));
    weir_frames_stats(fixture.frames, &after);
    assert_int_equal(after.allocs, before.allocs);
    close_clean();
}

/* Objects that come and go in bursts shall lie in one slab soon. */
static void a_bursting_class_keeps_one_slab(void **state)
{
    (void)state;
    enum {
        BURST = 64
    };
    static const size_t sizes[] = {256, 512, 1024};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        open_with((struct fixture_config){0});
        size_t size = sizes[i / 2], frames = 0;
        bool last_first = i % 2;
        void *objects[BURST];
        for (size_t round = 0; round < 20; round++) {
            for (size_t k = 0; k < BURST; k++)
                objects[k] = weir_heap_malloc(heap, size);
            frames = heap->frames[class_of(size)];
            for (size_t k = 0; k < BURST; k++)
                weir_heap_free(heap, objects[last_first ? BURST - 1 - k : k]);
        }
        /* Beside it at most a short one, whose few objects go straight from free to malloc. */
        assert_in_range(frames, BURST * size / WEIR_FRAME_SIZE, BURST * size / WEIR_FRAME_SIZE + 2);
        assert_sound(&fixture);
        close_clean();
    }
}

static void what_does_not_bounce_goes_back(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    weir_heap_free(heap, weir_heap_malloc(heap, 32768));
    weir_heap_free(heap, weir_heap_malloc(heap, 200000));
    assert_true(fixture_stats(&fixture).held > fixture_stats(&fixture).metadata);
    /* Other work takes the heap through its steps. */
    for (size_t i = 0; i < 20; i++)
        weir_heap_collect(heap);
    assert_int_equal(fixture_stats(&fixture).held, fixture_stats(&fixture).metadata);
    close_clean();
}

static void prompt_gives_back_at_once(void **state)
{
    (void)state;
    open_with((struct fixture_config){.prompt = true});
    enum {
        N = 20000
    };
    static void *objects[N];
    for (size_t i = 0; i < N; i++)
        objects[i] = weir_heap_malloc(heap, 16 + i % 1000);
    size_t held = fixture_stats(&fixture).held;
    for (size_t i = 0; i < N; i++)
        weir_heap_free(heap, objects[i]);
    /* What is left are slabs whose objects wait in bins, one for each of the 32 classes in use. */
    struct weir_arena_stats stats = fixture_stats(&fixture);
    assert_true(stats.slabs <= 32);
    assert_true(stats.held < held / 4);
    weir_heap_collect(heap);
    assert_int_equal(fixture_stats(&fixture).slabs, 0);
    close_clean();
}

/* Guests of 2 MiB: descriptors, heaps and the slack of slabs must leave room. */
static void thirty_classes_fit_in_two_mib(void **state)
{
    (void)state;
    open_with((struct fixture_config){.bytes = (size_t)2 << 20});
    void *objects[30];
    for (size_t i = 0; i < 30; i++) {
        size_t size = i < 16 ? 16 * (i + 1) : (size_t)256 + ((size_t)1 << (i - 10)) / 2;
        objects[i] = weir_heap_malloc(heap, size);
        assert_non_null(objects[i]);
    }
    assert_sound(&fixture);
    assert_true(fixture_stats(&fixture).held <= (size_t)1200 << 10);
    assert_true(fixture_stats(&fixture).metadata <= (size_t)32 << 10);
    for (unsigned i = 0; i < 30; i++)
        weir_heap_free(heap, objects[i]);
    close_clean();
}

/* Five frames in a row are enough for an object of 16 KiB and a bit, though no slab of its class fits. */
static void pieces_too_short_for_a_slab_serve(void **state)
{
    (void)state;
    enum {
        FRAMES = 512,
        FIRST = 201, /* not where a slab could begin */
        ROOM = 5
    };
    open_with((struct fixture_config){.bytes = FRAMES * WEIR_FRAME_SIZE});
    /* The descriptors and the run map need frames, too: they get them now. */
    weir_heap_free(heap, weir_heap_malloc(heap, 16413));
    weir_heap_free(heap, weir_heap_malloc(heap, 500000));
    weir_arena_trim(fixture.arena, heap, 0);
    static bool taken[FRAMES];
    uintptr_t base = (uintptr_t)fixture.memory, frame;
    bool zero;
    while ((frame = weir_frames_alloc(fixture.frames, 1, 1, 0, &zero)) != 0)
        taken[(frame - base) / WEIR_FRAME_SIZE] = true;
    for (size_t i = FIRST; i < FIRST + ROOM; i++) {
        assert_true(taken[i]);
        taken[i] = false;
        memset((void *)(base + i * WEIR_FRAME_SIZE), 0xee, WEIR_FRAME_SIZE);
        weir_frames_free(fixture.frames, base + i * WEIR_FRAME_SIZE, 1);
    }
    assert_null(weir_heap_malloc(heap, ROOM * WEIR_FRAME_SIZE + 1));
    uint64_t failed = fixture_stats(&fixture).failed;
    unsigned char *object = weir_heap_zalloc(heap, 16413);
    assert_non_null(object);
    assert_true(all_zero(object, 16413));
    assert_int_equal(fixture_stats(&fixture).failed, failed);
    assert_null(weir_heap_malloc(heap, 16413));
    assert_int_equal(fixture_stats(&fixture).failed, failed + 1);
    assert_sound(&fixture);
    weir_heap_free_sized(heap, object, 16413);
    assert_int_equal(atomic_load(&test_errors), 0);
    for (size_t i = 0; i < FRAMES; i++)
        if (taken[i])
            weir_frames_free(fixture.frames, base + i * WEIR_FRAME_SIZE, 1);
    close_clean();
}

static void descriptors_are_used_again(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    size_t metadata = 0;
    for (size_t round = 0; round < 5; round++) {
        void *objects[1000];
        for (size_t i = 0; i < 1000; i++)
            objects[i] = weir_heap_malloc(heap, 4096 + i * 8);
        for (size_t i = 0; i < 1000; i++)
            weir_heap_free(heap, objects[i]);
        weir_arena_trim(fixture.arena, heap, 0);
        struct weir_arena_stats stats = fixture_stats(&fixture);
        assert_int_equal(stats.held, stats.metadata);
        assert_true(round == 0 || stats.metadata == metadata);
        metadata = stats.metadata;
    }
    close_clean();
}

/* Half of the objects of many slabs are freed: new objects shall come from there, not from new slabs. */
static void holes_are_filled_first(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    enum {
        N = 20000
    };
    static void *objects[N];
    for (size_t i = 0; i < N; i++)
        objects[i] = weir_heap_malloc(heap, 112);
    for (size_t i = 0; i < N; i += 2)
        weir_heap_free(heap, objects[i]);
    size_t held = fixture_stats(&fixture).held;
    for (size_t i = 0; i < N; i += 2)
        objects[i] = weir_heap_malloc(heap, 112);
    assert_true(fixture_stats(&fixture).held <= held);
    for (size_t i = 0; i < N; i++)
        weir_heap_free(heap, objects[i]);
    close_clean();
}

static void the_empty_heap_has_nothing_and_takes_nothing(void **state)
{
    (void)state;
    struct weir_heap *empty = (struct weir_heap *)&weir_heap_empty;
    int stranger;
    assert_null(weir_heap_malloc(empty, 16));
    assert_null(weir_heap_malloc(empty, 1 << 20));
    assert_null(weir_heap_zalloc(empty, 16));
    assert_null(weir_heap_zalloc(empty, 1 << 20));
    assert_null(weir_heap_aligned(empty, 64, 16, false));
    assert_null(weir_heap_realloc(empty, NULL, 16));
    assert_null(weir_heap_realloc(empty, &stranger, 16));
    weir_heap_free(empty, &stranger);
    weir_heap_free(empty, NULL);
    weir_heap_free_sized(empty, &stranger, 4);
    weir_heap_collect(empty);
    weir_heap_quiesce(empty);
    weir_heap_release(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_aligned_disjoint_and_large_enough),
        cmocka_unit_test(malloc_zero_gives_an_object_of_its_own),
        cmocka_unit_test(sizes_without_sense_are_refused),
        cmocka_unit_test(zalloc_is_zero_however_often_memory_was_used),
        cmocka_unit_test(malloc_hides_the_link),
        cmocka_unit_test(alignment_of_every_power),
        cmocka_unit_test(a_bouncing_class_keeps_one_slab),
        cmocka_unit_test(a_bursting_class_keeps_one_slab),
        cmocka_unit_test(what_does_not_bounce_goes_back),
        cmocka_unit_test(prompt_gives_back_at_once),
        cmocka_unit_test(thirty_classes_fit_in_two_mib),
        cmocka_unit_test(pieces_too_short_for_a_slab_serve),
        cmocka_unit_test(descriptors_are_used_again),
        cmocka_unit_test(holes_are_filled_first),
        cmocka_unit_test(the_empty_heap_has_nothing_and_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
