#include "tests/heap/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static const char *const names[KINDS] = {"malloc",     "zalloc",    "aligned",   "realloc", "free",
                                         "free_sized", "free_next", "free_many", "collect", "quiesce",
                                         "replace",    "trim",      "limit"};

static int by_start(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a, *y = *(const struct object *const *)b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static const char *verify_all(struct model *model)
{
    size_t n = 0;
    for (size_t i = 0; i < MODEL_OBJECTS; i++)
        if (model->objects[i].start)
            model->sorted[n++] = &model->objects[i];
    qsort(model->sorted, n, sizeof(void *), by_start);
    for (size_t i = 0; i < n; i++) {
        const struct object *object = model->sorted[i];
        if (i > 0 && model->sorted[i - 1]->start + model->sorted[i - 1]->usable > object->start)
            return "objects overlap";
        if (!stamp_holds(object->start, object->size, object->stamp))
            return "an object lost its bytes";
        if (weir_arena_usable_size(model->fixture.arena, object->start) != object->usable)
            return "the usable size of an object changed";
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

static const char *release(struct weir_heap *heap, struct object *object, bool sized)
{
    if (!object->start)
        return NULL;
    if (!stamp_holds(object->start, object->size, object->stamp))
        return "an object lost its bytes before it was freed";
    if (sized && object->exact)
        weir_heap_free_sized(heap, object->start, object->size);
    else
        weir_heap_free(heap, object->start);
    *object = (struct object){0};
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

static const char *release_range(struct model *model, struct weir_heap *heap, size_t from, size_t n, size_t step,
                                 bool back)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = from + (back ? n - 1 - i : i) * step;
        const char *broken = k < MODEL_OBJECTS ? release(heap, &model->objects[k], false) : NULL;
        if (broken)
            return broken;
    }
    return NULL;
}

static const char *step(struct model *model, const struct operation *operation)
{
    struct weir_arena *arena = model->fixture.arena;
    struct weir_heap **slot = &model->heaps[operation->heap], *heap = *slot;
    struct object *object = &model->objects[operation->object];
    size_t size = operation->size;
    const char *broken = NULL;
    void *start;
    switch (operation->kind) {
    case MALLOC:
        return object->start ? NULL : adopt(model, object, weir_heap_malloc(heap, size), size, 16);
    case ZALLOC:
        if (object->start)
            return NULL;
        start = weir_heap_zalloc(heap, size);
        return start && !all_zero(start, size) ? "zalloc left something" : adopt(model, object, start, size, 16);
    case ALIGNED:
        if (object->start)
            return NULL;
        start = weir_heap_aligned(heap, operation->alignment, size, size % 2);
        if (start && size % 2 && !all_zero(start, size))
            return "aligned zalloc left something";
        broken = adopt(model, object, start, size, operation->alignment);
        object->exact = operation->alignment <= 16;
        return broken;
    case REALLOC:
        return resize(model, heap, object, size);
    case FREE:
        return release(heap, object, false);
    case FREE_SIZED:
        return release(heap, object, true);
    case FREE_NEXT:
        return release_range(model, heap, operation->object, 1 + size % 60, 1, size & 64);
    case FREE_MANY:
        return release_range(model, heap, operation->object, MODEL_OBJECTS, 1 + size % 5, size & 64);
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
        weir_arena_trim(arena, size % 2 ? heap : NULL, size);
        return NULL;
    case LIMIT:
        if (model->config.limit)
            weir_arena_limit(arena, model->config.limit / 2 + size % model->config.limit);
        return NULL;
    case KINDS:
        break;
    }
    return NULL;
}

/* All ends; nothing may be held then but tables. */
static const char *end_all(struct model *model)
{
    const char *broken = verify_all(model);
    for (size_t i = 0; i < MODEL_OBJECTS && !broken; i++)
        broken = release(model->heaps[i % MODEL_HEAPS], &model->objects[i], i % 2);
    for (size_t i = 0; i < MODEL_HEAPS && !broken; i++)
        weir_heap_release(model->heaps[i]);
    if (broken)
        return broken;
    weir_arena_trim(model->fixture.arena, NULL, 0);
    struct weir_arena_stats stats = fixture_stats(&model->fixture);
    if (stats.held != stats.metadata || stats.live != 0 || stats.slabs != 0 || stats.runs != 0)
        return "something is held after all was freed";
    if (stats.mallocs != stats.frees)
        return "more or fewer frees than mallocs";
    return fixture_broken(&model->fixture);
}

const char *model_run(void *context, const void *operations, size_t count)
{
    struct model *model = context;
    const struct operation *operation = operations;
    const char *broken = NULL;
    fixture_open(&model->fixture, &model->config);
    for (size_t i = 0; i < MODEL_HEAPS; i++)
        model->heaps[i] = weir_heap_acquire(model->fixture.arena);
    for (size_t i = 0; i < MODEL_OBJECTS; i++)
        model->objects[i] = (struct object){0};
    for (size_t i = 0; i < count && !broken; i++) {
        broken = step(model, &operation[i]);
        if (!broken && (i + 1) % model->check_every == 0)
            broken = fixture_broken(&model->fixture);
        if (!broken && (i + 1) % model->verify_every == 0)
            broken = verify_all(model);
        if (!broken && atomic_load(&test_errors))
            broken = "an error was reported";
    }
    if (!broken)
        broken = end_all(model);
    if (broken) { /* nothing of it is to be trusted any more */
        munmap(model->fixture.memory, model->fixture.bytes);
        munmap(model->fixture.metadata, model->fixture.metadata_bytes);
    } else {
        fixture_close(&model->fixture);
    }
    return broken;
}

void model_print(void *context, const void *operation)
{
    (void)context;
    const struct operation *o = operation;
    fprintf(stderr, "%s heap=%u object=%u size=%zu alignment=%zu\n", names[o->kind], o->heap, o->object, o->size,
            o->alignment);
}
