/*
 * mmap and its family over runs of frames: what musl's malloc and jemalloc live on.
 *
 * There is no demand paging: a mapping is a run, contiguous and backed by frames from the start. Frames not known to be
 * zero are zeroed. MAP_FIXED works within what is allocated, where it means: zero again, with these rights. Every
 * part of a run can be unmapped; a range may span several runs and holes.
 */
#include <stdbool.h>
#include <string.h>

#include "kernel.h"
#include "paging.h"
#include "src/base/bits.h"
#include "src/base/lock.h"
#include "syscalls.h"
#include "thread.h"

#define MAP_FIXED_           0x10u
#define MAP_ANONYMOUS_       0x20u
#define MAP_FIXED_NOREPLACE_ 0x100000u
#define MREMAP_MAYMOVE_      1u
#define MADV_DONTNEED_       4
#define PENDING_AFTER        ((size_t)8192) /* musl's guard */
#define RIGHTS_ALL           7u

/* Where the break is, and the run that holds it. */
static uintptr_t break_start, break_end;
static size_t break_frames;

static size_t frames_in(size_t bytes)
{
    return (bytes + WEIR_FRAME_SIZE - 1) >> WEIR_FRAME_SHIFT;
}

static bool aligned(uintptr_t address)
{
    return (address & (WEIR_FRAME_SIZE - 1)) == 0;
}

/* Whether it is worth a wait for the host: it holds some memory, and with that there would be enough. (jemalloc asks
 * for ever larger extents until it is refused.) */
static bool host_can_help(size_t frames)
{
    struct weir_frames_stats stats;
    weir_frames_stats(weir_kernel_frames(), &stats);
    size_t held = stats.isolated + stats.ballooned;
    return held > 0 && frames <= stats.free + held;
}

/* Each relief brings a part of what the host holds; what comes back need not be in one piece. */
#define RELIEFS 8

static uintptr_t allocate(size_t frames)
{
    bool zero = false;
    uintptr_t start = weir_frames_alloc(weir_kernel_frames(), frames, 1, 0, &zero);
    for (unsigned i = 0; i < RELIEFS && !start && host_can_help(frames); i++) {
        if (!devices_relieve(frames << WEIR_FRAME_SHIFT))
            break;
        start = weir_frames_alloc(weir_kernel_frames(), frames, 1, 0, &zero);
    }
    if (start && !zero)
        memset((void *)start, 0, frames << WEIR_FRAME_SHIFT);
    return start;
}

/* Whether runs cover all of it. */
static bool is_mapped(uintptr_t start, size_t bytes)
{
    struct weir_frames *frames = weir_kernel_frames();
    for (uintptr_t at = start; at < start + bytes;) {
        uintptr_t run = weir_frames_run_start(frames, at);
        if (!run)
            return false;
        at = run + (weir_frames_run_length(frames, run) << WEIR_FRAME_SHIFT);
    }
    return true;
}

static bool outside(uintptr_t start, size_t bytes)
{
    return start < window.start || start >= window.end || bytes > window.end - start;
}

static long protect(uintptr_t address, size_t length, unsigned protection, bool fresh)
{
    size_t bytes = frames_in(length) << WEIR_FRAME_SHIFT;
    if (!aligned(address) || (protection & ~RIGHTS_ALL))
        return -EINVAL_;
    if (length == 0)
        return 0;
    if ((protection & RIGHT_WRITE) && (protection & RIGHT_EXEC))
        return -EACCES_; /* never writable and executable */
    if (protection & (RIGHT_WRITE | RIGHT_EXEC))
        protection |= RIGHT_READ;
    if (!outside(address, bytes) && !is_mapped(address, bytes))
        return -ENOMEM_;
    if (!outside(address, bytes) && protection == RIGHTS_DATA) {
        paging_reset(address, bytes);
        return 0;
    }
    return paging_protect(address, bytes, protection, fresh) ? 0 : -ENOMEM_;
}

long memory_protect(uintptr_t address, size_t length, unsigned protection)
{
    return protect(address, length, protection, false);
}

/*
 * A thread's stack is born as a mapping without rights, all of which but the guard pages at its start is made
 * accessible by the next system call. So only the first pages lose their rights at once, the others when their thread
 * enters the kernel again: then often two entries have been written instead of seventy. Until then nobody else knows
 * the address.
 */
bool memory_settle(struct thread *thread, bool is_protect, uintptr_t address, size_t length, unsigned protection)
{
    uintptr_t start = thread->pending, end = start + thread->pending_bytes;
    size_t bytes = frames_in(length) << WEIR_FRAME_SHIFT;
    thread->pending = 0;
    bool within = is_protect && aligned(address) && protection == RIGHTS_DATA && bytes > 0 && address >= start &&
                  address < end && bytes <= end - address;
    uintptr_t hole = within ? address : end, hole_end = within ? address + bytes : end;
    if (start < hole)
        paging_protect(start, hole - start, 0, true);
    if (hole_end < end)
        paging_protect(hole_end, end - hole_end, 0, true);
    return within;
}

