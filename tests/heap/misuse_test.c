/* The table of cases of protection level 1: each is reported with its verdict, and does no harm. */
#include "src/heap/heap.h"
#include "tests/heap/fixture.h"

static struct fixture fixture;
static struct weir_heap *heap, *other;

static int open_two(void **state)
{
    (void)state;
    fixture_open(&fixture, NULL);
    heap = weir_heap_acquire(fixture.arena);
    other = weir_heap_acquire(fixture.arena);
    return heap == NULL || other == NULL;
}

static int close_sound(void **state)
{
    (void)state;
    assert_sound(&fixture);
    weir_heap_release(heap);
    weir_heap_release(other);
    weir_arena_trim(fixture.arena, NULL, 0);
    assert_sound(&fixture);
    assert_int_equal(fixture_stats(&fixture).live, 0);
    fixture_close(&fixture);
    return 0;
}

static const size_t sizes[] = {1, 16, 100, 1000, 4096, 20000, 32768, 33000, 100000, 500000};
#define SIZES (sizeof sizes / sizeof *sizes)

static void a_double_free_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        void *object = weir_heap_malloc(heap, sizes[i]);
        weir_heap_free(heap, object);
        assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free(heap, object));
        assert_int_equal(test_last_error.address, (uintptr_t)object);
        assert_string_equal(test_last_error.operation, "weir_heap_free");
        assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free_sized(heap, object, sizes[i]));
        assert_sound(&fixture);
    }
}

/* With others of the class around it, so that the slab is in the midst of its life; then with the slab full. */
static void a_double_free_among_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        enum {
            N = 300
        };
        void *objects[N];
        for (size_t k = 0; k < N; k++)
            objects[k] = weir_heap_malloc(heap, sizes[i] > 5000 ? 5000 : sizes[i]);
        for (size_t k = 0; k < N; k += 7) {
            weir_heap_free(heap, objects[k]);
            assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free(heap, objects[k]));
        }
        for (size_t k = 0; k < N; k++)
            if (k % 7 != 0)
                weir_heap_free(heap, objects[k]);
        assert_sound(&fixture);
    }
}

/* What waits in the bin because it came home alone, freed again when another was put upon it and taken since. */
static void a_double_free_of_what_was_handed_on(void **state)
{
    (void)state;
    enum {
        N = 40
    };
    void *objects[N];
    for (size_t i = 0; i < N; i++)
        objects[i] = weir_heap_malloc(heap, 5000);
    weir_heap_free(heap, objects[0]);
    weir_heap_free(heap, objects[2]);
    assert_ptr_equal(weir_heap_malloc(heap, 5000), objects[2]);
    assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free(heap, objects[0]));
    objects[0] = weir_heap_malloc(heap, 5000);
    void *another = weir_heap_malloc(heap, 5000);
    for (size_t i = 0; i < N; i++)
        assert_ptr_not_equal(another, objects[i]);
    weir_heap_free(heap, another);
    for (size_t i = 0; i < N; i++)
        weir_heap_free(heap, objects[i]);
}

static void a_double_free_from_elsewhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        void *object = weir_heap_malloc(heap, sizes[i]);
        weir_heap_free(other, object);
        if (sizes[i] < 4096 || sizes[i] > 32768)
            assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free(other, object));
        weir_heap_collect(other);
        weir_heap_collect(heap);
        assert_sound(&fixture);
    }
}

static void a_double_free_after_the_slab_went_back(void **state)
{
    (void)state;
    void *object = weir_heap_malloc(heap, 5000);
    weir_heap_free(heap, object);
    weir_arena_trim(fixture.arena, heap, 0);
    assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free(heap, object));
}

static int global;

static void strangers(void **state)
{
    (void)state;
    int local;
    _Alignas(16) char aligned[32];
    void *const pointers[] = {&local,
                              aligned,
                              &global,
                              (void *)(uintptr_t)strangers,
                              (void *)(uintptr_t)16,
                              (void *)UINTPTR_MAX,
                              (void *)(UINTPTR_MAX - 15)};
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(heap, pointers[i]));
        assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free_sized(heap, pointers[i], 8));
        test_platform_reset();
        assert_null(weir_heap_realloc(heap, pointers[i], 100));
        assert_int_equal(test_last_error.status, WEIR_NOT_ALLOCATED);
        assert_string_equal(test_last_error.operation, "weir_heap_realloc");
        assert_int_equal(weir_arena_usable_size(fixture.arena, pointers[i]), 0);
        assert_false(weir_arena_owns(fixture.arena, pointers[i]));
    }
}

static void unaligned_pointers(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        char *object = weir_heap_malloc(heap, sizes[i]);
        for (size_t k = 1; k < 16; k++)
            assert_misuse(WEIR_NOT_START, weir_heap_free(heap, object + k));
        weir_heap_free(heap, object);
    }
}

static void the_body_of_a_run(void **state)
{
    (void)state;
    char *run = weir_heap_malloc(heap, 500000);
    for (size_t at = 16; at < 500000; at += 30000) {
        assert_misuse(WEIR_NOT_START, weir_heap_free(heap, run + at));
        assert_int_equal(weir_arena_usable_size(fixture.arena, run + at), 0);
        assert_true(weir_arena_owns(fixture.arena, run + at));
    }
    assert_misuse(WEIR_NOT_START, weir_heap_free(heap, run + 8192));
    weir_heap_free(heap, run);
}

