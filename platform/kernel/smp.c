/*
 * CPUs: what ring 0 needs to know of each, and how the others are started.
 *
 * INIT and one SIPI each; they wake up in stub/smp.S, arrive in kernel_start_other on their own stacks, and ask for
 * threads. The order of their arrival, not their APIC's number, is the CPU number.
 */
#include <string.h>

#include "exception.h"
#include "kernel.h"
#include "paging.h"
#include "thread.h"
#include "weir/heap.h"

#define WAIT_NS         2000000000
#define FLAG_INTERRUPTS 0x200

struct cpu cpus[MAX_CPUS];
unsigned cpus_online = 1;
static _Atomic(bool) counted; /* cpus_online is final: who is not in it stays out */

char kernel_stacks[STACKS_SIZE] __attribute__((section(".bss.kernel_stacks"), aligned(4096)));

/* By CPU: the frame with which a system call continues. In pages of their own, which ring 3 may read: see entry.S. */
static struct trap_frame system_call_frames[MAX_CPUS] __attribute__((section(".stub.frames"), aligned(4096)));

extern char stub_cpus[], stub_io[], stub_io_end[];
extern void system_call(void), preempted(void), exception(void), other_entry(void);

static char *stacks_of(unsigned number)
{
    return number == 0 ? kernel_stacks : (char *)DEVICE_BASE + ((uint64_t)2 << 20) + (uint64_t)number * STACKS_SIZE;
}

static void set_frame(struct trap_frame *frame, void (*entry)(void), uint64_t flags, char *stack)
{
    *frame = (struct trap_frame){(uintptr_t)entry, CODE3, 2 | flags, (uintptr_t)stack, DATA3};
}

void cpu_init(unsigned number)
{
    struct cpu *cpu = &cpus[number];
    char *stub = stub_cpus + (size_t)number * STUB_CPU_SIZE, *stacks = stacks_of(number);
    cpu->self = cpu;
    cpu->heap = (struct weir_heap *)&weir_heap_empty;
    cpu->number = number;
    cpu->stacks = stacks;
    cpu->lapic = (volatile uint32_t *)DEVICE_BASE;
    cpu->frames[0] = &system_call_frames[number];
    cpu->frames[1] = (struct trap_frame *)(stub + STUB_INTERRUPT_FRAME);
    cpu->frames[2] = (struct trap_frame *)(stub + STUB_EXCEPTION_FRAME);
    set_frame(cpu->frames[0], system_call, FLAG_INTERRUPTS, stacks + STACKS_SIZE);
    set_frame(cpu->frames[1], preempted, FLAG_INTERRUPTS, stacks + STACKS_SIZE);
    set_frame(cpu->frames[2], exception, FLAG_INTERRUPTS, stacks + EXCEPTION_TOP);
    set_frame((struct trap_frame *)(stub + STUB_ENTRY_FRAME), other_entry, 0, stacks + STACKS_SIZE);
    /* The task state segment: the stacks of ring 0, and where the I/O bitmap lies. */
    *(uint64_t *)(stub + STUB_TSS + 4) = (uintptr_t)stub + STUB_STACK_TOP;
    *(uint64_t *)(stub + STUB_TSS + 36) = (uintptr_t)stub + STUB_INTERRUPT_TOP;
    *(uint16_t *)(stub + STUB_TSS + 102) = (uint16_t)(stub_io - stub);
    *(unsigned char *)stub_io_end = 0xff;
}

/* The old interrupt controller would interrupt through LINT0 (firmware leaves the timer on). QEMU's emulation does not
 * forget an interrupt that is pending when LINT0 is masked, and then delivers it as vector -1: so there the
 * controller's own masks come first. Elsewhere their port accesses would be for nothing. */
static void quiet_old_controller(void)
{
    if (cpuid(0x40000000, 0).b == HYPERVISOR_TCG && this_cpu()->number == 0) {
        outb(0x21, 0xff);
        outb(0xa1, 0xff);
    }
    apic_write(APIC_LINT0, 0x10000);
}

void cpu_start_features(void)
{
    if (!simd_enable())
        kernel_refuse("this CPU's SIMD state does not fit into a page");
    struct cpu *cpu = this_cpu();
    cpu->apic = apic_read(APIC_ID) >> 24;
    apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    quiet_old_controller();
    apic_write(APIC_TIMER_DIVIDE, 0xb);
    apic_write(APIC_TIMER, VECTOR_TIMER);
}

void apic_command(uint32_t apic, uint32_t command)
{
    apic_write(APIC_COMMAND_HIGH, apic << 24);
    apic_write(APIC_COMMAND, command);
}

void cpu_interrupt(struct cpu *cpu, unsigned vector)
{
    apic_command(cpu->apic, 0x4000 | vector);
}

void cpus_start(const uint32_t *apics, unsigned n)
{
    unsigned wanted = 1;
    for (unsigned i = 0; i < n && wanted < MAX_CPUS; i++)
        if (apics[i] != cpus[0].apic && paging_map_stacks(wanted))
            wanted++;
    for (unsigned i = 0, started = 1; i < n && started < wanted; i++) {
        if (apics[i] == cpus[0].apic)
            continue;
        apic_command(apics[i], 0x4500);                    /* INIT */
        apic_command(apics[i], 0x4600 | TRAMPOLINE >> 12); /* SIPI */
        started++;
    }
    uint64_t give_up = kernel_now() + WAIT_NS;
    unsigned online = 1;
    while (online < wanted && kernel_now() < give_up) {
        if (cpus[online].online)
            online++;
        else
            pause();
    }
    if (online < wanted)
        kprintf("weir: %u of %u CPUs did not start\n", wanted - online, wanted);
    cpus_online = online;
    counted = true;
}

void kernel_start_other(void);
void kernel_start_other(void)
{
    struct cpu *cpu = this_cpu();
    cpu_start_features();
    kernel_gate(GATE_INTERRUPTS, 0, 0);
    cpu->online = true;
    while (!counted)
        pause();
    while (cpu->number >= cpus_online)
        kernel_gate(GATE_IDLE, 0, 0);
    scheduler_start();
}

unsigned kernel_cpus(void)
{
    return cpus_online;
}
