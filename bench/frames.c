/*
 * What the frame layer costs: nanoseconds per operation and thread, over 4 GiB that is never touched.
 *
 *     bulk alloc      90 % of memory, one frame (or block) after another
 *     bulk free       the same in the order of allocation
 *     random free     after another bulk alloc, in random order
 *     alloc after     90 % again, from what random order left behind
 *     churn           at 50 % full: free a random one, allocate one
 *     pair            allocate and free at once
 *
 * usage: bench-frames [rounds]; prints the smallest of so many rounds.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "weir/frames.h"

enum {
    SPAN = 1 << 20,
    THREADS_MAX = 8,
    ROUNDS_MAX = 101
};
enum {
    BULK_ALLOC,
    BULK_FREE,
    RANDOM_FREE,
    ALLOC_AFTER,
    CHURN,
    PAIR,
    PHASES
};

static const char *const phase_names[PHASES] = {"bulk alloc",  "bulk free", "random free",
                                                "alloc after", "churn",     "pair"};

static _Thread_local unsigned thread_slot;

static unsigned slot(void *context)
{
    (void)context;
    return thread_slot;
}

static void relax(void *context, unsigned round)
{
    (void)context;
    if (round < 100)
        __builtin_ia32_pause();
    else
        sched_yield();
}

/* The clock as in a guest: the time stamp counter. */
static uint64_t ticks(void *context)
{
    (void)context;
    return __builtin_ia32_rdtsc();
}

static uint64_t now(void *context)
{
    (void)context;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t unpredictable(void *context)
{
    (void)context;
    return 4;
}

static void error(void *context, const struct weir_error *error)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", error->operation, weir_status_text(error->status));
    abort();
}

static void panic(void *context, const char *message)
{
    (void)context;
    fprintf(stderr, "%s\n", message);
    abort();
}

static const struct weir_platform platform = {
    .slot = slot, .relax = relax, .now = ticks, .random = unpredictable, .error = error, .panic = panic};

struct job {
    struct weir_frames *frames;
    pthread_barrier_t *barrier;
    unsigned slot, order;
    size_t count; /* blocks at 90 % */
    uintptr_t *blocks;
    uint64_t seed;
    double nanoseconds[PHASES];
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uintptr_t take(struct job *job)
{
    uintptr_t block = weir_frames_alloc(job->frames, (size_t)1 << job->order, 1, 0, NULL);
    if (block == 0)
        panic(NULL, "out of memory");
    return block;
}

static void give(struct job *job, uintptr_t block)
{
    weir_frames_free(job->frames, block, (size_t)1 << job->order);
}

static void shuffle(struct job *job, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = next_random(&job->seed) % i;
        uintptr_t block = job->blocks[i - 1];
        job->blocks[i - 1] = job->blocks[k];
        job->blocks[k] = block;
    }
}

static void fill(struct job *job, size_t count)
{
    for (size_t i = 0; i < count; i++)
        job->blocks[i] = take(job);
}

static void empty(struct job *job, size_t count)
{
    for (size_t i = 0; i < count; i++)
        give(job, job->blocks[i]);
}

static void churn(struct job *job, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t k = next_random(&job->seed) % count;
        give(job, job->blocks[k]);
        job->blocks[k] = take(job);
    }
}

static void pairs(struct job *job, size_t count)
{
    for (size_t i = 0; i < count; i++)
        give(job, take(job));
}

static void measure(struct job *job, int phase, void (*work)(struct job *job, size_t count), size_t count)
{
    pthread_barrier_wait(job->barrier);
    uint64_t start = now(NULL);
    work(job, count);
    job->nanoseconds[phase] = (double)(now(NULL) - start) / (double)count;
}

static void *work(void *argument)
{
    struct job *job = argument;
    size_t all = job->count, half = all * 5 / 9;
    thread_slot = job->slot;
    measure(job, BULK_ALLOC, fill, all);
    measure(job, BULK_FREE, empty, all);
    fill(job, all);
    shuffle(job, all);
    measure(job, RANDOM_FREE, empty, all);
    measure(job, ALLOC_AFTER, fill, all);
    shuffle(job, all);
    while (all > half)
        give(job, job->blocks[--all]);
    measure(job, CHURN, churn, half);
    measure(job, PAIR, pairs, job->count);
    empty(job, half);
    return NULL;
}

/* What interferes only adds: the smallest is the truest. */
static double smallest(const double *values, int n)
{
    double least = values[0];
    for (int i = 1; i < n; i++)
        least = values[i] < least ? values[i] : least;
    return least;
}

static void bench(unsigned order, unsigned threads, int rounds)
{
    static double seen[PHASES + 1][ROUNDS_MAX];
    size_t size = weir_frames_metadata_size((uintptr_t)1 << 32, SPAN);
    for (int round = 0; round < rounds; round++) {
        void *metadata = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        struct weir_frames_config config = {
            .base = (uintptr_t)1 << 32, .frames = SPAN, .metadata = metadata, .slots = threads, .platform = &platform};
        uint64_t start = now(NULL);
        struct weir_frames *frames = weir_frames_init(&config);
        weir_frames_add(frames, config.base, SPAN, WEIR_REGION_ZERO);
        seen[PHASES][round] = (double)(now(NULL) - start) / 1000;

        struct job jobs[THREADS_MAX];
        pthread_t ids[THREADS_MAX];
        pthread_barrier_t barrier;
        pthread_barrier_init(&barrier, NULL, threads);
        for (unsigned i = 0; i < threads; i++) {
            size_t count = ((size_t)SPAN >> order) * 9 / 10 / threads;
            jobs[i] =
                (struct job){frames, &barrier, i, order, count, calloc(count, sizeof(uintptr_t)), 88172645 + i, {0}};
            memset(jobs[i].blocks, 1, count * sizeof(uintptr_t));
            pthread_create(&ids[i], NULL, work, &jobs[i]);
        }
        for (int phase = 0; phase < PHASES; phase++)
            seen[phase][round] = 0;
        for (unsigned i = 0; i < threads; i++) {
            pthread_join(ids[i], NULL);
            for (int phase = 0; phase < PHASES; phase++)
                seen[phase][round] += jobs[i].nanoseconds[phase] / threads;
            free(jobs[i].blocks);
        }
        pthread_barrier_destroy(&barrier);
        munmap(metadata, size);
    }
    printf("%5u %7u %8.1f", order, threads, smallest(seen[PHASES], rounds));
    for (int phase = 0; phase < PHASES; phase++)
        printf(" %11.1f", smallest(seen[phase], rounds));
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 3;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    printf("%5s %7s %8s", "order", "threads", "init us");
    for (int phase = 0; phase < PHASES; phase++)
        printf(" %11s", phase_names[phase]);
    printf("\n");
    bench(0, 1, rounds);
    bench(0, 2, rounds);
    bench(9, 1, rounds * 3);
    bench(9, 2, rounds * 3);
    return 0;
}
