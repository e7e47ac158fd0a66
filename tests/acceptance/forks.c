/*
 * fork while other threads allocate and free: the child has one thread, and a malloc that works as before.
 *
 *     forks [forks=N]
 *
 * A child that hangs is ended by its alarm, and fails.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/acceptance/check.h"

int malloc_trim(size_t pad);

enum {
    SLOTS = 512,
    WORKERS = 3,
    WORKED = 42,
};

struct object {
    size_t size;
    uint64_t stamp;
};

/* Whatever is here was put by any thread and may be taken by any. */
static _Atomic(struct object *) slots[SLOTS];
static atomic_bool stop;

static struct object *make(size_t size, uint64_t stamp)
{
    struct object *object = malloc(sizeof *object + size);
    if (!object)
        return NULL;
    object->size = size;
    object->stamp = stamp;
    stamp_write(object + 1, size, stamp);
    return object;
}

static bool drop(struct object *object)
{
    bool whole = !object || stamp_holds(object + 1, object->size, object->stamp);
    free(object);
    return whole;
}

static bool exchange(uint64_t *chance, size_t times)
{
    bool whole = true;
    for (size_t i = 0; i < times; i++) {
        size_t most = chance_below(chance, 200) == 0 ? 300000 : chance_below(chance, 8) == 0 ? 20000 : 500;
        struct object *mine = chance_below(chance, 3) ? make(chance_size(chance, most), chance_next(chance)) : NULL;
        whole &= drop(atomic_exchange(&slots[chance_below(chance, SLOTS)], mine));
    }
    return whole;
}

static void *work(void *seed)
{
    uint64_t chance = (uintptr_t)seed;
    while (!atomic_load(&stop))
        CHECK(exchange(&chance, 100));
    return NULL;
}

static void *work_a_little(void *seed)
{
    uint64_t chance = (uintptr_t)seed;
    return exchange(&chance, 2000) ? seed : NULL;
}

/* All that a child may want: the parent's objects, whoever made them, are its own to free. */
static bool child_works(uint64_t seed, bool deeper)
{
    uint64_t chance = seed;
    if (!exchange(&chance, 1000))
        return false;
    for (size_t i = 0; i < SLOTS; i++)
        if (!drop(atomic_exchange(&slots[i], NULL)))
            return false;
    for (size_t size = 1; size < 4 << 20; size *= 5) {
        unsigned char *zero = calloc(1, size);
        if (!zero || zero[0] || zero[size - 1])
            return false;
        zero = realloc(zero, size * 2);
        free(zero);
    }
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, work_a_little, (void *)(uintptr_t)(seed | 1)) != 0)
            return false;
    for (size_t i = 0; i < 2; i++) {
        void *worked;
        if (pthread_join(threads[i], &worked) != 0 || !worked)
            return false;
    }
    malloc_trim(0);
    if (!deeper)
        return true;
    pid_t grandchild = fork();
    if (grandchild == 0)
        _exit(child_works(seed + 1, false) ? WORKED : 1);
    int status;
    return waitpid(grandchild, &status, 0) == grandchild && WIFEXITED(status) && WEXITSTATUS(status) == WORKED;
}

static bool ended_well(pid_t child)
{
    int status = 0;
    if (!CHECK(child > 0) || !CHECK(waitpid(child, &status, 0) == child))
        return false;
    if (WIFSIGNALED(status))
        note("a child was ended by signal %d%s", WTERMSIG(status), WTERMSIG(status) == SIGALRM ? ": it hung" : "");
    return CHECK(WIFEXITED(status) && WEXITSTATUS(status) == WORKED);
}

static void start(pthread_t *threads)
{
    atomic_store(&stop, false);
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(chance_seed() + i)) == 0);
}

static void end(pthread_t *threads)
{
    atomic_store(&stop, true);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < SLOTS; i++)
        CHECK(drop(atomic_exchange(&slots[i], NULL)));
}

static void children_work_under_load(void)
{
    pthread_t threads[WORKERS];
    start(threads);
    size_t forks = parameter("forks", long_run() ? 1000 : 60);
    for (size_t i = 0; i < forks; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            bool well = child_works(chance_seed() + i, i % 8 == 0);
            if (i % 4 == 0)
                exit(well ? WORKED : 1); /* with all that happens then */
            _exit(well ? WORKED : 1);
        }
        if (!ended_well(child))
            break;
    }
    end(threads);
}

