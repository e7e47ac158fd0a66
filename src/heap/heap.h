/*
 * The structures of the general-purpose malloc, and what must hold between them.
 *
 *     arena ──► heaps ──► slabs ──► objects            small: up to 32 KiB, 72 classes
 *       └─────► run map ──► runs                       large: whole frames, exactly as many as needed
 *
 * A slab is 2^order frames that hold objects of one class. Its descriptor lies elsewhere, in frames that never hold
 * data, and the frame table leads from any address in the slab to it. An object is, at any time, in exactly one of
 * these places:
 *
 *     program     allocated
 *     bin         in its heap's list for the class, ready for the next malloc; detached from the slab in one piece
 *     local list  freed by the owner, linked from the descriptor
 *     batch       freed by another heap, which has not told the owner yet
 *     inbox       freed by another heap and sent home: in a list that waits at the owner's heap
 *     uncarved    behind the part of the slab that has been cut into objects; that memory was not touched yet
 *
 * The first, second, fourth and fifth count as used. A slab is in its heap's list partial[class], where malloc looks
 * for free objects, or away from it, in the list of full ones. It carries a countdown of the frees after which it must
 * be looked at, so that a free needs one test for all that can follow from it:
 *
 *     used = left + rest           left: the countdown, which every free lowers
 *
 *     partial, or the current slab of its class (the one that last filled the bin, looked at first):
 *                     rest = 0     it is looked at when it is empty
 *                     rest > 0     or, if not current, when it has become sparse (sparse.c)
 *     any other:      rest > 0     it sleeps, and is looked at when it has slab_wake(capacity) free objects
 *
 *     (1)  used + |local list| + withdrawn = carved <= capacity;  withdrawn: in holes, see sparse.c
 *     (2)  used = capacity  =>  away
 *     (3)  away and not current  =>  capacity - used < slab_wake(capacity), and left = slab_wake - (capacity - used)
 *     (4)  used = 0  <=>  the slab is marked EMPTY  <=>  it is kept: current[class], or in kept_slabs (then in no list)
 *     (5)  in an inbox are objects of this heap's slabs, or of slabs that changed owners since: these are sent on
 *     (6)  a bin's objects belong to slabs of the bin's heap and class
 *     (7)  held = frames of slabs + frames of runs, kept ones included + metadata
 *
 * Who may touch what. A heap belongs to its owner, who needs no lock for anything in it or in its slabs. A quiet heap
 * belongs to whoever holds its lock; released heaps are quiet, and so is the arena's orphanage, the heap that keeps
 * the slabs of released heaps until somebody adopts them. While a heap is quiet its slabs are marked (or their owner is
 * not anybody's heap), so that its owner's fast paths miss: every way back leads through heap_wake. Anybody may push
 * onto an inbox; the heap's owner, or holder, takes all of it at once.
 *
 * Locks, in the order in which they are taken: a heap's · the orphanage's · the arena's · the frame table's own.
 */
#ifndef WEIR_HEAP_HEAP_H
#define WEIR_HEAP_HEAP_H

#include <assert.h>
#include <stdatomic.h>

#include "src/base/lock.h"
#include "src/frame/word.h"
#include "src/heap/classes.h"
#include "weir/heap.h"

/* A free object: the first word of its memory is its link. */
struct object {
    struct object *next;
};

/* On its way to another heap an object's link is marked, so that the owner, who frees one object after the other, never
 * takes for one of them what is in a list of his already, or the program's. */
#define ON_ITS_WAY ((uintptr_t)1)

static inline struct object *link_on_its_way(const struct object *next)
{
    return (struct object *)((uintptr_t)next | ON_ITS_WAY);
}

/* What a link leads to, marked or not. */
static inline struct object *link_target(const struct object *link)
{
    return (struct object *)((uintptr_t)link & ~ON_ITS_WAY);
}

/* Marks in the low bits of a slab's owner word. Each makes the owner's fast free miss its one comparison. */
enum slab_marks {
    SLAB_EMPTY = 1, /* kept though empty: the next free into it is a double free */
    SLAB_QUIET = 2, /* its heap went quiet since */
    SLAB_MARKS = 63,
};

