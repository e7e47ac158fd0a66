/*
 * glibc-thread: each thread replaces random objects of a working set of 1024 (after glibc's bench-malloc-thread).
 *
 * Sizes lie between 4 bytes and 32 KiB, with a density that falls with the square of the size.
 */
#include "support.h"

enum {
    WORKING_SET = 1024,
    SIZES = 8192
};

static long threads = 2, replacements = 35000000, least = 4, most = 32768, seed = 1;

static unsigned short sizes[SIZES];

static void body(void *context, long index)
{
    (void)context;
    uint64_t state = chance_of_thread(seed, index);
    void *objects[WORKING_SET] = {0};
    unsigned short held[WORKING_SET];
    for (long i = 0; i < replacements; i++) {
        const uint64_t number = chance(&state);
        const size_t place = number % WORKING_SET;
        if (objects[place]) {
            mark_check(objects[place], held[place], place);
            free(objects[place]);
        }
        held[place] = sizes[(number >> 32) % SIZES];
        objects[place] = malloc(held[place]);
        mark(objects[place], held[place], place);
    }
    for (size_t i = 0; i < WORKING_SET; i++)
        free(objects[i]);
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"threads", &threads, 1, "how many"},
        {"replacements", &replacements, 1, "by each thread"},
        {"least", &least, 1, "size of the smallest"},
        {"most", &most, 1, "size of the largest, at most 65535"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("a working set of small objects per thread", parameters, sizeof parameters / sizeof *parameters,
                    argc, argv);
    if (most > 65535 || least > most)
        die(EXIT_USAGE, "sizes must lie between 1 and 65535");
    /* The inverse of the distribution: 1/size is uniform between 1/most and 1/least. */
    uint64_t state = chance_of_thread(seed, -1);
    for (size_t i = 0; i < SIZES; i++) {
        const double uniform = (double)(chance(&state) >> 11) / (double)(UINT64_C(1) << 53);
        const double inverse = 1 / (double)most + uniform * (1 / (double)least - 1 / (double)most);
        sizes[i] = (unsigned short)(1 / inverse);
    }
    threads_run(threads, body, NULL);
    return 0;
}
