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

/* Every item begins with its own size and a random key, so that whoever finds it can check it. */
struct item {
    uint32_t size;
    uint32_t key;
    uint64_t words[];
};

static _Atomic(struct item *) shared[SHARED];

static size_t word_value(const struct item *item, size_t i)
{
    return ((uint64_t)item->size << 32 | item->key) * 0x9e3779b97f4a7c15u + i;
}

static struct item *item_new(uint64_t *state)
{
    /* mostly small; one in 100 a hundred times larger, one in 1000 a thousand times */
    const uint64_t kind = chance_below(state, 1000);
    size_t words = chance_between(state, 1, 16);
    if (kind == 0)
        words *= 1000;
    else if (kind <= 10)
        words *= 100;
    struct item *item = malloc(sizeof *item + words * sizeof *item->words);
    if (!item)
        die(EXIT_MEMORY, "no memory for %zu words", words);
    item->size = (uint32_t)words;
    item->key = (uint32_t)chance(state);
    const size_t step = words < 64 ? 1 : 64; /* a word in every 512 bytes of the large ones */
    for (size_t i = 0; i < words; i += step)
        item->words[i] = word_value(item, i);
    return item;
}

static void item_free(struct item *item)
{
    if (!item)
        return;
    const size_t step = item->size < 64 ? 1 : 64;
    for (size_t i = 0; i < item->size; i += step) {
        if (item->words[i] != word_value(item, i))
            die(EXIT_WRONG, "word %zu of %u of the item at %p was overwritten", i, item->size, (void *)item);
    }
    free(item);
}

static void body(void *context, long index)
{
    (void)context;
    uint64_t state = chance_of_thread(seed + round_now, index);
    const size_t allocations = (size_t)scale * 100 * (size_t)(index % 8 + 1);
    const size_t keep = allocations / 2;
    struct item **kept = calloc(keep, sizeof(struct item *));
    struct item **young = calloc(allocations, sizeof(struct item *));
    if (!kept || !young)
        die(EXIT_MEMORY, "no memory for %zu pointers", allocations);
    size_t kept_count = 0, young_count = 0, left = allocations;
    while (left > 0) {
        left--;
        if (kept_count < keep && chance_below(&state, 100) < 50)
            kept[kept_count++] = item_new(&state);
        else
            young[young_count++] = item_new(&state);
        if (young_count > 0 && chance_below(&state, 100) < 66) {
            const size_t victim = chance_below(&state, young_count);
            item_free(young[victim]);
            young[victim] = young[--young_count];
        }
        if (young_count > 0 && chance_below(&state, 100) < 25) {
            const size_t place = chance_below(&state, SHARED);
            struct item **const mine = &young[chance_below(&state, young_count)];
            *mine = atomic_exchange_explicit(&shared[place], *mine, memory_order_acq_rel);
        }
    }
    while (kept_count > 0)
        item_free(kept[--kept_count]);
    while (young_count > 0)
        item_free(young[--young_count]);
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
            item_free(atomic_exchange(&shared[i], NULL));
    }
    for (size_t i = 0; i < SHARED; i++)
        item_free(atomic_exchange(&shared[i], NULL));
    return 0;
}