struct slab {
    /* read by anybody who frees, rarely written */
    _Alignas(64) _Atomic(uintptr_t) owner; /* heap | marks; 0: the descriptor is unused */
    uintptr_t start;                       /* of its memory */
    uint32_t size;                         /* of an object */
    uint32_t inverse;                      /* of that, see slab_object_starts */
    uint16_t capacity;                     /* objects */
    uint16_t carved;
    uint8_t class, order;  /* order: of its frames */
    _Atomic(bool) resized; /* some object was shrunk in place: free_sized can no longer be exact */
    bool zero;             /* the uncarved part is known to be zero */
    /* the owner's alone, written all the time: in a cache line of its own (xmalloc-test takes 17 % less time) */
    _Alignas(64) struct object *free; /* local list, LIFO */
    uint16_t left, rest;              /* see above */
    uint16_t holes;                   /* frames that were discarded, a bit each */
    uint8_t idle;                     /* frames that are known to hold nothing in use, see sparse.c */
    bool away;                        /* in the list of full slabs */
    struct slab *next, *previous;     /* in partial[class] or full; next: among kept slabs, or unused descriptors */
};

static_assert(sizeof(struct slab) == 128, "two cache lines");

/* Objects freed for another heap's slabs, on their way home together. */
struct batch {
    struct weir_heap *owner; /* null: the batch is empty */
    struct object *head;
    uint32_t count;
    int32_t room; /* bytes; at most 0: full */
};

#define BATCHES 8u

/* A run kept for the next request of its length. */
struct kept_run {
    uintptr_t start;
    size_t frames;
};

#define KEPT_RUNS 8u

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): the inbox, which others write, has lines of its own. */
struct weir_heap {
    /* owner only: what malloc touches */
    struct object *bin[CLASSES];

    /* constant after init: the frame map, in the form that the fast path wants */
    uintptr_t base;
    uintptr_t granules; /* of the span, in units of 16 bytes: 0 in weir_heap_empty */
    _Atomic(uint64_t) *words;
    struct weir_arena *arena;                                 /* null in weir_heap_empty */
    uint8_t class_of_granules[TABLED_SIZE_MAX / GRANULE + 1]; /* the table of classes.c, where malloc reaches it best */

    /* owner only */
    struct slab *partial[CLASSES];               /* LIFO */
    struct slab *current[CLASSES];               /* the slab that last filled the bin */
    uint32_t frames[CLASSES];                    /* of its slabs, full ones included, kept ones not */
    size_t slab_frames;                          /* in all of them */
    uint8_t handed[CLASSES];                     /* how many were since it was empty, see hand_on */
    bool fresh[CLASSES];                         /* whether all of the bin is zero but for the links */
    uint64_t empty[(CLASSES + 63) / 64];         /* whether the current slab is empty */
    uint64_t stale[(CLASSES + 63) / 64];         /* whether it has been so for a whole step */
    uint64_t parked[(CLASSES + 63) / 64];        /* whether an object that is all of its slab was handed on … */
    uint64_t parked_before[(CLASSES + 63) / 64]; /* … since the last step, and between that and the one before */
    struct object *handed_last;                  /* since a bin was filled otherwise; null: none, see hand_on */
    struct object *handed_under;                 /* and what was in its bin before */
    struct slab *full;
    struct slab *kept_slabs[SLAB_ORDER_MAX + 1]; /* empty ones for any class, LIFO */
    unsigned kept_frames;                        /* in them */
    unsigned kept_least;                         /* the fewest there were since the last step */
    struct batch batches[BATCHES];               /* direct-mapped by owner */
    struct kept_run runs[KEPT_RUNS];
    unsigned next_run; /* FIFO: the oldest */
    unsigned events;   /* slow paths taken since the last step, weighed, see heap_event */
    size_t freed;      /* frames given to the frame table, see heap_pulse */
    size_t idle;       /* frames of its slabs that hold nothing in use, as far as known */
    bool climbing;     /* inside the ladder: no reclaim within reclaim */
    uint64_t given;    /* objects put into bins less those taken back from them */
    uint64_t run_mallocs, run_frees, remote_frees, failed;

    bool apart;          /* constant after init: see first_class.c */
    struct apart *large; /* its large objects if it is, under the arena's lock */

    /* anybody */
    _Alignas(64) _Atomic(struct object *) inbox; /* what others freed */
    _Atomic(unsigned) turn;                      /* of an apart heap, see first_class.c */
    _Atomic(bool) quiet;                         /* written under the lock */
    bool unmarked;                               /* when it is quiet: see heap_rest */
    struct lock lock;

