/*
 * Random programs with apart heaps against a model: whoever allocates, resizes and frees, objects keep their bytes and
 * belong to the heap that the model says, until that heap is discarded, and live on when it is released.
 */
#include <stdio.h>
#include <stdlib.h>

#include "src/heap/heap.h"
#include "tests/heap/fixture.h"
#include "tests/support/random.h"

enum {
    ORDINARY = 2,
    APART = 3,
    HEAPS = ORDINARY + APART,
    OBJECTS = 400,
    OPERATIONS = 3000,
    CHECK_EVERY = 83,
};

enum kind {
    MALLOC,
    ALIGNED_AT,
    REALLOC,
    FREE,
    FREE_MANY,
    COLLECT,
    QUIESCE,
    TURN,
    RELEASE,
    DISCARD,
    KINDS
};

static const char *const names[KINDS] = {"malloc",  "aligned_at", "realloc", "free",    "free_many",
                                         "collect", "quiesce",    "turn",    "release", "discard"};

struct operation {
    enum kind kind;
    unsigned heap, object;
    size_t size, alignment, offset;
};

struct live {
    unsigned char *start;
    size_t size;
    unsigned stamp;
    struct weir_heap *of; /* null: of an ordinary heap */
};

struct model {
    struct fixture fixture;
    struct weir_heap *heaps[HEAPS]; /* the last are apart */
    struct live objects[OBJECTS];
    unsigned stamp;
};

static struct weir_heap *apart_or_null(struct model *model, unsigned heap)
{
    return heap < ORDINARY ? NULL : model->heaps[heap];
}

static const char *place(struct model *model, struct live *object, void *start, size_t size, struct weir_heap *of)
{
    if (!start)
        return "there is memory";
    *object = (struct live){start, size, ++model->stamp, of};
    stamp_write(start, size, object->stamp);
    return NULL;
}

static void forget(struct model *model, unsigned heap, bool gone)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        if (model->objects[i].start && model->objects[i].of == model->heaps[heap]) {
            if (gone)
                model->objects[i].start = NULL;
            else
                model->objects[i].of = NULL;
        }
}

static void free_object(struct model *model, unsigned heap, struct live *object)
{
    if (object->start)
        weir_heap_free(model->heaps[heap], object->start);
    object->start = NULL;
}

/* The object may stay where it is, or move to the heap that resizes. */
static const char *resize(struct model *model, unsigned heap, struct live *object, size_t size)
{
    unsigned char *before = object->start;
    unsigned char *after = weir_heap_realloc(model->heaps[heap], before, size);
    if (!after)
        return "there is memory";
    size_t kept = object->size < size ? object->size : size;
    if (!stamp_holds(after, kept < 64 ? kept : 64, object->stamp))
        return "realloc lost bytes";
    return place(model, object, after, size, after == before ? object->of : apart_or_null(model, heap));
}

static const char *apply(struct model *model, const struct operation *operation)
{
    unsigned heap = operation->heap;
    struct weir_heap *with = model->heaps[heap];
    struct live *object = &model->objects[operation->object];
    switch (operation->kind) {
    case MALLOC:
        free_object(model, heap, object);
        return place(model, object, weir_heap_malloc(with, operation->size), operation->size,
                     apart_or_null(model, heap));
    case ALIGNED_AT: {
        free_object(model, heap, object);
        char *start = weir_heap_aligned_at(with, operation->alignment, operation->offset, operation->size, false);
        if (((uintptr_t)start + operation->offset) % operation->alignment != 0)
            return "aligned as asked for";
        return place(model, object, start, operation->size, apart_or_null(model, heap));
    }
    case REALLOC:
        return object->start ? resize(model, heap, object, operation->size) : NULL;
    case FREE:
        free_object(model, heap, object);
        break;
    case FREE_MANY:
        for (unsigned i = operation->object; i < OBJECTS && i < operation->object + 60; i++)
            free_object(model, heap, &model->objects[i]);
        break;
    case COLLECT:
        weir_heap_collect(with);
        break;
    case QUIESCE:
        weir_heap_quiesce(with);
        break;
    case TURN: /* what others free goes the remote way, or not */
        if (heap >= ORDINARY && !heap_take_turn(with, TURN_OWNER))
            heap_end_turn(with);
        break;
    case RELEASE:
    case DISCARD:
        if (heap < ORDINARY)
            break;
        heap_take_turn(with, TURN_OWNER);
        forget(model, heap, operation->kind == DISCARD);
        if (operation->kind == DISCARD)
            weir_heap_discard(with);
        else
            weir_heap_release(with);
        model->heaps[heap] = weir_heap_acquire_apart(model->fixture.arena);
        break;
    case KINDS:
        break;
    }
    return NULL;
}

