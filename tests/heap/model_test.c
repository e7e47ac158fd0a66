/*
 * Random programs against a model: every live object has a place, a size and a stamp of its own; whatever the heaps do
 * with frees from elsewhere, quiet times, owners that come and go, limits, objects must not overlap and must keep
 * their bytes, and the invariants hold all along.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/heap/fixture.h"
#include "tests/support/random.h"

enum {
    HEAPS = 3,
    OBJECTS = 600,
    OPERATIONS = 4000,
    CHECK_EVERY = 97,
    VERIFY_EVERY = 400,
};

enum kind {
    MALLOC,
    ZALLOC,
    ALIGNED,
    REALLOC,
    FREE,
    FREE_SIZED,
    FREE_MANY,
    COLLECT,
    QUIESCE,
    REPLACE,
    TRIM,
    LIMIT,
    KINDS
};

static const char *const names[KINDS] = {"malloc",    "zalloc",  "aligned", "realloc", "free", "free_sized",
                                         "free_many", "collect", "quiesce", "replace", "trim", "limit"};

struct operation {
    enum kind kind;
    unsigned heap, object;
    size_t size, alignment;
};

struct object {
    unsigned char *start;
    size_t size, usable;
    unsigned stamp;
    bool exact; /* its size is the one it was allocated with */
};

struct model {
    struct fixture fixture;
    struct fixture_config config;
    struct weir_heap *heaps[HEAPS];
    struct object objects[OBJECTS];
    unsigned stamp;
};

static int by_start(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a, *y = *(const struct object *const *)b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static const char *verify_all(const struct model *model)
{
    const struct object *sorted[OBJECTS];
    size_t n = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        if (model->objects[i].start)
            sorted[n++] = &model->objects[i];
    qsort(sorted, n, sizeof(void *), by_start);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && sorted[i - 1]->start + sorted[i - 1]->usable > sorted[i]->start)
            return "objects overlap";
        if (!stamp_holds(sorted[i]->start, sorted[i]->size, sorted[i]->stamp))
            return "an object lost its bytes";
    }
    return NULL;
}

static const char *adopt(struct model *model, struct object *object, void *start, size_t size, size_t alignment)
{
    if (!start)
        return model->config.limit || model->config.bytes ? NULL : "no memory though there is plenty";
    object->start = start;
    object->size = size;
    object->usable = weir_arena_usable_size(model->fixture.arena, start);
    object->stamp = ++model->stamp;
    object->exact = true;
    stamp_write(start, size, object->stamp);
    if (object->usable < size)
        return "usable size below the size asked for";
    if ((uintptr_t)start % (alignment > 16 ? alignment : 16) != 0)
        return "misaligned";
    return NULL;
}

static const char *release(struct model *model, struct weir_heap *heap, struct object *object, bool sized)
{
    if (!object->start)
        return NULL;
    if (!stamp_holds(object->start, object->size, object->stamp))
        return "an object lost its bytes before it was freed";
    if (sized)
        weir_heap_free_sized(heap, object->start, object->size);
    else
        weir_heap_free(heap, object->start);
    *object = (struct object){0};
    (void)model;
    return NULL;
}

static const char *resize(struct model *model, struct weir_heap *heap, struct object *object, size_t size)
{
    size_t kept = size < object->size ? size : object->size;
    unsigned stamp = object->stamp;
    unsigned char *start = weir_heap_realloc(heap, object->start, size);
    if (!start)
        return object->start && !stamp_holds(object->start, object->size, stamp) ? "a failed realloc changed the object"
                                                                                 : NULL;
    if (object->start && kept >= 64 && !stamp_holds(start, 64, stamp))
        return "realloc lost bytes";
    return adopt(model, object, start, size, 16);
}

static const char *step(struct model *model, const struct operation *operation)
{
    struct weir_arena *arena = model->fixture.arena;
    struct weir_heap **slot = &model->heaps[operation->heap], *heap = *slot;
    struct object *object = &model->objects[operation->object];
    const char *broken = NULL;
    void *start;
    switch (operation->kind) {
    case MALLOC:
        if (object->start)
            return NULL;
        return adopt(model, object, weir_heap_malloc(heap, operation->size), operation->size, 16);
    case ZALLOC:
        if (object->start)
            return NULL;
        start = weir_heap_zalloc(heap, operation->size);
        if (start && !all_zero(start, operation->size))
            return "zalloc left something";
        return adopt(model, object, start, operation->size, 16);
    case ALIGNED:
        if (object->start)
            return NULL;
        start = weir_heap_aligned(heap, operation->alignment, operation->size, operation->size % 2);
        if (start && operation->size % 2 && !all_zero(start, operation->size))
            return "aligned zalloc left something";
        broken = adopt(model, object, start, operation->size, operation->alignment);
        object->exact = operation->alignment <= 16;
        return broken;
    case REALLOC:
        return resize(model, heap, object, operation->size);
    case FREE:
        return release(model, heap, object, false);
    case FREE_SIZED:
        return release(model, heap, object, object->exact);
    case FREE_MANY:
        for (size_t i = operation->object; i < OBJECTS && !broken; i += 1 + operation->size % 3)
            broken = release(model, heap, &model->objects[i], false);
        return broken;
    case COLLECT:
        weir_heap_collect(heap);
        return NULL;
    case QUIESCE:
        weir_heap_quiesce(heap);
        return NULL;
    case REPLACE:
        weir_heap_release(heap);
        *slot = weir_heap_acquire(arena);
        return *slot ? NULL : "no heap";
    case TRIM:
        weir_arena_trim(arena, heap, operation->size);
        return NULL;
    case LIMIT:
        if (model->config.limit)
            weir_arena_limit(arena, model->config.limit / 2 + operation->size % model->config.limit);
        return NULL;
    case KINDS:
        break;
    }
    return NULL;
}

