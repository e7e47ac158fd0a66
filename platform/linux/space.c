/*
 * The address space that plays physical memory under Linux.
 *
 * One range is reserved without access when the first allocation comes, as large as memory could ever need (four times
 * what the machine has) or as the limits of the process allow; it costs page tables only where it is used. From its low
 * end the range is made readable and writable in steps that double up to 1 GiB, and added to the frame table: zero, and
 * not yet backed by memory.
 *
 *     base          committed                         end
 *      | frame table's  | reserved, no access          |
 *
 * Free frames go back to the kernel (MADV_DONTNEED) on malloc_trim, and from the heap's heartbeat when many of them
 * have not been used for a while: the rest is kept, because what was freed a moment ago is what is wanted next.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "platform/linux/linux.h"
#include "src/base/bits.h"
#include "src/base/lock.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum policy {
    RANGE_TIMES_MEMORY = 4, /* reserve this much of what the machine has */
    STEP_FIRST_MIB = 16,
    STEP_LAST_MIB = 1024,
    KEEP_LEAST_MIB = 32,   /* never give back from the heartbeat below this much free memory … */
    KEEP_PART_OF_USED = 4, /* … or this part of what is in use */
    COLD_MS = 100,         /* what was freed this recently stays */
    HEARTBEAT_MS = 20,     /* how often the heartbeat looks */
    GIVE_BACK_ORDER = 4,   /* in blocks of at least 64 KiB; trim gives back down to single frames */
};

static struct {
    struct weir_frames *frames;
    uintptr_t committed, end;
    size_t step;
    struct lock lock;
    _Atomic(uint64_t) looked_at;
} space;

/* Address space that the process may still take: all of it unless RLIMIT_AS says otherwise, a part of the rest then,
 * because stacks and libraries need some, too. */
static size_t allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return limit.rlim_cur / 8 * 5;
}

static size_t wanted(void)
{
    struct sysinfo info;
    size_t memory = sysinfo(&info) == 0 ? (size_t)info.totalram * info.mem_unit : 4 * GIB;
    size_t range = (size_t)1 << log2_ceil(memory * RANGE_TIMES_MEMORY);
    size_t most = WEIR_FRAMES_SPAN_MAX << WEIR_FRAME_SHIFT, least = allowed();
    range = range < most ? range : most;
    return range < least ? range : round_down(least, 2 * MIB);
}

static void *reserve(size_t bytes, int protection)
{
    void *range = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return range == MAP_FAILED ? NULL : range;
}

/* A range of `bytes` that starts at a multiple of 2 MiB, with its frame table's metadata. */
static bool reserve_range(size_t bytes)
{
    char *range = reserve(bytes + 2 * MIB, PROT_NONE);
    if (!range)
        return false;
    uintptr_t base = round_up((uintptr_t)range, 2 * MIB);
    size_t metadata_bytes = weir_frames_metadata_size(base, bytes >> WEIR_FRAME_SHIFT);
    void *metadata = reserve(metadata_bytes, PROT_READ | PROT_WRITE);
    if (!metadata) {
        munmap(range, bytes + 2 * MIB);
        return false;
    }
    unsigned cpus = (unsigned)get_nprocs_conf();
    const struct weir_frames_config config = {
        .base = base,
        .frames = bytes >> WEIR_FRAME_SHIFT,
        .metadata = metadata,
        .slots = cpus < 32 ? cpus * 2 : 64,
        .platform = &linux_platform,
    };
    space.frames = weir_frames_init(&config);
    space.committed = base;
    space.end = base + bytes;
    space.step = STEP_FIRST_MIB * MIB;
    return space.frames != NULL;
}

/* Adds `bytes` at the end of what is committed. */
static bool commit(size_t bytes)
{
    if (bytes > space.end - space.committed || mprotect((void *)space.committed, bytes, PROT_READ | PROT_WRITE) != 0)
        return false;
    if (weir_frames_add(space.frames, space.committed, bytes >> WEIR_FRAME_SHIFT, WEIR_REGION_ZERO) != WEIR_OK)
        return false;
    space.committed += bytes;
    return true;
}

bool space_grow(void *context, size_t bytes)
{
    (void)context;
    int error = errno;
    lock_take(&space.lock, &linux_platform);
    size_t left = space.end - space.committed;
    size_t needed = bytes < left ? round_up(bytes, 2 * MIB) : SIZE_MAX;
    size_t step = space.step > needed ? space.step : needed;
    bool grown = needed <= left && commit(step < left ? step : left);
    if (!grown && needed <= left)
        grown = commit(needed);
    if (grown && space.step < STEP_LAST_MIB * MIB)
        space.step *= 2;
    lock_drop(&space.lock);
    errno = error;
    return grown;
}

struct weir_frames *space_create(void)
{
    if (space.frames)
        return space.frames;
    int error = errno;
    for (size_t bytes = wanted(); bytes >= 2 * MIB; bytes = round_down(bytes / 2, 2 * MIB))
        if (reserve_range(bytes))
            break;
    if (space.frames)
        space_grow(NULL, WEIR_FRAME_SIZE);
    errno = error;
    return space.frames;
}

bool space_give_back(size_t keep, uint64_t cold_before)
{
    struct weir_range ranges[64];
    struct weir_frames_stats stats;
    weir_frames_stats(space.frames, &stats);
    size_t kept = keep >> WEIR_FRAME_SHIFT, given = 0;
    unsigned order = cold_before ? GIVE_BACK_ORDER : 0;
    int error = errno;
    while (stats.free_backed > kept + given) {
        size_t n = weir_frames_isolate(space.frames, order, stats.free_backed - kept - given, cold_before, ranges,
                                       sizeof ranges / sizeof *ranges);
        if (n == 0)
            break;
        for (size_t i = 0; i < n; i++) {
            madvise((void *)ranges[i].start, ranges[i].frames << WEIR_FRAME_SHIFT, MADV_DONTNEED);
            given += ranges[i].frames;
        }
        weir_frames_unisolate(space.frames, ranges, n, true);
    }
    errno = error;
    return given > 0;
}

void space_heartbeat(void *context)
{
    (void)context;
    uint64_t now = linux_now(NULL), before = atomic_load_explicit(&space.looked_at, memory_order_relaxed);
    if (now - before < HEARTBEAT_MS * UINT64_C(1000000) ||
        !atomic_compare_exchange_strong_explicit(&space.looked_at, &before, now, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    struct weir_frames_stats stats;
    weir_frames_stats(space.frames, &stats);
    size_t keep = ((stats.managed - stats.free) << WEIR_FRAME_SHIFT) / KEEP_PART_OF_USED;
    keep = keep > KEEP_LEAST_MIB * MIB ? keep : KEEP_LEAST_MIB * MIB;
    if (stats.free_backed << WEIR_FRAME_SHIFT > keep)
        space_give_back(keep / 2, now - COLD_MS * UINT64_C(1000000));
}
