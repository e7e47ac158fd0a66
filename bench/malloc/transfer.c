/*
 * transfer: buffers of 256 KiB to 4 MiB that one thread fills and another frees, as in pipelines of pictures or
 * packets.
 *
 * A page in use costs a fault; an allocator that keeps such buffers for the next thread saves them, one that gives them
 * back at once pays each time. At most `queue` buffers are on their way.
 */
#include <semaphore.h>

#include "support.h"

enum {
    PAGE = 4096,
    QUEUE_MOST = 64
};

static long buffers = 40000, queue = 4, least = 256, most = 4096, seed = 1;

static struct {
    void *address;
    size_t size;
} ring[QUEUE_MOST];
static sem_t full, empty;

static void fill(void)
{
    uint64_t state = chance_of_thread(seed, 0);
    for (long i = 0; i < buffers; i++) {
        const size_t size = chance_between(&state, (size_t)least, (size_t)most) << 10;
        unsigned char *buffer = malloc(size);
        mark(buffer, size, (uint64_t)i);
        for (size_t at = PAGE; at < size - PAGE; at += PAGE)
            buffer[at] = (unsigned char)i;
        sem_wait(&empty);
        ring[i % queue].address = buffer;
        ring[i % queue].size = size;
        sem_post(&full);
    }
}

static void drain(void)
{
    for (long i = 0; i < buffers; i++) {
        sem_wait(&full);
        unsigned char *buffer = ring[i % queue].address;
        const size_t size = ring[i % queue].size;
        sem_post(&empty);
        mark_check(buffer, size, (uint64_t)i);
        for (size_t at = PAGE; at < size - PAGE; at += (size_t)8 * PAGE) {
            if (buffer[at] != (unsigned char)i)
                die(EXIT_WRONG, "byte %zu of a buffer of %zu was overwritten", at, size);
        }
        free(buffer);
    }
}

static void body(void *context, long index)
{
    (void)context;
    if (index == 0)
        fill();
    else
        drain();
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"buffers", &buffers, 1, "in all"},
        {"queue", &queue, 1, "buffers on their way, at most 64"},
        {"least", &least, 8, "KiB of the smallest"},
        {"most", &most, 8, "KiB of the largest"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("buffers from thread to thread", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    if (queue > QUEUE_MOST)
        die(EXIT_USAGE, "at most %d buffers on their way", QUEUE_MOST);
    sem_init(&full, 0, 0);
    sem_init(&empty, 0, (unsigned)queue);
    threads_run(2, body, NULL);
    return 0;
}
