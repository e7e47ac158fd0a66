/* Statistics, walks and checks, and the heap behind the interface of all allocators. */
#include <string.h>

#include "src/heap/heap.h"
#include "tests/heap/fixture.h"
#include "weir/allocator.h"

static struct fixture fixture;
static struct weir_heap *heap;

static int open_plain(void **state)
{
    (void)state;
    fixture_open(&fixture, &(struct fixture_config){.bytes = (size_t)32 << 20});
    heap = weir_heap_acquire(fixture.arena);
    return heap == NULL;
}

static int close_all(void **state)
{
    (void)state;
    weir_heap_release(heap);
    fixture_close(&fixture);
    return 0;
}

static void operations_and_bytes_are_counted(void **state)
{
    (void)state;
    enum {
        N = 777
    };
    void *objects[N];
    size_t live = 0;
    for (size_t i = 0; i < N; i++) {
        objects[i] = weir_heap_malloc(heap, i * 60);
        live += weir_arena_usable_size(fixture.arena, objects[i]);
    }
    struct weir_arena_stats stats = fixture_stats(&fixture);
    assert_int_equal(stats.mallocs, N);
    assert_int_equal(stats.frees, 0);
    assert_int_equal(stats.live, live);
    assert_true(stats.peak_live >= live);
    assert_true(stats.held >= live + stats.metadata);
    assert_int_equal(stats.heaps, 1);
    for (size_t i = 0; i < N; i += 2)
        weir_heap_free(heap, objects[i]);
    stats = fixture_stats(&fixture);
    assert_int_equal(stats.mallocs, N);
    assert_int_equal(stats.frees, (N + 1) / 2);
    for (size_t i = 1; i < N; i += 2)
        weir_heap_free(heap, objects[i]);
    stats = fixture_stats(&fixture);
    assert_int_equal(stats.frees, N);
    assert_int_equal(stats.live, 0);
    assert_true(stats.peak_live >= live && stats.peak_held >= stats.peak_live);
    assert_int_equal(stats.failed, 0);
    assert_null(weir_heap_malloc(heap, (size_t)1 << 30));
    assert_int_equal(fixture_stats(&fixture).failed, 1);
    /* As much as the table has frames: there is never room, for some are taken. What is refused was never held. */
    assert_null(weir_heap_malloc(heap, fixture.arena->map->count << WEIR_FRAME_SHIFT));
    assert_int_equal(fixture_stats(&fixture).peak_held, stats.peak_held);
}

struct seen {
    size_t live, free, bytes;
    const void *find;
    bool found;
};

static bool see(void *context, const struct weir_object *object)
{
    struct seen *seen = context;
    *(object->live ? &seen->live : &seen->free) += 1;
    seen->bytes += object->live ? object->size : 0;
    seen->found |= object->live && object->start == (uintptr_t)seen->find;
    return true;
}

static bool stop_at_once(void *context, const struct weir_object *object)
{
    (void)object;
    ++*(size_t *)context;
    return false;
}

static void the_walk_sees_every_object_once(void **state)
{
    (void)state;
    enum {
        N = 500
    };
    void *objects[N];
    struct weir_heap *other = weir_heap_acquire(fixture.arena);
    for (size_t i = 0; i < N; i++)
        objects[i] = weir_heap_malloc(i % 2 ? heap : other, i * 90);
    for (size_t i = 0; i < N; i += 3)
        weir_heap_free(i % 5 ? heap : other, objects[i]);
    struct seen seen = {.find = objects[1]};
    weir_arena_walk(fixture.arena, false, see, &seen);
    assert_int_equal(seen.live, N - (N + 2) / 3);
    assert_int_equal(seen.free, 0);
    assert_true(seen.found);
    seen = (struct seen){.find = objects[0]};
    weir_arena_walk(fixture.arena, true, see, &seen);
    assert_int_equal(seen.live, N - (N + 2) / 3);
    assert_true(seen.free > 0);
    assert_false(seen.found);
    size_t calls = 0;
    weir_arena_walk(fixture.arena, true, stop_at_once, &calls);
    assert_int_equal(calls, 1);
    weir_heap_release(other);
}

/* Each invariant, broken by hand: the check must name it. */
static void the_check_sees_what_is_broken(void **state)
{
    (void)state;
    void *object = weir_heap_malloc(heap, 100);
    weir_heap_malloc(heap, 100000);
    struct slab *slab = arena_slab(fixture.arena, (uintptr_t)object);
    const char *what;
#define BREAK(change, undo, name)                                                                                      \
    do {                                                                                                               \
        assert_sound(&fixture);                                                                                        \
        change;                                                                                                        \
        assert_int_equal(weir_arena_check(fixture.arena, &what), WEIR_CORRUPTED);                                      \
        assert_string_equal(what, name);                                                                               \
        undo;                                                                                                          \
    } while (0)
    BREAK(slab->left--, slab->left++, "used + |local list| = carved, and no object is in two places");
    BREAK(slab->capacity++, slab->capacity--, "capacity follows from size");
    BREAK(slab->start += 4096, slab->start -= 4096, "every frame of a slab carries its descriptor");
    BREAK(heap->frames[slab->class]++, heap->frames[slab->class]--, "a heap's slabs are in its lists");
    BREAK(heap->slab_frames++, heap->slab_frames--, "a heap's frames are those of its classes");
    BREAK(atomic_fetch_add(&fixture.arena->held, 1), atomic_fetch_sub(&fixture.arena->held, 1),
          "held = slabs + runs + metadata");
    BREAK(atomic_fetch_add(&fixture.arena->slabs, 1), atomic_fetch_sub(&fixture.arena->slabs, 1),
          "the arena counts its slabs");
    struct object *bin = heap->bin[slab->class];
    BREAK(heap->bin[0] = bin, heap->bin[0] = NULL, "a bin's objects belong to slabs of the bin's heap and class");
    struct object *second = bin->next;
    BREAK(bin->next = bin, bin->next = second, "used + |local list| = carved, and no object is in two places");
}

