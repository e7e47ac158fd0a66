/*
 * glibc-simple: one thread allocates n objects of a size, then frees them in the same order (after glibc's
 * bench-malloc-simple), for sizes of 16 bytes to 1 KiB and n of 25 to 1600. One object more lives on behind each first
 * burst, as something does in most programs, so that the memory of a burst is not at the end of the heap.
 */
#include "support.h"

static long pairs = 2500000;

static void run(size_t size, size_t count, void **objects)
{
    void *survivor = NULL;
    for (long done = 0; done < pairs; done += (long)count) {
        for (size_t i = 0; i < count; i++) {
            objects[i] = malloc(size);
            mark(objects[i], sizeof(uint64_t), i);
        }
        if (!survivor)
            survivor = malloc(size);
        for (size_t i = 0; i < count; i++) {
            mark_check(objects[i], sizeof(uint64_t), i);
            free(objects[i]);
        }
    }
    free(survivor);
}

int main(int argc, char **argv)
{
    static const size_t counts[] = {25, 100, 400, 1600};
    const struct parameter parameters[] = {
        {"pairs", &pairs, 1, "of malloc and free for each size and each number of objects"},
    };
    parameters_read("bursts of one size, freed in order", parameters, sizeof parameters / sizeof *parameters, argc,
                    argv);
    void *objects[1600];
    for (size_t size = 16; size <= 1024; size *= 2) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            run(size, counts[i], objects);
    }
    return 0;
}