static const char *run(void *context, const void *operations, size_t count)
{
    struct model *model = context;
    const struct operation *operation = operations;
    const char *broken = NULL;
    fixture_open(&model->fixture, &model->config);
    for (size_t i = 0; i < HEAPS; i++)
        model->heaps[i] = weir_heap_acquire(model->fixture.arena);
    for (size_t i = 0; i < OBJECTS; i++)
        model->objects[i] = (struct object){0};
    for (size_t i = 0; i < count && !broken; i++) {
        broken = step(model, &operation[i]);
        if (!broken && i % CHECK_EVERY == 0)
            broken = fixture_broken(&model->fixture);
        if (!broken && i % VERIFY_EVERY == 0)
            broken = verify_all(model);
        if (!broken && atomic_load(&test_errors))
            broken = "an error was reported";
    }
    for (size_t i = 0; i < OBJECTS && !broken; i++)
        broken = release(model, model->heaps[i % HEAPS], &model->objects[i], false);
    for (size_t i = 0; i < HEAPS && !broken; i++)
        weir_heap_release(model->heaps[i]);
    if (!broken) {
        weir_arena_trim(model->fixture.arena, NULL, 0);
        broken = fixture_broken(&model->fixture);
        struct weir_arena_stats stats = fixture_stats(&model->fixture);
        if (!broken && (stats.held != stats.metadata || stats.live != 0 || stats.slabs != 0 || stats.runs != 0))
            broken = "something is held after all was freed";
        if (!broken && stats.mallocs != stats.frees)
            broken = "more or fewer frees than mallocs";
    }
    if (!broken) {
        fixture_close(&model->fixture);
    } else {
        weir_arena_destroy(model->fixture.arena);
    }
    return broken;
}

static void print(void *context, const void *operation)
{
    (void)context;
    const struct operation *o = operation;
    fprintf(stderr, "%s heap=%u object=%u size=%zu alignment=%zu\n", names[o->kind], o->heap, o->object, o->size,
            o->alignment);
}

/* How often each kind comes, of a hundred or so. */
static const unsigned char weights[KINDS] = {35, 6, 5, 12, 22, 6, 1, 3, 2, 1, 1, 1};

static enum kind draw(struct random *random)
{
    unsigned total = 0;
    for (size_t i = 0; i < KINDS; i++)
        total += weights[i];
    unsigned n = (unsigned)random_below(random, total), kind = 0;
    while (n >= weights[kind])
        n -= weights[kind++];
    return (enum kind)kind;
}

static void check_programs(const char *name, struct fixture_config config, size_t size_max, size_t programs)
{
    struct random random = random_start(name);
    struct model *model = calloc(1, sizeof *model);
    struct operation *operations = calloc(OPERATIONS, sizeof *operations);
    assert_non_null(model);
    assert_non_null(operations);
    model->config = config;
    const struct random_test test = {.run = run, .print = print, .context = model, .size = sizeof *operations};
    for (size_t p = 0; p < random_rounds(programs); p++) {
        /* Some programs use few sizes, as real ones do: their slabs fill and empty. */
        size_t few = random_size(&random, size_max), narrow = random_below(&random, 2);
        for (size_t i = 0; i < OPERATIONS; i++)
            operations[i] = (struct operation){
                .kind = draw(&random),
                .heap = (unsigned)random_below(&random, HEAPS),
                .object = (unsigned)random_below(&random, OBJECTS),
                .size = narrow && random_below(&random, 4) ? few : random_size(&random, size_max) - 1,
                .alignment = (size_t)1 << random_below(&random, 17),
            };
        random_check(&test, operations, OPERATIONS);
    }
    free(operations);
    free(model);
}

static void small_sizes(void **state)
{
    (void)state;
    check_programs("heap/model small", (struct fixture_config){0}, 600, 5);
}

static void all_sizes(void **state)
{
    (void)state;
    check_programs("heap/model all", (struct fixture_config){.bytes = (size_t)192 << 20, .slots = 2}, 200000, 4);
}

static void prompt(void **state)
{
    (void)state;
    check_programs("heap/model prompt", (struct fixture_config){.prompt = true}, 20000, 5);
}

static void tight(void **state)
{
    (void)state;
    check_programs("heap/model tight", (struct fixture_config){.bytes = (size_t)2 << 20}, 30000, 5);
}

static void limited(void **state)
{
    (void)state;
    check_programs("heap/model limited", (struct fixture_config){.limit = (size_t)1 << 20, .prompt = true}, 60000, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_sizes), cmocka_unit_test(all_sizes), cmocka_unit_test(prompt),
        cmocka_unit_test(tight),       cmocka_unit_test(limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
