/*
 * The interface of all allocators: a constant table of operations and an instance.
 *
 * The operations are those that a unikernel asks of an allocator; they map one to one onto Unikraft's `uk_alloc`. What
 * an allocator cannot do it leaves out of `abilities`, and the conformance suite holds it to what it declares: an
 * operation without its ability is a null pointer in the table. Use the weir_allocator_* functions below, which check.
 *
 * Sizes are bytes, page counts are frames of 4 KiB. Thread safety: WEIR_CAN_THREADS, else one caller at a time.
 */
#ifndef WEIR_ALLOCATOR_H
#define WEIR_ALLOCATOR_H

#include "weir/frames.h"
#include "weir/heap.h"

struct weir_allocator;

enum weir_abilities {
    WEIR_CAN_FREE = 1 << 0,    /* free gives memory back (a bump allocator does not) */
    WEIR_CAN_RESIZE = 1 << 1,  /* realloc */
    WEIR_CAN_ALIGN = 1 << 2,   /* memalign, posix_memalign to any power of two */
    WEIR_CAN_SIZE = 1 << 3,    /* usable_size */
    WEIR_CAN_PAGES = 1 << 4,   /* palloc, pfree */
    WEIR_CAN_GROW = 1 << 5,    /* addmem */
    WEIR_CAN_COUNT = 1 << 6,   /* maxalloc, availmem, pmaxalloc, pavailmem */
    WEIR_CAN_THREADS = 1 << 7, /* any thread may call at any time */
    WEIR_CAN_DETECT = 1 << 8,  /* a double free at once is reported and does no harm */
    WEIR_CAN_WALK = 1 << 9,
    WEIR_CAN_SMALL = 1 << 10, /* malloc of bytes (the frame layer alone serves whole frames, and this too, rounded) */
};

struct weir_allocator_stats {
    size_t live, peak_live; /* bytes in objects */
    size_t held, peak_held; /* bytes taken from below */
    uint64_t mallocs, frees, failed;
};

struct weir_allocator_ops {
    const char *name; /* "weir", "frames": what an option names */
    unsigned abilities;
    void *(*malloc)(struct weir_allocator *a, size_t size);
    void *(*calloc)(struct weir_allocator *a, size_t n, size_t size);
    void *(*realloc)(struct weir_allocator *a, void *object, size_t size);
    void *(*memalign)(struct weir_allocator *a, size_t alignment, size_t size);
    int (*posix_memalign)(struct weir_allocator *a, void **object, size_t alignment, size_t size);
    void (*free)(struct weir_allocator *a, void *object);
    size_t (*usable_size)(struct weir_allocator *a, const void *object);
    void *(*palloc)(struct weir_allocator *a, size_t pages);
    void (*pfree)(struct weir_allocator *a, void *start, size_t pages);
    size_t (*maxalloc)(struct weir_allocator *a);  /* largest malloc that would succeed now, bytes (a lower bound) */
    size_t (*availmem)(struct weir_allocator *a);  /* bytes still free */
    size_t (*pmaxalloc)(struct weir_allocator *a); /* the same two in frames */
    size_t (*pavailmem)(struct weir_allocator *a);
    enum weir_status (*addmem)(struct weir_allocator *a, void *start, size_t bytes);
    void (*stats)(struct weir_allocator *a, struct weir_allocator_stats *stats);
    void (*walk)(struct weir_allocator *a, bool (*visit)(void *context, const struct weir_object *object),
                 void *context);
    enum weir_status (*check)(struct weir_allocator *a, const char **what);
};

struct weir_allocator {
    const struct weir_allocator_ops *ops;
    void *instance; /* what the operations work on: a struct weir_frames, a struct weir_arena, … */
    void *owner;    /* for WEIR_CAN_THREADS allocators whose fast path belongs to an owner: finds it; may be null */
};

/* The frame layer as an allocator: every object is a run. */
extern const struct weir_allocator_ops weir_frames_allocator;

/* The heap as an allocator. `instance` is a struct weir_arena; `owner` is a `struct weir_heap *(*)(void)` that gives
 * the calling thread's heap of that arena. */
extern const struct weir_allocator_ops weir_heap_allocator;

#endif
