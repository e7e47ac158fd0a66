/*
 * mstress: a server under load (after the description of mimalloc's stress test).
 *
 * Threads are created and joined round after round. Each allocates objects of many sizes, frees some soon, keeps some
 * till its end, and exchanges some through a table that all threads share, from which any thread may take and free
 * them. Objects left in the table survive the thread that allocated them, and the round.
 */
#include <stdatomic.h>

#include "support.h"

enum {
    SHARED = 1024
};

static long threads = 2, rounds = 300, scale = 100, seed = 1;
static long round_now;

/* Every object begins with its own size, so that whoever finds it can check it. */
struct object {
    size_t size;
    uint64_t words[];
};

static _Atomic(struct object *) shared[SHARED];

static size_t word_value(const struct object *object, size_t i)
{
    return object->size * 0x9e3779b97f4a7c15u + i;
}

static struct object *object_new(uint64_t *state)
{
    /* mostly small; one in 100 a hundred times larger, one in 1000 a thousand times */
    const uint64_t kind = chance_below(state, 1000);
    size_t words = chance_between(state, 1, 16);
    if (kind == 0)
        words *= 1000;
    else if (kind <= 10)
        words *= 100;
    struct object *object = malloc(sizeof *object + words * sizeof *object->words);
    if (!object)
        die(EXIT_MEMORY, "no memory for %zu words", words);
    object->size = words;
    const size_t step = words < 64 ? 1 : 64; /* a word in every 512 bytes of the large ones */
    for (size_t i = 0; i < words; i += step)
        object->words[i] = word_value(object, i);
    return object;
}

static void object_free(struct object *object)
{
    if (!object)
        return;
    const size_t step = object->size < 64 ? 1 : 64;
    for (size_t i = 0; i < object->size; i += step) {
        if (object->words[i] != word_value(object, i))
            die(EXIT_WRONG, "word %zu of %zu of the object at %p was overwritten", i, object->size, (void *)object);
    }
    free(object);
}

static void body(void *context, long index)
{
    (void)context;
    uint64_t state = chance_of_thread(seed + round_now, index);
    const size_t allocations = (size_t)scale * 100 * (size_t)(index % 8 + 1);
    const size_t keep = allocations / 2;
    struct object **kept = calloc(keep, sizeof(struct object *));
    struct object **young = calloc(allocations, sizeof(struct object *));
    if (!kept || !young)
        die(EXIT_MEMORY, "no memory for %zu pointers", allocations);
    size_t kept_count = 0, young_count = 0, left = allocations;
    while (left > 0) {
        left--;
        if (kept_count < keep && chance_below(&state, 100) < 50)
            kept[kept_count++] = object_new(&state);
        else
            young[young_count++] = object_new(&state);
        if (young_count > 0 && chance_below(&state, 100) < 66) {
            const size_t victim = chance_below(&state, young_count);
            object_free(young[victim]);
            young[victim] = young[--young_count];
        }
        if (young_count > 0 && chance_below(&state, 100) < 25) {
            const size_t place = chance_below(&state, SHARED);
            struct object **const mine = &young[chance_below(&state, young_count)];
            *mine = atomic_exchange_explicit(&shared[place], *mine, memory_order_acq_rel);
        }
    }
    while (kept_count > 0)
        object_free(kept[--kept_count]);
    while (young_count > 0)
        object_free(young[--young_count]);
    free(kept);
    free(young);
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"threads", &threads, 1, "how many in a round"},
        {"rounds", &rounds, 1, "in each of which all threads are created and joined"},
        {"scale", &scale, 1, "allocations in a round: 100 times this by the first thread, 200 by the second, … 800"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("threads come and go, objects pass between them", parameters,
                    sizeof parameters / sizeof *parameters, argc, argv);
    for (round_now = 0; round_now < rounds; round_now++) {
        threads_run(threads, body, NULL);
        /* Now and then the main thread sweeps every other place. */
        for (size_t i = 0; round_now % 10 == 0 && i < SHARED; i += 2)
            object_free(atomic_exchange(&shared[i], NULL));
    }
    for (size_t i = 0; i < SHARED; i++)
        object_free(atomic_exchange(&shared[i], NULL));
    return 0;
}
