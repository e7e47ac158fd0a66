/*
 * The general-purpose malloc: arenas and heaps.
 *
 * An arena is one instance of the allocator over one frame table: its slabs, descriptors, budget and statistics. Any
 * number of arenas live side by side, over one frame table or several. A heap belongs to an arena and to one owner at a
 * time (a thread, or a CPU): the owner allocates from it and frees into it without locks. Any heap of an arena may
 * free, resize or measure any object of that arena.
 *
 * Sizes are bytes. Objects are aligned to 16 bytes, and sizes that are multiples of a larger power of two up to 4096
 * only where asked for with weir_heap_aligned. Design after mimalloc (Leijen, Zorn and de Moura 2019: sharded free
 * lists), snmalloc (Lietar et al. 2019: batched remote frees) and rpmalloc (detached bins).
 */
#ifndef WEIR_HEAP_H
#define WEIR_HEAP_H

#include "weir/frames.h"

struct weir_arena;
struct weir_heap;

struct weir_arena_config {
    struct weir_frames *frames;           /* outlives the arena */
    const struct weir_platform *platform; /* outlives the arena */
    size_t limit;                         /* most bytes of frames the arena may hold, metadata included; 0: no limit */
    /* Asked first when the frame table (not the limit) refuses `bytes`: add memory to it with weir_frames_add and
     * return true to have the allocation tried again. May be null. Called as `reclaim` and with its context. */
    bool (*grow)(void *context, size_t bytes);
    /* Asked when the frame table or the limit refuses `bytes`, after the arena has flushed and trimmed itself: free
     * something (deflate the balloon, drop a cache) and return true to have the allocation tried again. May be null.
     * Called with no lock held, never recursively in one thread. */
    bool (*reclaim)(void *context, size_t bytes);
    /* Asked to drop the contents of `bytes` in frames that the arena holds and nobody uses; they are written again
     * without notice, and read as anything until then. May be null: then they stay. Called as `reclaim` and with its
     * context, perhaps with an arena's lock held: it must not call back into the arena. */
    void (*discard)(void *context, uintptr_t start, size_t bytes);
    unsigned idle_part; /* an n-th of what it holds may lie unused in slabs that few objects keep; 0: two thirds */
    /* Asked to move the contents of `bytes`, whole frames, of an object that grows, to frames that the arena holds for
     * it: by page tables instead of by copying, as far as it can. What it moved from is then like discarded. May be
     * null. Both addresses are multiples of 2 MiB. Called as `reclaim` and with its context. */
    void (*move)(void *context, uintptr_t from, uintptr_t to, size_t bytes);
    void *reclaim_context;
    bool prompt; /* give empty slabs and runs back to the frames at once (guests) instead of keeping what bounces */
};

/* Makes an arena; its own memory comes from config->frames. Null without memory. */
struct weir_arena *weir_arena_create(const struct weir_arena_config *config);

/* Gives every frame of the arena back, live objects included. No heap of it may be in use any more. */
void weir_arena_destroy(struct weir_arena *arena);

/* Changes the limit (bytes, 0: none). Memory already held stays. */
void weir_arena_limit(struct weir_arena *arena, size_t limit);

/* Gives the calling owner a heap of `arena`: an idle one, or a new one. Null without memory. Release it when the owner
 * ends: its objects stay valid, its slabs are adopted by other heaps, its free ones go back. */
struct weir_heap *weir_heap_acquire(struct weir_arena *arena);
void weir_heap_release(struct weir_heap *heap);

/* An apart heap: its objects can be discarded all at once. It is used as any other heap, by one caller at a time; its
 * objects can be freed, resized and measured by any heap of the arena. weir_heap_release ends it and leaves its objects
 * valid, weir_heap_discard ends it with all of them, and nobody may be about to free one of them then. */
struct weir_heap *weir_heap_acquire_apart(struct weir_arena *arena);
void weir_heap_discard(struct weir_heap *heap);

/* The apart heap from which the object that starts at `object` came; null for all others. */
struct weir_heap *weir_heap_of(const struct weir_arena *arena, const void *object);

/* A constant heap that owns nothing: every allocation from it returns null through its slow path, every free into it is
 * ignored. The initial value of thread-local heap pointers (cast the const away: nothing is written to it), so that
 * fast paths need no "initialised?" test. */
extern const struct weir_heap weir_heap_empty;

/* Owner only. Null when there is no memory or size > PTRDIFF_MAX. malloc(0) is an object of its own. */
void *weir_heap_malloc(struct weir_heap *heap, size_t size);
void *weir_heap_zalloc(struct weir_heap *heap, size_t size);

/* `alignment`: a power of two, without a ceiling; else null. */
void *weir_heap_aligned(struct weir_heap *heap, size_t alignment, size_t size, bool zero);

/* The same for `object` + `offset`, at the cost of whole frames unless offset is a multiple of alignment. */
void *weir_heap_aligned_at(struct weir_heap *heap, size_t alignment, size_t offset, size_t size, bool zero);

