/* Apart heaps: discarded with all that is in them, or released without harm to it; objects at odd offsets. */
#include <pthread.h>
#include <sched.h>

#include "src/heap/heap.h"
#include "tests/heap/fixture.h"

static struct fixture fixture;
static struct weir_heap *thread, *apart;

enum {
    N = 2000
};
static void *objects[N];

static void open_heaps(void)
{
    fixture_open(&fixture, NULL);
    thread = weir_heap_acquire(fixture.arena);
    apart = weir_heap_acquire_apart(fixture.arena);
}

/* Sizes of all kinds, one in sixteen of them large. */
static size_t size_of(unsigned i)
{
    return i % 16 == 0 ? 33000 + i * 97 % 100000 : i * 37 % 3000;
}

static void fill(struct weir_heap *heap)
{
    for (unsigned i = 0; i < N; i++) {
        objects[i] = weir_heap_malloc(heap, size_of(i));
        assert_non_null(objects[i]);
        stamp_write(objects[i], size_of(i), i);
    }
}

static void close_clean(void)
{
    weir_heap_release(thread);
    weir_arena_trim(fixture.arena, NULL, 0);
    assert_sound(&fixture);
    assert_int_equal(fixture_stats(&fixture).held, fixture_stats(&fixture).metadata);
    assert_int_equal(fixture_stats(&fixture).live, 0);
    assert_int_equal(atomic_load(&test_errors), 0);
    fixture_close(&fixture);
}

static void discard_takes_everything(void **state)
{
    (void)state;
    open_heaps();
    fill(apart);
    assert_sound(&fixture);
    weir_heap_discard(apart);
    close_clean();
}

/* Half of the objects were freed from elsewhere, a moment before. */
static void discard_after_remote_frees(void **state)
{
    (void)state;
    open_heaps();
    for (unsigned round = 0; round < 3; round++) {
        fill(apart);
        for (unsigned i = 0; i < N; i += 2)
            weir_heap_free(thread, objects[i]);
        assert_sound(&fixture);
        weir_heap_discard(apart);
        assert_sound(&fixture);
        /* New slabs take the places of the old ones: nothing may still be on its way there. */
        fill(thread);
        weir_heap_collect(thread);
        assert_sound(&fixture);
        for (unsigned i = 0; i < N; i++) {
            assert_true(stamp_holds(objects[i], size_of(i), i));
            weir_heap_free(thread, objects[i]);
        }
        apart = weir_heap_acquire_apart(fixture.arena);
    }
    weir_heap_discard(apart);
    close_clean();
}

static void release_leaves_objects(void **state)
{
    (void)state;
    open_heaps();
    fill(apart);
    weir_heap_release(apart);
    assert_null(weir_heap_of(fixture.arena, objects[1]));
    assert_null(weir_heap_of(fixture.arena, objects[0]));
    /* Another apart heap takes nothing of it. */
    struct weir_heap *next = weir_heap_acquire_apart(fixture.arena);
    for (unsigned i = 0; i < 100; i++)
        weir_heap_malloc(next, size_of(i));
    weir_heap_discard(next);
    for (unsigned i = 0; i < N; i++) {
        assert_true(stamp_holds(objects[i], size_of(i), i));
        weir_heap_free(thread, objects[i]);
    }
    close_clean();
}

/* Between turns an apart heap keeps nothing from whoever wants memory back. */
static void trim_reaches_it(void **state)
{
    (void)state;
    open_heaps();
    fill(apart);
    for (unsigned i = 0; i < N; i++)
        weir_heap_free(i % 2 ? apart : thread, objects[i]);
    size_t held = fixture_stats(&fixture).held;
    weir_arena_trim(fixture.arena, NULL, 0);
    assert_int_equal(fixture_stats(&fixture).held, held);
    heap_end_turn(apart);
    assert_true(weir_arena_trim(fixture.arena, NULL, 0));
    assert_int_equal(fixture_stats(&fixture).held, fixture_stats(&fixture).metadata);
    assert_sound(&fixture);
    assert_true(heap_take_turn(apart, TURN_OWNER));
    weir_heap_discard(apart);
    close_clean();
}

/* What sizes.c says of a heap's large objects. */
static void sizes_add_up(void **state)
{
    (void)state;
    static struct weir_size_stats sizes[WEIR_SIZES];
    open_heaps();
    fill(apart);
    assert_non_null(weir_heap_aligned_at(thread, 64, 8, 10, false));
    weir_arena_sizes(fixture.arena, sizes);
    size_t held = 0, bytes = 0;
    for (unsigned i = 0; i < WEIR_SIZES; i++) {
        held += sizes[i].held;
        bytes += sizes[i].bytes;
    }
    struct weir_arena_stats stats = fixture_stats(&fixture);
    assert_int_equal(held + stats.metadata, stats.held);
    assert_int_equal(bytes, stats.live);
    fixture_close(&fixture);
}

