/*
 * Random programs.
 *
 * A program is a list of operations on a table of slots. It is made from its seed alone, so that a seed repeats it
 * anywhere; it keeps its meaning when operations are left out, so that a failing one can be shrunk. Sizes are mixed as
 * real programs mix them: most are small, many are some pages, a few are a good part of the memory; what does not fit
 * is refused, and the refusal is checked against maxalloc.
 *
 * Threads run one program each, at the same time in the same allocator. They exchange objects through boxes: one
 * leaves an object, whoever comes next takes it, verifies it and frees it.
 */
#include <pthread.h>
#include <stdio.h>

#include "src/base/bits.h"
#include "src/base/lock.h"
#include "tests/conformance/conformance.h"
#include "tests/conformance/stamp.h"

enum {
    BOXES = 16,
    MAX_THREADS = 8
};

/* --- making --- */

struct numbers {
    uint64_t state;
};

static uint64_t next(struct numbers *numbers)
{
    return stamp_mix(numbers->state += 0x9e3779b97f4a7c15);
}

/* In [least, most], every power of two as likely as the next. */
static size_t spread(struct numbers *numbers, size_t least, size_t most)
{
    unsigned low = log2_floor(least), high = log2_floor(most);
    size_t top = (size_t)1 << (low + next(numbers) % (high - low + 1));
    size_t size = top + next(numbers) % top;
    return size < least ? least : size > most ? most : size;
}

static size_t random_bytes(struct numbers *numbers, size_t memory)
{
    unsigned which = next(numbers) % 100;
    if (which < 2)
        return 0;
    if (which < 62)
        return spread(numbers, 1, 512);
    if (which < 82)
        return spread(numbers, 512, 32768);
    if (which < 94) /* some pages, and a little more or less */
        return (1 + next(numbers) % 40) * WEIR_FRAME_SIZE + next(numbers) % 65 - 32;
    return spread(numbers, (size_t)256 << 10, memory / 6);
}

void program_make(uint64_t seed, size_t bytes, struct operation *program, size_t count)
{
    static const enum kind often[] = {
        OP_MALLOC,   OP_MALLOC,         OP_MALLOC,  OP_MALLOC,  OP_MALLOC,  OP_CALLOC, OP_CALLOC,
        OP_MEMALIGN, OP_POSIX_MEMALIGN, OP_REALLOC, OP_REALLOC, OP_REALLOC, OP_FREE,   OP_FREE,
        OP_FREE,     OP_FREE,           OP_FREE,    OP_PAGES,   OP_SEND,    OP_SEND,   OP_LOOK};
    struct numbers numbers = {stamp_mix(seed)};
    /* Some programs crowd into few slots, others let much live. */
    size_t slots = (size_t)1 << (4 + next(&numbers) % 5);
    if (slots > PROGRAM_SLOTS)
        slots = PROGRAM_SLOTS;
    for (size_t i = 0; i < count; i++) {
        struct operation *op = &program[i];
        op->kind = i % 64 == 63 ? OP_CHECK : often[next(&numbers) % (sizeof often / sizeof *often)];
        op->slot = (uint16_t)(next(&numbers) % slots);
        op->stamp = (uint32_t)next(&numbers);
        op->size = random_bytes(&numbers, bytes);
        op->align = (uint8_t)(next(&numbers) % (next(&numbers) % 4 == 0 ? 17 : 9));
    }
}

void program_describe(const struct operation *operation, char *to, size_t room)
{
    static const char *const names[OP_KINDS] = {"malloc", "calloc", "memalign", "posix_memalign", "realloc",
                                                "free",   "palloc", "send",     "look",           "check"};
    snprintf(to, room, "slot %u: %s size %zu align %zu stamp %u", operation->slot, names[operation->kind],
             operation->size, (size_t)1 << operation->align, operation->stamp);
}

/* --- running --- */

struct object {
    void *start; /* null: the slot is empty */
    size_t size;
    uint64_t stamp;
    size_t pages; /* 0: not from palloc */
};

struct box {
    struct lock lock;
    struct object object;
};

/* What one thread works on. */
struct worker {
    struct subject *subject;
    struct object slots[PROGRAM_SLOTS];
    struct box *boxes; /* shared; null: alone */
    const struct operation *program;
    size_t count, at; /* operations, and the one being run */
    problem found;
};

static bool alone(const struct worker *worker)
{
    return worker->boxes == NULL;
}

static bool holds(const struct object *object)
{
    return stamp_holds(object->start, object->size, object->size, object->stamp);
}

static problem release(struct worker *worker, struct object *object)
{
    struct weir_allocator *a = &worker->subject->allocator;
    if (object->start == NULL)
        return NULL;
    if (!holds(object))
        return "an object was overwritten";
    if (object->pages != 0 && a->ops->pfree != NULL)
        a->ops->pfree(a, object->start, object->pages);
    else if (object->pages == 0 && a->ops->free != NULL)
        a->ops->free(a, object->start);
    *object = (struct object){0};
    return NULL;
}

