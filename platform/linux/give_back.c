/*
 * What goes back to Linux, and when.
 *
 * What was freed a moment ago is what is wanted next, and a page that comes back costs a fault; a page that nobody
 * wants again costs its memory for ever. So free memory that the kernel holds pages for (`backed`) has two bounds,
 * which shrink as memory is freed:
 *
 *     soft = max(OPTION_KEEP, OPTION_KEEP_PART of what is in use)       what is colder than OPTION_COLD_MS goes
 *     hard = max(OPTION_KEEP, HARD * OPTION_KEEP_PART of it - idle)     the coldest goes, at once, in the freeing call
 *
 * Idle is what nobody uses within slabs (src/heap/sparse.c). So a process holds at most three times what it uses, or
 * OPTION_KEEP; one that replaces large objects at random stays below that. (With twice, malloc-large gave back a
 * hundred of 350 MiB that it wanted again.) The bounds are looked at from the heap's heartbeat, that is, by threads
 * that allocate and free; a process that goes idle after a burst holds no more than the hard one. With
 * OPTION_BACKGROUND a thread looks, too: all that is cold then goes but for LOW of what is in use.
 *
 * How it goes. Whole 2 MiB first: the kernel drops a huge page in the time of a small one. A part of a huge page is
 * only taken out of the process's tables by MADV_DONTNEED, the memory itself stays until the kernel is short of it;
 * but MADV_FREE of a part splits the page, so that comes first where a huge page may be. Afterwards the range is no
 * longer offered for huge pages, lest the kernel's khugepaged makes whole again what was given back in parts, until the
 * process has grown by REGROWN.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "api/options.h"
#include "api/thread.h"
#include "platform/linux/linux.h"
#include "src/base/bits.h"
#include "src/base/lock.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

enum policy {
    HARD = 8,              /* the hard bound is this many times the soft one: up to twice as much as is used */
    LOW_PART_OF_USED = 64, /* what the background thread leaves … */
    LOW_LEAST_KIB = 256,   /* … or this, if that is more */
    LOOK_MS = 20,          /* how often the soft bound is looked at */
    CHUNK_ORDER = 9,       /* the soft bound is kept with whole 2 MiB, ... */
    PIECE_ORDER = 4,       /* ... the hard one with 64 KiB, too; trim and the thread give back single frames */
    REGROWN_MIB = 32,
    CHUNK = 2 << 20,
    BATCH = 64, /* ranges on their way at a time */
};

static struct {
    struct lock lock; /* held while something is on its way */
    _Atomic(uint64_t) looked_at;
    atomic_bool refused;               /* the kernel takes nothing, as from a process that locks its memory */
    _Atomic(size_t) backed_when_split; /* frames, when parts of huge pages were given back last; 0: they were not */
} give;

/* Hands [start, end), which nobody uses, to the kernel; lazily: it takes it when it is short of memory. False if it
 * does not want it, as with locked memory. */
static bool release(uintptr_t start, uintptr_t end, bool lazy)
{
    uintptr_t whole = round_up(start, CHUNK), last = round_down(end, CHUNK);
    bool parts = start % CHUNK != 0 || end % CHUNK != 0;
    if (parts && !lazy && space_may_be_huge(start)) {
        if (start < whole)
            madvise((void *)start, (whole < end ? whole : end) - start, MADV_FREE);
        if (last < end && last >= whole)
            madvise((void *)last, end - last, MADV_FREE);
    }
    return madvise((void *)start, end - start, lazy ? MADV_FREE : MADV_DONTNEED) == 0;
}

/* The same for a range on its way, which then is free again. */
static bool give_range(const struct weir_range *range, bool lazy)
{
    bool taken = release(range->start, range->start + (range->frames << WEIR_FRAME_SHIFT), lazy);
    if (taken && !lazy)
        weir_frames_unisolate_zeroed(space_frames(), range, 1);
    else
        weir_frames_unisolate(space_frames(), range, 1, taken);
    return taken;
}

static bool is_lazy(void)
{
    return option(OPTION_MADVISE) == MADVISE_FREE;
}

/* Whether a piece of this range is less than a huge page. */
static bool is_part(const struct weir_range *range)
{
    return range->start % CHUNK != 0 || range->frames % (CHUNK / WEIR_FRAME_SIZE) != 0;
}

/* Parts of huge pages have been given back: no huge pages for now, see above. */
static void stop_huge_pages(void)
{
    if (atomic_load_explicit(&give.backed_when_split, memory_order_relaxed) != 0)
        return;
    struct weir_frames_stats stats;
    weir_frames_stats(space_frames(), &stats);
    atomic_store_explicit(&give.backed_when_split, stats.backed + 1, memory_order_relaxed);
    space_allow_huge(false);
}

/* Gives back free blocks of at least 2^order frames; returns how many frames. The lock is held. */
static size_t give_back_blocks(size_t keep, uint64_t cold_before, unsigned order)
{
    struct weir_frames *frames = space_frames();
    struct weir_range ranges[BATCH];
    struct weir_frames_stats stats;
    size_t given = 0, kept = keep >> WEIR_FRAME_SHIFT, before = SIZE_MAX;
    bool parts = false, lazy = is_lazy();
    for (;;) {
        weir_frames_stats(frames, &stats);
        if (stats.free_backed <= kept || stats.free_backed >= before)
            break;
        before = stats.free_backed;
        size_t n =
            weir_frames_isolate(frames, order, round_up(before - kept, (size_t)1 << order), cold_before, ranges, BATCH);
        for (size_t i = 0; i < n; i++) {
            bool taken = give_range(&ranges[i], lazy);
            atomic_store_explicit(&give.refused, !taken, memory_order_relaxed);
            if (!taken)
                continue;
            given += ranges[i].frames;
            parts = parts || (order == 0 && is_part(&ranges[i]));
        }
    }
    if (parts)
        stop_huge_pages();
    return given;
}

