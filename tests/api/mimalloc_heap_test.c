/* mimalloc's interface: first-class heaps, from one thread and from many. */
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <mimalloc-stats.h>
#include <mimalloc.h>

/* The plain malloc, as the compiler does not see it. */
static void *(*volatile do_malloc)(size_t) = malloc;

enum {
    N = 3000,
    THREADS = 4,
};

static size_t size_of(unsigned i)
{
    return i % 50 == 0 ? 40000 + i * 31 : 1 + i * 37 % 2000;
}

static char *make(mi_heap_t *heap, unsigned i)
{
    char *p = mi_heap_malloc(heap, size_of(i));
    assert_non_null(p);
    memset(p, (int)i, size_of(i));
    return p;
}

static bool is_intact(const char *p, unsigned i)
{
    return p[0] == (char)i && p[size_of(i) - 1] == (char)i;
}

static size_t live(void)
{
    mi_stats_t_decl(stats);
    mi_stats_get(&stats);
    return (size_t)stats.malloc_requested.current;
}

static void destroy_frees_everything(void **state)
{
    (void)state;
    size_t before = live();
    for (unsigned round = 0; round < 5; round++) {
        mi_heap_t *heap = mi_heap_new();
        for (unsigned i = 0; i < N; i++)
            make(heap, i);
        assert_true(live() > before + 1000000);
        mi_heap_destroy(heap);
    }
    assert_true(live() <= before + 10000);
}

static void delete_leaves_objects(void **state)
{
    (void)state;
    static char *objects[N];
    mi_heap_t *heap = mi_heap_new();
    for (unsigned i = 0; i < N; i++)
        objects[i] = make(heap, i);
    mi_heap_delete(heap);
    mi_heap_t *next = mi_heap_new();
    for (unsigned i = 0; i < N; i++)
        make(next, i + 1);
    mi_heap_destroy(next);
    for (unsigned i = 0; i < N; i++) {
        assert_true(is_intact(objects[i], i));
        assert_ptr_equal(mi_heap_of(objects[i]), mi_heap_main());
        i % 2 ? free(objects[i]) : mi_free(objects[i]);
    }
    mi_heap_delete(NULL);
    mi_heap_destroy(NULL);
    mi_heap_destroy(mi_heap_main());
    mi_heap_t *kept = mi_heap_new_ex(1, false, NULL);
    char *p = make(kept, 1);
    mi_heap_destroy(kept); /* it was made not to be */
    assert_true(is_intact(p, 1));
    mi_free(p);
}

static void objects_know_their_heap(void **state)
{
    (void)state;
    mi_heap_t *heap = mi_heap_new(), *other = mi_heap_new();
    char *p = mi_heap_malloc(heap, 100), *large = mi_heap_malloc(heap, 100000), *mine = mi_malloc(100);
    char *odd = mi_heap_malloc_aligned_at(heap, 100, 64, 8);
    assert_true(mi_heap_contains(heap, p) && mi_heap_contains(heap, large) && mi_heap_contains(heap, odd));
    assert_true(mi_heap_check_owned(heap, p) && mi_heap_contains_block(heap, large));
    assert_false(mi_heap_contains(other, p) || mi_heap_contains(heap, mine) || mi_heap_contains(heap, &heap));
    assert_false(mi_heap_check_owned(heap, p + 1));
    assert_true(mi_check_owned(mine) && mi_any_heap_contains(p));
    assert_false(mi_check_owned(p) || mi_is_in_heap_region(&heap) || mi_any_heap_contains(NULL));
    assert_true(malloc_usable_size(p) >= 100 && mi_usable_size(large) >= 100000 && mi_usable_size(odd) >= 100);
    /* Resized by the plain face they may move to the process's heap, but stay intact. */
    memset(large, 9, 100000);
    large = realloc(large, 3000000);
    assert_int_equal(large[99999], 9);
    free(large);
    p = realloc(p, 100000);
    p = mi_heap_realloc(heap, p, 200);
    free(p);
    mi_free(mine);
    mi_heap_destroy(heap);
    mi_heap_destroy(other);
}

