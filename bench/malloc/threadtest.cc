/*
 * threadtest: each thread allocates many small objects, then frees them all, again and again (Berger and others, ASPLOS
 * 2000). Nothing is shared; what is measured is whether threads disturb each other at all.
 */
#include "support.h"

static long threads = 2, iterations = 1500, objects = 60000, size = 8;

static void body(void *, long index)
{
    const size_t count = static_cast<size_t>(objects / threads);
    char **table = new char *[count];
    const uint64_t key = static_cast<uint64_t>(index) * count;
    for (long i = 0; i < iterations; i++) {
        for (size_t n = 0; n < count; n++) {
            table[n] = new char[static_cast<size_t>(size)];
            mark(table[n], static_cast<size_t>(size), key + n);
        }
        for (size_t n = 0; n < count; n++) {
            mark_check(table[n], static_cast<size_t>(size), key + n);
            delete[] table[n];
        }
    }
    delete[] table;
}

int main(int argc, char **argv)
{
    const parameter parameters[] = {
        {"threads", &threads, 1, "which share the objects"},
        {"iterations", &iterations, 1, "of allocating and freeing all"},
        {"objects", &objects, 1, "alive at once, in all"},
        {"size", &size, 1, "of an object"},
    };
    parameters_read("all allocated, then all freed", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    threads_run(threads, body, nullptr);
    return 0;
}
