/*
 * The conformance suite as a program of the unikernel.
 *
 *     conformance [PROGRAMS [SEED]]
 *
 * Each allocator is made in a run that comes from the guest's own frame table: a second frame table, or an arena, side
 * by side with those that the guest itself stands on. All cases, PROGRAMS random programs (100) and a tenth as many in
 * threads; SEED (of the clock) repeats them. What fails here can be shrunk on the host: programs follow from the seed.
 *
 * Prints one line of TAP for each case; the console is slow.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "platform/kernel/kernel.h"
#include "tests/conformance/conformance.h"

enum {
    MEMORY = 16 << 20,
    OPERATIONS = 300,
    THREADS = 3
};

static struct memory memory;
static struct subject subject;
static unsigned number, failures;

static void result(const struct maker *maker, const char *name, problem found, bool skipped)
{
    printf("%sok %u - %s: %s%s\n", found == NULL ? "" : "not ", ++number, maker->name, name, skipped ? " # SKIP" : "");
    if (found != NULL)
        printf("# %s\n", found);
    failures += found != NULL;
}

static void run_cases(const struct maker *maker, const struct conformance_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool skipped = false;
        problem found = conformance_run(maker, &memory, &cases[i], &subject, &skipped);
        result(maker, cases[i].name, found, skipped);
    }
}

static void run_programs(const struct maker *maker, unsigned count, uint64_t seed)
{
    static struct operation program[OPERATIONS];
    char name[96];
    for (unsigned i = 0; i < count; i++) {
        program_make(seed + i, memory.bytes, program, OPERATIONS);
        problem found = program_run(maker, &memory, program, OPERATIONS, &subject);
        if (found == NULL)
            continue;
        snprintf(name, sizeof name, "program of seed %" PRIu64, seed + i);
        result(maker, name, found, false);
        return;
    }
    snprintf(name, sizeof name, "%u random programs", count);
    result(maker, name, NULL, false);

    for (unsigned i = 0; i < count / 10; i++) {
        problem found = program_run_threads(maker, &memory, seed + i, OPERATIONS, THREADS, &subject);
        if (found == NULL)
            continue;
        snprintf(name, sizeof name, "threaded programs of seed %" PRIu64, seed + i);
        result(maker, name, found, false);
        return;
    }
    snprintf(name, sizeof name, "%u random programs in %d threads", count / 10, THREADS);
    result(maker, name, NULL, false);
}

int main(int argc, char **argv)
{
    unsigned programs = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec;

    struct weir_frames *frames = weir_kernel_frames();
    memory.bytes = MEMORY;
    memory.start = weir_frames_alloc(frames, MEMORY / WEIR_FRAME_SIZE, MEMORY / WEIR_FRAME_SIZE, 0, &memory.zero);
    if (memory.start == 0) {
        printf("Bail out! the guest has no %d MiB in one piece\n", MEMORY >> 20);
        return 1;
    }
    memory.zero = false; /* it does not stay so */
    printf("# seed %" PRIu64 "\n", seed);
    for (size_t i = 0; i < registry_count; i++) {
        run_cases(&registry[i], object_cases, object_case_count);
        run_cases(&registry[i], limit_cases, limit_case_count);
        run_programs(&registry[i], programs, seed);
    }
    bool returned = weir_frames_free(frames, memory.start, MEMORY / WEIR_FRAME_SIZE) == WEIR_OK;
    const char *what = "";
    bool sound = weir_frames_check(frames, &what) == WEIR_OK;
    printf("%sok %u - the guest's own frame table is as it was%s%s\n1..%u\n", returned && sound ? "" : "not ",
           number + 1, sound ? "" : ": ", sound ? "" : what, number + 1);
    return failures != 0 || !returned || !sound;
}