    /* under the arena's lock */
    struct weir_heap *next_heap; /* all heaps, append only */
    struct weir_heap *next_idle;
};

static_assert(sizeof(struct weir_heap) <= WEIR_FRAME_SIZE, "a heap takes one frame");

/* Descriptors come in frames of 32, the first of which is this. */
struct slab_chunk {
    struct slab_chunk *next;
    const struct weir_arena *arena;
};

#define CHUNK_SLABS (WEIR_FRAME_SIZE / sizeof(struct slab))

/* The run map, see runs.c. */
#define RUN_LEAF_ENTRIES 1024u
#define RUN_NODE_ENTRIES 512u
#define RUN_ROOT_ENTRIES 256u

struct run_leaf {
    _Atomic(uint32_t) entry[RUN_LEAF_ENTRIES];
};

struct run_node {
    _Atomic(struct run_leaf *) leaf[RUN_NODE_ENTRIES];
};

static_assert(sizeof(struct run_leaf) == WEIR_FRAME_SIZE && sizeof(struct run_node) == WEIR_FRAME_SIZE, "frames");
static_assert((size_t)RUN_LEAF_ENTRIES * RUN_NODE_ENTRIES * RUN_ROOT_ENTRIES == WEIR_FRAMES_SPAN_MAX, "whole span");

/* Objects that the run map cannot describe, found by their address: see apart.c. */
struct apart_table {
    struct apart **buckets;
    size_t bucket_count, count;
    struct apart *unused;
    struct apart_chunk *chunks;
    size_t frames; /* that the objects take */
};

struct weir_arena {
    /* constant after init */
    struct weir_arena_config config;
    const struct frame_map *map;
    struct weir_heap *orphans;

    /* anybody, atomically */
    _Atomic(size_t) limit;                           /* bytes; 0: none */
    _Atomic(size_t) held, peak_held;                 /* frames */
    _Atomic(size_t) metadata;                        /* frames */
    _Atomic(size_t) slabs, runs;                     /* how many */
    _Atomic(size_t) holes;                           /* frames of slabs that were discarded */
    _Atomic(size_t) idle_frames;                     /* frames of slabs that hold nothing in use, as far as known */
    _Atomic(size_t) run_frames;                      /* in runs that the program holds */
    _Atomic(size_t) small_live;                      /* bytes in small objects, when last looked */
    _Atomic(size_t) sampled_held;                    /* and how many frames were held then */
    _Atomic(size_t) peak_live;                       /* bytes */
    _Atomic(uint64_t) orphaned[(CLASSES + 63) / 64]; /* classes of which the orphanage has partial slabs, a hint */

    struct lock lock;
    /* under the lock */
    struct slab *descriptors; /* unused ones, LIFO */
    struct slab_chunk *chunks;
    _Atomic(struct weir_heap *) heaps; /* newest first; read without the lock */
    struct weir_heap *idle, *idle_apart;
    struct apart_table apart;

    _Atomic(struct run_node *) run_root[RUN_ROOT_ENTRIES];
};

static_assert(sizeof(struct weir_arena) <= WEIR_FRAME_SIZE, "an arena takes one frame");

#define WAKE_AT_ONCE 16u

/* How many objects of a slab away must be free before malloc looks at it again: else a program that frees here and
 * there and allocates as much would fetch every single object from another slab. (100,000 objects replaced at random:
 * 386 instructions a pair when every object woke its slab, 252 when an eighth did; larson: a quarter takes 9 % less
 * time than an eighth and no more memory.) What sleeps is at most a quarter of a slab.
 */
static inline unsigned slab_wake(unsigned capacity)
{
    return capacity < WAKE_AT_ONCE ? 1 : capacity < 128 ? capacity / 4 : 32;
}

static inline unsigned slab_frames(const struct slab *slab)
{
    return 1U << slab->order;
}

/* The slab comes to one of the heap's classes, or leaves it. */
static inline void heap_count_slab(struct weir_heap *heap, const struct slab *slab, bool comes)
{
    int frames = comes ? 1 << slab->order : -(1 << slab->order);
    heap->frames[slab->class] += (uint32_t)frames;
    heap->slab_frames += (size_t)frames;
}

