/*
 * Threads come and go: clone and exit as musl's pthread_create and pthread_exit want them.
 *
 * A thread's page holds its SIMD state, too: what XCR0 enables (x87, SSE, AVX, AVX-512 where it fits), or FXSAVE's 512
 * bytes on a CPU without XSAVE.
 */
#include <string.h>

#include "kernel.h"
#include "syscalls.h"
#include "thread.h"

#define CLONE_VM             0x100u
#define CLONE_THREAD         0x10000u
#define CLONE_SETTLS         0x80000u
#define CLONE_PARENT_SETTID  0x100000u
#define CLONE_CHILD_CLEARTID 0x200000u
#define CLONE_CHILD_SETTID   0x1000000u

#define SIMD_BASIC  0x7u /* x87, SSE, AVX */
#define SIMD_AVX512 0xe0u

struct thread *all_threads;
unsigned threads_alive;

static struct thread *free_threads;
static int last_tid;
static uint32_t simd_mask; /* 0: FXSAVE */

void simd_init(void)
{
    if (cpuid(1, 0).c >> 26 & 1)
        simd_mask = cpuid(0xd, 0).a & (SIMD_BASIC | SIMD_AVX512);
    if ((simd_mask & SIMD_AVX512) != SIMD_AVX512)
        simd_mask &= SIMD_BASIC;
}

bool simd_enable(void)
{
    if (!simd_mask)
        return true;
    kernel_gate(GATE_XSETBV, simd_mask, 0);
    if (cpuid(0xd, 0).b <= THREAD_SIZE - offsetof(struct thread, simd))
        return true;
    simd_mask &= SIMD_BASIC;
    kernel_gate(GATE_XSETBV, simd_mask, 0);
    return cpuid(0xd, 0).b <= THREAD_SIZE - offsetof(struct thread, simd);
}

void simd_save(struct thread *thread)
{
    if (simd_mask)
        __asm__ volatile("xsave64 (%0)" : : "r"(thread->simd), "a"(simd_mask), "d"(0) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(thread->simd) : "memory");
}

void simd_load(const struct thread *thread)
{
    if (simd_mask)
        __asm__ volatile("xrstor64 (%0)" : : "r"(thread->simd), "a"(simd_mask), "d"(0) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(thread->simd) : "memory");
}

struct thread *thread_create(void)
{
    lock_take(&scheduler, weir_kernel_platform());
    struct thread *thread = free_threads;
    if (thread)
        free_threads = thread->next;
    lock_drop(&scheduler);
    if (!thread)
        thread = (struct thread *)weir_frames_alloc(weir_kernel_frames(), 1, 0, WEIR_FRAMES_METADATA, NULL);
    if (!thread)
        return NULL;
    /* The header, and what XRSTOR reads of a state that says "as after reset". */
    memset(thread, 0, offsetof(struct thread, simd) + 576);
    *(uint16_t *)thread->simd = 0x37f;
    *(uint32_t *)(thread->simd + 24) = 0x1f80;
    thread->deadline = NEVER;
    thread->rflags = 0x202;

    lock_take(&scheduler, weir_kernel_platform());
    thread->tid = ++last_tid;
    thread->all_next = all_threads;
    if (all_threads)
        all_threads->all_previous = thread;
    all_threads = thread;
    threads_alive++;
    lock_drop(&scheduler);
    return thread;
}

long thread_clone(struct thread *parent, uint64_t flags, uint64_t stack, uint32_t *parent_tid, uint32_t *child_tid,
                  uint64_t tls)
{
    if ((flags & (CLONE_VM | CLONE_THREAD)) != (CLONE_VM | CLONE_THREAD) || !stack)
        return -ENOSYS_; /* a process of its own */
    struct thread *child = thread_create();
    if (!child)
        return -EAGAIN_;
    int tid = child->tid;
    child->registers = parent->registers;
    child->registers.rax = 0;
    child->rip = parent->rip;
    child->rsp = stack;
    child->fs = flags & CLONE_SETTLS ? tls : parent->fs;
    child->cpu = parent->cpu + 1;
    simd_save(child);
    if (flags & CLONE_PARENT_SETTID)
        *parent_tid = (uint32_t)tid;
    if (flags & CLONE_CHILD_SETTID)
        *child_tid = (uint32_t)tid;
    if (flags & CLONE_CHILD_CLEARTID)
        child->clear_tid = child_tid;
    lock_take(&scheduler, weir_kernel_platform());
    thread_ready(child);
    lock_drop(&scheduler);
    return tid;
}

long thread_end(struct thread *thread, int status)
{
    lock_take(&scheduler, weir_kernel_platform());
    if (--threads_alive == 0) {
        lock_drop(&scheduler);
        kernel_exit(status);
    }
    if (thread->all_previous)
        thread->all_previous->all_next = thread->all_next;
    else
        all_threads = thread->all_next;
    if (thread->all_next)
        thread->all_next->all_previous = thread->all_previous;
    if (thread->clear_tid) {
        __atomic_store_n(thread->clear_tid, 0, __ATOMIC_SEQ_CST);
        futex_wake_all(thread->clear_tid);
    }
    thread->next = free_threads;
    free_threads = thread;
    schedule();
    return RESULT_LATER;
}
