/*
 * xmalloc-test: objects that one thread allocates and another frees (Lever and Boreham, USENIX 2000).
 *
 * Producers fill batches of objects and put them into a queue that holds `queue` batches at most; consumers take them
 * out and free them. No object is ever freed by the thread that allocated it.
 */
#include <pthread.h>

#include "support.h"

enum {
    BATCH = 4096
};

static long producers = 1, consumers = 1, batches = 7500, queue_limit = 100, size = 64, most = 0, seed = 1;

struct batch {
    struct batch *next;
    unsigned sizes[BATCH];
    void *objects[BATCH];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    struct batch *first, *last;
    long length;
    long open; /* producers that have not finished */
} queue = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .not_empty = PTHREAD_COND_INITIALIZER, .not_full = PTHREAD_COND_INITIALIZER};

static void queue_put(struct batch *batch)
{
    batch->next = NULL;
    pthread_mutex_lock(&queue.lock);
    while (queue.length == queue_limit)
        pthread_cond_wait(&queue.not_full, &queue.lock);
    if (queue.last)
        queue.last->next = batch;
    else
        queue.first = batch;
    queue.last = batch;
    queue.length++;
    pthread_cond_signal(&queue.not_empty);
    pthread_mutex_unlock(&queue.lock);
}

/* Null when all producers have finished and nothing is left. */
static struct batch *queue_take(void)
{
    pthread_mutex_lock(&queue.lock);
    while (!queue.first && queue.open)
        pthread_cond_wait(&queue.not_empty, &queue.lock);
    struct batch *batch = queue.first;
    if (batch) {
        queue.first = batch->next;
        if (!queue.first)
            queue.last = NULL;
        queue.length--;
        pthread_cond_signal(&queue.not_full);
    }
    pthread_mutex_unlock(&queue.lock);
    return batch;
}

static void queue_close(void)
{
    pthread_mutex_lock(&queue.lock);
    if (--queue.open == 0)
        pthread_cond_broadcast(&queue.not_empty);
    pthread_mutex_unlock(&queue.lock);
}

static void produce(long index)
{
    uint64_t state = chance_of_thread(seed, index);
    for (long n = 0; n < batches; n++) {
        struct batch *batch = malloc(sizeof *batch);
        if (!batch)
            die(EXIT_MEMORY, "no memory for a batch");
        for (size_t i = 0; i < BATCH; i++) {
            batch->sizes[i] = (unsigned)(most ? chance_between(&state, (size_t)size, (size_t)most) : (size_t)size);
            batch->objects[i] = malloc(batch->sizes[i]);
            mark(batch->objects[i], batch->sizes[i], i);
        }
        queue_put(batch);
    }
    queue_close();
}

static void consume(void)
{
    for (struct batch *batch; (batch = queue_take());) {
        for (size_t i = 0; i < BATCH; i++) {
            mark_check(batch->objects[i], batch->sizes[i], i);
            free(batch->objects[i]);
        }
        free(batch);
    }
}

static void body(void *context, long index)
{
    (void)context;
    if (index < producers)
        produce(index);
    else
        consume();
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"producers", &producers, 1, "threads that allocate"},
        {"consumers", &consumers, 1, "threads that free"},
        {"batches", &batches, 1, "batches of 4096 objects from each producer"},
        {"queue", &queue_limit, 1, "batches in flight"},
        {"size", &size, 1, "of an object"},
        {"most", &most, 0, "0: all of one size; else the largest of random sizes"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("some threads allocate, others free", parameters, sizeof parameters / sizeof *parameters, argc,
                    argv);
    queue.open = producers;
    threads_run(producers + consumers, body, NULL);
    return 0;
}
