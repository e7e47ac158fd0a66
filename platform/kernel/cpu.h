/*
 * What the kernel knows of each CPU, and the way into ring 0.
 *
 * A CPU's GS base points to its struct cpu, in every context. Fields are grouped by who writes them; the offsets of the
 * first part are known to assembly (layout.h).
 */
#ifndef WEIR_KERNEL_CPU_H
#define WEIR_KERNEL_CPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

struct thread;
struct weir_heap;

/* What the processor pushed. */
struct trap_frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

struct cpu {
    uint32_t preempt;       /* locks that the thread on this CPU holds: not preempted while not 0 */
    _Atomic(uint32_t) wake; /* not 0: gate_idle does not halt. Set by others with VECTOR_WAKE, cleared by its CPU */
    struct thread *volatile thread; /* that runs here, or entered the kernel here. Null: none */
    uint64_t user_rip;              /* of the system call that just entered */
    uint64_t user_rsp;
    struct trap_frame *frames[3];  /* constant: how the three kinds of entry continue; read-only or out of reach */
    char *stacks;                  /* constant: see layout.h */
    volatile uint32_t *lapic;      /* constant */
    _Atomic(uint32_t) tick;        /* set by the timer interrupt */
    _Atomic(uint32_t) flushes;     /* counted by the flush interrupt */
    struct trap_frame interrupted; /* the thread that the timer interrupted */
    uint64_t fault[2];             /* vector and error code of an exception, */
    struct trap_frame fault_frame; /* where it struck, */
    uint64_t fault_cr2, fault_rax; /* the address at fault for page faults; used by ring 0 */
    struct cpu *self;              /* constant */
    struct weir_heap *heap;        /* of weir's malloc, for its fast paths: weir_heap_empty while it is quiet */

    uint32_t number, apic; /* constant */
    _Atomic(bool) online;  /* it runs threads */
    _Atomic(bool) halted;  /* it is about to halt, or has, and wants VECTOR_WAKE when a thread becomes ready */
    bool faulted;          /* it is printing an exception: a second one meanwhile is not printed */
    struct weir_heap *_Atomic own_heap; /* made once, by any CPU; null before */
    uint64_t translations; /* the generation of translations that its TLB is not older than, see paging.c */
} __attribute__((aligned(CPU_SIZE)));

#define AT_OFFSET(field, offset) _Static_assert(offsetof(struct cpu, field) == (offset), #field)
AT_OFFSET(preempt, CPU_PREEMPT);
AT_OFFSET(wake, CPU_WAKE);
AT_OFFSET(thread, CPU_THREAD);
AT_OFFSET(user_rip, CPU_USER_RIP);
AT_OFFSET(user_rsp, CPU_USER_RSP);
AT_OFFSET(frames, CPU_SYSCALL_FRAME);
AT_OFFSET(stacks, CPU_STACKS);
AT_OFFSET(lapic, CPU_LAPIC);
AT_OFFSET(tick, CPU_TICK);
AT_OFFSET(flushes, CPU_FLUSHES);
AT_OFFSET(interrupted, CPU_INTERRUPTED);
AT_OFFSET(fault, CPU_FAULT);
AT_OFFSET(fault_cr2, CPU_FAULT_CR2);
AT_OFFSET(self, CPU_SELF);
AT_OFFSET(heap, CPU_HEAP);
#undef AT_OFFSET
_Static_assert(sizeof(struct cpu) == CPU_SIZE, "one CPU after the other");

extern struct cpu cpus[MAX_CPUS];
extern unsigned cpus_online; /* CPUs [0, cpus_online) run threads; constant once the program runs */

static inline struct cpu *this_cpu(void)
{
    struct cpu *cpu;
    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(cpu) : "i"(CPU_SELF));
    return cpu;
}

/* Whether the caller runs in kernel context. */
static inline bool in_kernel(void)
{
    return (uintptr_t)__builtin_frame_address(0) - (uintptr_t)this_cpu()->stacks < STACKS_SIZE;
}

/* Calls ring 0: a GATE_ function of layout.h. */
void kernel_gate(unsigned function, uint64_t a, uint64_t b);

static inline uint64_t read_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

struct cpuid {
    uint32_t a, b, c, d;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "0"(leaf), "2"(sub));
    return r;
}

/* The hypervisor's name, first four bytes: register b of leaf 0x40000000. */
#define HYPERVISOR_TCG 0x54474354u
#define HYPERVISOR_KVM 0x4b4d564bu

/* Registers of the local APIC, by their offset. */
enum {
    APIC_ID = 0x20,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_HIGH = 0x310,
    APIC_TIMER = 0x320,
    APIC_LINT0 = 0x350,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

static inline uint32_t apic_read(unsigned offset)
{
    return this_cpu()->lapic[offset / 4];
}

static inline void apic_write(unsigned offset, uint32_t value)
{
    this_cpu()->lapic[offset / 4] = value;
}

/* smp.c */
void cpu_init(unsigned number); /* early, in the first CPU: what ring 0 needs of CPU `number` */
void cpu_start_features(void);  /* on each CPU: SIMD state, local APIC */
void cpus_start(const uint32_t *apics, unsigned n);
void cpu_interrupt(struct cpu *cpu, unsigned vector);
void apic_command(uint32_t apic, uint32_t command);

#endif
