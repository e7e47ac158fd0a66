/*
 * Objects that move between threads, in the three ways that are hard on an allocator.
 *
 *     threads [SCALE] [PAIRS]
 *
 * 1. Survivors. Each worker fills a field of slots with objects; a worker that has ended leaves them behind. Half of
 *    them are freed by a thread that allocated none. (The peak lies between the two.)
 * 2. Queues. Producers allocate and never free, consumers free and never allocate.
 * 3. Churn. Short-lived threads follow each other; each replaces a part of what its predecessors left, and ends.
 *
 * Every object carries its number, and a pattern made from it over its whole length, which is verified before it is
 * freed: an allocator that hands the same bytes out twice is found out. Numbers and sizes depend on nothing but SCALE
 * and PAIRS, so that the sums printed are the same under every allocator and every interleaving.
 *
 * The most live bytes are exact: they are counted per thread and added up while the workers stand still, and what
 * follows starts from half of them.
 */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "phases.h"

enum {
    MAX_PAIRS = 16,
    SLOTS = 48 * 1024,        /* survivors for each pair and scale */
    QUEUED = 1200 * 1000,     /* objects through each queue and scale */
    QUEUE_CAPACITY = 1024,    /* objects in flight in one queue */
    BATCH = 64,               /* objects moved under one lock */
    GENERATIONS = 64,         /* threads after each other, for each pair */
    REPLACED_EACH = 8 * 1024, /* objects each replaces, for each scale */
};

/* --- objects --- */

struct object {
    uint64_t number;
    uint64_t size;
};

/* What one thread has done; each on cache lines of its own. */
struct tally {
    uint64_t allocated, freed; /* bytes */
    uint64_t objects, sum;     /* freed objects, the sum of their numbers' hashes */
} __attribute__((aligned(128)));

static uint64_t hash(uint64_t n)
{
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
    n = (n ^ n >> 27) * 0x94d049bb133111eb;
    return n ^ n >> 31;
}

/* Mostly small: seven of ten below 256 bytes, one in twenty up to 8 KiB, one in a thousand up to 80 KiB. */
static size_t size_of(uint64_t number)
{
    uint64_t h = hash(number ^ 0x5eed);
    unsigned kind = h % 1000;
    h >>= 10;
    if (kind < 700)
        return 16 + h % 240;
    if (kind < 949)
        return 256 + h % 1792;
    if (kind < 999)
        return 2048 + h % 6144;
    return 16384 + h % 65536;
}

static _Noreturn void fail(const char *what, uint64_t number)
{
    printf("%s (object %llu)\n", what, (unsigned long long)number);
    exit(1);
}

/* The pattern: the object's number hashed, in each 64 bytes one word, and in the last byte. */
static struct object *make(uint64_t number, struct tally *tally)
{
    size_t size = size_of(number);
    struct object *object = malloc(size);
    if (object == NULL)
        fail("out of memory", number);
    uint64_t pattern = hash(number);
    for (size_t at = sizeof *object; at + sizeof pattern <= size; at += 64)
        memcpy((char *)object + at, &pattern, sizeof pattern);
    if (size > sizeof *object)
        ((char *)object)[size - 1] = (char)number;
    object->number = number;
    object->size = size;
    tally->allocated += size;
    return object;
}

static void drop(struct object *object, struct tally *tally)
{
    uint64_t number = object->number, pattern = hash(number);
    size_t size = object->size;
    if (size != size_of(number))
        fail("an object's header was overwritten", number);
    if (size > sizeof *object && ((char *)object)[size - 1] != (char)number)
        fail("an object's end was overwritten", number);
    for (size_t at = sizeof *object; at + sizeof pattern < size; at += 64)
        if (memcmp((char *)object + at, &pattern, sizeof pattern) != 0)
            fail("an object was overwritten", number);
    free(object);
    tally->freed += size;
    tally->objects++;
    tally->sum += pattern;
}

/* --- a bounded queue that moves batches --- */

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    struct object *objects[QUEUE_CAPACITY];
    size_t head, count;
    int closed;
};

static void queue_push(struct queue *queue, struct object **objects, size_t n)
{
    pthread_mutex_lock(&queue->lock);
    for (size_t i = 0; i < n; i++) {
        while (queue->count == QUEUE_CAPACITY)
            pthread_cond_wait(&queue->not_full, &queue->lock);
        queue->objects[(queue->head + queue->count++) % QUEUE_CAPACITY] = objects[i];
    }
    pthread_cond_signal(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
}

/* Nothing only when the queue is closed and empty. */
static size_t queue_pop(struct queue *queue, struct object **objects, size_t max)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0 && !queue->closed)
        pthread_cond_wait(&queue->not_empty, &queue->lock);
    size_t n = queue->count < max ? queue->count : max;
    for (size_t i = 0; i < n; i++, queue->head++)
        objects[i] = queue->objects[queue->head % QUEUE_CAPACITY];
    queue->count -= n;
    pthread_cond_signal(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
    return n;
}

static void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = 1;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
}

/* --- the work of one pair of threads --- */

struct pair {
    uint64_t first_number; /* of the objects it makes; grows */
    size_t slots, queued, replaced;
    struct object **survivors;
    unsigned generation;
    struct queue queue;
    struct tally tally[2]; /* of the two threads that work at the same time */
};