static void owner_is_known(void **state)
{
    (void)state;
    open_heaps();
    struct weir_heap *other = weir_heap_acquire_apart(fixture.arena);
    static const size_t sizes[] = {1, 500, 20000, 50000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *a = weir_heap_malloc(apart, sizes[i]), *b = weir_heap_malloc(other, sizes[i]);
        void *c = weir_heap_malloc(thread, sizes[i]);
        assert_ptr_equal(weir_heap_of(fixture.arena, a), apart);
        assert_ptr_equal(weir_heap_of(fixture.arena, b), other);
        assert_null(weir_heap_of(fixture.arena, c));
        assert_true(weir_arena_owns(fixture.arena, a));
        assert_true(weir_arena_usable_size(fixture.arena, a) >= sizes[i]);
        weir_heap_free(other, c);
    }
    assert_null(weir_heap_of(fixture.arena, &fixture));
    weir_heap_discard(apart);
    weir_heap_discard(other);
    close_clean();
}

static void large_objects_resize(void **state)
{
    (void)state;
    open_heaps();
    void *object = weir_heap_malloc(apart, 50000);
    stamp_write(object, 50000, 1);
    for (size_t size = 50000; size < 3000000; size += size / 3) {
        object = weir_heap_realloc(thread, object, size);
        assert_non_null(object);
        assert_true(stamp_holds(object, 50000, 1));
        assert_true(weir_arena_usable_size(fixture.arena, object) >= size);
        assert_sound(&fixture);
    }
    object = weir_heap_realloc(apart, object, 60000);
    assert_sound(&fixture);
    object = weir_heap_realloc(thread, object, 100);
    assert_true(stamp_holds(object, 64, 1));
    weir_heap_free(thread, object);
    weir_heap_release(apart);
    close_clean();
}

static void large_double_free_is_reported(void **state)
{
    (void)state;
    open_heaps();
    char *object = weir_heap_malloc(apart, 50000);
    assert_misuse(WEIR_NOT_ALLOCATED, weir_heap_free(thread, object + 4096));
    weir_heap_free(thread, object);
    assert_misuse(WEIR_DOUBLE_FREE, weir_heap_free(thread, object));
    test_platform_reset();
    weir_heap_discard(apart);
    close_clean();
}

static void any_offset(void **state)
{
    (void)state;
    open_heaps();
    for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2)
        for (unsigned i = 0; i < 12; i++) {
            static const size_t offsets[] = {0, 1, 7, 8, 16, 24, 100, 4095, 4096, 4097, 70000, SIZE_MAX};
            for (size_t size = 0; size < 100000; size = size * 9 + 1) {
                struct weir_heap *heap = i % 2 ? thread : apart;
                char *object = weir_heap_aligned_at(heap, alignment, offsets[i], size, true);
                assert_non_null(object);
                assert_int_equal(((uintptr_t)object + offsets[i]) % alignment, 0);
                assert_true(weir_arena_usable_size(fixture.arena, object) >= size);
                assert_true(all_zero(object, size));
                stamp_write(object, size, i);
                object = weir_heap_realloc(thread, object, size + 1000);
                assert_true(stamp_holds(object, size, i));
                weir_heap_free(thread, object);
            }
        }
    assert_sound(&fixture);
    assert_null(weir_heap_aligned_at(thread, 24, 8, 100, false));
    assert_null(weir_heap_aligned_at(thread, 0, 8, 100, false));
    assert_null(weir_heap_aligned_at(thread, 64, 8, PTRDIFF_MAX, false));
    assert_null(weir_heap_aligned_at(thread, 64, 8, SIZE_MAX, false));
    weir_heap_discard(apart);
    close_clean();
}

struct seen {
    size_t areas, objects, bytes;
    void *freed_by;
};

static bool see(void *context, const struct weir_heap_area *area, void *object)
{
    struct seen *seen = context;
    if (!object) {
        seen->areas++;
        assert_true(area->used * area->object_size <= area->reserved);
        return true;
    }
    seen->objects++;
    seen->bytes += area->object_size;
    if (seen->freed_by)
        weir_heap_free(seen->freed_by, object);
    return true;
}

