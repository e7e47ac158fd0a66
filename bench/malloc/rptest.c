/*
 * rptest: random sizes up to 16 KB, the small ones more often, partly freed by other threads (after the description of
 * rpmalloc's benchmark).
 *
 * In a loop a thread replaces random objects of its table. Every `cross`-th loop it allocates a parcel of objects for
 * the other threads and frees whatever parcel it finds waiting.
 */
#include <stdatomic.h>

#include "support.h"

enum {
    PARCEL = 100
};

static long threads = 2, loops = 20000, objects = 1000, replaced = 100, cross = 2, least = 8, most = 16000, seed = 1;

struct parcel {
    struct parcel *next;
    struct object objects[PARCEL];
};

static _Atomic(struct parcel *) waiting;

/* The density falls linearly from `least` to `most`: the smaller of two uniform numbers. */
static struct object object_new(uint64_t *state)
{
    const size_t a = chance_between(state, (size_t)least, (size_t)most);
    const size_t b = chance_between(state, (size_t)least, (size_t)most);
    const size_t size = a < b ? a : b;
    return object_marked(malloc(size), size, state);
}

static void object_free(struct object object)
{
    object_check(object);
    free(object.address);
}

static void parcel_leave(uint64_t *state)
{
    struct parcel *parcel = malloc(sizeof *parcel);
    if (!parcel)
        die(EXIT_MEMORY, "no memory for a parcel");
    for (size_t i = 0; i < PARCEL; i++)
        parcel->objects[i] = object_new(state);
    parcel->next = atomic_load_explicit(&waiting, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&waiting, &parcel->next, parcel, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

static void parcels_take(void)
{
    struct parcel *parcel = atomic_exchange_explicit(&waiting, NULL, memory_order_acquire);
    while (parcel) {
        struct parcel *next = parcel->next;
        for (size_t i = 0; i < PARCEL; i++)
            object_free(parcel->objects[i]);
        free(parcel);
        parcel = next;
    }
}

static void body(void *context, long index)
{
    (void)context;
    uint64_t state = chance_of_thread(seed, index);
    struct object *table = calloc((size_t)objects, sizeof *table);
    if (!table)
        die(EXIT_MEMORY, "no memory for the table");
    for (long i = 0; i < objects; i++)
        table[i] = object_new(&state);
    for (long loop = 0; loop < loops; loop++) {
        for (long i = 0; i < replaced; i++) {
            struct object *victim = &table[chance_below(&state, (uint64_t)objects)];
            object_free(*victim);
            *victim = object_new(&state);
        }
        if (cross && loop % cross == 0) {
            parcels_take();
            parcel_leave(&state);
        }
    }
    for (long i = 0; i < objects; i++)
        object_free(table[i]);
    free(table);
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"threads", &threads, 1, "how many"},
        {"loops", &loops, 1, "by each thread"},
        {"objects", &objects, 1, "in the table of a thread"},
        {"replaced", &replaced, 0, "objects in a loop"},
        {"cross", &cross, 0, "n: 100 objects go to another thread in every n-th loop; 0: none"},
        {"least", &least, 1, "size of the smallest"},
        {"most", &most, 1, "size of the largest"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("random sizes, some freed elsewhere", parameters, sizeof parameters / sizeof *parameters, argc,
                    argv);
    threads_run(threads, body, NULL);
    parcels_take();
    return 0;
}
