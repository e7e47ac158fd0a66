/*
 * The day of random operations (day_test.c) again, in a whole process: threads that come and go, all faces of malloc,
 * children that are forked in between. Every thousand operations the threads meet, and all invariants of the process's
 * arena and of its frames are checked, by every tenth child, too, after it has freed all that it inherited.
 *
 * The only program here that looks inside: it is linked with malloc's own objects.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/thread.h"
#include "tests/acceptance/check.h"

enum {
    THREADS = 3,
    SLOTS = 3000,
    OPERATIONS = 1000, /* of a thread, between two checks */
    WORKED = 42,
};

struct stamped {
    size_t size, alignment;
    uint64_t stamp;
};

void free_sized(void *object, size_t size);
void free_aligned_sized(void *object, size_t alignment, size_t size);

static _Atomic(struct stamped *) slots[SLOTS];
static _Atomic(uint64_t) operations;
static atomic_bool over;
static pthread_barrier_t meeting;
static struct timespec start;

static double elapsed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) * 1e-9;
}

static void check_all(void)
{
    struct weir_arena *arena = process_arena();
    const char *what = "";
    if (!CHECK(weir_arena_check(arena, &what) == WEIR_OK) ||
        !CHECK(weir_frames_check(arena->config.frames, &what) == WEIR_OK)) {
        note("%s", what);
        atomic_store(&over, true);
    }
}

/* An object of `size` bytes from any face, each with its own promises. */
static struct stamped *make(uint64_t *chance, size_t size)
{
    size_t whole = sizeof(struct stamped) + size, alignment = 16;
    void *made = NULL;
    bool zero = false;
    switch (chance_below(chance, 12)) {
    case 0:
        made = calloc(1, whole);
        zero = true;
        break;
    case 1:
        made = calloc(whole / 3 + 1, 3);
        zero = true;
        break;
    case 2:
        made = realloc(NULL, whole);
        break;
    case 3:
        made = realloc(malloc(chance_size(chance, whole)), whole);
        break;
    case 4:
        alignment = (size_t)1 << chance_below(chance, chance_below(chance, 20) ? 13 : 22);
        made = aligned_alloc(alignment, whole);
        break;
    case 5:
        alignment = (size_t)8 << chance_below(chance, 10);
        CHECK(posix_memalign(&made, alignment, whole) == 0);
        break;
    case 6:
        made = reallocarray(NULL, whole / 7 + 1, 7);
        break;
    default:
        made = malloc(whole);
        break;
    }
    struct stamped *object = made;
    if (!CHECK(object && (uintptr_t)object % alignment == 0 && malloc_usable_size(object) >= whole))
        return NULL;
    for (size_t i = 0; zero && i < whole; i += 1 + whole / 50)
        CHECK(((unsigned char *)made)[i] == 0);
    *object = (struct stamped){size, alignment, chance_next(chance)};
    stamp_write(object + 1, size, object->stamp);
    return object;
}

/* In a way that fits how it was made: by its size only where that is known exactly. */
static void drop(struct stamped *object, uint64_t chance)
{
    if (!object)
        return;
    CHECK(stamp_holds(object + 1, object->size, object->stamp));
    errno = (int)(chance & 255);
    if (chance % 3 == 0 && object->alignment > 16)
        free_aligned_sized(object, object->alignment, sizeof *object + object->size);
    else
        free(object);
    CHECK(errno == (int)(chance & 255));
}

static struct stamped *resize(struct stamped *object, size_t size)
{
    size_t kept = size < object->size ? size : object->size, whole = sizeof *object + size;
    struct stamped *moved = whole > size ? realloc(object, whole) : NULL;
    if (!CHECK(moved != NULL))
        return object;
    CHECK(stamp_holds(moved + 1, kept, moved->stamp));
    moved->size = size;
    moved->alignment = 16;
    stamp_write(moved + 1, size, moved->stamp);
    return moved;
}

static void operate(uint64_t *chance)
{
    static const size_t most[] = {64, 300, 300, 2000, 2000, 30000, 200000, 3000000};
    size_t kind = chance_below(chance, sizeof most / sizeof *most), range = SLOTS >> kind;
    bool few = chance_below(chance, 2);
    size_t usual = chance_size(chance, most[kind]);
    /* often a whole that is a power of two, where blocks, chunks and slabs have their borders */
    if (chance_below(chance, 2) && usual >= 2 * sizeof(struct stamped))
        usual = ((size_t)1 << (63 - __builtin_clzll(usual))) - sizeof(struct stamped);
    for (size_t i = 0; i < OPERATIONS; i++) {
        _Atomic(struct stamped *) *slot = &slots[chance_below(chance, range)];
        struct stamped *object = NULL;
        size_t size = few && chance_below(chance, 4) ? usual : chance_size(chance, most[kind]);
        switch (chance_below(chance, 8)) {
        case 0:
        case 1:
            break;
        case 2:
            object = atomic_exchange(slot, NULL);
            if (object)
                object = resize(object, size);
            break;
        default:
            object = make(chance, size);
            break;
        }
        drop(atomic_exchange(slot, object), chance_next(chance));
    }
    atomic_fetch_add(&operations, OPERATIONS);
    if (chance_below(chance, 20) == 0)
        malloc_trim(chance_below(chance, 2) << 20);
}

static void drop_all(uint64_t chance)
{
    for (size_t i = 0; i < SLOTS; i++)
        drop(atomic_exchange(&slots[i], NULL), chance_next(&chance));
}

/* All others wait: in the child they are gone. */
static void inherit(uint64_t chance)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        atomic_store(&over, false);
        check_all();
        operate(&chance);
        drop_all(chance);
        check_all();
        _exit(atomic_load(&over) ? 1 : WORKED);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == WORKED);
}

static void *spend_an_hour(void *seed)
{
    uint64_t chance = *(uint64_t *)seed;
    for (size_t i = 0; i < 20 && !atomic_load(&over); i++) {
        operate(&chance);
        if (pthread_barrier_wait(&meeting) == PTHREAD_BARRIER_SERIAL_THREAD) {
            check_all();
            if (chance_below(&chance, 10) == 0)
                inherit(chance);
        }
        pthread_barrier_wait(&meeting);
    }
    return NULL;
}

static void a_day_in_a_process(void)
{
    uint64_t chance = chance_seed();
    double seconds = (double)(long_run() ? 60 : parameter("seconds", 5));
    clock_gettime(CLOCK_MONOTONIC, &start);
    CHECK(pthread_barrier_init(&meeting, NULL, THREADS) == 0);
    while (!atomic_load(&over) && elapsed() < seconds) {
        pthread_t threads[THREADS];
        uint64_t seeds[THREADS];
        for (size_t i = 0; i < THREADS; i++) {
            seeds[i] = chance_next(&chance);
            CHECK(pthread_create(&threads[i], NULL, spend_an_hour, &seeds[i]) == 0);
        }
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    drop_all(chance);
    malloc_trim(0);
    check_all();
    struct weir_arena_stats stats;
    weir_arena_stats(process_arena(), &stats);
    note("%llu operations; %zu KiB were live, %zu KiB still are", (unsigned long long)atomic_load(&operations),
         stats.peak_live >> 10, stats.live >> 10);
    CHECK_AT_MOST(stats.live, 256 << 10);
    CHECK_AT_MOST(stats.held, stats.metadata + (2 << 20));
}

int main(int argc, char **argv)
{
#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    static const struct test tests[] = {TEST(a_day_in_a_process)};
    return run_tests(argc, argv, tests, sizeof tests / sizeof *tests);
}