static void metadata_and_frames_of_others(void **state)
{
    (void)state;
    assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(heap, heap));
    assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(heap, fixture.arena));
    uintptr_t run = weir_frames_alloc(fixture.frames, 20, 1, 0, NULL);
    assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(heap, (void *)run));
    assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(heap, (void *)(run + 4096)));
    weir_frames_free(fixture.frames, run, 20);
    _Alignas(64) static char descriptor[64];
    uintptr_t slab = weir_frames_alloc_slab(fixture.frames, 1, descriptor, NULL);
    assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(heap, (void *)(slab + 64)));
    weir_frames_free_slab(fixture.frames, slab, 1);
    struct weir_range range;
    assert_int_equal(weir_frames_balloon(fixture.frames, 4, false, &range, 1), 1);
    assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(heap, (void *)range.start));
    weir_frames_unballoon(fixture.frames, &range, 1, true);
}

static void what_was_never_carved(void **state)
{
    (void)state;
    char *first = weir_heap_malloc(heap, 5000);
    /* One frame's worth was carved, one object of this size. */
    char *second = first + weir_arena_usable_size(fixture.arena, first);
    assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(other, second));
    assert_misuse(WEIR_NOT_START, weir_heap_free(other, first + 16));
    weir_heap_free(heap, first);
}

static void objects_of_another_arena(void **state)
{
    (void)state;
    struct weir_arena *second =
        weir_arena_create(&(struct weir_arena_config){.frames = fixture.frames, .platform = test_platform()});
    struct weir_heap *stranger = weir_heap_acquire(second);
    for (size_t i = 0; i < SIZES; i++) {
        void *object = weir_heap_malloc(stranger, sizes[i]);
        assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(heap, object));
        assert_int_equal(weir_arena_usable_size(fixture.arena, object), 0);
        assert_false(weir_arena_owns(fixture.arena, object));
        assert_true(weir_arena_owns(second, object));
        weir_heap_free(stranger, object);
    }
    weir_arena_destroy(second);
}

/* Somebody wrote over an object after it was freed from elsewhere: the list it is in leads astray. */
static void a_corrupted_remote_list(void **state)
{
    (void)state;
    static const uintptr_t astray[] = {8, 0xdeadbeef000, UINTPTR_MAX};
    for (size_t i = 0; i <= sizeof astray / sizeof *astray; i++) {
        void *objects[20];
        for (size_t k = 0; k < 20; k++)
            objects[k] = weir_heap_malloc(heap, 2048);
        weir_heap_free(other, objects[0]);
        weir_heap_free(other, objects[1]);
        *(uintptr_t *)objects[1] = i < sizeof astray / sizeof *astray ? astray[i] : (uintptr_t)objects[1];
        weir_heap_quiesce(other);
        test_platform_reset();
        weir_heap_collect(heap);
        assert_true(atomic_load(&test_errors) >= 1);
        assert_int_equal(test_last_error.status, WEIR_CORRUPTED);
        for (size_t k = 2; k < 20; k++)
            weir_heap_free(heap, objects[k]);
    }
}

/* Freed from elsewhere, another after it, and again: their links make a circle. */
static void a_circle_of_remote_frees(void **state)
{
    (void)state;
    void *objects[60];
    for (size_t k = 0; k < 60; k++)
        objects[k] = weir_heap_malloc(heap, 64);
    weir_heap_free(other, objects[0]);
    weir_heap_free(other, objects[1]);
    weir_heap_free(other, objects[0]);
    weir_heap_quiesce(other);
    test_platform_reset();
    weir_heap_collect(heap);
    assert_int_equal(test_last_error.status, WEIR_CORRUPTED);
    for (size_t k = 0; k < 200; k++) {
        void *object = weir_heap_malloc(heap, 64);
        for (size_t i = 2; i < 60; i++)
            assert_ptr_not_equal(object, objects[i]);
    }
}

/* A slab that is empty keeps its objects for later; none of them is anybody's. */
static void what_an_empty_slab_keeps(void **state)
{
    (void)state;
    enum {
        N = 500
    };
    void *objects[N];
    for (size_t k = 0; k < N; k++)
        objects[k] = weir_heap_malloc(heap, 200);
    for (size_t k = 0; k < N; k++)
        weir_heap_free(heap, objects[k]);
    size_t seen = 0;
    for (size_t k = 0; k < N; k += 10) {
        const struct slab *slab = arena_slab(fixture.arena, (uintptr_t)objects[k]);
        if (!slab || !(slab_marks(slab) & SLAB_EMPTY))
            continue;
        seen++;
        assert_int_equal(weir_arena_usable_size(fixture.arena, objects[k]), 0);
        assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free(heap, objects[k]));
        assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free(other, objects[k]));
        assert_misuse(WEIR_DOUBLE_FREE, assert_null(weir_heap_realloc(heap, objects[k], 190)));
    }
    assert_true(seen > 10);
    weir_heap_quiesce(other);
}

static int close_after_corruption(void **state)
{
    (void)state;
    weir_arena_destroy(fixture.arena);
    fixture.arena = NULL;
    fixture_close(&fixture);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_two, close_sound)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_double_free_at_once),
        TEST(a_double_free_among_others),
        TEST(a_double_free_of_what_was_handed_on),
        TEST(a_double_free_from_elsewhere),
        TEST(a_double_free_after_the_slab_went_back),
        TEST(strangers),
        TEST(unaligned_pointers),
        TEST(the_body_of_a_run),
        TEST(metadata_and_frames_of_others),
        TEST(what_was_never_carved),
        TEST(objects_of_another_arena),
        TEST(what_an_empty_slab_keeps),
        cmocka_unit_test_setup_teardown(a_corrupted_remote_list, open_two, close_after_corruption),
        cmocka_unit_test_setup_teardown(a_circle_of_remote_frees, open_two, close_after_corruption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
