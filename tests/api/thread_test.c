/* Threads of the process: their heaps, their ends, and fork in their midst. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t total = 0, pages = 0;
    assert_int_equal(fscanf(file, "%zu %zu", &total, &pages), 2);
    fclose(file);
    return pages * 4096;
}

static void *churn(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;
    unsigned char *objects[64] = {0};
    for (size_t i = 0; i < 3000; i++) {
        random = random * 1664525 + 1013904223;
        size_t k = random >> 10 & 63;
        free(objects[k]);
        objects[k] = malloc(random >> 16 & 2047);
        objects[k][0] = 1;
    }
    for (size_t k = 0; k < 64; k++)
        free(objects[k]);
    return NULL;
}

static void two_thousand_threads_leave_nothing(void **state)
{
    (void)state;
    size_t before = 0;
    for (size_t i = 0; i < 2000; i += 4) {
        pthread_t threads[4];
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(pthread_create(&threads[k], NULL, churn, (void *)(i + k)), 0);
        for (size_t k = 0; k < 4; k++)
            pthread_join(threads[k], NULL);
        if (i == 600)
            before = resident();
    }
    /* One heap a thread would be 5.5 MiB. How many of the four run at once decides about one or two. */
    assert_true(resident() < before + (3 << 20));
}

static pthread_key_t late_key;
static atomic_uint late_calls;

/* Runs after the heap's own destructor, too: it asks to be called again until the C library gives up. */
static void late(void *object)
{
    free(object);
    void *again = malloc(100);
    memset(again, 1, 100);
    atomic_fetch_add(&late_calls, 1);
    pthread_setspecific(late_key, again);
}

static void *use_key(void *unused)
{
    (void)unused;
    pthread_setspecific(late_key, malloc(50));
    return malloc(10);
}

static void destructors_of_others_may_allocate(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&late_key, late), 0);
    for (size_t i = 0; i < 200; i++) {
        pthread_t thread;
        void *left;
        assert_int_equal(pthread_create(&thread, NULL, use_key, NULL), 0);
        pthread_join(thread, &left);
        free(left);
    }
    assert_true(atomic_load(&late_calls) >= 400);
}

static atomic_bool stop;

static void *busy(void *seed)
{
    while (!atomic_load(&stop))
        churn(seed);
    return NULL;
}

static void fork_under_load(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(pthread_create(&threads[k], NULL, busy, (void *)k), 0);
    void *shared = malloc(1000);
    for (size_t i = 0; i < 100; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(20);
            free(shared);
            churn((void *)i);
            pthread_t thread;
            if (pthread_create(&thread, NULL, churn, NULL) == 0)
                pthread_join(thread, NULL);
            _exit(42);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    }
    atomic_store(&stop, true);
    for (size_t k = 0; k < 3; k++)
        pthread_join(threads[k], NULL);
    free(shared);
}

/* What one thread allocates and others free comes back to the one that allocates. */
static void *free_all(void *list)
{
    void **objects = list;
    for (size_t i = 0; i < 10000; i++)
        free(objects[i]);
    return NULL;
}

static void objects_freed_by_others_are_used_again(void **state)
{
    (void)state;
    static void *objects[10000];
    size_t after_first = 0;
    for (size_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < 10000; i++)
            memset(objects[i] = malloc(300), 1, 300);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, free_all, objects), 0);
        pthread_join(thread, NULL);
        if (round == 1)
            after_first = resident();
    }
    assert_true(resident() < after_first + (4 << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_thousand_threads_leave_nothing),
        cmocka_unit_test(destructors_of_others_may_allocate),
        cmocka_unit_test(fork_under_load),
        cmocka_unit_test(objects_freed_by_others_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
