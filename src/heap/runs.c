/*
 * Large objects: runs of frames, exactly as many as the size needs.
 *
 * The frame table knows how long a run is, but not whose it is. The arena's run map does: a radix tree over frame
 * numbers, shaped like a page table (256 × 512 × 1024), with four bytes where a run starts. It grows by single metadata
 * frames where runs appear, costs a thousandth of the memory it covers, is read without locks, and decides who wins
 * when two threads free the same run: the one whose compare-and-swap takes the entry.
 *
 *     entry = frames << 2 | state        0: no run of this arena starts here
 *
 *     LIVE   the program's                    (1)  entry != 0  <=>  a run of that length starts here in the frame table
 *     KEPT   in some heap's runs[]            (2)  KEPT  <=>  in exactly one heap's runs[]
 *     GONE   on its way to the frame table: whoever frees it now is told that it was freed already
 *
 * A heap keeps the last few runs up to 256 KiB that it freed, so that a loop over one buffer does not ask the frame
 * table on every round; what was not asked for again is given back one by one as the heap steps.
 */
#include "src/heap/heap.h"

#define KEEP_FRAMES_MAX 64u /* 256 KiB */

/* From here on growing runs move by page tables, if the platform can: between multiples of 2 MiB, because then whole
 * tables and huge pages change hands. (256 MiB: 0.05 ms; copied, with the faults that takes: 120 to 640.) */
#define MOVE_FRAMES_MIN 1024u /* 4 MiB */
#define MOVE_ALIGNMENT  ((size_t)2 << 20)

enum run_state {
    RUN_LIVE = 1,
    RUN_KEPT = 2,
    RUN_GONE = 3,
    RUN_STATES = 3,
};

static uint32_t run_entry(size_t frames, enum run_state state)
{
    return (uint32_t)frames << 2 | state;
}

/* The map's entry for a frame; null if nothing near it was ever entered. */
static _Atomic(uint32_t) *find_entry(const struct weir_arena *arena, uintptr_t address)
{
    size_t n = (address - arena->map->base) >> WEIR_FRAME_SHIFT;
    if (address % WEIR_FRAME_SIZE != 0 || n >= arena->map->count)
        return NULL;
    size_t leaf_number = n / RUN_LEAF_ENTRIES;
    struct run_node *node =
        atomic_load_explicit(&arena->run_root[leaf_number / RUN_NODE_ENTRIES], memory_order_acquire);
    struct run_leaf *leaf =
        node ? atomic_load_explicit(&node->leaf[leaf_number % RUN_NODE_ENTRIES], memory_order_acquire) : NULL;
    return leaf ? &leaf->entry[n % RUN_LEAF_ENTRIES] : NULL;
}

/* The same, and makes room for it. Null without memory. */
static _Atomic(uint32_t) *make_entry(struct weir_arena *arena, uintptr_t address)
{
    _Atomic(uint32_t) *entry = find_entry(arena, address);
    if (entry)
        return entry;
    size_t leaf_number = ((address - arena->map->base) >> WEIR_FRAME_SHIFT) / RUN_LEAF_ENTRIES;
    _Atomic(struct run_node *) *root = &arena->run_root[leaf_number / RUN_NODE_ENTRIES];
    lock_take(&arena->lock, arena->config.platform);
    struct run_node *node = atomic_load_explicit(root, memory_order_relaxed);
    if (!node) {
        node = arena_metadata(arena);
        atomic_store_explicit(root, node, memory_order_release);
    }
    if (node && !atomic_load_explicit(&node->leaf[leaf_number % RUN_NODE_ENTRIES], memory_order_relaxed))
        atomic_store_explicit(&node->leaf[leaf_number % RUN_NODE_ENTRIES], arena_metadata(arena), memory_order_release);
    lock_drop(&arena->lock);
    return find_entry(arena, address);
}

static void give_back(struct weir_arena *arena, uintptr_t start, size_t frames)
{
    weir_frames_free(arena->config.frames, start, frames);
    arena_refund(arena, frames);
}

/* Gives a run back whose entry is GONE. By the time the frames are free others may have entered them again. */
static void let_go(struct weir_arena *arena, _Atomic(uint32_t) *entry, uintptr_t start, size_t frames)
{
    uint32_t gone = run_entry(frames, RUN_GONE);
    give_back(arena, start, frames);
    atomic_compare_exchange_strong_explicit(entry, &gone, 0, memory_order_relaxed, memory_order_relaxed);
}