/* The same in steps, whole huge pages first, down to blocks of 2^order frames. */
static bool give_back_locked(size_t keep, uint64_t cold_before, unsigned order)
{
    int error = errno;
    size_t given = give_back_blocks(keep, cold_before, CHUNK_ORDER);
    if (order < CHUNK_ORDER)
        given += give_back_blocks(keep, cold_before, order);
    errno = error;
    return given > 0;
}

void give_back_part(void *context, uintptr_t start, size_t bytes)
{
    (void)context;
    int error = errno;
    release(start, start + bytes, is_lazy());
    stop_huge_pages();
    errno = error;
}

void give_back_lock(void)
{
    lock_take(&give.lock, &linux_platform);
}

void give_back_unlock(void)
{
    lock_drop(&give.lock);
}

bool give_back(size_t keep, uint64_t cold_before)
{
    give_back_lock();
    bool given = give_back_locked(keep, cold_before, 0);
    give_back_unlock();
    return given;
}

/* The same in passing: not if somebody else is at it. */
static void give_back_some(size_t keep, uint64_t cold_before, unsigned order)
{
    if (atomic_load_explicit(&give.refused, memory_order_relaxed) || !lock_try(&give.lock))
        return;
    give_back_locked(keep, cold_before, order);
    give_back_unlock();
}

/* In bytes. */
struct usage {
    size_t used; /* neither free, nor discarded or idle within slabs */
    size_t idle; /* within slabs */
    size_t free; /* backed by the kernel */
};

static struct usage look(const struct weir_frames_stats *stats)
{
    const struct weir_arena *arena = process_arena();
    size_t out = stats->managed - stats->free - stats->isolated, holes = 0, idle = 0;
    if (arena) {
        holes = atomic_load_explicit(&arena->holes, memory_order_relaxed);
        idle = atomic_load_explicit(&arena->idle_frames, memory_order_relaxed);
    }
    return (struct usage){
        .used = (out > holes + idle ? out - holes - idle : 0) << WEIR_FRAME_SHIFT,
        .idle = idle << WEIR_FRAME_SHIFT,
        .free = stats->free_backed << WEIR_FRAME_SHIFT,
    };
}

static size_t soft_bound(const struct usage *usage)
{
    size_t keep = option(OPTION_KEEP), part = usage->used / 100 * option(OPTION_KEEP_PART);
    return keep > part ? keep : part;
}

static size_t hard_bound(const struct usage *usage)
{
    size_t keep = option(OPTION_KEEP), part = usage->used / 100 * option(OPTION_KEEP_PART) * HARD;
    part = part > usage->idle ? part - usage->idle : 0;
    return keep > part ? keep : part;
}

/* Whether it is time for another look, which is then this one. */
static bool is_time(uint64_t now)
{
    uint64_t before = atomic_load_explicit(&give.looked_at, memory_order_relaxed);
    return now - before >= LOOK_MS * UINT64_C(1000000) &&
           atomic_compare_exchange_strong_explicit(&give.looked_at, &before, now, memory_order_relaxed,
                                                   memory_order_relaxed);
}

static uint64_t coldness(void)
{
    return option(OPTION_COLD_MS) * UINT64_C(1000000);
}

void give_back_heartbeat(void *context)
{
    (void)context;
    struct weir_frames_stats stats;
    weir_frames_stats(space_frames(), &stats);
    size_t split = atomic_load_explicit(&give.backed_when_split, memory_order_relaxed);
    if (split != 0 && stats.backed > split + (REGROWN_MIB * MIB >> WEIR_FRAME_SHIFT)) {
        atomic_store_explicit(&give.backed_when_split, 0, memory_order_relaxed);
        space_allow_huge(true);
    }
    struct usage usage = look(&stats);
    size_t soft = soft_bound(&usage), hard = hard_bound(&usage);
    if (usage.free > LOW_LEAST_KIB * KIB)
        background_wake();
    if (usage.free > hard) {
        give_back_some(hard - hard / 4, 0, PIECE_ORDER);
    } else if (usage.free > soft) {
        uint64_t now = linux_now(NULL);
        if (is_time(now))
            give_back_some(soft / 2, now - coldness(), CHUNK_ORDER);
    }
}

bool give_back_in_background(void)
{
    struct weir_frames_stats stats;
    weir_frames_stats(space_frames(), &stats);
    size_t low = look(&stats).used / LOW_PART_OF_USED;
    low = low > LOW_LEAST_KIB * KIB ? low : LOW_LEAST_KIB * KIB;
    if (stats.free_backed << WEIR_FRAME_SHIFT > low) {
        give_back(low / 2, linux_now(NULL) - coldness());
        return !atomic_load_explicit(&give.refused, memory_order_relaxed);
    }
    weir_arena_discard(process_arena(), NULL);
    return false;
}