/* A request for `size` bytes was refused: was that honest? */
static problem refused(struct worker *worker, size_t size)
{
    struct weir_allocator *a = &worker->subject->allocator;
    if (alone(worker) && a->ops->maxalloc != NULL && a->ops->maxalloc(a) >= size)
        return "a request was refused that is not above maxalloc";
    return NULL;
}

static problem accept(struct worker *worker, struct object *slot, void *start, size_t size, size_t align,
                      uint64_t stamp)
{
    struct weir_allocator *a = &worker->subject->allocator;
    if ((uintptr_t)start % (align > 16 ? align : 16) != 0)
        return "an object is not aligned";
    size_t usable = a->ops->usable_size != NULL ? a->ops->usable_size(a, start) : size;
    if (usable < size)
        return "usable_size is less than what was asked for";
    /* Now and then all usable bytes are used. */
    *slot = (struct object){start, stamp % 4 == 0 ? usable : size, stamp, 0};
    stamp_write(slot->start, slot->size, slot->stamp);
    return NULL;
}

static bool is_zero(const unsigned char *object, size_t size)
{
    return size == 0 || (object[0] == 0 && memcmp(object, object + 1, size - 1) == 0);
}

static problem allocate(struct worker *worker, const struct operation *op, struct object *slot)
{
    struct weir_allocator *a = &worker->subject->allocator;
    size_t align = 16;
    void *start = NULL;
    switch (op->kind) {
    case OP_MALLOC:
        start = a->ops->malloc(a, op->size);
        break;
    case OP_CALLOC:
        start = a->ops->calloc(a, op->size, 1);
        if (start != NULL && !is_zero(start, op->size))
            return "calloc gives memory that is not zero";
        break;
    case OP_MEMALIGN:
        align = (size_t)1 << op->align;
        start = a->ops->memalign(a, align, op->size);
        return start != NULL ? accept(worker, slot, start, op->size, align, op->stamp) : NULL;
    default:
        align = (size_t)8 << op->align;
        if (a->ops->posix_memalign(a, &start, align, op->size) != 0)
            return NULL;
        break;
    }
    return start != NULL ? accept(worker, slot, start, op->size, align, op->stamp) : refused(worker, op->size);
}

static problem resize(struct worker *worker, const struct operation *op, struct object *slot)
{
    struct weir_allocator *a = &worker->subject->allocator;
    size_t least = slot->size < op->size ? slot->size : op->size;
    void *start = a->ops->realloc(a, slot->start, op->size);
    if (start == NULL)
        return slot->start != NULL && !holds(slot) ? "realloc that failed has harmed its object"
                                                   : refused(worker, op->size);
    if (!stamp_holds(start, least, slot->size, slot->stamp))
        return "realloc has lost contents";
    return accept(worker, slot, start, op->size, 16, op->stamp);
}

static problem take_pages(struct worker *worker, const struct operation *op, struct object *slot)
{
    struct weir_allocator *a = &worker->subject->allocator;
    size_t pages = op->size / WEIR_FRAME_SIZE + 1;
    void *start = a->ops->palloc(a, pages);
    if (start == NULL)
        return alone(worker) && a->ops->pmaxalloc != NULL && a->ops->pmaxalloc(a) >= pages
                   ? "a request was refused that is not above pmaxalloc"
                   : NULL;
    if ((uintptr_t)start % WEIR_FRAME_SIZE != 0)
        return "pages are not aligned";
    *slot = (struct object){start, pages * WEIR_FRAME_SIZE, op->stamp, pages};
    stamp_write(start, slot->size, slot->stamp);
    return NULL;
}

static problem exchange(struct worker *worker, const struct operation *op, struct object *slot)
{
    if (alone(worker))
        return NULL;
    struct box *box = &worker->boxes[op->stamp % BOXES];
    lock_take(&box->lock, &conformance_platform);
    struct object taken = box->object;
    box->object = *slot;
    lock_drop(&box->lock);
    *slot = taken;
    return NULL;
}

static problem step(struct worker *worker, const struct operation *op)
{
    struct weir_allocator *a = &worker->subject->allocator;
    static const unsigned needs[OP_KINDS] = {
        [OP_MALLOC] = WEIR_CAN_SMALL, [OP_CALLOC] = WEIR_CAN_SMALL,         [OP_MEMALIGN] = WEIR_CAN_ALIGN,
        [OP_PAGES] = WEIR_CAN_PAGES,  [OP_POSIX_MEMALIGN] = WEIR_CAN_ALIGN, [OP_REALLOC] = WEIR_CAN_RESIZE,
    };
    struct object *slot = &worker->slots[op->slot];
    if ((a->ops->abilities & needs[op->kind]) != needs[op->kind])
        return NULL;
    switch (op->kind) {
    case OP_REALLOC:
        if (slot->pages == 0)
            return resize(worker, op, slot);
        break;
    case OP_SEND:
        return exchange(worker, op, slot);
    case OP_LOOK:
        return slot->start != NULL && !holds(slot) ? "an object was overwritten" : NULL;
    case OP_CHECK: {
        const char *what = "the allocator's own check fails";
        return alone(worker) && a->ops->check(a, &what) != WEIR_OK ? what : NULL;
    }
    default:
        break;
    }
    problem found = release(worker, slot);
    if (found != NULL || op->kind == OP_FREE || op->kind == OP_REALLOC)
        return found;
    return op->kind == OP_PAGES ? take_pages(worker, op, slot) : allocate(worker, op, slot);
}

