/* Guest, clock, host and device in random order; and several threads at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/reclaim/machine.h"
#include "tests/support/platform.h"
#include "tests/support/random.h"

static struct machine machine;

enum kind {
    ALLOC,
    FREE,
    PASS,
    TARGET,
    SERVE,
    AT_ONCE,
    RELIEVE,
    HASTEN,
    ASK,
    REPORTING,
    KINDS,
};

static const char *const names[KINDS] = {"alloc",   "free",   "pass",   "target", "serve",
                                         "at_once", "relief", "hasten", "ask",    "reporting"};

struct operation {
    enum kind kind;
    uint32_t argument;
};

enum {
    RUNS = 64,
    OPERATIONS = 400
};

static struct operation operation_of(struct random *random)
{
    static const uint8_t weight[KINDS] = {30, 28, 20, 4, 12, 2, 2, 1, 1, 1};
    uint64_t pick = random_below(random, 101);
    unsigned kind = 0;
    while (kind + 1 < KINDS && pick >= weight[kind])
        pick -= weight[kind++];
    struct operation operation = {(enum kind)kind, (uint32_t)random_next(random)};
    if (kind == ALLOC || kind == TARGET || kind == RELIEVE)
        operation.argument = (uint32_t)random_size(random, FRAMES);
    else if (kind == PASS)
        operation.argument = (uint32_t)random_size(random, 1000);
    return operation;
}

static const char *run(void *context, const void *operations, size_t count)
{
    const struct machine_options *options = context;
    const struct operation *operation = operations;
    struct weir_range runs[RUNS];
    unsigned live = 0;
    const char *what = NULL;
    machine_start(&machine, options);
    for (size_t i = 0; i < count && what == NULL; i++, operation++) {
        uint32_t argument = operation->argument;
        switch (operation->kind) {
        case ALLOC:
            if (live < RUNS && (runs[live].start = machine_alloc(&machine, argument)) != 0)
                runs[live++].frames = argument;
            break;
        case FREE:
            if (live != 0) {
                struct weir_range gone = runs[argument % live];
                runs[argument % live] = runs[live - 1];
                live--;
                machine_free(&machine, gone.start, gone.frames);
            }
            break;
        case PASS:
            machine_pass(&machine, argument * MS, argument % 2 ? MS : 50 * MS);
            break;
        case TARGET:
            machine.fake.target = argument % 3 == 0 ? 0 : argument;
            break;
        case SERVE:
            fake_serve(&machine.fake, argument % WEIR_BALLOON_STATS, 1 + argument / 4 % 8);
            break;
        case AT_ONCE:
            machine.fake.at_once = argument % 2;
            break;
        case RELIEVE:
            weir_reclaim_relieve(machine.reclaim, argument * WEIR_FRAME_SIZE);
            break;
        case HASTEN:
            weir_reclaim_hasten(machine.reclaim);
            break;
        case ASK:
            fake_ask(&machine.fake);
            break;
        default:
            weir_reclaim_set_reporting(machine.reclaim, argument % 4 != 0);
        }
        if (i % 16 == 0) /* it walks the whole table */
            what = machine_check(&machine);
        if (what == NULL && test_errors != 0)
            what = weir_status_text(test_last_error.status);
    }
    while (live-- > 0)
        machine_free(&machine, runs[live].start, runs[live].frames);
    /* At peace, everything is the guest's, and (with reports of the usual size) next to nothing the host's burden. */
    machine.fake.at_once = true;
    machine.fake.target = 0;
    for (enum weir_balloon_queue queue = 0; queue < WEIR_BALLOON_STATS; queue++)
        fake_serve(&machine.fake, queue, 1000);
    weir_reclaim_set_reporting(machine.reclaim, true);
    machine_pass(&machine, 3000 * MS, 20 * MS);
    if (what == NULL)
        what = machine_check(&machine);
    if (what == NULL && machine_frames(&machine).free != FRAMES)
        what = "memory did not come back to the guest";
    if (what == NULL && machine.rss > 2 * MIB_OF)
        what = "memory did not go back to the host";
    return what;
}

static void print(void *context, const void *operation)
{
    const struct operation *one = operation;
    (void)context;
    fprintf(stderr, "# %s %u\n", names[one->kind], one->argument);
}

static void random_walks(void **state)
{
    struct machine_options options[] = {{0},
                                        {.firecracker = true},
                                        {.order = UINT32_MAX},
                                        {.with = WEIR_BALLOON_MUST_TELL_HOST, .without = WEIR_BALLOON_DEFLATE_ON_OOM}};
    struct random random = random_start("reclaim/random");
    (void)state;
    for (size_t round = 0; round < random_rounds(24); round++) {
        struct operation operations[OPERATIONS];
        struct random_test test = {
            .run = run, .print = print, .context = &options[round % 4], .size = sizeof(struct operation)};
        for (unsigned i = 0; i < OPERATIONS; i++)
            operations[i] = operation_of(&random);
        random_check(&test, operations, OPERATIONS);
    }
}

/* --- threads --- */

enum {
    THREADS = 3,
    STEPS = 3000
};

static atomic_uint running;

static void *work(void *seed)
{
    struct random random = random_seeded((uint64_t)(uintptr_t)seed);
    struct weir_range runs[16] = {0};
    for (unsigned step = 0; step < STEPS; step++) {
        struct weir_range *run = &runs[random_below(&random, 16)];
        if (run->frames != 0) {
            weir_frames_free(machine.frames, run->start, run->frames);
            run->frames = 0;
        } else {
            size_t frames = random_size(&random, 16 * MIB_OF);
            run->start = weir_frames_alloc(machine.frames, frames, 1, 0, NULL);
            if (run->start == 0 && weir_reclaim_relieve(machine.reclaim, frames * WEIR_FRAME_SIZE))
                run->start = weir_frames_alloc(machine.frames, frames, 1, 0, NULL);
            run->frames = run->start != 0 ? frames : 0;
        }
        if (step % 8 == 0)
            weir_reclaim_poll(machine.reclaim);
        if (step % 64 == 0)
            weir_reclaim_hasten(machine.reclaim);
    }
    for (unsigned i = 0; i < 16; i++)
        if (runs[i].frames != 0)
            weir_frames_free(machine.frames, runs[i].start, runs[i].frames);
    running--;
    return NULL;
}

static void threads_poll_and_relieve(void **state)
{
    static const struct machine_options options = {.threads = true};
    struct random random = random_start("reclaim/threads");
    pthread_t threads[THREADS];
    (void)state;
    machine_start(&machine, &options);
    running = THREADS;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)random_next(&random));
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(machine_stats(&machine).reports != 0);
    for (unsigned i = 0; i < 100000 && machine_stats(&machine).in_flight != 0; i++)
        weir_reclaim_relieve(machine.reclaim, 1);
    assert_null(machine_check(&machine));
    assert_int_equal(machine_frames(&machine).free, FRAMES);
    assert_int_equal(test_errors, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_walks),
        cmocka_unit_test(threads_poll_and_relieve),
    };
    return cmocka_run_group_tests(tests, NULL, machine_end);
}