/* Objects that are in use, or on their way from use to a list of the slab's. */
static inline unsigned slab_used(const struct slab *slab)
{
    return (unsigned)slab->left + slab->rest;
}

static inline struct weir_heap *owner_heap(uintptr_t owner)
{
    return (struct weir_heap *)(owner & ~(uintptr_t)SLAB_MARKS);
}

/* The owner word as a fast path reads it: relaxed, and in a way that lets the compiler compare with memory. (It never
 * does with atomic loads, which cost free two instructions.) A machine word is read in one piece. */
static inline uintptr_t slab_owner_word(const struct slab *slab)
{
#if defined(__SANITIZE_THREAD__) || defined(__clang__)
    return atomic_load_explicit(&slab->owner, memory_order_relaxed);
#else
    return *(const uintptr_t *)&slab->owner;
#endif
}

static inline struct weir_heap *slab_owner(struct slab *slab)
{
    return owner_heap(atomic_load_explicit(&slab->owner, memory_order_acquire));
}

static inline uintptr_t slab_marks(const struct slab *slab)
{
    return atomic_load_explicit(&slab->owner, memory_order_relaxed) & SLAB_MARKS;
}

/* Owner (or holder of a quiet owner's lock) only. */
static inline void slab_set_owner(struct slab *slab, struct weir_heap *heap, uintptr_t marks)
{
    atomic_store_explicit(&slab->owner, (uintptr_t)heap | marks, memory_order_release);
}

static inline bool bit_test(const uint64_t *bits, unsigned n)
{
    return bits[n / 64] >> n % 64 & 1;
}

static inline void bit_put(uint64_t *bits, unsigned n, bool value)
{
    bits[n / 64] = (bits[n / 64] & ~(UINT64_C(1) << n % 64)) | (uint64_t)value << n % 64;
}

/* Whether a slab that the frame table names is one of the heap's arena: whoever else keeps slabs in the table may have
 * descriptors anywhere, ours lie in frames of the table, behind a header. */
static inline bool slab_is_of(const struct weir_heap *heap, const struct slab *slab)
{
    const struct slab_chunk *chunk = (const struct slab_chunk *)round_down((uintptr_t)slab, WEIR_FRAME_SIZE);
    return ((uintptr_t)slab - heap->base) / GRANULE < heap->granules && chunk->arena == heap->arena;
}

/* --- arena.c --- */

/* Counts `frames` as held unless that breaks the limit. arena_uncharge: they could not be had. arena_refund: they went
 * back; the peak is noted when what is held falls, and so never counts what was refused. */
bool arena_charge(struct weir_arena *arena, size_t frames);
void arena_uncharge(struct weir_arena *arena, size_t frames);
void arena_refund(struct weir_arena *arena, size_t frames);

/* Frames for metadata, zeroed. Null without memory. */
void *arena_metadata_frames(struct weir_arena *arena, size_t frames);
void arena_give_metadata(struct weir_arena *arena, void *start, size_t frames);

/* One frame, never given back before the arena ends. */
void *arena_metadata(struct weir_arena *arena);

/* A heap for a new owner. */
struct weir_heap *arena_heap(struct weir_arena *arena, bool apart);

/* --- slab.c --- */

/* A slab of the class for `heap`, in no list yet; null without memory. */
struct slab *slab_create(struct weir_heap *heap, unsigned class);

/* Gives an empty slab, in no list, back to the frame table. */
void slab_release(struct weir_arena *arena, struct slab *slab);

/* The same, or keeps it for the heap's next one. */
void slab_keep(struct weir_heap *heap, struct slab *slab);

/* Gives kept slabs back until at most `frames` frames are left in them. */
void slab_drop_kept(struct weir_heap *heap, size_t frames);

/* Cuts the next frame's worth of objects from the uncarved part, at least one. Returns how many, linked from *list. */
unsigned slab_carve(struct slab *slab, struct object **list);

/* The slab of this arena that holds `address`, null if none does. */
struct slab *arena_slab(const struct weir_arena *arena, uintptr_t address);

/* Whether an object of the slab starts at `address`, which lies in the slab. */
static inline bool slab_object_starts(const struct slab *slab, uintptr_t address)
{
    uint32_t offset = (uint32_t)(address - slab->start);
    uint32_t number = (uint32_t)((uint64_t)offset * slab->inverse >> 32);
    return number * slab->size == offset && number < __atomic_load_n(&slab->carved, __ATOMIC_RELAXED);
}

