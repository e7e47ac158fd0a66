/* mimalloc's interface in a guest: heaps that threads share, areas, the process's heap. Ends with "all is well". */
#include <mimalloc-stats.h>
#include <mimalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    printf("not so: %s\n", what);
    exit(1);
}
#define CHECK(condition) check(condition, #condition)

static size_t live(void)
{
    mi_stats_t_decl(stats);
    CHECK(mi_stats_get(&stats));
    return (size_t)stats.malloc_requested.current;
}

static mi_heap_t *shared;

static void *work(void *argument)
{
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = 1 + i % 3000;
        char *p = mi_heap_malloc(shared, size);
        CHECK(p && mi_heap_of(p) == shared);
        memset(p, 1, size);
        if (i % 100 == 0)
            continue;
        if (i % 2)
            free(p);
        else
            mi_free(p);
    }
    return argument;
}

static void threads_share_a_heap(void)
{
    pthread_t threads[3];
    shared = mi_heap_new();
    for (unsigned i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    mi_heap_destroy(shared);
}

static void objects_of_all_kinds(void)
{
    mi_heap_t *heap = mi_heap_new();
    for (unsigned i = 0; i < 1000; i++)
        CHECK(mi_heap_malloc(heap, i * 100));
    char *p = mi_heap_malloc(heap, 50000);
    p = realloc(p, 100000);
    free(p);
    p = mi_malloc_aligned_at(100, 64, 8);
    CHECK(((uintptr_t)p + 8) % 64 == 0);
    free(p);
    p = mi_rezalloc(mi_zalloc(100), 10000);
    CHECK(p[0] == 0 && memcmp(p, p + 1, 9999) == 0);
    mi_free(p);
    mi_heap_destroy(heap);
}

/* Heaps are the CPUs' here: malloc cannot be redirected, and nobody is told otherwise. */
static void the_default_stays(void)
{
    mi_heap_t *heap = mi_heap_new();
    mi_heap_set_default(heap);
    CHECK(mi_heap_get_default() == mi_heap_main());
    void *p = malloc(10);
    CHECK(mi_heap_of(p) == mi_heap_main());
    free(p);
    mi_heap_delete(heap);
}

static void areas(void)
{
    mi_arena_id_t id;
    CHECK(mi_reserve_os_memory_ex(1 << 20, true, false, true, &id) == 0);
    mi_heap_t *heap = mi_heap_new_in_arena(id);
    char *p = mi_heap_strdup(heap, "in the area");
    CHECK(mi_arena_contains(id, p) && strcmp(p, "in the area") == 0);
    free(p);
    mi_heap_destroy(heap);
}

int main(void)
{
    size_t before = live();
    objects_of_all_kinds();
    threads_share_a_heap();
    the_default_stays();
    mi_collect(true);
    CHECK(live() <= before + 100000);
    areas();
    puts("all is well");
    return 0;
}
