/*
 * The interface of all allocators: a constant table of operations and an instance.
 *
 * The operations are those that a unikernel asks of an allocator; they map one to one onto Unikraft's `uk_alloc`. What
 * an allocator cannot do it leaves out of `abilities`, and the conformance suite holds it to what it declares: an
 * operation without its ability is a null pointer in the table. Use the weir_allocator_* functions below, which check.
 *
 * Sizes are bytes, page counts are frames of 4 KiB. Thread safety: WEIR_CAN_THREADS, else one caller at a time.
 *
 * What every allocator promises (tests/conformance holds it to it):
 *   - Objects are aligned to 16 and do not overlap. malloc(0), calloc(0, n), realloc(object, 0) give an object, of its
 *     own, that can be freed. realloc(null, n) is malloc(n); realloc that fails leaves the object as it was.
 *   - Null for more than PTRDIFF_MAX bytes, for a product that overflows, for an alignment that is no power of two.
 *     posix_memalign says EINVAL (22) or ENOMEM (12) instead, and leaves its argument alone. An alignment for which
 *     there is free memory succeeds.
 *   - free(null) does nothing; usable_size(null) is 0. All usable bytes may be written.
 *   - Running out is a normal answer; afterwards the allocator is as good as before. A refusal is honest: maxalloc
 *     was less than what was refused, and malloc(maxalloc()), palloc(pmaxalloc()) succeed while nobody else allocates.
 *   - mallocs counts objects made in whatever way (palloc's, too), frees those given back, failed what was refused for
 *     want of memory: mallocs - frees objects live, but for the frame layer, whose runs can be freed in parts and which
 *     counts each part. requested bytes <= live <= held.
 *   - walk visits each live object of malloc's family once, with its start and usable size; runs of palloc may come
 *     or not. It may visit free ones, with `live` false.
 */
#ifndef WEIR_ALLOCATOR_H
#define WEIR_ALLOCATOR_H

#include "weir/frames.h"
#include "weir/heap.h"

struct weir_allocator;

enum weir_abilities {
    WEIR_CAN_FREE = 1 << 0,    /* free; it gives memory back (a bump allocator cannot) */
    WEIR_CAN_RESIZE = 1 << 1,  /* realloc */
    WEIR_CAN_ALIGN = 1 << 2,   /* memalign, posix_memalign to any power of two */
    WEIR_CAN_SIZE = 1 << 3,    /* usable_size */
    WEIR_CAN_PAGES = 1 << 4,   /* palloc; with WEIR_CAN_FREE, pfree of a whole run */
    WEIR_CAN_GROW = 1 << 5,    /* addmem */
    WEIR_CAN_COUNT = 1 << 6,   /* maxalloc, availmem, pmaxalloc, pavailmem */
    WEIR_CAN_THREADS = 1 << 7, /* any thread may call at any time */
    WEIR_CAN_DETECT = 1 << 8,  /* a double free at once is reported and does no harm */
    WEIR_CAN_WALK = 1 << 9,
    WEIR_CAN_SMALL = 1 << 10, /* malloc, calloc (the frame layer has them, too, and rounds to whole frames) */
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
    /* Every allocator has the last three but for walk, which is an ability; stats and walk while nobody allocates. */
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