/* --- the interface --- */

static struct weir_heap *my_heap(void)
{
    return heap;
}

static struct weir_allocator allocator(void)
{
    return (struct weir_allocator){
        .ops = &weir_heap_allocator, .instance = fixture.arena, .owner = (void *)(uintptr_t)my_heap};
}

static void the_interface_allocates(void **state)
{
    (void)state;
    struct weir_allocator a = allocator();
    unsigned char *object = a.ops->malloc(&a, 100);
    memset(object, 1, a.ops->usable_size(&a, object));
    object = a.ops->realloc(&a, object, 5000);
    assert_int_equal(object[99], 1);
    a.ops->free(&a, object);
    object = a.ops->calloc(&a, 30, 50);
    assert_true(all_zero(object, 1500));
    a.ops->free(&a, object);
    assert_null(a.ops->calloc(&a, SIZE_MAX / 2, 3));
    object = a.ops->memalign(&a, 65536, 10);
    assert_int_equal((uintptr_t)object % 65536, 0);
    a.ops->free(&a, object);
    void *aligned = NULL;
    assert_int_equal(a.ops->posix_memalign(&a, &aligned, 4, 10), 22);
    assert_int_equal(a.ops->posix_memalign(&a, &aligned, 64, SIZE_MAX - 100), 12);
    assert_null(aligned);
    assert_int_equal(a.ops->posix_memalign(&a, &aligned, 64, 10), 0);
    a.ops->free(&a, aligned);
    const char *what;
    assert_int_equal(a.ops->check(&a, &what), WEIR_OK);
    struct weir_allocator_stats stats;
    a.ops->stats(&a, &stats);
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.mallocs, stats.frees);
}

static void pages_come_in_exact_numbers(void **state)
{
    (void)state;
    struct weir_allocator a = allocator();
    for (size_t pages = 1; pages < 200; pages = pages * 2 + 1) {
        unsigned char *start = a.ops->palloc(&a, pages);
        assert_int_equal((uintptr_t)start % WEIR_FRAME_SIZE, 0);
        stamp_write(start, pages * WEIR_FRAME_SIZE, 3);
        assert_misuse(WEIR_WRONG_SIZE, a.ops->pfree(&a, start, pages + 1));
        a.ops->pfree(&a, start, pages);
        assert_misuse(WEIR_DOUBLE_FREE, a.ops->pfree(&a, start, pages));
    }
    assert_null(a.ops->palloc(&a, 0));
    assert_null(a.ops->palloc(&a, SIZE_MAX));
}

static void what_is_said_to_be_available_is(void **state)
{
    (void)state;
    struct weir_allocator a = allocator();
    assert_true(a.ops->availmem(&a) <= fixture.bytes);
    assert_int_equal(a.ops->pavailmem(&a), a.ops->availmem(&a) / WEIR_FRAME_SIZE);
    for (size_t i = 0; i < 5; i++) {
        void *all = a.ops->malloc(&a, a.ops->maxalloc(&a));
        assert_non_null(all);
        a.ops->free(&a, all);
        all = a.ops->palloc(&a, a.ops->pmaxalloc(&a));
        assert_non_null(all);
        a.ops->pfree(&a, all, a.ops->usable_size(&a, all) / WEIR_FRAME_SIZE);
        a.ops->malloc(&a, 100000);
    }
    weir_arena_limit(fixture.arena, fixture_stats(&fixture).held + 100000);
    assert_true(a.ops->availmem(&a) <= 100000);
    assert_non_null(a.ops->malloc(&a, a.ops->maxalloc(&a)));
}

static void memory_can_be_added(void **state)
{
    (void)state;
    struct weir_allocator a = allocator();
    assert_int_equal(a.ops->addmem(&a, fixture.memory, 100), WEIR_INVALID);
    assert_int_equal(a.ops->addmem(&a, fixture.memory, fixture.bytes), WEIR_OVERLAP);
    assert_int_equal(a.ops->addmem(&a, (void *)(UINTPTR_MAX - 100), 1000), WEIR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_plain, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(operations_and_bytes_are_counted),
        TEST(the_walk_sees_every_object_once),
        TEST(the_check_sees_what_is_broken),
        TEST(the_interface_allocates),
        TEST(pages_come_in_exact_numbers),
        TEST(what_is_said_to_be_available_is),
        TEST(memory_can_be_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
