/*
 * sh6bench and sh8bench: many sizes, freed in the order of allocation and in reverse (after MicroQuill's benchmarks).
 *
 * A pass goes through sizes that grow by half, the small ones more often, and puts the objects into a table. When the
 * table is full, half of it is freed: in turn the newest half from the last to the first, and the oldest half from
 * the first to the last. With foreign=n (sh8bench) every n-th half goes to the next thread, which frees it.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "support.h"

enum {
    TABLE = 8192
};

static long threads = 2, passes = 8000, largest = 1000, foreign = 0, seed = 1;

/* Half a table, on its way to the thread that frees it. */
struct parcel {
    struct parcel *next;
    struct object objects[TABLE / 2];
};

struct worker {
    _Alignas(64) _Atomic(struct parcel *) inbox;
    struct object *table;
    size_t count;
    unsigned long halves; /* freed so far */
};

static struct worker *workers;
static pthread_barrier_t finished;

static void object_free(struct object object)
{
    object_check(object);
    free(object.address);
}

static void inbox_empty(struct worker *worker)
{
    struct parcel *parcel = atomic_exchange_explicit(&worker->inbox, NULL, memory_order_acquire);
    while (parcel) {
        struct parcel *next = parcel->next;
        for (size_t i = 0; i < TABLE / 2; i++)
            object_free(parcel->objects[i]);
        free(parcel);
        parcel = next;
    }
}

static void send(struct worker *to, const struct object *objects)
{
    struct parcel *parcel = malloc(sizeof *parcel);
    if (!parcel)
        die(EXIT_MEMORY, "no memory for a parcel");
    memcpy(parcel->objects, objects, sizeof parcel->objects);
    parcel->next = atomic_load_explicit(&to->inbox, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&to->inbox, &parcel->next, parcel, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

/* Frees half of the full table and moves the other half to its start. */
static void make_room(struct worker *worker, long index)
{
    const unsigned long turn = worker->halves++;
    const size_t half = TABLE / 2;
    struct object *const newest = worker->table + half;
    if (foreign && turn % (unsigned long)foreign == 0) {
        send(&workers[(index + 1) % threads], newest);
    } else if (turn % 2 == 0) {
        for (size_t i = half; i-- > 0;)
            object_free(newest[i]);
    } else {
        for (size_t i = 0; i < half; i++)
            object_free(worker->table[i]);
        memcpy(worker->table, newest, half * sizeof *newest);
    }
    worker->count = half;
    inbox_empty(worker);
}

static void body(void *context, long index)
{
    (void)context;
    struct worker *worker = &workers[index];
    worker->table = calloc(TABLE, sizeof *worker->table);
    if (!worker->table)
        die(EXIT_MEMORY, "no memory for the table");
    uint64_t state = chance_of_thread(seed, index);
    for (long pass = 0; pass < passes; pass++) {
        for (size_t size = 1; size <= (size_t)largest; size += size / 2 + 1) {
            for (size_t times = (size_t)largest * 4 / (size + 16) + 1; times-- > 0;) {
                const size_t exact = size + chance_below(&state, size / 2 + 1);
                worker->table[worker->count++] = object_marked(malloc(exact), exact, &state);
                if (worker->count == TABLE)
                    make_room(worker, index);
            }
        }
    }
    pthread_barrier_wait(&finished); /* from here on nobody sends */
    inbox_empty(worker);
    while (worker->count > 0)
        object_free(worker->table[--worker->count]);
    free(worker->table);
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"threads", &threads, 1, "how many"},
        {"passes", &passes, 1, "through the sizes, by each thread"},
        {"largest", &largest, 1, "size"},
        {"foreign", &foreign, 0, "n: every n-th half of a table is freed by the next thread; 0: none"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("many sizes, freed in order and in reverse", parameters, sizeof parameters / sizeof *parameters,
                    argc, argv);
    workers = aligned_alloc(64, (size_t)threads * sizeof *workers);
    if (!workers)
        die(EXIT_MEMORY, "no memory for %ld workers", threads);
    memset(workers, 0, (size_t)threads * sizeof *workers);
    pthread_barrier_init(&finished, NULL, (unsigned)threads);
    threads_run(threads, body, NULL);
    pthread_barrier_destroy(&finished);
    free(workers);
    return 0;
}
