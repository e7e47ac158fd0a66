/* Many threads on one table: nobody ever gets a frame that somebody else has, and in the end nothing is lost. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"
#include "tests/support/random.h"

enum {
    THREADS = 4,
    FRAMES = 20000,
    HELD = 64,
    OPS = 12000
};

static struct weir_frames *frames;
static const uintptr_t base = FRAME(0x54321);
static _Atomic(uint32_t) owner[FRAMES]; /* of each frame, 0: nobody */
static _Atomic(const char *) wrong;
static atomic_bool stop;

struct piece {
    uintptr_t start;
    size_t count;
    bool slab;
};

static void complain(const char *what)
{
    atomic_store(&wrong, what);
}

/* Enters the frames as this thread's; complains about those that are somebody's. */
static void own(uintptr_t start, size_t count, uint32_t who)
{
    size_t n = (start - base) >> WEIR_FRAME_SHIFT;
    for (size_t i = n; i < n + count; i++) {
        uint32_t nobody = 0;
        if (i >= FRAMES || !atomic_compare_exchange_strong(&owner[i], &nobody, who))
            complain("a frame given to two");
    }
}

static void disown(uintptr_t start, size_t count, uint32_t who)
{
    size_t n = (start - base) >> WEIR_FRAME_SHIFT;
    for (size_t i = n; i < n + count; i++) {
        if (atomic_exchange(&owner[i], 0) != who)
            complain("a frame that belonged to another");
    }
}

static void release(struct piece *piece, uint32_t who)
{
    if (piece->count == 0)
        return;
    disown(piece->start, piece->count, who);
    enum weir_status status = piece->slab
                                  ? weir_frames_free_slab(frames, piece->start, (unsigned)__builtin_ctzll(piece->count))
                                  : weir_frames_free(frames, piece->start, piece->count);
    if (status != WEIR_OK)
        complain("a right free refused");
    piece->count = 0;
}

static void *work(void *argument)
{
    uint32_t who = (uint32_t)(uintptr_t)argument;
    struct random random = random_seeded(who);
    struct piece held[HELD] = {{0}};
    static _Alignas(16) char descriptors[THREADS + 1][HELD][16];
    /* two threads to a slot, so that they meet there */
    test_set_slot(who / 2);
    for (int i = 0; i < OPS; i++) {
        size_t k = random_below(&random, HELD);
        struct piece *piece = &held[k];
        if (piece->count != 0) {
            if (piece->slab && weir_frames_slab(frames, piece->start) != descriptors[who][k])
                complain("a slab with another's descriptor");
            if (!piece->slab && weir_frames_run_length(frames, piece->start) != piece->count)
                complain("a run of another length");
            if (!piece->slab && piece->count > 1 && random_below(&random, 4) == 0) {
                size_t tail = piece->count / 2;
                piece->count -= tail;
                struct piece part = {piece->start + FRAME(piece->count), tail, false};
                release(&part, who);
                continue;
            }
            release(piece, who);
            continue;
        }
        if (random_below(&random, 3) == 0) {
            unsigned order = (unsigned)random_below(&random, 5);
            piece->slab = true;
            piece->start = weir_frames_alloc_slab(frames, order, descriptors[who][k], NULL);
            piece->count = piece->start ? (size_t)1 << order : 0;
        } else {
            size_t count = random_below(&random, 2) ? 1 : random_size(&random, 700);
            piece->slab = false;
            piece->start = weir_frames_alloc(frames, count, 1, 0, NULL);
            piece->count = piece->start ? count : 0;
        }
        if (piece->count != 0)
            own(piece->start, piece->count, who);
    }
    for (size_t k = 0; k < HELD; k++)
        release(&held[k], who);
    return NULL;
}

