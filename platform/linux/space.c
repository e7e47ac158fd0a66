/*
 * The address space that plays physical memory under Linux.
 *
 * One range is reserved without access when the first allocation comes, as large as memory could ever need (four times
 * what the machine has) or as the limits of the process allow; it costs page tables only where it is used. From its low
 * end the range is made readable and writable in steps that double up to 1 GiB, and added to the frame table: zero, and
 * not yet backed by memory.
 *
 *     base      huge       committed                    end
 *      | frame table's       | reserved, no access       |
 *      | small    | huge pages, where the kernel has them |
 *
 * Huge pages are asked for beyond the first 4 MiB, or earlier once there is a large object: a small process keeps
 * small pages, and with them its small resident memory; a large one takes a fault for each 2 MiB instead of each 4 KiB,
 * and its pages stay in the processor's tables. Because the range is filled from its low end and frames are taken from
 * the fullest 2 MiB first, what huge pages hold beyond what is used is about one of them. The border moves at most
 * once, so that the range stays a handful of mappings.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "api/options.h"
#include "platform/linux/linux.h"
#include "src/base/bits.h"
#include "src/base/lock.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum policy {
    MOVES_MOST = 8192,      /* by page tables, see space_move */
    RANGE_TIMES_MEMORY = 4, /* reserve this much of what the machine has */
    STEP_FIRST_MIB = 2,
    STEP_LAST_MIB = 1024,
    HUGE_FROM_MIB = 4, /* huge pages begin here, ... */
    HUGE_RUN_MIB = 1,  /* ... or where a process grows for the sake of an object of this size */
};

static struct {
    struct weir_frames *frames;
    uintptr_t committed, end;
    uintptr_t huge; /* huge pages are for what lies above; `end`: for nothing */
    size_t step;
    struct lock lock;
    atomic_bool huge_allowed;
} space;

static size_t limit_of(int resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur;
}

/* Address space that the process may still take: all of it unless a limit says otherwise. Of RLIMIT_AS a part, because
 * stacks and libraries need some, too. The frame table's metadata is data for RLIMIT_DATA, as large as the range asks
 * for, and the range need not be larger than what the limit lets anybody have. */
static size_t allowed(void)
{
    size_t space = limit_of(RLIMIT_AS), data = limit_of(RLIMIT_DATA);
    space = space == SIZE_MAX ? space : space / 8 * 5;
    return space < data ? space : data;
}

static size_t wanted(void)
{
    size_t asked = option(OPTION_RESERVE);
    struct sysinfo info;
    size_t memory = sysinfo(&info) == 0 ? (size_t)info.totalram * info.mem_unit : 4 * GIB;
    size_t range = asked ? round_up(asked, 2 * MIB) : (size_t)1 << log2_ceil(memory * RANGE_TIMES_MEMORY);
    size_t most = WEIR_FRAMES_SPAN_MAX << WEIR_FRAME_SHIFT, least = allowed();
    range = range < most ? range : most;
    return range < least ? range : round_down(least, 2 * MIB);
}

static void *reserve(size_t bytes, int protection)
{
    void *range = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return range == MAP_FAILED ? NULL : range;
}

/* Tells the kernel what is wanted of the range, before any of it is used. */
static void choose_pages(uintptr_t base, uintptr_t end)
{
    size_t wish = option(OPTION_HUGE);
    space.huge = end;
    if (wish == HUGE_NEVER)
        madvise((void *)base, end - base, MADV_NOHUGEPAGE);
    if (wish == HUGE_SYSTEM || wish == HUGE_NEVER)
        return;
    uintptr_t huge = wish == HUGE_ALWAYS ? base : base + HUGE_FROM_MIB * MIB;
    if (huge < end && madvise((void *)huge, end - huge, MADV_HUGEPAGE) == 0)
        space.huge = huge;
    space.huge_allowed = true;
}

/* Moves the border of huge pages down to what is not committed yet. */
static void begin_huge_pages(void)
{
    uintptr_t from = space.committed;
    if (from < space.huge && space.huge < space.end && madvise((void *)from, space.huge - from, MADV_HUGEPAGE) == 0)
        space.huge = from;
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
    choose_pages(base, space.end);
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
    if (bytes >= HUGE_RUN_MIB * MIB)
        begin_huge_pages();
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

struct weir_frames *space_frames(void)
{
    return space.frames;
}

void space_allow_huge(bool allowed)
{
    if (atomic_load_explicit(&space.huge_allowed, memory_order_relaxed) == allowed || space.huge == space.end)
        return;
    atomic_store_explicit(&space.huge_allowed, allowed, memory_order_relaxed);
    madvise((void *)space.huge, space.end - space.huge, allowed ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

bool space_may_be_huge(uintptr_t address)
{
    return address >= space.huge || option(OPTION_HUGE) == HUGE_SYSTEM;
}

/* The kernel may have unmapped the target before it found that it cannot move there. */
static void map_again(uintptr_t start, size_t bytes)
{
    if (mmap((void *)start, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0) == MAP_FAILED)
        linux_platform.panic(linux_platform.context, "memory that was ours cannot be mapped again");
    if (start >= space.huge && atomic_load_explicit(&space.huge_allowed, memory_order_relaxed))
        madvise((void *)start, bytes, MADV_HUGEPAGE);
}

/* Moves a range that lies in several mappings, in pieces: those that lie in one move, others of 2 MiB are copied. */
static void move_pieces(uintptr_t from, uintptr_t to, size_t bytes)
{
    if (mremap((void *)from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (void *)to) != MAP_FAILED)
        return;
    size_t half = round_up(bytes / 2, 2 * MIB);
    if (errno == EFAULT && half < bytes) {
        move_pieces(from, to, half);
        move_pieces(from + half, to + half, bytes - half);
        return;
    }
    map_again(to, bytes);
    memcpy((void *)to, (const void *)from, bytes);
}

/* Each move leaves up to two mappings more than there were, of which the kernel allows a process 65,530. A mapping that
 * was moved ends where the object did, so that one that grew meanwhile lies in several. */
void space_move(void *context, uintptr_t from, uintptr_t to, size_t bytes)
{
    static _Atomic(unsigned) moves;
    (void)context;
    int error = errno;
    if (atomic_fetch_add_explicit(&moves, 1, memory_order_relaxed) < MOVES_MOST)
        move_pieces(from, to, bytes);
    else
        memcpy((void *)to, (const void *)from, bytes);
    errno = error;
}