/* The same, but for slabs in which nothing lives: what they keep was freed before. */
static inline bool slab_object_lives(const struct slab *slab, uintptr_t address)
{
    return !(slab_marks(slab) & SLAB_EMPTY) && slab_object_starts(slab, address);
}

/* --- heap.c --- */

/* Puts a slab, in no list, into the heap's list of partial or of full slabs. The heap is then its owner. */
void heap_link(struct weir_heap *heap, struct slab *slab, bool away);
void heap_unlink(struct weir_heap *heap, struct slab *slab);

/* What follows when a slab's countdown ended: it wakes up, or is empty. The heap is the caller's. */
__attribute__((noinline)) void heap_slab_event(struct weir_heap *heap, struct slab *slab);

/* The same, without filling a bin. */
void heap_slab_settle(struct weir_heap *heap, struct slab *slab);

/* Makes every free object reachable, those in full slabs that sleep included. */
void heap_wake_slabs(struct weir_heap *heap);

/* Puts the objects in bins back into their slabs. */
void heap_flush_bins(struct weir_heap *heap);

/* Gives all slabs back, with whatever is in them. The caller owns the heap, and nobody uses its objects. */
void heap_discard_slabs(struct weir_heap *heap);

/* Gives back empty slabs and kept runs but for *keep bytes, which it counts down. */
void heap_drop_spares(struct weir_heap *heap, size_t *keep);

/* The slow path's every-so-often: see heap_event. */
void heap_step(struct weir_heap *heap);

/* Tells the platform, with no lock held, that frames became free: it may hand them on at once. */
void heap_tell_freed(struct weir_heap *heap);

#define PULSE_FRAMES 1024u /* 4 MiB: what the platform's bounds may be off by, per heap */

static inline void heap_pulse(struct weir_heap *heap)
{
    if (unlikely(heap->freed >= PULSE_FRAMES))
        heap_tell_freed(heap);
}

/* A heap steps after so many events. A slow path counts EVENT, a bin filled from the current slab one: a thread that
 * does nothing else must come to a step, too. */
#define STEP_EVENTS 1024u
#define EVENT       16u

static inline void heap_event(struct weir_heap *heap)
{
    heap->events += EVENT;
    if (likely(heap->events < STEP_EVENTS))
        return;
    heap->events = 0;
    heap_step(heap);
}

void heap_free_slow(struct weir_heap *heap, void *object, const char *operation);
void *heap_malloc_slow(struct weir_heap *heap, size_t size);

/* --- owner.c --- */

/* weir_heap_quiesce for an owner whose fast paths cannot reach the heap before he has come back through heap_wake: no
 * slab is marked, so that it costs the same however large the heap is. */
void heap_rest(struct weir_heap *heap);

/* Ends the heap's quiet time, if it is quiet. First thing in every slow path. */
void heap_wake_slow(struct weir_heap *heap);

static inline void heap_wake(struct weir_heap *heap)
{
    if (unlikely(atomic_load_explicit(&heap->quiet, memory_order_relaxed)))
        heap_wake_slow(heap);
}

/* Takes a slab of the class over from the orphanage: its owner is then `heap`, it is in no list. Null if none is
 * there that has room. */
struct slab *heap_adopt(struct weir_heap *heap, unsigned class);

/* --- ladder.c --- */

/* One rung of what is done when `bytes` are refused. False when there is nothing left to try. */
bool heap_climb(struct weir_heap *heap, unsigned *rung, size_t bytes);

/* --- remote.c --- */

/* Frees an object of another heap's slab. */
void heap_free_remote(struct weir_heap *heap, struct slab *slab, struct object *object, const char *operation);
void heap_send_batches(struct weir_heap *heap);

/* Takes in what others sent home. The caller owns the heap, and holds no lock. */
void heap_take_inbox(struct weir_heap *heap);

/* The same for a quiet heap whose lock the caller holds. What turns out to be another heap's is returned, to be sent
 * on with heap_deliver when the lock is dropped. */
struct object *heap_take_inbox_locked(struct weir_heap *heap);
struct object *inbox_next(const struct object *message);
void heap_deliver(const struct weir_arena *arena, struct object *list);

/* --- runs.c --- */