long memory_map_call(struct thread *thread, uintptr_t address, size_t length, unsigned protection, unsigned flags,
                     int file)
{
    size_t frames = frames_in(length), bytes = frames << WEIR_FRAME_SHIFT;
    if (length == 0)
        return -EINVAL_;
    if (length > PTRDIFF_MAX)
        return -ENOMEM_;
    if (file >= 0 && !(flags & MAP_ANONYMOUS_))
        return -ENODEV_;
    if (flags & MAP_FIXED_NOREPLACE_)
        return -EEXIST_;
    if (flags & MAP_FIXED_) {
        if (!aligned(address))
            return -EINVAL_;
        if (outside(address, bytes) || !is_mapped(address, bytes))
            return -ENOMEM_;
        paging_reset(address, bytes);
        memset((void *)address, 0, bytes);
    } else {
        address = allocate(frames);
        if (!address)
            return -ENOMEM_;
    }
    if ((protection & RIGHTS_ALL) == 0 && !(flags & MAP_FIXED_)) {
        size_t now = bytes < PENDING_AFTER ? bytes : PENDING_AFTER;
        if (!paging_protect(address, now, 0, true)) {
            weir_frames_free(weir_kernel_frames(), address, frames);
            return -ENOMEM_;
        }
        if (now < bytes) {
            thread->pending = address + now;
            thread->pending_bytes = bytes - now;
        }
    } else if ((protection & RIGHTS_ALL) != RIGHTS_DATA) {
        long result = protect(address, bytes, protection & RIGHTS_ALL, !(flags & MAP_FIXED_));
        if (result < 0) {
            if (!(flags & MAP_FIXED_))
                weir_frames_free(weir_kernel_frames(), address, frames);
            return result;
        }
    }
    return (long)address;
}

long memory_unmap(uintptr_t address, size_t length)
{
    struct weir_frames *frames = weir_kernel_frames();
    uintptr_t end = address + (frames_in(length) << WEIR_FRAME_SHIFT);
    if (!aligned(address) || length == 0 || end < address)
        return -EINVAL_;
    if (address < window.start)
        address = window.start;
    if (end > window.end)
        end = window.end;
    if (address < end)
        paging_reset(address, end - address);
    while (address < end) {
        uintptr_t run = weir_frames_run_start(frames, address);
        if (!run) {
            address += WEIR_FRAME_SIZE;
            continue;
        }
        uintptr_t run_end = run + (weir_frames_run_length(frames, run) << WEIR_FRAME_SHIFT);
        uintptr_t stop = run_end < end ? run_end : end;
        weir_frames_free(frames, address, (stop - address) >> WEIR_FRAME_SHIFT);
        address = stop;
    }
    return 0;
}

long memory_remap(uintptr_t old, size_t old_length, size_t length, unsigned flags)
{
    struct weir_frames *frames = weir_kernel_frames();
    size_t have = frames_in(old_length), want = frames_in(length);
    if (!aligned(old) || length == 0 || old_length == 0 || (flags & ~MREMAP_MAYMOVE_))
        return -EINVAL_;
    if (length > PTRDIFF_MAX || outside(old, have << WEIR_FRAME_SHIFT))
        return -ENOMEM_;
    if (!is_mapped(old, have << WEIR_FRAME_SHIFT))
        return -EFAULT_;
    if (want < have)
        memory_unmap(old + (want << WEIR_FRAME_SHIFT), (have - want) << WEIR_FRAME_SHIFT);
    if (want <= have)
        return (long)old;
    bool zero = false;
    uintptr_t run = weir_frames_run_start(frames, old);
    size_t before = (old - run) >> WEIR_FRAME_SHIFT;
    if (weir_frames_run_length(frames, run) == before + have &&
        weir_frames_grow(frames, run, before + have, before + want, &zero)) {
        if (!zero)
            memset((char *)old + (have << WEIR_FRAME_SHIFT), 0, (want - have) << WEIR_FRAME_SHIFT);
        return (long)old;
    }
    if (!(flags & MREMAP_MAYMOVE_))
        return -ENOMEM_;
    uintptr_t new = allocate(want);
    if (!new)
        return -ENOMEM_;
    memcpy((void *)new, (void *)old, have << WEIR_FRAME_SHIFT);
    memory_unmap(old, have << WEIR_FRAME_SHIFT);
    return (long)new;
}

long memory_advise(uintptr_t address, size_t length, int advice)
{
    size_t bytes = frames_in(length) << WEIR_FRAME_SHIFT;
    if (!aligned(address))
        return -EINVAL_;
    if (advice != MADV_DONTNEED_ || length == 0)
        return 0;
    if (outside(address, bytes) || !is_mapped(address, bytes))
        return -ENOMEM_;
    for (uintptr_t page = address; page < address + bytes; page += WEIR_FRAME_SIZE)
        if (!paging_is_guard(page))
            memset((void *)page, 0, WEIR_FRAME_SIZE);
    return 0;
}

/* The break begins as one frame and grows as long as the frames above it are free; then musl falls back to mmap. */
long memory_break(uintptr_t end)
{
    struct weir_frames *frames = weir_kernel_frames();
    static struct lock lock;
    lock_take(&lock, weir_kernel_platform());
    if (!break_start) {
        break_start = break_end = allocate(1);
        break_frames = 1;
    }
    if (break_start && end >= break_start && end - break_start < PTRDIFF_MAX) {
        size_t want = frames_in(end - break_start);
        bool zero = false, room = want <= break_frames;
        if (!room && weir_frames_grow(frames, break_start, break_frames, want, &zero)) {
            if (!zero)
                memset((char *)break_start + (break_frames << WEIR_FRAME_SHIFT), 0,
                       (want - break_frames) << WEIR_FRAME_SHIFT);
            break_frames = want;
            room = true;
        }
        if (room)
            break_end = end;
    }
    long result = (long)break_end;
    lock_drop(&lock);
    return result;
}
