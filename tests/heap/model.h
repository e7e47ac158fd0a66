/*
 * An arena against a plain model: every live object has a place, a size and a stamp of its own.
 *
 * Whatever the heaps do with frees from elsewhere, quiet times, owners that come and go, limits: objects must not
 * overlap and must keep their bytes, and the invariants hold all along. What makes no sense for an object, such as to
 * free what does not live, is passed over: any part of a program of operations is one, too.
 */
#ifndef TESTS_HEAP_MODEL_H
#define TESTS_HEAP_MODEL_H

#include "tests/heap/fixture.h"

enum {
    MODEL_HEAPS = 5,
    MODEL_OBJECTS = 4000,
};

enum kind {
    MALLOC,
    ZALLOC,
    ALIGNED,
    REALLOC,
    FREE,
    FREE_SIZED,
    FREE_NEXT, /* a few neighbours, in the order of their making or against it */
    FREE_MANY,
    COLLECT,
    QUIESCE,
    REPLACE,
    TRIM,
    LIMIT,
    KINDS
};

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
    struct fixture_config config; /* with a limit or a number of bytes, memory may run out */
    size_t check_every;           /* operations after which all invariants are checked */
    size_t verify_every;          /* … and the contents of all objects */

    struct fixture fixture;
    struct weir_heap *heaps[MODEL_HEAPS];
    struct object objects[MODEL_OBJECTS];
    const struct object *sorted[MODEL_OBJECTS];
    unsigned stamp;
};

/* For struct random_test; the context is the model. Runs operations in a new arena and gives back all in the end. */
const char *model_run(void *context, const void *operations, size_t count);
void model_print(void *context, const void *operation);

#endif
