/*
 * The scheduler: one queue of ready threads, first come first served, for all CPUs.
 *
 * A CPU takes the next thread when its own waits, ends, yields, or has used up its slice and the timer interrupt says
 * so (where it arrives; elsewhere threads are cooperative). A CPU that finds none is idle: it flushes the console, lets
 * the devices work, looks again for SPIN_NS, and halts in ring 0 until another CPU wakes it or its timer does.
 *
 * Whatever is to be done at a certain time (sleepers to wake, devices to poll, output to flush, input to look for)
 * lowers `due`. It is looked at by every system call, every tick and every idle CPU, so that nothing needs an interrupt
 * to make progress. A halting CPU sets its timer to `due`.
 *
 * No wake-up is lost: a CPU sets `halted`, then looks at the queue; who makes a thread ready puts it into the queue,
 * then looks at `halted`. The interrupt may come before the HLT, and so may the timer's: then cpu.wake or cpu.tick,
 * which ring 0 tests with interrupts off, keeps it from halting.
 */
#include "console.h"
#include "kernel.h"
#include "paging.h"
#include "sequence.h"
#include "sleepers.h"
#include "syscalls.h"
#include "thread.h"

#define SLICE_NS           10000000 /* weir.slice says otherwise */
#define SPIN_NS            50000    /* a halt and the interrupt that ends it cost as much */
#define LEAVE_NS           1000000
#define DEVICES_NS         20000000 /* after boot: now the devices are started */
#define DETECT_MAX_NS      300000
#define DETECT_EMULATED_NS 50000000
#define DETECT_ROUNDS      5000
#define DETECT_NS          50000

struct lock scheduler;

static struct thread *queue_head, **queue_tail = &queue_head;
static _Atomic(unsigned) queued;
static struct sleepers sleepers;
static _Atomic(uint64_t) sleepers_due = NEVER; /* the first deadline; written with the lock held */
static _Atomic(uint64_t) due;
static _Atomic(uint64_t) devices_due = NEVER;
static bool devices_started; /* guarded by `working` */
static _Atomic(bool) working;
static _Atomic(bool) preemptive;
static uint64_t slice_ns = SLICE_NS;

bool scheduler_preemptive(void)
{
    return preemptive;
}

void scheduler_due(uint64_t when)
{
    uint64_t now = due;
    while (when < now && !atomic_compare_exchange_weak(&due, &now, when))
        ;
}

/* --- waiting and waking --- */

/* Wakes a halted CPU, if there is one. */
static bool kick_idle_cpu(unsigned preferred)
{
    for (unsigned i = 0; i < cpus_online; i++) {
        struct cpu *cpu = &cpus[(preferred + i) % cpus_online];
        if (cpu->halted && atomic_exchange(&cpu->halted, false)) {
            cpu->wake = 1;
            cpu_interrupt(cpu, VECTOR_WAKE);
            return true;
        }
    }
    return false;
}

void thread_ready(struct thread *thread)
{
    thread->state = THREAD_READY;
    thread->next = NULL;
    *queue_tail = thread;
    queue_tail = &thread->next;
    atomic_fetch_add(&queued, 1);
    kick_idle_cpu(thread->cpu);
}

static struct thread *take_ready(void)
{
    struct thread *thread = queue_head;
    if (thread) {
        queue_head = thread->next;
        if (!queue_head)
            queue_tail = &queue_head;
        queued--;
    }
    return thread;
}

void thread_wait(struct thread *thread, uint64_t deadline, long result_at_deadline)
{
    thread->state = THREAD_WAITING;
    thread->registers.rax = (uint64_t)result_at_deadline;
    thread->deadline = deadline;
    simd_save(thread);
    if (deadline != NEVER) {
        sleepers_add(&sleepers, thread);
        sleepers_due = sleepers_first(&sleepers);
    }
}

void thread_wake(struct thread *thread, long result)
{
    if (thread->deadline != NEVER) {
        sleepers_remove(&sleepers, thread);
        sleepers_due = sleepers_first(&sleepers);
    }
    thread->registers.rax = (uint64_t)result;
    thread_ready(thread);
}

/* --- what is to be done at a certain time --- */

static void wake_sleepers(uint64_t now)
{
    lock_take(&scheduler, weir_kernel_platform());
    while (sleepers_first(&sleepers) <= now) {
        struct thread *thread = sleepers.first;
        sleepers_remove(&sleepers, thread);
        futex_forget(thread);
        thread_ready(thread); /* its result was set when it began to wait */
    }
    sleepers_due = sleepers_first(&sleepers);
    lock_drop(&scheduler);
}

/* When `work` has something to do. */
static uint64_t work_due(void)
{
    uint64_t next = devices_next();
    return next < due ? next : due;
}

static void work(uint64_t now)
{
    if (atomic_exchange(&working, true))
        return;  /* another CPU is at it */
    due = NEVER; /* who lowers it from here on is heard: what is due was recorded before that */
    if (!devices_started && now >= DEVICES_NS) {
        devices_started = true;
        devices_init();
        devices_due = now;
    }
    if (now >= devices_due || now >= devices_next())
        devices_due = devices_poll(now);
    scheduler_due(devices_started ? devices_due : DEVICES_NS);
    scheduler_due(console_poll(now));
    scheduler_due(input_poll(now));
    working = false;
}

/* Devices are slow: a CPU that has a thread to run leaves them to one that halts, for a while. */
static bool leave_work(uint64_t now)
{
    static _Atomic(uint64_t) left_until;
    if (now < left_until)
        return true;
    if (!kick_idle_cpu(this_cpu()->number + 1))
        return false;
    left_until = now + LEAVE_NS;
    return true;
}