/* Takes a kept run of exactly this length; 0 if the heap has none. */
static uintptr_t take_kept(struct weir_heap *heap, size_t frames)
{
    if (frames > KEEP_FRAMES_MAX)
        return 0;
    for (unsigned i = 0; i < KEPT_RUNS; i++) {
        struct kept_run *kept = &heap->runs[(heap->next_run - 1 - i) % KEPT_RUNS];
        if (kept->frames != frames)
            continue;
        uintptr_t start = kept->start;
        kept->frames = 0;
        atomic_store_explicit(find_entry(heap->arena, start), run_entry(frames, RUN_LIVE), memory_order_relaxed);
        return start;
    }
    return 0;
}

/* A new run, entered in the map; 0 without memory. */
static uintptr_t make_run(struct weir_arena *arena, size_t frames, size_t align, bool *zero)
{
    if (!arena_charge(arena, frames))
        return 0;
    uintptr_t start = weir_frames_alloc(arena->config.frames, frames, align, 0, zero);
    if (!start) {
        arena_uncharge(arena, frames);
        return 0;
    }
    _Atomic(uint32_t) *entry = make_entry(arena, start);
    if (!entry) {
        give_back(arena, start, frames);
        return 0;
    }
    atomic_store_explicit(entry, run_entry(frames, RUN_LIVE), memory_order_release);
    return start;
}

void *run_malloc(struct weir_heap *heap, size_t size, size_t alignment, bool zero)
{
    struct weir_arena *arena = heap->arena;
    if (!arena)
        return NULL;
    if (unlikely(heap->apart))
        return apart_malloc(heap, size, alignment, 0, zero);
    size_t frames = run_frames_for(size);
    size_t align = alignment > WEIR_FRAME_SIZE ? alignment >> WEIR_FRAME_SHIFT : 1;
    if (size > PTRDIFF_MAX || frames > arena->map->count || align > arena->map->count) {
        heap->failed++;
        return NULL;
    }
    heap_wake(heap);
    heap_event(heap);
    bool known_zero = false;
    uintptr_t start = align == 1 ? take_kept(heap, frames) : 0;
    for (unsigned rung = 0; !start;) {
        start = make_run(arena, frames, align, &known_zero);
        if (!start && !heap_climb(heap, &rung, (frames + align - 1) << WEIR_FRAME_SHIFT)) {
            heap->failed++;
            return NULL;
        }
    }
    if (zero && !known_zero)
        __builtin_memset((void *)start, 0, frames << WEIR_FRAME_SHIFT);
    heap->run_mallocs++;
    atomic_fetch_add_explicit(&arena->runs, 1, memory_order_relaxed);
    arena_count_runs(arena, frames);
    return (void *)start;
}

void run_drop_kept(struct weir_heap *heap, unsigned index)
{
    struct kept_run *kept = &heap->runs[index];
    if (kept->frames == 0)
        return;
    _Atomic(uint32_t) *entry = find_entry(heap->arena, kept->start);
    atomic_store_explicit(entry, run_entry(kept->frames, RUN_GONE), memory_order_relaxed);
    let_go(heap->arena, entry, kept->start, kept->frames);
    heap->freed += kept->frames;
    kept->frames = 0;
}

void run_drop_oldest(struct weir_heap *heap)
{
    run_drop_kept(heap, heap->next_run);
    heap->next_run = (heap->next_run + 1) % KEPT_RUNS;
}

