/* The frame layer behind the interface of all allocators, on memory that is really there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"
#include "weir/allocator.h"

enum {
    FRAMES = 4096
};

static struct fixture fixture;
static struct weir_allocator a = {.ops = &weir_frames_allocator};
static char *memory;

static void open_allocator(void)
{
    memory = mmap(NULL, FRAME(FRAMES), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    a.instance = fixture_open(&fixture, (uintptr_t)memory, FRAMES, 0, 2);
    weir_frames_add(a.instance, (uintptr_t)memory, FRAMES, WEIR_REGION_ZERO);
}

static void close_allocator(void)
{
    const char *what = NULL;
    assert_int_equal(a.ops->check(&a, &what), WEIR_OK);
    fixture_close(&fixture);
    munmap(memory, FRAME(FRAMES));
}

static bool all(const char *bytes, size_t count, char value)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != value)
            return false;
    }
    return true;
}

static void test_objects(void **state)
{
    (void)state;
    open_allocator();
    assert_int_equal(a.ops->availmem(&a), FRAME(FRAMES));
    assert_int_equal(a.ops->pmaxalloc(&a) <= FRAMES && a.ops->pmaxalloc(&a) >= FRAMES / 4, true);
    char *object = a.ops->malloc(&a, 10000);
    assert_int_equal(a.ops->usable_size(&a, object), FRAME(3));
    memset(object, 7, 10000);
    char *grown = a.ops->realloc(&a, object, 1000000);
    assert_true(all(grown, 10000, 7));
    char *shrunk = a.ops->realloc(&a, grown, 5000);
    assert_ptr_equal(shrunk, grown);
    assert_int_equal(a.ops->usable_size(&a, shrunk), FRAME(2));
    assert_int_equal(a.ops->availmem(&a), FRAME(FRAMES - 2));
    a.ops->free(&a, shrunk);
    a.ops->free(&a, NULL);
    /* memory used before is zeroed for calloc */
    char *zeroed = a.ops->calloc(&a, 100, 100);
    assert_true(all(zeroed, 10000, 0));
    a.ops->free(&a, zeroed);
    assert_non_null(a.ops->malloc(&a, 0));
    assert_null(a.ops->malloc(&a, SIZE_MAX));
    assert_null(a.ops->malloc(&a, FRAME(FRAMES) + 1));
    assert_null(a.ops->calloc(&a, SIZE_MAX / 2, 3));
    assert_int_equal(atomic_load(&test_errors), 0);
    close_allocator();
}

static void test_alignment(void **state)
{
    (void)state;
    void *object = &fixture;
    open_allocator();
    for (size_t alignment = 8; alignment <= FRAME(1024); alignment *= 2) {
        assert_int_equal(a.ops->posix_memalign(&a, &object, alignment, 100), 0);
        assert_int_equal((uintptr_t)object % alignment, 0);
        object = a.ops->memalign(&a, alignment, 5000);
        assert_int_equal((uintptr_t)object % alignment, 0);
    }
    void *before = object;
    assert_int_equal(a.ops->posix_memalign(&a, &object, 24, 100), EINVAL);
    assert_int_equal(a.ops->posix_memalign(&a, &object, 2, 100), EINVAL);
    assert_int_equal(a.ops->posix_memalign(&a, &object, 16, FRAME(FRAMES)), ENOMEM);
    assert_ptr_equal(object, before);
    assert_null(a.ops->memalign(&a, 3, 100));
    close_allocator();
}

/* Growing where there is no room moves, and where there is none at all leaves the object alone. */
static void test_realloc_moves(void **state)
{
    (void)state;
    open_allocator();
    char *first = a.ops->palloc(&a, 20), *second = a.ops->palloc(&a, 20);
    memset(first, 1, FRAME(20));
    memset(second, 2, FRAME(20));
    first = a.ops->realloc(&a, first, FRAME(900));
    second = a.ops->realloc(&a, second, FRAME(1000));
    assert_true(all(first, FRAME(20), 1));
    assert_true(all(second, FRAME(20), 2));
    assert_null(a.ops->realloc(&a, first, FRAME(FRAMES)));
    assert_null(a.ops->realloc(&a, first, SIZE_MAX));
    assert_int_equal(a.ops->usable_size(&a, first), FRAME(900));
    a.ops->pfree(&a, first, 900);
    a.ops->pfree(&a, second, 1000);
    assert_int_equal(a.ops->pavailmem(&a), FRAMES);
    close_allocator();
}

static void test_misuse(void **state)
{
    (void)state;
    open_allocator();
    char *object = a.ops->malloc(&a, 10000);
    a.ops->free(&a, object + 8);
    assert_int_equal(test_last_error.status, WEIR_INVALID);
    a.ops->free(&a, object + FRAME(10));
    assert_int_equal(test_last_error.status, WEIR_DOUBLE_FREE);
    a.ops->free(&a, &fixture);
    assert_int_equal(atomic_load(&test_errors), 3);
    assert_null(a.ops->realloc(&a, object + FRAME(1), 100));
    assert_int_equal(test_last_error.status, WEIR_NOT_ALLOCATED);
    a.ops->free(&a, object);
    a.ops->free(&a, object);
    assert_int_equal(test_last_error.status, WEIR_DOUBLE_FREE);
    assert_int_equal(atomic_load(&test_errors), 5);
    close_allocator();
}

static void test_addmem(void **state)
{
    (void)state;
    struct weir_allocator empty = {.ops = &weir_frames_allocator};
    empty.instance = fixture_open(&fixture, FRAME(1000), 100, 0, 0);
    assert_null(empty.ops->malloc(&empty, 1));
    assert_int_equal(empty.ops->maxalloc(&empty), 0);
    /* whole frames of what is offered */
    assert_int_equal(empty.ops->addmem(&empty, (void *)(FRAME(1010) + 5), FRAME(3)), WEIR_OK);
    assert_int_equal(empty.ops->pavailmem(&empty), 2);
    assert_ptr_equal(empty.ops->palloc(&empty, 2), FRAME(1011));
    assert_int_equal(empty.ops->addmem(&empty, (void *)(FRAME(1020) + 5), FRAME(1)), WEIR_INVALID);
    assert_int_equal(empty.ops->addmem(&empty, (void *)FRAME(1011), FRAME(1)), WEIR_OVERLAP);
    assert_int_equal(empty.ops->addmem(&empty, (void *)FRAME(1020), SIZE_MAX), WEIR_INVALID);
    fixture_close(&fixture);
}

static bool count_live(void *context, const struct weir_object *object)
{
    *(size_t *)context += object->live ? object->size : 0;
    return true;
}

static void test_counts(void **state)
{
    (void)state;
    open_allocator();
    void *objects[3] = {a.ops->malloc(&a, 1), a.ops->malloc(&a, 50000), a.ops->malloc(&a, 5000000)};
    struct weir_allocator_stats stats;
    a.ops->stats(&a, &stats);
    size_t live = 0;
    a.ops->walk(&a, count_live, &live);
    assert_int_equal(live, FRAME(1 + 13 + 1221));
    assert_int_equal(stats.live, live);
    assert_int_equal(stats.mallocs, 3);
    for (int i = 0; i < 3; i++)
        a.ops->free(&a, objects[i]);
    a.ops->stats(&a, &stats);
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.peak_live, live);
    assert_int_equal(stats.frees, 3);
    assert_int_equal(stats.failed, 0);
    close_allocator();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects), cmocka_unit_test(test_alignment), cmocka_unit_test(test_realloc_moves),
        cmocka_unit_test(test_misuse),  cmocka_unit_test(test_addmem),    cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
