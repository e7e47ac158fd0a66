/*
 * The end of the guest: exceptions, signals, panics, and the exit they all lead to.
 *
 * The last line of the console tells the tool the exit code, because no machine carries one well: QEMU's isa-debug-exit
 * has seven bits, Firecracker has none.
 */
#include "exception.h"

#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "paging.h"
#include "syscalls.h"
#include "thread.h"

#define PORT_DEBUG_EXIT 0xf4
#define PORT_KEYBOARD   0x64
#define NEAR_STACK      65536

static size_t used_at_start;
static bool started;

static size_t frames_used(size_t *peak)
{
    struct weir_frames_stats stats;
    weir_frames_stats(weir_kernel_frames(), &stats);
    *peak = stats.peak_used;
    return stats.managed - stats.free - stats.isolated - stats.ballooned;
}

void kernel_program_starts(void)
{
    size_t peak;
    used_at_start = frames_used(&peak);
    started = true;
}

void kernel_exit(int code)
{
    system_calls_report();
    if (kernel_tool() && started) {
        size_t peak;
        frames_used(&peak);
        kprintf("\x1eweir memory peak=%zu\n", peak > used_at_start ? (peak - used_at_start) * WEIR_FRAME_SIZE : 0);
    }
    console_seize();
    if (kernel_tool())
        kprintf("\x1eweir exit %d\n", code & 255);
    kernel_flush();
    outb(PORT_DEBUG_EXIT, (uint8_t)code);
    outb(PORT_KEYBOARD, 0xfe);
    kernel_gate(GATE_END, 0, 0);
    for (;;)
        pause();
}

/* --- exceptions --- */

static const struct {
    const char *name;
    int signal;
} exceptions[] = {
    {"division error", 8},
    {"debug exception", 5},
    {"non-maskable interrupt", 7},
    {"breakpoint", 5},
    {"overflow", 11},
    {"bound exceeded", 11},
    {"invalid instruction", 4},
    {"no coprocessor", 8},
    {"double fault", 7},
    {"coprocessor overrun", 11},
    {"invalid task state", 11},
    {"segment not there", 7},
    {"stack fault", 7},
    {"protection fault", 11},
    {"page fault", 11},
    {"reserved", 11},
    {"floating-point error", 8},
    {"alignment", 7},
    {"machine check", 7},
    {"SIMD floating-point error", 8},
};

static void print_registers(const struct registers *r, const struct trap_frame *frame)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"rip", frame->rip}, {"rsp", frame->rsp}, {"flg", frame->rflags}, {"rax", r->rax}, {"rbx", r->rbx},
        {"rcx", r->rcx},     {"rdx", r->rdx},     {"rsi", r->rsi},        {"rdi", r->rdi}, {"rbp", r->rbp},
        {"r8 ", r->r8},      {"r9 ", r->r9},      {"r10", r->r10},        {"r11", r->r11}, {"r12", r->r12},
        {"r13", r->r13},     {"r14", r->r14},     {"r15", r->r15},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        kprintf("%s %016lx%s", all[i].name, all[i].value, i % 3 == 2 ? "\n" : "  ");
}

static void print_page_fault(uint64_t address, uint64_t error, uint64_t rsp)
{
    const char *what = error & 16 ? "jump to" : error & 2 ? "write to" : "read of";
    unsigned rights;
    if (paging_is_guard(address) && address - (rsp - NEAR_STACK) < (uint64_t)2 * NEAR_STACK)
        kprintf("stack overflow: %s %016lx, the guard page under the stack\n", what, address);
    else if (address < 4096)
        kprintf("page fault: %s a null pointer (%lx)\n", what, address);
    else if (paging_is_guard(address))
        kprintf("page fault: %s %016lx, a page that mprotect took away\n", what, address);
    else if (!paging_rights(address, &rights))
        kprintf("page fault: %s %016lx, where nothing is mapped\n", what, address);
    else if (rights & RIGHT_EXEC)
        kprintf("page fault: %s %016lx, which is code\n", what, address);
    else
        kprintf("page fault: %s %016lx, which is %s\n", what, address, rights & RIGHT_WRITE ? "data" : "constant");
}

void exception_entry(const struct registers *registers);
void exception_entry(const struct registers *registers)
{
    struct cpu *cpu = this_cpu();
    struct trap_frame frame = cpu->fault_frame;
    uint64_t vector = cpu->fault[0], error = cpu->fault[1], address = cpu->fault_cr2;
    unsigned count = sizeof exceptions / sizeof *exceptions;
    int signal = vector < count ? exceptions[vector].signal : 11;
    console_seize();
    if (cpu->faulted) {
        kprintf("weir: another exception meanwhile, at %016lx\n", frame.rip);
        kernel_exit(128 + signal);
    }
    cpu->faulted = true;
    bool kernel = frame.rsp - (uintptr_t)cpu->stacks < STACKS_SIZE;
    kprintf("\nweir: ");
    if (vector == 14)
        print_page_fault(address, error, frame.rsp);
    else
        kprintf("%s (%lu, error %lx)\n", vector < count ? exceptions[vector].name : "exception", vector, error);
    if (!(frame.cs & 3))
        kprintf("in ring 0 of CPU %u\n", cpu->number);
    else if (kernel && cpu->thread)
        kprintf("in the kernel, CPU %u, for system call %lu of thread %d\n", cpu->number, cpu->thread->registers.rax,
                cpu->thread->tid);
    else if (kernel)
        kprintf("in the kernel, CPU %u\n", cpu->number);
    else if (cpu->thread)
        kprintf("in thread %d, CPU %u\n", cpu->thread->tid, cpu->number);
    print_registers(registers, &frame);
    kernel_flush();
    backtrace(frame.rip, registers->rbp, frame.rsp);
    if (kernel && cpu->thread) {
        kprintf("the thread's ");
        backtrace(cpu->thread->rip, cpu->thread->registers.rbp, cpu->thread->rsp);
    }
    kernel_exit(128 + signal);
}

long signal_sent(struct thread *thread, int signal)
{
    if (signal < 0 || signal > 64)
        return -EINVAL_;
    if (signal == 0 || signal == 17 || signal == 18 || signal == 23 || signal == 28)
        return 0; /* CHLD, CONT, URG, WINCH: ignored */
    if (signal >= 32)
        return -ENOSYS_;
    kprintf("\nweir: thread %d ended the program with signal %d%s\n", thread->tid, signal,
            signal == 6 ? " (abort)" : "");
    backtrace(thread->rip, thread->registers.rbp, thread->rsp);
    kernel_exit(128 + signal);
}

void kernel_refuse(const char *why)
{
    console_seize();
    kprintf("weir: cannot start: %s\n", why);
    kernel_exit(1);
}

void kernel_panic(const char *format, ...)
{
    va_list arguments;
    console_seize();
    kprintf("\nweir: panic: ");
    va_start(arguments, format);
    kvprintf(format, arguments);
    va_end(arguments);
    kprintf("\n");
    backtrace((uintptr_t)__builtin_return_address(0), 0, (uintptr_t)__builtin_frame_address(0));
    kernel_exit(134);
}
