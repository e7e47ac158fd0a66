/*
 * larson: a server whose threads come and go while its objects stay (Larson and Krishnan, ISMM 1998).
 *
 * Each thread owns a table of objects of random sizes. It replaces random ones by new ones, `rounds` times as many as
 * the table holds, then starts its successor, leaves the table to it, and ends. So objects bleed: they are freed by
 * threads other than the one that allocated them, which is gone.
 */
#include <new>
#include <pthread.h>
#include <semaphore.h>

#include "support.h"

static long threads = 2, generations = 30, rounds = 100, objects = 5000, least = 8, most = 1000, sized = 0, seed = 1;

struct server {
    object *table;
    uint64_t chance;
    long generation;
};

static sem_t done;

static object object_new(uint64_t *state)
{
    const size_t size = chance_between(state, (size_t)least, (size_t)most);
    return object_marked(::operator new(size, std::nothrow), size, state);
}

static void object_delete(const object &victim)
{
    object_check(victim);
    if (sized)
        ::operator delete(victim.address, victim.size);
    else
        ::operator delete(victim.address);
}

static void *serve(void *argument);

static void start(server *server)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, serve, server) != 0)
        die(EXIT_MEMORY, "cannot start a thread");
    pthread_attr_destroy(&attributes);
}

static void *serve(void *argument)
{
    server *const self = static_cast<server *>(argument);
    uint64_t state = self->chance;
    for (long i = 0; i < rounds * objects; i++) {
        object &victim = self->table[chance_below(&state, (uint64_t)objects)];
        object_delete(victim);
        victim = object_new(&state);
    }
    self->chance = state;
    if (++self->generation < generations)
        start(self);
    else
        sem_post(&done);
    return nullptr;
}

int main(int argc, char **argv)
{
    const parameter parameters[] = {
        {"threads", &threads, 1, "threads alive at a time"},
        {"generations", &generations, 1, "how often each is succeeded"},
        {"rounds", &rounds, 1, "replacements in a generation, in tables"},
        {"objects", &objects, 1, "objects in a table"},
        {"least", &least, 1, "size of the smallest"},
        {"most", &most, 1, "size of the largest"},
        {"sized", &sized, 0, "1: delete with the size"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("objects outlive the threads that allocated them", parameters,
                    sizeof parameters / sizeof *parameters, argc, argv);
    sem_init(&done, 0, 0);

    /* The main thread allocates all objects and shuffles them over the tables. */
    const long total = threads * objects;
    object *all = new object[static_cast<size_t>(total)];
    uint64_t state = chance_of_thread(seed, -1);
    for (long i = 0; i < total; i++) {
        all[i] = object_new(&state);
        const uint64_t other = chance_below(&state, static_cast<uint64_t>(i) + 1);
        const object swapped = all[i];
        all[i] = all[other];
        all[other] = swapped;
    }
    server *servers = new server[static_cast<size_t>(threads)];
    for (long i = 0; i < threads; i++) {
        servers[i] = {all + i * objects, chance_of_thread(seed, i), 0};
        start(&servers[i]);
    }
    for (long i = 0; i < threads; i++)
        sem_wait(&done);
    for (long i = 0; i < total; i++)
        object_delete(all[i]);
    delete[] servers;
    delete[] all;
    return 0;
}