static void walk_sees_live_objects(void **state)
{
    (void)state;
    open_heaps();
    fill(apart);
    for (unsigned i = 0; i < N; i += 4)
        weir_heap_free(thread, objects[i]);
    for (unsigned i = 1; i < N; i += 4)
        weir_heap_free(apart, objects[i]);
    struct seen seen = {0};
    assert_true(weir_heap_walk(apart, see, &seen));
    assert_int_equal(seen.objects, N / 2);
    assert_true(seen.areas > 0);
    weir_heap_collect(apart);
    assert_int_equal(seen.bytes, fixture_stats(&fixture).live);
    /* The visitor may free what it sees. */
    seen = (struct seen){.freed_by = thread};
    assert_true(weir_heap_walk(apart, see, &seen));
    assert_int_equal(seen.objects, N / 2);
    seen = (struct seen){0};
    assert_true(weir_heap_walk(apart, see, &seen));
    assert_int_equal(seen.objects, 0);
    weir_heap_discard(apart);
    close_clean();
}

static void table_grows(void **state)
{
    (void)state;
    enum {
        MANY = 5000
    };
    static void *many[MANY];
    open_heaps();
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = weir_heap_aligned_at(i % 2 ? thread : apart, 64, 8, 10, false);
        assert_non_null(many[i]);
    }
    assert_sound(&fixture);
    for (unsigned i = 0; i < MANY; i++)
        assert_true(weir_heap_of(fixture.arena, many[i]) == (i % 2 ? NULL : apart));
    for (unsigned i = 1; i < MANY; i += 2)
        weir_heap_free(apart, many[i]);
    weir_heap_discard(apart);
    close_clean();
}

/* Live objects of the arena are given back with it. */
static void arena_ends_with_objects(void **state)
{
    (void)state;
    open_heaps();
    fill(apart);
    weir_heap_aligned_at(thread, 64, 8, 10, false);
    fixture_close(&fixture);
}

static void heaps_are_cheap(void **state)
{
    (void)state;
    static struct weir_heap *heaps[1000];
    open_heaps();
    size_t before = fixture_stats(&fixture).held;
    for (unsigned i = 0; i < 1000; i++)
        heaps[i] = weir_heap_acquire_apart(fixture.arena);
    assert_int_equal(fixture_stats(&fixture).held - before, 1000 * WEIR_FRAME_SIZE);
    for (unsigned i = 0; i < 1000; i++)
        weir_heap_discard(heaps[i]);
    /* And serve again. */
    for (unsigned i = 0; i < 1000; i++)
        heaps[i] = weir_heap_acquire_apart(fixture.arena);
    assert_int_equal(fixture_stats(&fixture).held - before, 1000 * WEIR_FRAME_SIZE);
    for (unsigned i = 0; i < 1000; i++)
        weir_heap_discard(heaps[i]);
    weir_heap_discard(apart);
    close_clean();
}

/* --- threads: they take turns at the apart heap, and free its objects from their own --- */

enum {
    THREADS = 4,
    PLACES = 256,
};
static _Atomic(void *) places[PLACES];

static void *work(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    struct weir_heap *own = weir_heap_acquire(fixture.arena);
    for (unsigned i = 0; i < 5000; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t size = size_of(seed >> 16) + sizeof size;
        while (!heap_take_turn(apart, TURN_OWNER))
            sched_yield();
        size_t *object = weir_heap_malloc(apart, size);
        heap_end_turn(apart);
        *object = size;
        object = atomic_exchange(&places[seed >> 8 & (PLACES - 1)], object);
        if (object) {
            assert_true(weir_arena_usable_size(fixture.arena, object) >= *object);
            weir_heap_free(own, object);
        }
    }
    weir_heap_release(own);
    return NULL;
}

static void threads_take_turns(void **state)
{
    (void)state;
    open_heaps();
    for (unsigned round = 0; round < 3; round++) {
        heap_end_turn(apart);
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, work, (void *)((uintptr_t)round * THREADS + i));
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_sound(&fixture);
        if (round == 1) {
            weir_heap_release(apart);
        } else {
            weir_heap_discard(apart);
            for (unsigned i = 0; i < PLACES; i++)
                places[i] = NULL;
        }
        apart = weir_heap_acquire_apart(fixture.arena);
    }
    weir_heap_discard(apart);
    for (unsigned i = 0; i < PLACES; i++)
        weir_heap_free(thread, atomic_exchange(&places[i], NULL));
    close_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(discard_takes_everything),
        cmocka_unit_test(discard_after_remote_frees),
        cmocka_unit_test(release_leaves_objects),
        cmocka_unit_test(trim_reaches_it),
        cmocka_unit_test(sizes_add_up),
        cmocka_unit_test(owner_is_known),
        cmocka_unit_test(large_objects_resize),
        cmocka_unit_test(large_double_free_is_reported),
        cmocka_unit_test(any_offset),
        cmocka_unit_test(walk_sees_live_objects),
        cmocka_unit_test(table_grows),
        cmocka_unit_test(arena_ends_with_objects),
        cmocka_unit_test(heaps_are_cheap),
        cmocka_unit_test(threads_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