bool run_free(struct weir_heap *heap, uintptr_t address)
{
    struct weir_arena *arena = heap->arena;
    _Atomic(uint32_t) *entry = find_entry(arena, address);
    uint32_t old = entry ? atomic_load_explicit(entry, memory_order_relaxed) : 0;
    if ((old & RUN_STATES) != RUN_LIVE)
        return apart_free(heap, address);
    size_t frames = old >> 2;
    bool keep = frames <= KEEP_FRAMES_MAX && !arena->config.prompt;
    if (!atomic_compare_exchange_strong_explicit(entry, &old, run_entry(frames, keep ? RUN_KEPT : RUN_GONE),
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    heap->run_frees++;
    atomic_fetch_sub_explicit(&arena->runs, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&arena->run_frames, frames, memory_order_relaxed);
    if (keep) {
        struct kept_run *place = &heap->runs[heap->next_run];
        run_drop_oldest(heap);
        *place = (struct kept_run){.start = address, .frames = frames};
        heap_pulse(heap);
    } else {
        let_go(arena, entry, address, frames);
        heap->freed += frames;
        heap_pulse(heap);
    }
    return true;
}

/* Grows a run in the frame table; if it is the table's end that stops it, asks for more. */
static bool grow(struct weir_arena *arena, uintptr_t address, size_t frames, size_t wanted)
{
    const struct weir_arena_config *config = &arena->config;
    bool zero;
    if (weir_frames_grow(config->frames, address, frames, wanted, &zero))
        return true;
    uintptr_t last = address + ((wanted - 1) << WEIR_FRAME_SHIFT);
    return wanted >= MOVE_FRAMES_MIN && config->grow && weir_frames_kind(config->frames, last) == WEIR_FRAME_HOLE &&
           config->grow(config->reclaim_context, (wanted - frames) << WEIR_FRAME_SHIFT) &&
           weir_frames_grow(config->frames, address, frames, wanted, &zero);
}

void *run_move(struct weir_heap *heap, uintptr_t address, size_t size)
{
    const struct weir_arena_config *config = &heap->arena->config;
    size_t frames = run_length(heap->arena, address), bytes = frames << WEIR_FRAME_SHIFT;
    if (!config->move || frames < MOVE_FRAMES_MIN || size < bytes)
        return NULL;
    void *moved = run_malloc(heap, size, MOVE_ALIGNMENT, false);
    if (!moved)
        return NULL;
    if (address % MOVE_ALIGNMENT == 0)
        config->move(config->reclaim_context, address, (uintptr_t)moved, bytes);
    else
        __builtin_memcpy(moved, (const void *)address, bytes);
    run_free(heap, address);
    return moved;
}

bool run_resize(struct weir_heap *heap, uintptr_t address, size_t wanted)
{
    struct weir_arena *arena = heap->arena;
    _Atomic(uint32_t) *entry = find_entry(arena, address);
    size_t frames = run_length(arena, address);
    if (frames == 0)
        return apart_resize(heap, address, wanted);
    if (wanted == frames)
        return true;
    if (wanted < frames) {
        atomic_store_explicit(entry, run_entry(wanted, RUN_LIVE), memory_order_relaxed);
        give_back(arena, address + (wanted << WEIR_FRAME_SHIFT), frames - wanted);
        heap->freed += frames - wanted;
        heap_pulse(heap);
        atomic_fetch_sub_explicit(&arena->run_frames, frames - wanted, memory_order_relaxed);
        return true;
    }
    if (wanted > arena->map->count || !arena_charge(arena, wanted - frames))
        return false;
    if (!grow(arena, address, frames, wanted)) {
        arena_uncharge(arena, wanted - frames);
        return false;
    }
    atomic_store_explicit(entry, run_entry(wanted, RUN_LIVE), memory_order_relaxed);
    arena_count_runs(arena, wanted - frames);
    return true;
}

size_t run_length(const struct weir_arena *arena, uintptr_t address)
{
    _Atomic(uint32_t) *entry = find_entry(arena, address);
    uint32_t value = entry ? atomic_load_explicit(entry, memory_order_relaxed) : 0;
    return (value & RUN_STATES) == RUN_LIVE ? value >> 2 : 0;
}

bool run_holds(const struct weir_arena *arena, uintptr_t address)
{
    uintptr_t start = weir_frames_run_start(arena->config.frames, address);
    _Atomic(uint32_t) *entry = start ? find_entry(arena, start) : NULL;
    return entry && atomic_load_explicit(entry, memory_order_relaxed) != 0;
}

bool run_walk(const struct weir_arena *arena, bool (*visit)(void *context, uintptr_t start, size_t frames, bool kept),
              void *context)
{
    for (size_t i = 0; i < RUN_ROOT_ENTRIES; i++) {
        struct run_node *node = atomic_load_explicit(&arena->run_root[i], memory_order_acquire);
        for (size_t k = 0; node && k < RUN_NODE_ENTRIES; k++) {
            struct run_leaf *leaf = atomic_load_explicit(&node->leaf[k], memory_order_acquire);
            for (size_t m = 0; leaf && m < RUN_LEAF_ENTRIES; m++) {
                uint32_t entry = atomic_load_explicit(&leaf->entry[m], memory_order_relaxed);
                size_t n = (i * RUN_NODE_ENTRIES + k) * RUN_LEAF_ENTRIES + m;
                uintptr_t start = arena->map->base + (n << WEIR_FRAME_SHIFT);
                if (entry && !visit(context, start, entry >> 2, (entry & RUN_STATES) == RUN_KEPT))
                    return false;
            }
        }
    }
    return true;
}
