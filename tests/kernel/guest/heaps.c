/* The CPUs' heaps: whole under preemption at any instruction, empty while threads wait. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/kernel/guest/require.h"
#include "weir/heap.h"

/* Of the image: api/thread.h, platform/kernel/sequence.h. */
extern struct weir_arena *process_arena(void);
extern _Atomic(uint64_t) sequences_restarted[2];

/* An arena is at rest when all other CPUs have halted and this one is not preempted. */
static void check_arena(void)
{
    const char *what = "";
    usleep(100000);
    __asm__ volatile("incl %%gs:0" : : : "memory"); /* struct cpu, preempt */
    enum weir_status status = weir_arena_check(process_arena(), &what);
    __asm__ volatile("decl %%gs:0" : : : "memory");
    if (status != WEIR_OK)
        printf("%s\n", what);
    REQUIRE(status == WEIR_OK);
}

static struct weir_arena_stats stats(void)
{
    struct weir_arena_stats s;
    weir_arena_stats(process_arena(), &s);
    return s;
}

/* --- torn: threads that do little else but malloc and free, preempted all the time ---
 *
 * An object carries the stamp of who allocated it from end to end; whoever frees it checks that. Two owners of one
 * object, a lost object, a miscounted slab: each shows in a stamp or in the arena's check at the end. */

#define OBJECTS  24
#define SHELVES  64
#define RESTARTS 500
#define RAISES   20
#define SECONDS  5

static _Atomic(int) stop;
static _Atomic(uintptr_t) shelf[SHELVES]; /* objects that change hands */

static uint64_t *stamp(uint64_t *object, size_t words, uint64_t value)
{
    object[0] = value << 16 | words;
    for (size_t i = 1; i < words; i++)
        object[i] = value;
    return object;
}

static void take_back(uint64_t *object)
{
    if (!object)
        return;
    size_t words = object[0] & 0xffff;
    for (size_t i = 1; i < words; i++)
        REQUIRE(object[i] == object[0] >> 16);
    free(object);
}

static void *tear(void *argument)
{
    uint64_t id = (uintptr_t)argument, seed = id * UINT64_C(0x9e3779b97f4a7c15), mine = id;
    uint64_t *held[OBJECTS] = {0};
    while (!stop) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        unsigned r = seed >> 33, i = r % OBJECTS;
        if (held[i]) {
            uint64_t *object = held[i];
            if (r >> 10 & 7)
                take_back(object);
            else
                take_back((uint64_t *)atomic_exchange(&shelf[r >> 13 & (SHELVES - 1)], (uintptr_t)object));
            held[i] = NULL;
        } else {
            size_t words = r >> 10 & 1 ? 2 : 2 + (r >> 11 & (r >> 16 & 63 ? 31 : 8191));
            REQUIRE((held[i] = malloc(words * 8)) != NULL);
            if ((r >> 22 & 31) == 0)
                REQUIRE((held[i] = realloc(held[i], (words *= 2) * 8)) != NULL);
            stamp(held[i], words, mine = (mine + 64) & 0xffffffffffff);
        }
        /* And what is shortest: a slab's only object, again and again. */
        void *volatile one = malloc(16 + (r >> 20 & 1) * 3000);
        free(one);
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        take_back(held[i]);
    return NULL;
}

static void torn(unsigned n)
{
    pthread_t threads[64];
    for (uintptr_t i = 0; i < n; i++)
        REQUIRE(pthread_create(&threads[i], NULL, tear, (void *)(i + 1)) == 0);
    time_t end = time(NULL) + SECONDS;
    do
        usleep(20000);
    while ((sequences_restarted[0] < RESTARTS || sequences_restarted[1] < RAISES) && time(NULL) < end);
    stop = 1;
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < SHELVES; i++)
        take_back((uint64_t *)shelf[i]);
    check_arena();
    printf("restarted %u, raised %u\n", (unsigned)sequences_restarted[0], (unsigned)sequences_restarted[1]);
}

/* --- waiting: 200 threads that have used 30 classes and now wait leave nothing behind --- */

#define THREADS 200
#define CLASSES 30
#define EACH    20

static pthread_barrier_t ready, go;

static void *wait_after_work(void *argument)
{
    void *objects[CLASSES][EACH];
    for (unsigned c = 0; c < CLASSES; c++)
        for (unsigned i = 0; i < EACH; i++)
            REQUIRE((objects[c][i] = malloc(16 + c * 32)) != NULL);
    for (unsigned c = 0; c < CLASSES; c++)
        for (unsigned i = 0; i < EACH; i++)
            free(objects[c][i]);
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&go);
    return argument;
}

static void waiting(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&ready, NULL, THREADS + 1);
    pthread_barrier_init(&go, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, wait_after_work, NULL) == 0);
    pthread_barrier_wait(&ready);
    usleep(50000); /* every CPU halts meanwhile */
    size_t held = stats().held;
    pthread_barrier_wait(&go);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_arena();
    printf("held %zu KiB\n", held >> 10);
    REQUIRE(held < 256 << 10);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "torn") == 0)
        torn((unsigned)atoi(argv[2]));
    else if (argc > 1 && strcmp(argv[1], "waiting") == 0)
        waiting();
    else
        return 2;
    printf("heaps\n");
    return 0;
}