static void *fill(void *argument)
{
    struct pair *pair = argument;
    for (size_t i = 0; i < pair->slots; i++)
        pair->survivors[i] = make(pair->first_number++, &pair->tally[0]);
    return NULL;
}

static void *thin_out(void *argument)
{
    struct pair *pair = argument;
    for (size_t i = 0; i < pair->slots; i += 2) {
        drop(pair->survivors[i], &pair->tally[0]);
        pair->survivors[i] = NULL;
    }
    return NULL;
}

static void *produce(void *argument)
{
    struct pair *pair = argument;
    struct object *batch[BATCH];
    size_t n = 0;
    for (size_t i = 0; i < pair->queued; i++) {
        batch[n++] = make(pair->first_number++, &pair->tally[0]);
        if (n == BATCH) {
            queue_push(&pair->queue, batch, n);
            n = 0;
        }
    }
    queue_push(&pair->queue, batch, n);
    queue_close(&pair->queue);
    return NULL;
}

static void *consume(void *argument)
{
    struct pair *pair = argument;
    struct object *batch[BATCH];
    for (size_t n; (n = queue_pop(&pair->queue, batch, BATCH)) != 0;)
        for (size_t i = 0; i < n; i++)
            drop(batch[i], &pair->tally[1]);
    return NULL;
}

/* One generation: replaces the objects of some odd slots, which are those that survived. */
static void *churn(void *argument)
{
    struct pair *pair = argument;
    uint64_t start = hash(pair->generation++);
    for (size_t i = 0; i < pair->replaced; i++) {
        struct object **slot = &pair->survivors[hash(start + i) % (pair->slots / 2) * 2 + 1];
        drop(*slot, &pair->tally[0]);
        *slot = make(pair->first_number++, &pair->tally[0]);
    }
    return NULL;
}

static void *clear(void *argument)
{
    struct pair *pair = argument;
    for (size_t i = 1; i < pair->slots; i += 2)
        drop(pair->survivors[i], &pair->tally[0]);
    return NULL;
}

/* --- the whole --- */

static struct pair pairs[MAX_PAIRS];
static unsigned pair_count = 2;

static pthread_t start(void *(*work)(void *), struct pair *pair)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, pair) != 0)
        fail("a thread could not be started", 0);
    return thread;
}

/* Runs `work` for each pair in a thread of its own, and `beside` (if any) in a second one, until all have ended. */
static void all(void *(*work)(void *), void *(*beside)(void *))
{
    pthread_t threads[MAX_PAIRS][2];
    for (unsigned i = 0; i < pair_count; i++) {
        threads[i][0] = start(work, &pairs[i]);
        if (beside != NULL)
            threads[i][1] = start(beside, &pairs[i]);
    }
    for (unsigned i = 0; i < pair_count; i++) {
        pthread_join(threads[i][0], NULL);
        if (beside != NULL)
            pthread_join(threads[i][1], NULL);
    }
}

static struct tally total(void)
{
    struct tally total = {0};
    for (unsigned i = 0; i < 2 * pair_count; i++) {
        const struct tally *tally = &pairs[i / 2].tally[i % 2];
        total.allocated += tally->allocated;
        total.freed += tally->freed;
        total.objects += tally->objects;
        total.sum += tally->sum;
    }
    return total;
}

static void report(const char *what)
{
    struct tally now = total();
    printf("%-10s %9llu objects freed, %7.1f MiB live, sum %016llx\n", what, (unsigned long long)now.objects,
           (double)(now.allocated - now.freed) / (1 << 20), (unsigned long long)now.sum);
}

int main(int argc, char **argv)
{
    double scale = argc > 1 ? atof(argv[1]) : 1;
    if (argc > 2)
        pair_count = (unsigned)atoi(argv[2]);
    if (scale < 0.001 || scale > 1000 || pair_count < 1 || pair_count > MAX_PAIRS) {
        fprintf(stderr, "usage: threads [SCALE] [PAIRS]   SCALE: 0.001 to 1000, PAIRS: 1 to %d\n", MAX_PAIRS);
        return 2;
    }

    phases_before();
    size_t tables = 0;
    for (unsigned i = 0; i < pair_count; i++) {
        struct pair *pair = &pairs[i];
        pair->first_number = (uint64_t)i << 40;
        pair->slots = (size_t)(SLOTS * scale) / 2 * 2 + 2;
        pair->queued = (size_t)(QUEUED * scale);
        pair->replaced = (size_t)(REPLACED_EACH * scale);
        pair->queue.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        pair->queue.not_full = pair->queue.not_empty = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
        pair->survivors = calloc(pair->slots, sizeof(struct object *));
        if (pair->survivors == NULL)
            fail("out of memory", 0);
        tables += pair->slots * sizeof(struct object *);
    }

    all(fill, NULL);
    struct tally full = total();
    size_t most_live = full.allocated - full.freed + tables;
    report("survivors");
    phases_peak(most_live);
    all(thin_out, NULL);
    report("thinned");
    all(produce, consume);
    report("queues");
    for (unsigned i = 0; i < GENERATIONS; i++)
        all(churn, NULL);
    report("churn");
    all(clear, NULL);
    report("cleared");

    for (unsigned i = 0; i < pair_count; i++)
        free(pairs[i].survivors);
    struct tally end = total();
    if (end.allocated != end.freed)
        fail("bytes do not add up", end.allocated - end.freed);
    phases_freed(most_live);
    return 0;
}