/* In kernel context, now and then. `busy`: there is a thread to go on with. */
static void look_at_clock(bool busy)
{
    uint64_t now = kernel_now();
    if (now >= sleepers_due)
        wake_sleepers(now);
    if (now >= work_due() && !(busy && leave_work(now)))
        work(now);
}

void scheduler_slice(uint64_t nanoseconds)
{
    slice_ns = nanoseconds;
}

void scheduler_arm_slice(void)
{
    if (preemptive)
        clock_arm(slice_ns);
}

/* If the timer struck since the slice began, a new one begins. */
static void restart_slice(struct cpu *cpu)
{
    if (!cpu->tick)
        return;
    cpu->tick = 0;
    scheduler_arm_slice();
}

static void idle(struct cpu *cpu)
{
    if (console_dirty())
        kernel_flush();
    uint64_t spin_until = kernel_now() + SPIN_NS;
    for (;;) {
        if (queued)
            return;
        look_at_clock(false);
        if (kernel_now() >= spin_until)
            break;
        pause();
    }
    weir_kernel_idle();
    cpu->tick = 0;
    cpu->halted = true;
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t now = kernel_now(), until = work_due();
    if (sleepers_due < until)
        until = sleepers_due;
    if (!queued && now < until) {
        if (until != NEVER)
            clock_arm(until - now);
        kernel_gate(GATE_IDLE, 0, 0);
    }
    cpu->halted = false;
    cpu->wake = 0;
}

static void run(struct cpu *cpu, struct thread *thread)
{
    thread->state = THREAD_RUNNING;
    thread->cpu = cpu->number;
    cpu->thread = thread;
}

void schedule(void)
{
    struct cpu *cpu = this_cpu();
    struct thread *thread;
    bool idled = false;
    cpu->thread = NULL;
    while (!(thread = take_ready())) {
        lock_drop(&scheduler);
        idle(cpu);
        idled = true;
        lock_take(&scheduler, weir_kernel_platform());
    }
    run(cpu, thread);
    lock_drop(&scheduler);
    paging_refresh();
    simd_load(thread);
    __asm__ volatile("wrfsbase %0" : : "r"(thread->fs) : "memory");
    if (idled)
        scheduler_arm_slice();
    restart_slice(cpu);
}

void scheduler_yield(struct thread *thread)
{
    lock_take(&scheduler, weir_kernel_platform());
    if (!queue_head) {
        lock_drop(&scheduler);
        restart_slice(this_cpu());
        return;
    }
    simd_save(thread);
    thread_ready(thread);
    schedule();
}

void scheduler_start(void)
{
    lock_take(&scheduler, weir_kernel_platform());
    schedule();
    scheduler_arm_slice();
}

/* --- the entries from assembly --- */

/* The timer struck: the slice is used up. Who is pinned to the CPU keeps it for a little longer. */
static void after_tick(struct cpu *cpu, struct thread *thread)
{
    if (cpu->tick && cpu->preempt)
        clock_arm(TIMER_RETRY);
    else if (cpu->tick)
        scheduler_yield(thread);
}

void preempted_entry(struct thread *thread);
void preempted_entry(struct thread *thread)
{
    struct cpu *cpu = this_cpu();
    preemptive = true; /* if it was too late when asked */
    sequence_restart(thread);
    if (cpu->tick)
        weir_kernel_tick();
    look_at_clock(true);
    after_tick(cpu, thread);
}

void system_call_entry(struct thread *thread);
void system_call_entry(struct thread *thread)
{
    struct cpu *cpu = this_cpu();
    bool pinned = cpu->preempt;
    look_at_clock(true);
    long result = system_call_answer(thread);
    if (result == RESULT_LATER) {
        if (pinned)
            kernel_panic("a thread waits while it is pinned to its CPU");
        return;
    }
    thread->registers.rax = (uint64_t)result;
    after_tick(cpu, thread);
}

/* Whether the timer interrupt reaches ring 3. Asked once, on the first CPU. It must have had the time, and this CPU
 * must have run meanwhile: on a busy host both pass apart from each other. */
void scheduler_detect_timer(void)
{
    struct cpu *cpu = this_cpu();
    due = DEVICES_NS;
    kernel_gate(GATE_INTERRUPTS, 0, 0);
    cpu->tick = 0;
    clock_arm(DETECT_NS);
    uint64_t start = kernel_now();
    bool emulated = cpuid(0x40000000, 0).b == HYPERVISOR_TCG; /* its timer is late now and then */
    uint64_t patience = emulated ? DETECT_EMULATED_NS : DETECT_MAX_NS;
    for (unsigned i = 0; !cpu->tick && (i < DETECT_ROUNDS || kernel_now() - start < patience); i++)
        pause();
    preemptive = cpu->tick;
    cpu->tick = 0;
}

__attribute__((weak)) void devices_init(void)
{
}

__attribute__((weak)) uint64_t devices_poll(uint64_t now)
{
    (void)now;
    return NEVER;
}

__attribute__((weak)) uint64_t devices_next(void)
{
    return NEVER;
}

__attribute__((weak)) bool devices_relieve(size_t bytes)
{
    (void)bytes;
    return false;
}

__attribute__((weak)) void weir_kernel_idle(void)
{
}

__attribute__((weak)) void weir_kernel_tick(void)
{
}

void kernel_heartbeat(void)
{
    uint64_t now = kernel_now();
    if (now >= devices_due || now >= devices_next()) {
        devices_due = devices_poll(now);
        scheduler_due(devices_due);
    }
}
