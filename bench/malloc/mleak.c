/*
 * mleak: threads that come and go must not leave memory behind (after the description of mimalloc-bench's mleak).
 *
 * Two lines of threads. A thread allocates `objects` objects of all sizes up to 8 KiB, frees one half of them and what
 * the other line's thread before it left behind, leaves the other half, and ends. What is alive never exceeds two
 * threads' objects, however many threads there have been.
 */
#include <stdatomic.h>

#include "support.h"

static long threads = 2, generations = 4000, objects = 1000, seed = 1;
static long generation;

/* Left behind by one thread of the generation before, for the other line to free. */
static struct object **left;

static void body(void *context, long index)
{
    (void)context;
    uint64_t state = chance_of_thread(seed + generation, index);
    struct object *mine = malloc((size_t)objects * sizeof *mine);
    if (!mine)
        die(EXIT_MEMORY, "no memory for the table");
    for (long i = 0; i < objects; i++) {
        const size_t size = (size_t)8 << chance_below(&state, 8) << chance_below(&state, 4);
        mine[i] = object_marked(malloc(size), size, &state);
    }
    struct object *theirs = left[(generation % 2) * threads + (index + 1) % threads];
    for (long i = 1; theirs && i < objects; i += 2) {
        object_check(theirs[i]);
        free(theirs[i].address);
    }
    free(theirs);
    for (long i = 0; i < objects; i += 2) {
        object_check(mine[i]);
        free(mine[i].address);
    }
    left[((generation + 1) % 2) * threads + index] = mine;
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"threads", &threads, 1, "in a generation"},
        {"generations", &generations, 1, "how many"},
        {"objects", &objects, 1, "of a thread"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("many threads, one after another", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    left = calloc((size_t)threads * 2, sizeof(struct object *));
    if (!left)
        die(EXIT_MEMORY, "no memory for %ld threads", threads);
    for (generation = 0; generation < generations; generation++)
        threads_run(threads, body, NULL);
    for (long line = 0; line < threads; line++) {
        struct object *last = left[(generation % 2) * threads + line];
        for (long i = 1; last && i < objects; i += 2)
            free(last[i].address);
        free(last);
    }
    free(left);
    return 0;
}
