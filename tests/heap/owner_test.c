/* Frees from elsewhere, quiet times, owners that go, adoption: with several heaps in one thread. */
#include "src/heap/heap.h"
#include "tests/heap/fixture.h"

static struct fixture fixture;
static struct weir_heap *heap, *other;

enum {
    N = 3000
};
static void *objects[N];

static void open_with(struct fixture_config config)
{
    fixture_open(&fixture, &config);
    heap = weir_heap_acquire(fixture.arena);
    other = weir_heap_acquire(fixture.arena);
}

static void fill(struct weir_heap *from, size_t size)
{
    for (size_t i = 0; i < N; i++)
        objects[i] = weir_heap_malloc(from, size);
}

static void empty(struct weir_heap *into)
{
    for (size_t i = 0; i < N; i++)
        weir_heap_free(into, objects[i]);
}

static void close_clean(void)
{
    weir_heap_release(heap);
    weir_heap_release(other);
    weir_arena_trim(fixture.arena, NULL, 0);
    assert_sound(&fixture);
    assert_int_equal(fixture_stats(&fixture).held, fixture_stats(&fixture).metadata);
    assert_int_equal(atomic_load(&test_errors), 0);
    fixture_close(&fixture);
}

static void remote_frees_come_home(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    fill(heap, 64);
    size_t slabs = fixture_stats(&fixture).slabs;
    empty(other);
    assert_sound(&fixture);
    assert_int_equal(fixture_stats(&fixture).remote_frees, N);
    /* The owner allocates as much again: from what came home. */
    fill(heap, 64);
    assert_true(fixture_stats(&fixture).slabs <= slabs + 1);
    empty(heap);
    close_clean();
}

/* What a heap holds back for another goes home, too, when it does nothing from then on but fill bins from its current
 * slab: whether that becomes empty in between or not. */
static void a_busy_heap_sends_what_it_holds_back(void **state)
{
    (void)state;
    for (int lives = 0; lives <= 1; lives++) {
        open_with((struct fixture_config){0});
        void *theirs = weir_heap_malloc(heap, 64), *mine = lives ? weir_heap_malloc(other, 512) : NULL;
        weir_heap_free(other, theirs);
        for (unsigned i = 0; i < 20000 && !atomic_load(&heap->inbox); i++)
            weir_heap_free(other, weir_heap_malloc(other, 512));
        assert_non_null(atomic_load(&heap->inbox));
        weir_heap_free(other, mine);
        assert_sound(&fixture);
        close_clean();
    }
}

/* A heap that only frees keeps nothing, and its owner's next collect finds all of it. */
static void collect_takes_everything_home(void **state)
{
    (void)state;
    open_with((struct fixture_config){.prompt = true});
    fill(heap, 200);
    empty(other);
    weir_heap_collect(other);
    weir_heap_collect(heap);
    assert_int_equal(fixture_stats(&fixture).slabs, 0);
    assert_int_equal(fixture_stats(&fixture).live, 0);
    close_clean();
}

static void a_quiet_heap_is_drained_by_others(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    fill(heap, 200);
    weir_heap_quiesce(heap);
    assert_sound(&fixture);
    empty(other);
    weir_heap_quiesce(other);
    assert_int_equal(fixture_stats(&fixture).slabs, 0);
    close_clean();
}

static void a_quiet_owner_wakes_with_whatever_it_does(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    for (size_t way = 0; way < 6; way++) {
        fill(heap, 100);
        void *run = weir_heap_malloc(heap, 50000);
        for (size_t i = 0; i < N; i += 2) {
            weir_heap_free(heap, objects[i]);
            objects[i] = NULL;
        }
        weir_heap_quiesce(heap);
        void *mine = NULL;
        if (way == 0)
            mine = weir_heap_malloc(heap, 100);
        else if (way == 1)
            weir_heap_free(heap, objects[1]), objects[1] = NULL;
        else if (way == 2)
            mine = weir_heap_malloc(heap, 50000);
        else if (way == 3)
            objects[1] = weir_heap_realloc(heap, objects[1], 3000);
        else if (way == 4)
            weir_heap_collect(heap);
        else
            weir_arena_trim(fixture.arena, heap, 0);
        /* Awake: what others free now waits for the owner. */
        for (size_t i = 3; i < N; i += 4) {
            weir_heap_free(other, objects[i]);
            objects[i] = NULL;
        }
        weir_heap_collect(other);
        assert_sound(&fixture);
        weir_heap_free(heap, mine);
        weir_heap_free(heap, run);
        empty(heap);
        weir_heap_collect(heap);
        assert_sound(&fixture);
        assert_int_equal(fixture_stats(&fixture).live, 0);
    }
    close_clean();
}