static void work(struct worker *worker)
{
    for (worker->at = 0; worker->at < worker->count && worker->found == NULL; worker->at++)
        worker->found = step(worker, &worker->program[worker->at]);
    for (unsigned i = 0; i < PROGRAM_SLOTS && worker->found == NULL; i++)
        worker->found = release(worker, &worker->slots[i]);
}

/* --- a whole run --- */

static problem at_rest(struct subject *subject, const struct weir_allocator_stats *before)
{
    struct weir_allocator *a = &subject->allocator;
    struct weir_allocator_stats after;
    const char *what = "no reason given";
    if (subject->maker->settle != NULL)
        subject->maker->settle(subject);
    if (a->ops->check(a, &what) != WEIR_OK)
        return fault(subject, "at the end the allocator's own check fails: %s", what);
    if (atomic_load(&conformance_errors) != 0)
        return "correct use is reported as misuse";
    a->ops->stats(a, &after);
    if (a->ops->free != NULL && !subject->maker->frees_parts &&
        after.mallocs - after.frees != before->mallocs - before->frees)
        return fault(subject, "all is freed, but mallocs - frees is %lld",
                     (long long)(after.mallocs - after.frees - (before->mallocs - before->frees)));
    return NULL;
}

static problem start(const struct maker *maker, const struct memory *memory, struct subject *subject,
                     struct weir_allocator_stats *stats)
{
    *subject = (struct subject){.memory = *memory, .maker = maker};
    atomic_store(&conformance_errors, 0);
    if (!maker->make(subject))
        return "the allocator could not be made";
    subject->allocator.ops->stats(&subject->allocator, stats);
    return NULL;
}

problem program_run(const struct maker *maker, const struct memory *memory, const struct operation *program,
                    size_t count, struct subject *subject)
{
    static struct worker worker;
    struct weir_allocator_stats before;
    problem found = start(maker, memory, subject, &before);
    if (found != NULL)
        return found;
    memset(&worker, 0, sizeof worker);
    worker.subject = subject;
    worker.program = program;
    worker.count = count;
    work(&worker);
    found =
        worker.found != NULL ? fault(subject, "operation %zu: %s", worker.at, worker.found) : at_rest(subject, &before);
    maker->unmake(subject);
    return found;
}

static void *thread(void *argument)
{
    struct worker *worker = argument;
    work(worker);
    if (worker->subject->maker->leave != NULL)
        worker->subject->maker->leave(worker->subject);
    return NULL;
}

problem program_run_threads(const struct maker *maker, const struct memory *memory, uint64_t seed, size_t count,
                            unsigned threads, struct subject *subject)
{
    enum {
        LONGEST = 4096
    };
    static struct worker workers[MAX_THREADS];
    static struct operation programs[MAX_THREADS][LONGEST];
    static struct box boxes[BOXES];
    struct weir_allocator_stats before;
    pthread_t ids[MAX_THREADS];
    problem found = start(maker, memory, subject, &before);
    if (found != NULL)
        return found;
    if (!(subject->allocator.ops->abilities & WEIR_CAN_THREADS) || threads > MAX_THREADS || count > LONGEST) {
        maker->unmake(subject);
        return NULL;
    }

    memset(boxes, 0, sizeof boxes);
    memset(workers, 0, sizeof workers);
    unsigned started = 0;
    for (; started < threads; started++) {
        struct worker *worker = &workers[started];
        program_make(seed + started, memory->bytes / threads, programs[started], count);
        worker->subject = subject;
        worker->boxes = boxes;
        worker->program = programs[started];
        worker->count = count;
        if (pthread_create(&ids[started], NULL, thread, worker) != 0)
            break;
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    if (started < threads)
        found = "a thread could not be started";
    for (unsigned i = 0; i < started && found == NULL; i++)
        if (workers[i].found != NULL)
            found = fault(subject, "thread %u, operation %zu: %s", i, workers[i].at, workers[i].found);
    for (unsigned i = 0; i < BOXES && found == NULL; i++)
        found = release(&workers[0], &boxes[i].object);
    if (found == NULL)
        found = at_rest(subject, &before);
    maker->unmake(subject);
    return found;
}