static void every_way_to_allocate(void **state)
{
    (void)state;
    mi_heap_t *heap = mi_heap_new();
    void *objects[] = {
        mi_heap_malloc(heap, 10),
        mi_heap_zalloc(heap, 10),
        mi_heap_calloc(heap, 10, 10),
        mi_heap_mallocn(heap, 10, 10),
        mi_heap_malloc_small(heap, 10),
        mi_heap_zalloc_small(heap, 10),
        mi_heap_realloc(heap, NULL, 10),
        mi_heap_reallocn(heap, NULL, 10, 10),
        mi_heap_rezalloc(heap, mi_heap_zalloc(heap, 10), 10000),
        mi_heap_recalloc(heap, mi_heap_calloc(heap, 10, 10), 10000, 10),
        mi_heap_strdup(heap, "text"),
        mi_heap_strndup(heap, "text", 2),
        mi_heap_realpath(heap, "/", NULL),
        mi_heap_malloc_aligned(heap, 100, 256),
        mi_heap_zalloc_aligned_at(heap, 100, 256, 100),
        mi_heap_calloc_aligned(heap, 100, 100, 8192),
        mi_heap_realloc_aligned(heap, NULL, 100, 64),
        mi_heap_recalloc_aligned_at(heap, NULL, 10, 10, 64, 4),
        mi_heap_alloc_new(heap, 100),
        mi_heap_alloc_new_n(heap, 100, 100),
        mi_heap_malloc_tp(int, heap),
        mi_theap_malloc(mi_heap_theap(heap), 10),
        mi_theap_malloc_aligned(mi_heap_theap(heap), 10, 64),
    };
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        assert_ptr_equal(mi_heap_of(objects[i]), heap);
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i += 2)
        free(objects[i]);
    mi_heap_destroy(heap);
}

static void malloc_goes_where_the_default_is(void **state)
{
    (void)state;
    mi_heap_t *heap = mi_heap_new(), *other = mi_heap_new();
    char *before = do_malloc(100);
    assert_ptr_equal(mi_heap_set_default(heap), mi_heap_get_backing());
    assert_ptr_equal(mi_heap_get_default(), heap);
    char *p = do_malloc(100), *large = do_malloc(1 << 20), *zero = calloc(10, 10);
    assert_ptr_equal(mi_heap_of(p), heap);
    assert_ptr_equal(mi_heap_of(large), heap);
    assert_ptr_equal(mi_heap_of(zero), heap);
    assert_ptr_equal(mi_heap_of(mi_malloc(10)), heap);
    char *inner = mi_heap_malloc(mi_heap_main(), 100), *third = mi_heap_malloc(other, 100);
    assert_ptr_equal(mi_heap_of(inner), mi_heap_main());
    assert_ptr_equal(mi_heap_of(third), other);
    for (unsigned i = 0; i < 10000; i++) { /* of all of them */
        free(before);
        free(p);
        before = mi_heap_malloc(mi_heap_main(), 1 + i % 1000);
        p = do_malloc(1 + i % 1000);
    }
    assert_ptr_equal(mi_heap_set_default(other), heap);
    assert_ptr_equal(mi_heap_of(do_malloc(10)), other);
    free(p);
    mi_heap_set_default(mi_heap_main());
    assert_ptr_equal(mi_heap_get_default(), mi_heap_main());
    void *last = do_malloc(10);
    assert_ptr_equal(mi_heap_of(last), mi_heap_main());
    free(last);
    free(before);
    free(inner);
    mi_heap_destroy(heap);
    /* The default ends: the thread has its own heap again. */
    mi_heap_set_default(other);
    mi_heap_destroy(other);
    last = do_malloc(10);
    assert_ptr_equal(mi_heap_of(last), mi_heap_main());
    free(last);
}

struct seen {
    size_t areas, blocks, bytes;
    bool stop;
};

static bool see(const mi_heap_t *heap, const mi_heap_area_t *area, void *block, size_t size, void *argument)
{
    struct seen *seen = argument;
    (void)heap;
    if (!block) {
        seen->areas++;
        assert_true(area->used * area->block_size <= area->reserved && area->block_size == area->full_block_size);
        return true;
    }
    assert_true(mi_usable_size(block) == size && size == area->block_size);
    seen->blocks++;
    seen->bytes += size;
    return !seen->stop;
}

static bool count_heap(mi_heap_t *heap, void *argument)
{
    (void)heap;
    return ++*(int *)argument < 3;
}

static void visiting(void **state)
{
    (void)state;
    static char *objects[N];
    mi_heap_t *heap = mi_heap_new();
    struct seen seen = {0};
    assert_true(mi_heap_visit_blocks(heap, true, see, &seen));
    assert_int_equal(seen.blocks, 0);
    for (unsigned i = 0; i < N; i++)
        objects[i] = make(heap, i);
    for (unsigned i = 0; i < N; i += 3)
        free(objects[i]);
    mi_heap_collect(heap, false);
    assert_true(mi_heap_visit_blocks(heap, true, see, &seen));
    assert_int_equal(seen.blocks, N - N / 3);
    size_t areas = seen.areas;
    seen = (struct seen){0};
    assert_true(mi_heap_visit_blocks(heap, false, see, &seen));
    assert_true(seen.blocks == 0 && seen.areas == areas);
    seen = (struct seen){.stop = true};
    assert_false(mi_heap_visit_blocks(heap, true, see, &seen));
    assert_int_equal(seen.blocks, 1);
    /* The process's own, with what the test framework has. */
    void *mine = mi_malloc(100);
    seen = (struct seen){0};
    assert_true(mi_heap_visit_blocks(mi_heap_main(), true, see, &seen));
    assert_true(seen.blocks > 0);
    mi_free(mine);
    int heaps = 0;
    assert_true(mi_subproc_visit_heaps(mi_subproc_main(), count_heap, &heaps));
    assert_int_equal(heaps, 2);
    mi_heap_destroy(heap);
}