/* How many frames a large object of `size` bytes takes. */
static inline size_t run_frames_for(size_t size)
{
    size_t frames = (size >> WEIR_FRAME_SHIFT) + (size % WEIR_FRAME_SIZE != 0);
    return frames ? frames : 1;
}

void *run_malloc(struct weir_heap *heap, size_t size, size_t alignment, bool zero);

/* False if no run of the arena starts at `address`: the caller finds out what it is. */
bool run_free(struct weir_heap *heap, uintptr_t address);

/* Resizes the program's run at `address` where it is. */
bool run_resize(struct weir_heap *heap, uintptr_t address, size_t wanted);

/* The run at `address`, somewhere else and of this size, if moving it is better than copying; else null. */
void *run_move(struct weir_heap *heap, uintptr_t address, size_t size);

/* Frames of the program's run at `address`, 0 if none starts there. */
size_t run_length(const struct weir_arena *arena, uintptr_t address);

/* Whether `address` lies in a run of this arena, kept ones included. */
bool run_holds(const struct weir_arena *arena, uintptr_t address);

/* Gives a kept run back, if there is one in this place; the same for the place whose turn it is. */
void run_drop_kept(struct weir_heap *heap, unsigned index);
void run_drop_oldest(struct weir_heap *heap);

/* Calls `visit` for every run in the map. Stops when it returns false. */
bool run_walk(const struct weir_arena *arena, bool (*visit)(void *context, uintptr_t start, size_t frames, bool kept),
              void *context);

/* --- first_class.c --- */

enum {
    TURN_NOBODY,
    TURN_FREE,  /* a free from elsewhere */
    TURN_OWNER, /* and above: the owner, in whichever way */
};

static inline bool heap_take_turn(struct weir_heap *heap, unsigned who)
{
    unsigned nobody = TURN_NOBODY;
    return atomic_load_explicit(&heap->turn, memory_order_relaxed) == TURN_NOBODY &&
           atomic_compare_exchange_strong_explicit(&heap->turn, &nobody, who, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void heap_end_turn(struct weir_heap *heap)
{
    atomic_store_explicit(&heap->turn, TURN_NOBODY, memory_order_release);
}

/* Frees an object of an apart heap as its owner would, if that is what it is, nothing is unusual about it, and it is
 * nobody's turn. False: nothing was done. */
bool heap_free_in_turn(const struct weir_arena *arena, void *object);

/* --- apart.c --- */

/* An object of whole frames whose address plus `offset` is a multiple of `alignment`. It belongs to the heap if that is
 * an apart one. */
void *apart_malloc(struct weir_heap *heap, size_t size, size_t alignment, size_t offset, bool zero);

/* False if `address` is no such object. */
bool apart_free(struct weir_heap *heap, uintptr_t address);
bool apart_resize(struct weir_heap *heap, uintptr_t address, size_t frames);

/* Bytes usable at `address`, 0 if it is no such object. */
size_t apart_size(const struct weir_arena *arena, uintptr_t address);

/* The apart heap to which the object at `address` belongs, null if there is none. */
struct weir_heap *apart_heap(const struct weir_arena *arena, uintptr_t address);

/* The heap's large objects become the arena's. */
void apart_join(struct weir_heap *heap);

/* Frees all large objects of an apart heap. */
void apart_discard(struct weir_heap *heap);

/* Call `visit` for every such object of the arena, which must be at rest, or of one apart heap. Stop when it returns
 * false. */
typedef bool apart_visitor(void *context, uintptr_t start, size_t frames, uintptr_t object);
bool apart_walk(const struct weir_arena *arena, apart_visitor *visit, void *context);
bool apart_walk_heap(struct weir_heap *heap, apart_visitor *visit, void *context);

/* Gives the frames of all such objects back, and the table's own. */
void apart_destroy(struct weir_arena *arena);

/* --- misuse.c --- */

/* Finds out what is wrong with freeing (resizing) `address`, and reports it. */
void misuse_report(const struct weir_arena *arena, uintptr_t address, const char *operation);
void misuse(const struct weir_arena *arena, enum weir_status status, uintptr_t address, size_t size,
            const char *operation);

/* --- stats.c --- */

/* Looks how many bytes are live when the arena has grown by a sixteenth since the last look. */
void arena_sample(struct weir_arena *arena);

/* Counts frames that went to the program in runs. */
void arena_count_runs(struct weir_arena *arena, size_t frames);

#endif