static bool count(void *context, const struct weir_heap_area *area, void *object)
{
    (void)area;
    *(size_t *)context += object != NULL;
    return true;
}

static const char *verify(struct model *model)
{
    size_t expected[HEAPS] = {0};
    for (unsigned i = 0; i < OBJECTS; i++) {
        const struct live *object = &model->objects[i];
        if (!object->start)
            continue;
        if (!stamp_holds(object->start, object->size, object->stamp))
            return "an object lost its bytes";
        if (weir_heap_of(model->fixture.arena, object->start) != object->of)
            return "objects know their heap";
        if (weir_arena_usable_size(model->fixture.arena, object->start) < object->size)
            return "objects have room";
        for (unsigned heap = ORDINARY; heap < HEAPS; heap++)
            expected[heap] += object->of == model->heaps[heap];
    }
    for (unsigned heap = ORDINARY; heap < HEAPS; heap++) {
        size_t seen = 0;
        weir_heap_walk(model->heaps[heap], count, &seen);
        if (seen != expected[heap])
            return "a walk sees the heap's live objects";
    }
    return fixture_broken(&model->fixture);
}

/* Everything ends, half of it by discarding: nothing may be held then but tables. */
static const char *end_all(struct model *model)
{
    struct weir_arena *arena = model->fixture.arena;
    for (unsigned heap = ORDINARY; heap < HEAPS; heap++) {
        forget(model, heap, heap % 2);
        if (heap % 2)
            weir_heap_discard(model->heaps[heap]);
        else
            weir_heap_release(model->heaps[heap]);
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        free_object(model, i % ORDINARY, &model->objects[i]);
    for (unsigned heap = 0; heap < ORDINARY; heap++)
        weir_heap_release(model->heaps[heap]);
    weir_arena_trim(arena, NULL, 0);
    struct weir_arena_stats stats = fixture_stats(&model->fixture);
    return stats.held == stats.metadata ? fixture_broken(&model->fixture) : "nothing is left behind";
}

static const char *run(void *context, const void *operations, size_t n)
{
    struct model *model = context;
    const struct operation *operation = operations;
    const char *wrong = NULL;
    *model = (struct model){0};
    fixture_open(&model->fixture, NULL);
    for (unsigned heap = 0; heap < HEAPS; heap++)
        model->heaps[heap] =
            heap < ORDINARY ? weir_heap_acquire(model->fixture.arena) : weir_heap_acquire_apart(model->fixture.arena);
    for (size_t i = 0; i < n && !wrong; i++) {
        wrong = apply(model, &operation[i]);
        if (!wrong && (i % CHECK_EVERY == 0 || i + 1 == n))
            wrong = verify(model);
    }
    if (!wrong)
        wrong = end_all(model);
    if (!wrong && atomic_load(&test_errors) != 0)
        wrong = "no misuse is reported";
    fixture_close(&model->fixture);
    return wrong;
}

static void print(void *context, const void *operation)
{
    const struct operation *o = operation;
    (void)context;
    fprintf(stderr, "%s heap %u object %u size %zu alignment %zu offset %zu\n", names[o->kind], o->heap, o->object,
            o->size, o->alignment, o->offset);
}

static enum kind random_kind(struct random *random)
{
    static const unsigned char weights[KINDS] = {40, 4, 12, 30, 2, 2, 2, 5, 1, 2};
    unsigned sum = 0, k = 0;
    for (unsigned i = 0; i < KINDS; i++)
        sum += weights[i];
    for (unsigned at = (unsigned)random_below(random, sum); at >= weights[k]; k++)
        at -= weights[k];
    return (enum kind)k;
}

static void random_programs(void **state)
{
    (void)state;
    struct random random = random_start("heap/first_class_model");
    static struct model model;
    const struct random_test test = {run, print, &model, sizeof(struct operation)};
    struct operation *operations = calloc(OPERATIONS, sizeof *operations);
    for (size_t round = 0; round < random_rounds(20); round++) {
        for (size_t i = 0; i < OPERATIONS; i++)
            operations[i] = (struct operation){
                .kind = random_kind(&random),
                .heap = (unsigned)random_below(&random, HEAPS),
                .object = (unsigned)random_below(&random, OBJECTS),
                .size = random_below(&random, 20) ? random_size(&random, 4000) : random_size(&random, 200000),
                .alignment = (size_t)1 << random_below(&random, 15),
                .offset = random_below(&random, 5000),
            };
        random_check(&test, operations, OPERATIONS);
    }
    free(operations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