static void survivors_are_adopted(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    fill(heap, 64);
    for (size_t i = 0; i < N; i += 2) {
        weir_heap_free(heap, objects[i]);
        objects[i] = NULL;
    }
    weir_heap_release(heap);
    assert_sound(&fixture);
    size_t slabs = fixture_stats(&fixture).slabs;
    /* Another owner's new objects fill the holes. */
    for (size_t i = 0; i < N; i += 2)
        objects[i] = weir_heap_malloc(other, 64);
    assert_int_equal(fixture_stats(&fixture).slabs, slabs);
    heap = weir_heap_acquire(fixture.arena);
    empty(heap);
    close_clean();
}

static void orphans_go_when_their_last_object_goes(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    fill(heap, 64);
    weir_heap_release(heap);
    empty(other);
    weir_heap_collect(other);
    assert_int_equal(fixture_stats(&fixture).slabs, 0);
    heap = weir_heap_acquire(fixture.arena);
    close_clean();
}

/* The batch was made while the slab had an owner, and arrives when it has another. */
static void batches_find_the_new_owner(void **state)
{
    (void)state;
    for (size_t way = 0; way < 3; way++) {
        open_with((struct fixture_config){0});
        void *first = weir_heap_malloc(heap, 64), *second = weir_heap_malloc(heap, 64);
        weir_heap_free(other, first);
        weir_heap_release(heap);
        if (way == 1)
            second = weir_heap_realloc(other, second, 64);
        if (way == 2)
            weir_heap_free(other, weir_heap_malloc(other, 64));
        weir_heap_collect(other);
        assert_sound(&fixture);
        weir_heap_free(other, second);
        heap = weir_heap_acquire(fixture.arena);
        close_clean();
    }
}

/* The owner, quiet already, goes while somebody waits for its lock to bring a batch home: the slab is the orphanage's
 * then. */
static unsigned waits;

static void owner_goes_meanwhile(void *context, unsigned round)
{
    (void)context;
    (void)round;
    if (waits++ > 0)
        return;
    lock_drop(&heap->lock);
    weir_heap_release(heap);
}

static void an_owner_that_goes_while_it_is_locked_is_noticed(void **state)
{
    (void)state;
    struct weir_platform platform = *test_platform();
    platform.relax = owner_goes_meanwhile;
    waits = 0;
    open_with((struct fixture_config){.platform = &platform});
    void *first = weir_heap_malloc(heap, 64), *second = weir_heap_malloc(heap, 64);
    weir_heap_free(other, first);
    weir_heap_free(other, second);
    weir_heap_quiesce(heap);
    lock_take(&heap->lock, &platform);
    weir_heap_collect(other);
    assert_int_equal(waits, 1);
    assert_sound(&fixture);
    heap = weir_heap_acquire(fixture.arena);
    assert_int_equal(fixture_stats(&fixture).slabs, 0);
    close_clean();
}

static void released_heaps_are_used_again(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    size_t metadata = fixture_stats(&fixture).metadata;
    for (size_t i = 0; i < 100; i++) {
        weir_heap_release(heap);
        heap = weir_heap_acquire(fixture.arena);
    }
    assert_int_equal(fixture_stats(&fixture).metadata, metadata);
    close_clean();
}

static void arenas_end_with_whatever_lives_in_them(void **state)
{
    (void)state;
    open_with((struct fixture_config){0});
    fill(heap, 300);
    for (size_t i = 0; i < 50; i++)
        assert_non_null(weir_heap_malloc(other, 40000 + i * 5000));
    weir_heap_release(heap);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remote_frees_come_home),
        cmocka_unit_test(collect_takes_everything_home),
        cmocka_unit_test(a_quiet_heap_is_drained_by_others),
        cmocka_unit_test(a_quiet_owner_wakes_with_whatever_it_does),
        cmocka_unit_test(survivors_are_adopted),
        cmocka_unit_test(orphans_go_when_their_last_object_goes),
        cmocka_unit_test(a_busy_heap_sends_what_it_holds_back),
        cmocka_unit_test(batches_find_the_new_owner),
        cmocka_unit_test(an_owner_that_goes_while_it_is_locked_is_noticed),
        cmocka_unit_test(released_heaps_are_used_again),
        cmocka_unit_test(arenas_end_with_whatever_lives_in_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