/* Frees an object of the arena (allocated by any of its heaps); null is nothing. Misuse is reported, without harm. */
void weir_heap_free(struct weir_heap *heap, void *object);

/* The same, held to the size given: WEIR_WRONG_SIZE is reported when the object is of another size class. */
void weir_heap_free_sized(struct weir_heap *heap, void *object, size_t size);

/* Resizes: in place where it can (same class, run that grows into free frames or gives its tail back). Null leaves the
 * object as it was. A null object is malloc. Size 0 gives a minimal object, never null for lack of size. */
void *weir_heap_realloc(struct weir_heap *heap, void *object, size_t size);

/* Bytes that may be used at `object`, at least what was asked for; 0 for null or a foreign pointer. */
size_t weir_arena_usable_size(const struct weir_arena *arena, const void *object);

/* Whether `object` lies in an object or run of this arena. */
bool weir_arena_owns(const struct weir_arena *arena, const void *object);

/* Does what is due: takes remote frees in, sends batches on, retires empty slabs. Owner only; cheap; for ticks and idle
 * loops. */
void weir_heap_collect(struct weir_heap *heap);

/* Tells that the owner is about to sleep: sends its batches and lets others drain the heap until its next operation. */
void weir_heap_quiesce(struct weir_heap *heap);

/* Gives every unused frame back to the frame table, but for `keep` bytes. From any thread; takes what the calling
 * owner's heap, quiescent heaps, released heaps and apart heaps between turns hold (`heap` may be null). True if
 * anything was given back. */
bool weir_arena_trim(struct weir_arena *arena, struct weir_heap *heap, size_t keep);

/* Has all frames dropped (config.discard) that hold nothing in use inside slabs that keep them: those of `heap` (the
 * caller's own, or null), of quiet and of released heaps. */
void weir_arena_discard(struct weir_arena *arena, struct weir_heap *heap);

struct weir_arena_stats {
    size_t live;      /* bytes in objects, by size class; objects freed by other heaps count until they are home */
    size_t peak_live; /* as seen whenever the arena had grown by a sixteenth */
    size_t held;      /* bytes of frames held: slabs, runs, metadata */
    size_t peak_held;
    size_t metadata; /* part of held */
    size_t slabs, runs, heaps;
    size_t limit;
    uint64_t mallocs, frees, remote_frees, failed; /* operations; the first two summed from heaps, exact when at rest */
    size_t run_bytes;                              /* part of live: in runs */
    size_t idle_heaps;                             /* part of heaps: released, waiting for the next owner */
};

void weir_arena_stats(struct weir_arena *arena, struct weir_arena_stats *stats);

/* The same by size: one row for each size class, then one for each doubling from 64 KiB on. A row counts what is larger
 * than the row before it holds. */
#define WEIR_SIZES 96u

struct weir_size_stats {
    size_t size;  /* of the largest objects that count here */
    size_t live;  /* objects */
    size_t bytes; /* in them */
    size_t held;  /* bytes of their slabs or runs */
    size_t slabs; /* or runs, those kept for the next request included */
    size_t room;  /* objects for which there is room in them */
};

/* While heaps go on: numbers a moment old. At rest: exact. */
void weir_arena_sizes(struct weir_arena *arena, struct weir_size_stats sizes[WEIR_SIZES]);

/* What is still live before an arena is destroyed: one entry for each size (rows as above), most bytes first. Fills in
 * up to `max` entries; returns how many there are. The arena must be at rest. */
struct weir_leak {
    size_t size, objects, bytes;
    uintptr_t example; /* one of the objects */
};

size_t weir_arena_leaks(struct weir_arena *arena, struct weir_leak *leaks, size_t max);

struct weir_object {
    uintptr_t start;
    size_t size; /* usable bytes */
    bool live;
};

/* Calls `visit` for every object of the arena, live ones and (if `all`) free ones. The arena must be at rest. Stops
 * when it returns false. */
void weir_arena_walk(struct weir_arena *arena, bool all, bool (*visit)(void *context, const struct weir_object *object),
                     void *context);

/* Memory of one heap for objects of one size. */
struct weir_heap_area {
    uintptr_t start;
    size_t reserved, committed; /* bytes; of these, bytes that have been cut into objects */
    size_t object_size, used;   /* how many objects */
};

/* Calls `visit` for each area of the heap, first with a null object, then with each live one. Owner only, at any time;
 * objects that other heaps have freed and not sent home yet count as live. Of ordinary heaps, small objects only.
 * `visit` may free the object that it is given. Stops, and returns false, when `visit` does. */
typedef bool weir_heap_visitor(void *context, const struct weir_heap_area *area, void *object);
bool weir_heap_walk(struct weir_heap *heap, weir_heap_visitor *visit, void *context);

/* Tests every invariant of the arena, which must be at rest. As weir_frames_check. */
enum weir_status weir_arena_check(struct weir_arena *arena, const char **what);

#endif
