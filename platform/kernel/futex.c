/*
 * Futexes: threads that wait for a word to change, in lists by the word's address.
 *
 * The word is compared and the thread is queued under the scheduler's lock, and so does the waker look: between the
 * comparison and the wait nothing gets lost. Waiters of one word are woken in the order in which they came.
 */
#include "kernel.h"
#include "syscalls.h"
#include "thread.h"

#define BUCKETS 256

#define FUTEX_WAIT        0
#define FUTEX_WAKE        1
#define FUTEX_REQUEUE     3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_PRIVATE     128
#define FUTEX_REALTIME    256
#define ANY_BITS          UINT32_MAX

struct futex_bucket {
    struct thread *first, *last;
};

static struct futex_bucket buckets[BUCKETS];

static struct futex_bucket *bucket_of(uintptr_t address)
{
    return &buckets[(address >> 2) * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

static void enqueue(struct thread *thread, uintptr_t address)
{
    struct futex_bucket *bucket = bucket_of(address);
    thread->bucket = bucket;
    thread->futex = address;
    thread->bucket_next = NULL;
    thread->bucket_previous = bucket->last;
    if (bucket->last)
        bucket->last->bucket_next = thread;
    else
        bucket->first = thread;
    bucket->last = thread;
}

void futex_forget(struct thread *thread)
{
    struct futex_bucket *bucket = thread->bucket;
    if (!bucket)
        return;
    if (thread->bucket_previous)
        thread->bucket_previous->bucket_next = thread->bucket_next;
    else
        bucket->first = thread->bucket_next;
    if (thread->bucket_next)
        thread->bucket_next->bucket_previous = thread->bucket_previous;
    else
        bucket->last = thread->bucket_previous;
    thread->bucket = NULL;
}

/* Lock held: wakes up to `wake` waiters, moves up to `move` others to address2. Returns how many of either. */
static long wake_and_move(uintptr_t address, int64_t wake, uint32_t bits, int64_t move, uintptr_t address2)
{
    long n = 0;
    for (struct thread *thread = bucket_of(address)->first, *next; thread && wake + move > 0; thread = next) {
        next = thread->bucket_next;
        if (thread->futex != address || !(thread->futex_bits & bits))
            continue;
        futex_forget(thread);
        if (wake > 0) {
            wake--;
            thread_wake(thread, 0);
        } else {
            move--;
            enqueue(thread, address2);
        }
        n++;
    }
    return n;
}

long futex_wake_all(uint32_t *address)
{
    return wake_and_move((uintptr_t)address, INT32_MAX, ANY_BITS, 0, 0);
}

static long wait(struct thread *thread, uint32_t *address, uint32_t value, uint32_t bits, const int64_t *time,
                 bool absolute, bool realtime)
{
    uint64_t deadline = NEVER;
    if (bits == 0)
        return -EINVAL_;
    if (time) {
        if (time[1] < 0 || time[1] >= 1000000000 || time[0] < 0)
            return -EINVAL_;
        uint64_t from = absolute ? (realtime ? (uint64_t)0 - clock_realtime_offset() : 0) : kernel_now();
        uint64_t ns =
            (uint64_t)time[0] < NEVER / 2000000000 ? (uint64_t)time[0] * 1000000000 + (uint64_t)time[1] : NEVER / 2;
        deadline = ns + from;
        if (absolute && realtime && ns < clock_realtime_offset())
            deadline = 0;
    }
    lock_take(&scheduler, weir_kernel_platform());
    if (__atomic_load_n(address, __ATOMIC_SEQ_CST) != value) {
        lock_drop(&scheduler);
        return -EAGAIN_;
    }
    if (deadline <= kernel_now()) {
        lock_drop(&scheduler);
        return -ETIMEDOUT_;
    }
    thread->futex_bits = bits;
    enqueue(thread, (uintptr_t)address);
    thread_wait(thread, deadline, -ETIMEDOUT_);
    schedule();
    return RESULT_LATER;
}

long futex(struct thread *thread, uint32_t *address, int operation, uint32_t value, uint64_t fourth, uint32_t *address2,
           uint32_t value3)
{
    bool realtime = operation & FUTEX_REALTIME;
    int command = operation & ~(FUTEX_PRIVATE | FUTEX_REALTIME);
    long result;
    switch (command) {
    case FUTEX_WAIT:
        return wait(thread, address, value, ANY_BITS, (const int64_t *)fourth, false, false);
    case FUTEX_WAIT_BITSET:
        return wait(thread, address, value, value3, (const int64_t *)fourth, true, realtime);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
        lock_take(&scheduler, weir_kernel_platform());
        result = wake_and_move((uintptr_t)address, (int)value < 0 ? 0 : (int)value,
                               command == FUTEX_WAKE ? ANY_BITS : value3, 0, 0);
        lock_drop(&scheduler);
        return result;
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        lock_take(&scheduler, weir_kernel_platform());
        if (command == FUTEX_CMP_REQUEUE && __atomic_load_n(address, __ATOMIC_SEQ_CST) != value3)
            result = -EAGAIN_;
        else
            result = wake_and_move((uintptr_t)address, (int)value < 0 ? 0 : (int)value, ANY_BITS,
                                   (int)fourth < 0 ? 0 : (int)fourth, (uintptr_t)address2);
        lock_drop(&scheduler);
        return result;
    default:
        return -ENOSYS_;
    }
}
