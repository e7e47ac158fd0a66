/*
 * linux-scalability: malloc and free of one size back to back in every thread (Lever and Boreham, USENIX 2000).
 */
#include "support.h"

static long threads = 2, pairs = 60000000, size = 512;

static void body(void *context, long index)
{
    (void)context;
    const size_t head = size < 64 ? (size_t)size : 64; /* one cache line of the object is touched */
    for (long i = 0; i < pairs; i++) {
        void *object = malloc((size_t)size);
        mark(object, head, (uint64_t)index);
        mark_check(object, head, (uint64_t)index);
        free(object);
    }
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"threads", &threads, 1, "how many"},
        {"pairs", &pairs, 1, "of malloc and free by each thread"},
        {"size", &size, 1, "of an object"},
    };
    parameters_read("pairs of malloc and free", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    threads_run(threads, body, NULL);
    return 0;
}