/* --- threads --- */

static mi_heap_t *shared;
static _Atomic(char *) exchange[64];

static void *work(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned k = rand_r(&seed) % 64, n = rand_r(&seed) % N;
        char *p = mi_heap_malloc(shared, size_of(n) + 8);
        memset(p, (int)n, size_of(n) + 8);
        memcpy(p, &n, sizeof n);
        p = atomic_exchange(&exchange[k], p);
        if (p) {
            memcpy(&n, p, sizeof n);
            if (p[size_of(n) + 7] != (char)n || !mi_heap_contains(shared, p))
                abort();
            i % 2 ? free(p) : mi_free(p);
        }
    }
    return NULL;
}

static void run_threads(void *(*function)(void *argument))
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, function, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void any_thread_allocates_and_frees(void **state)
{
    (void)state;
    size_t before = live();
    for (unsigned round = 0; round < 4; round++) {
        shared = mi_heap_new();
        run_threads(work);
        if (round % 2) {
            mi_heap_delete(shared);
            for (unsigned i = 0; i < 64; i++)
                free(exchange[i]);
        } else {
            mi_heap_destroy(shared);
        }
        memset(exchange, 0, sizeof exchange);
    }
    mi_collect(true);
    assert_true(live() <= before + 10000);
}

/* Version 2's way: each thread has its own, sets it as default, and ends with or without setting it back. */
static void *own_default(void *argument)
{
    mi_heap_t *heap = mi_heap_new();
    mi_heap_set_default(heap);
    for (unsigned i = 0; i < 10000; i++) {
        char *p = do_malloc(size_of(i));
        if (!mi_heap_contains(heap, p))
            abort();
        if (i % 3)
            free(p);
    }
    if ((uintptr_t)argument % 2)
        mi_heap_set_default(mi_heap_main());
    atomic_store(&exchange[(uintptr_t)argument], (char *)heap);
    return NULL;
}

static void threads_with_their_own_default(void **state)
{
    (void)state;
    size_t before = live();
    for (unsigned round = 0; round < 5; round++) {
        run_threads(own_default);
        for (unsigned i = 1; i <= THREADS; i++)
            mi_heap_destroy((mi_heap_t *)atomic_exchange(&exchange[i], NULL));
    }
    assert_true(live() <= before + 10000);
}

static atomic_bool stopping;

static void *churn(void *argument)
{
    (void)argument;
    while (!atomic_load(&stopping))
        mi_free(mi_heap_malloc(shared, 100));
    return NULL;
}

static void heaps_survive_fork(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared = mi_heap_new();
    char *p = mi_heap_strdup(shared, "before");
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (unsigned i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            for (unsigned k = 0; k < 1000; k++)
                mi_free(mi_heap_malloc(shared, k));
            mi_heap_t *heap = mi_heap_new();
            mi_heap_malloc(heap, 100);
            mi_heap_destroy(heap);
            mi_collect(true);
            _exit(strcmp(p, "before") != 0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mi_heap_destroy(shared);
}

static void thousands_of_heaps(void **state)
{
    (void)state;
    enum {
        HEAPS = 3000
    };
    static mi_heap_t *heaps[HEAPS];
    mi_stats_t_decl(before);
    mi_stats_t_decl(after);
    for (unsigned round = 0; round < 3; round++) {
        mi_stats_get(&before);
        for (unsigned i = 0; i < HEAPS; i++)
            assert_non_null(heaps[i] = mi_heap_new());
        mi_stats_get(&after);
        assert_true(after.committed.current - before.committed.current <= HEAPS * 4096 + 65536);
        for (unsigned i = 0; i < HEAPS; i++)
            mi_heap_malloc(heaps[i], 100);
        for (unsigned i = 0; i < HEAPS; i++)
            i % 2 ? mi_heap_destroy(heaps[i]) : mi_heap_delete(heaps[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destroy_frees_everything),
        cmocka_unit_test(delete_leaves_objects),
        cmocka_unit_test(objects_know_their_heap),
        cmocka_unit_test(every_way_to_allocate),
        cmocka_unit_test(malloc_goes_where_the_default_is),
        cmocka_unit_test(visiting),
        cmocka_unit_test(any_thread_allocates_and_frees),
        cmocka_unit_test(threads_with_their_own_default),
        cmocka_unit_test(heaps_survive_fork),
        cmocka_unit_test(thousands_of_heaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
