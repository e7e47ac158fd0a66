/*
 * cache-thrash and cache-scratch: do two threads get objects in one cache line? (Berger and others, ASPLOS 2000)
 *
 * Each thread allocates a tiny object, writes it over and over, and frees it, again and again. If objects of two
 * threads share a line, each write takes the line away from the other: active false sharing (cache-thrash). With
 * given=1 the main thread first hands an object from one line to each thread, which frees it and goes on as before:
 * an allocator that reuses it there keeps the line shared for ever: passive false sharing (cache-scratch).
 */
#include "support.h"

static long threads = 2, iterations = 1000, writes = 400000, size = 8, given = 0;

static char **gifts;

static void body(void *, long index)
{
    if (given)
        delete[] gifts[index];
    for (long i = 0; i < iterations; i++) {
        char *object = new char[static_cast<size_t>(size)];
        mark(object, static_cast<size_t>(size), static_cast<uint64_t>(i));
        volatile char *const bytes = object;
        for (long n = 0; n < writes / threads; n++)
            bytes[0] = static_cast<char>(bytes[0] + 1);
        for (long n = 0; n < writes / threads; n++)
            bytes[0] = static_cast<char>(bytes[0] - 1);
        mark_check(object, static_cast<size_t>(size), static_cast<uint64_t>(i));
        delete[] object;
    }
}

int main(int argc, char **argv)
{
    const parameter parameters[] = {
        {"threads", &threads, 1, "how many"},
        {"iterations", &iterations, 1, "objects of each thread"},
        {"writes", &writes, 1, "to an object, and as many again; shared by the threads"},
        {"size", &size, 1, "of an object"},
        {"given", &given, 0, "1: each thread starts by freeing an object of the main thread's"},
    };
    parameters_read("false sharing of cache lines", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    gifts = new char *[static_cast<size_t>(threads)];
    for (long i = 0; i < threads; i++)
        gifts[i] = given ? new char[static_cast<size_t>(size)] : nullptr;
    threads_run(threads, body, nullptr);
    delete[] gifts;
    return 0;
}