/* Meanwhile: reporting, ballooning, and checks, which must find the table sound at any time. */
static void *disturb(void *argument)
{
    (void)argument;
    uint32_t who = THREADS + 1;
    for (unsigned round = 0; !atomic_load(&stop); round++) {
        struct weir_range ranges[8];
        struct weir_frames_stats stats;
        size_t n = weir_frames_isolate(frames, round % 10, 4000, 0, ranges, 8);
        for (size_t i = 0; i < n; i++)
            own(ranges[i].start, ranges[i].frames, who);
        for (size_t i = 0; i < n; i++)
            disown(ranges[i].start, ranges[i].frames, who);
        weir_frames_unisolate(frames, ranges, n, round & 1);
        n = weir_frames_balloon(frames, 1000, round & 2, ranges, 8);
        for (size_t i = 0; i < n; i++)
            own(ranges[i].start, ranges[i].frames, who);
        for (size_t i = 0; i < n; i++)
            disown(ranges[i].start, ranges[i].frames, who);
        weir_frames_unballoon(frames, ranges, n, round & 1);
        weir_frames_stats(frames, &stats);
        if (stats.managed != FRAMES || stats.free > FRAMES)
            complain("counts that cannot be");
        const char *what;
        if (round % 4 == 0 && weir_frames_check(frames, &what) != WEIR_OK)
            complain(what);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct fixture fixture;
    pthread_t threads[THREADS], disturber;
    frames = fixture_open(&fixture, base, FRAMES, WEIR_ORDER_MAX, 3);
    weir_frames_add(frames, base, FRAMES, WEIR_REGION_ZERO);
    pthread_create(&disturber, NULL, disturb, NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&stop, true);
    pthread_join(disturber, NULL);
    if (atomic_load(&wrong) != NULL)
        fail_msg("%s", atomic_load(&wrong));
    assert_int_equal(atomic_load(&test_errors), 0);
    assert_sound(frames);
    assert_int_equal(fixture_stats(frames).free, FRAMES);
    assert_int_equal(weir_frames_largest_run(frames), FRAMES);
    fixture_close(&fixture);
}

/* Two threads free the same run at the same time: one succeeds, one is told. */
struct race {
    pthread_barrier_t barrier;
    uintptr_t start;
    size_t count;
    bool slab;
    atomic_uint freed;
};

static void *race(void *argument)
{
    struct race *race = argument;
    for (int i = 0; i < 500; i++) {
        pthread_barrier_wait(&race->barrier);
        enum weir_status status = race->slab ? weir_frames_free_slab(frames, race->start, 2)
                                             : weir_frames_free(frames, race->start, race->count);
        if (status == WEIR_OK)
            atomic_fetch_add(&race->freed, 1);
        pthread_barrier_wait(&race->barrier);
    }
    return NULL;
}

static void test_double_free_race(void **state)
{
    (void)state;
    static _Alignas(16) char descriptor[16];
    static const size_t counts[] = {1, 4, 5, 40};
    struct fixture fixture;
    struct race shared = {0};
    pthread_t threads[2];
    frames = fixture_open(&fixture, base, FRAMES, WEIR_ORDER_MAX, 2);
    weir_frames_add(frames, base, FRAMES, WEIR_REGION_ZERO);
    pthread_barrier_init(&shared.barrier, NULL, 3);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, race, &shared);
    for (int i = 0; i < 500; i++) {
        shared.count = counts[i % 4];
        shared.slab = i % 8 == 1;
        shared.start = shared.slab ? weir_frames_alloc_slab(frames, 2, descriptor, NULL)
                                   : weir_frames_alloc(frames, shared.count, 1, 0, NULL);
        pthread_barrier_wait(&shared.barrier);
        pthread_barrier_wait(&shared.barrier);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&shared.barrier);
    assert_int_equal(atomic_load(&shared.freed), 500);
    assert_int_equal(atomic_load(&test_errors), 500);
    assert_int_equal(test_last_error.status, WEIR_DOUBLE_FREE);
    assert_sound(frames);
    assert_int_equal(fixture_stats(frames).free, FRAMES);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_double_free_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
