/* What the files of mimalloc's interface share. */
#ifndef WEIR_API_MIMALLOC_H
#define WEIR_API_MIMALLOC_H

#include "api/areas.h"
#include "api/faces.h"
#include "api/redirect.h"
#include "api/text.h"
#include "include/mimalloc.h"

#define LANES 16u

/* A heap of the program's: see mimalloc_heap.c. It lies behind its first lane, in the same frame. */
struct mi_heap_s {
    /* behind any lane */
    struct mi_heap_s *of;  /* whose it is */
    struct weir_heap *own; /* TAKEN: the thread's own heap */
    /* of the first lane only */
    _Atomic(struct weir_heap *) lanes[LANES];
    _Atomic(unsigned) count, taken;
    struct weir_arena *arena;
    bool destroyable;
    int tag;
    uint64_t number; /* heaps are numbered as they are made */
    struct mi_heap_s *next, *previous;
};

static_assert(sizeof(struct weir_heap) + sizeof(struct mi_heap_s) <= WEIR_FRAME_SIZE, "a heap takes one frame");

/* Why a lane is the owner's. */
enum turn {
    TURN_BUSY = TURN_OWNER,
    TURN_TAKEN,
    TURN_HELD,
};

/* The process's. */
extern struct mi_heap_s main_heap;

static inline mi_heap_t *behind(const struct weir_heap *lane)
{
    return (mi_heap_t *)((uintptr_t)lane + WEIR_FRAME_SIZE - sizeof(mi_heap_t));
}

/* The heap from which the calling thread's malloc allocates. */
static inline mi_heap_t *default_heap(void)
{
    struct weir_heap *lane = redirected();
    return lane ? behind(lane)->of : &main_heap;
}

/* The calling thread's time with a heap: between place_enter and place_leave it is the owner. */
struct place {
    struct weir_heap *heap; /* weir_heap_empty without memory */
    bool turn;              /* a lane of the program's heap */
    bool suspended;         /* the thread's own heap, from which it is redirected */
};

SLOW struct place place_enter_other(mi_heap_t *heap);
SLOW void place_leave_suspended(struct place place);

/* Null: from where malloc allocates. */
static inline struct place place_enter(mi_heap_t *heap)
{
    if (!heap || heap == default_heap())
        return (struct place){.heap = thread_enter()};
    struct weir_heap *first = atomic_load_explicit(&heap->lanes[0], memory_order_relaxed);
    if (likely(first != NULL) && likely(heap_take_turn(first, TURN_BUSY)))
        return (struct place){.heap = first, .turn = true};
    return place_enter_other(heap);
}

static inline void place_leave(struct place place)
{
    if (likely(place.turn))
        heap_end_turn(place.heap);
    else if (unlikely(place.suspended))
        place_leave_suspended(place);
    else
        thread_leave(place.heap);
}

/* Bytes that may be used at `object`; 0 if no object starts there. */
static inline size_t room_of(const void *object)
{
    struct weir_arena *arena = arena_of(object);
    return object && arena ? weir_arena_usable_size(arena, object) : 0;
}

/* How an object shall lie. */
struct layout {
    size_t alignment, offset; /* address + offset is a multiple of alignment */
};

static const struct layout plain = {1, 0};

static inline struct layout at(size_t alignment, size_t offset)
{
    return (struct layout){alignment, offset};
}

/* SIZE_MAX if it is too large. */
static inline size_t product(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

/* The room that an object of this size gets. */
static inline size_t room_for(size_t size)
{
    if (size <= SMALL_MAX)
        return class_size(class_of(size));
    return size <= PTRDIFF_MAX ? round_up(size, WEIR_FRAME_SIZE) : size;
}

static inline void object_release(void *object)
{
    struct slab *slab;
    if (unlikely(!thread_push(object, &slab)))
        face_free(object, slab, "mi_free");
}

/* Objects of the heap; null: of the one from which malloc allocates. Null, and face_refused, when it cannot be. Zeroed
 * objects are zero to the end of their room, see mimalloc_objects.c. */
void *object_allocate(mi_heap_t *heap, size_t size, struct layout layout, bool zero);
void *object_allocate_array(mi_heap_t *heap, size_t count, size_t size, struct layout layout, bool zero);
void *object_resize(mi_heap_t *heap, void *object, size_t size, struct layout layout, bool zero);
void *object_resize_array(mi_heap_t *heap, void *object, size_t count, size_t size, struct layout layout, bool zero);

/* As C++'s new does when memory is out. */
void *object_new(mi_heap_t *heap, size_t size, struct layout layout);

/* Of `length` bytes, and `terminator` zeros behind them. */
void *object_copy(mi_heap_t *heap, const void *bytes, size_t length, size_t terminator);
char *object_duplicate(mi_heap_t *heap, const char *s, size_t most);
char *object_real_path(mi_heap_t *heap, const char *name, char *resolved);

/* Where messages go: to `sink`; if that is null, to what the program registered, else to stderr. */
void mimalloc_text(struct text *text, text_sink *sink, void *argument);

/* Gives the calling thread's malloc back to the process's heap. */
void mimalloc_leave_default(void);

#endif
