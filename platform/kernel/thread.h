/*
 * Threads: their state, and the scheduler that moves them.
 *
 * A thread is one page: its registers, what it waits for, and its SIMD state. States:
 *
 *   RUNNING  it is cpu->thread of one CPU
 *   READY    it is in the run queue
 *   WAITING  for a futex, a time, or input; its result is put into its rax when it is woken
 *   (ended)  its page is in the list of free pages
 *
 * One lock, `scheduler`, guards all of it. Invariants:
 *
 *   (1) a thread in state READY is in the run queue, exactly once, and nowhere else;
 *   (2) thread.bucket is not null  <=>  the thread is WAITING and in the list of that futex bucket;
 *   (3) thread.deadline is not NEVER  =>  the thread is WAITING and in the heap of sleepers;
 *   (4) a thread that is not RUNNING has all its state in its struct: any CPU may resume it.
 *
 * (4) is why a wait is the last thing a system call does: there is no kernel stack to come back to.
 */
#ifndef WEIR_KERNEL_THREAD_H
#define WEIR_KERNEL_THREAD_H

#include "cpu.h"
#include "src/base/lock.h"

#define NEVER UINT64_MAX

struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
};

enum thread_state {
    THREAD_RUNNING,
    THREAD_READY,
    THREAD_WAITING,
};

struct thread {
    struct registers registers;
    uint64_t rip, rsp, rflags;
    uint32_t full; /* interrupted anywhere: rcx, r11 and rflags count, too */
    enum thread_state state;

    uint64_t fs;
    uint32_t *clear_tid; /* zeroed and woken when the thread ends */
    int tid;
    unsigned cpu; /* that ran it last */

    /* The mapping without rights that its last system call made, if that has not been done yet: mmap.c */
    uintptr_t pending;
    size_t pending_bytes;

    struct thread *next; /* in the run queue, or among the free pages */

    /* in a futex bucket */
    struct futex_bucket *bucket;
    struct thread *bucket_next, *bucket_previous;
    uintptr_t futex;
    uint32_t futex_bits;

    /* in the heap of sleepers */
    uint64_t deadline;
    struct thread *heap_child, *heap_next, *heap_previous;

    /* all threads, for exceptions that want to name one and for the end of the last */
    struct thread *all_next, *all_previous;

    char simd[] __attribute__((aligned(64))); /* as XSAVE or FXSAVE left it; to the end of the page */
};

#define AT_OFFSET(field, offset) _Static_assert(offsetof(struct thread, field) == (offset), #field)
AT_OFFSET(registers.r15, THREAD_R15);
AT_OFFSET(registers.rsi, THREAD_RSI);
AT_OFFSET(rip, THREAD_RIP);
AT_OFFSET(rsp, THREAD_RSP);
AT_OFFSET(rflags, THREAD_RFLAGS);
AT_OFFSET(full, THREAD_FULL);
#undef AT_OFFSET

#define THREAD_SIZE 4096

/* --- threads.c --- */
struct thread *thread_create(void);                 /* a page, zeroed but for tid; null without memory */
long thread_end(struct thread *thread, int status); /* as a system call */
long thread_clone(struct thread *parent, uint64_t flags, uint64_t stack, uint32_t *parent_tid, uint32_t *child_tid,
                  uint64_t tls);
void simd_init(void);   /* how SIMD state is saved */
bool simd_enable(void); /* on each CPU; false if the state does not fit into a thread */
void simd_save(struct thread *thread);
void simd_load(const struct thread *thread);
extern struct thread *all_threads;
extern unsigned threads_alive;

/* --- scheduler.c --- */
extern struct lock scheduler; /* taken in kernel context only */

void schedule(void);                /* lock held; cpu->thread is not RUNNING any more: picks another, drops the lock */
void thread_ready(struct thread *); /* lock held */
/* Lock held: `thread` (the caller's) waits until `deadline` (kernel_now, NEVER) with the result to be, unless somebody
 * wakes it before. Call schedule() next. */
void thread_wait(struct thread *thread, uint64_t deadline, long result_at_deadline);
void thread_wake(struct thread *thread, long result); /* lock held */
void scheduler_yield(struct thread *thread);
void scheduler_start(void);                 /* on each CPU, instead of returning to a thread */
void scheduler_slice(uint64_t nanoseconds); /* how long a thread runs before others get their turn */
void scheduler_arm_slice(void);             /* time for the next tick of this CPU */
void scheduler_due(uint64_t when);          /* something wants to be done at `when` */
bool scheduler_preemptive(void);
void scheduler_detect_timer(void);
uint64_t scheduler_next_deadline(void);

/* --- futex.c --- */
long futex(struct thread *thread, uint32_t *address, int operation, uint32_t value, uint64_t fourth, uint32_t *address2,
           uint32_t value3);
long futex_wake_all(uint32_t *address);   /* lock held */
void futex_forget(struct thread *thread); /* lock held: leaves its bucket */

/* --- clock.c --- */
void clock_init(uint64_t boot_tsc); /* of the first instruction */
extern bool clock_ready;
uint64_t clock_from_tsc(uint64_t tsc);
uint64_t clock_realtime_offset(void); /* nanoseconds since 1970 at boot; in kernel context */
/* Reads one of Linux's clocks; false if there is no such clock, or if only kernel context (`kernel`) can. */
bool clock_read(int clock, bool kernel, uint64_t *ns);
void clock_arm(uint64_t nanoseconds); /* this CPU's timer, one shot */

#endif