static void *fork_some(void *seed)
{
    for (size_t i = 0; i < parameter("forks", 60) / 4; i++) {
        void *mine = make(1000, i);
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            bool well = drop(mine) && child_works((uintptr_t)seed + i, false);
            _exit(well ? WORKED : 1);
        }
        CHECK(drop(mine));
        if (!ended_well(child))
            break;
    }
    return NULL;
}

/* Not only the first thread forks, and not only one at a time. */
static void any_thread_may_fork(void)
{
    pthread_t threads[WORKERS], forkers[2];
    start(threads);
    for (size_t i = 0; i < 2; i++)
        CHECK(pthread_create(&forkers[i], NULL, fork_some, (void *)(uintptr_t)(chance_seed() + 100 * i)) == 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(forkers[i], NULL);
    end(threads);
}

/* What the child's malloc does stays in the child. */
static void the_parent_keeps_its_contents(void)
{
    enum {
        OBJECTS = 2000
    };
    static void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        stamp_write(objects[i] = malloc(i * 7), i * 7, i);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        for (size_t i = 0; i < OBJECTS; i++)
            free(objects[i]);
        malloc_trim(0);
        for (size_t i = 0; i < OBJECTS; i++)
            memset(malloc(i * 7 + 1), 0xee, i * 7 + 1);
        _exit(WORKED);
    }
    ended_well(child);
    for (size_t i = 0; i < OBJECTS; i++) {
        CHECK(stamp_holds(objects[i], i * 7, i));
        free(objects[i]);
    }
}

static size_t prepared, resumed;
static bool handlers_work;

/* Enough to leave every fast path. */
static void allocate_much(size_t *counter)
{
    void *objects[300];
    for (size_t i = 0; i < 300; i++)
        objects[i] = malloc(i % 3 ? i * 40 : 50000);
    for (size_t i = 0; i < 300; i++)
        free(objects[i]);
    ++*counter;
}

static void before(void)
{
    if (handlers_work)
        allocate_much(&prepared);
}

static void after(void)
{
    if (handlers_work)
        allocate_much(&resumed);
}

/* As early as a program can register. */
__attribute__((constructor(101))) static void register_early(void)
{
    pthread_atfork(before, after, after);
}

/* Whether they were registered before malloc's own handlers or after them. */
static void handlers_of_others_may_allocate(void)
{
    pthread_t threads[WORKERS];
    pthread_atfork(before, after, after);
    start(threads);
    handlers_work = true;
    for (size_t i = 0; i < 20; i++) {
        alarm(30);
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            _exit(resumed == 2 * (i + 1) && child_works(i, false) ? WORKED : 1);
        }
        if (!ended_well(child))
            break;
    }
    alarm(0);
    handlers_work = false;
    CHECK(prepared == 40 && resumed == 40);
    end(threads);
}

extern char **environ;

static void programs_are_started_under_load(void)
{
    pthread_t threads[WORKERS];
    start(threads);
    for (size_t i = 0; i < parameter("forks", 60) / 4; i++) {
        char *argv[] = {"sh", "-c", "exit 42", NULL};
        pid_t child = -1;
        if (i % 2) {
            CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ) == 0);
            ended_well(child);
        } else {
            int status = system("exit 42");
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == WORKED);
        }
    }
    end(threads);
}

/* A process that forks for ever, as a server that drops its parent does, does not grow. */
static void generations_do_not_grow(void)
{
    size_t *sizes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t first = fork();
    if (first == 0) {
        for (size_t generation = 0; generation < 60; generation++) {
            alarm(30);
            pthread_t thread;
            void *worked = NULL;
            if (pthread_create(&thread, NULL, work_a_little, (void *)(generation + 1)) != 0 ||
                pthread_join(thread, &worked) != 0 || !worked)
                _exit(1);
            for (size_t i = 0; i < SLOTS; i++)
                drop(atomic_exchange(&slots[i], NULL));
            if (generation == 10 || generation == 59)
                sizes[generation == 59] = resident();
            pid_t next = fork();
            if (next < 0)
                _exit(1);
            if (next > 0) {
                int status;
                _exit(waitpid(next, &status, 0) == next && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
            }
        }
        _exit(WORKED);
    }
    ended_well(first);
    CHECK_AT_MOST(sizes[1], sizes[0] + (2 << 20));
}

int main(int argc, char **argv)
{
#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    static const struct test tests[] = {
        TEST(the_parent_keeps_its_contents),   TEST(children_work_under_load), TEST(any_thread_may_fork),
        TEST(programs_are_started_under_load), TEST(generations_do_not_grow),  TEST(handlers_of_others_may_allocate),
    };
    return run_tests(argc, argv, tests, sizeof tests / sizeof *tests);
}
