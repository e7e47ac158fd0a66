/*
 * Numbers that assembly and C share: selectors, the ring-0 functions, offsets into struct cpu and struct thread.
 * cpu.h and thread.h hold the structures to these offsets with static assertions.
 */
#ifndef WEIR_KERNEL_LAYOUT_H
#define WEIR_KERNEL_LAYOUT_H

#define MAX_CPUS 64

/* Address space. Everything lies below 512 GiB, so that there is one page directory pointer table, but for windows
 * longer than 256 GiB and the view of the page tables. */
#define IMAGE_BASE  0x200000     /* physical = virtual; the stub comes first, all of it within 64 KiB from here */
#define DEVICE_BASE 0x2000000000 /* 128 GiB: device memory, page by page; the local APIC first */
#define WINDOW_BASE 0x4000000000 /* 256 GiB: all RAM that is not image */
#define SELF_SLOT   255          /* this entry of the root points to the root: page tables as memory, ring 0 only */
#define SELF_BASE   0x7f8000000000
#define TRAMPOLINE  0x8000 /* where application processors wake up, in real mode */

/* Segment selectors, see stub/boot.S. */
#define CODE0    0x08
#define DATA0    0x10
#define DATA3    0x1b
#define CODE3    0x23
#define CODE0_32 0x28
#define TSS0     0x30 /* the CPU number times 16 is added */

/* Interrupt vectors. */
#define VECTOR_TIMER    32
#define VECTOR_WAKE     33
#define VECTOR_FLUSH    34
#define VECTOR_SPURIOUS 47
#define VECTORS         48
#define TIMER_RETRY     100000 /* nanoseconds: the holder of a lock was not preempted, its next chance */

/* Functions of ring 0: kernel_gate(number, …) of entry.S. */
#define GATE_IDLE       0 /* waits for an interrupt, unless cpu.wake or cpu.tick is set */
#define GATE_ROOT       1 /* (root): loads cr3 */
#define GATE_ENTRIES    2 /* (runs, n): writes page table entries, see struct entry_run, and flushes the TLB */
#define GATE_FLUSH      3 /* flushes the TLB of this CPU */
#define GATE_WRMSR      4 /* (register, value) */
#define GATE_XSETBV     5 /* (XCR0) */
#define GATE_INTERRUPTS 6 /* lets interrupts arrive in ring 3 */
#define GATE_END        7 /* triple fault */
#define GATES           8

/* struct cpu, at the GS base of each CPU */
#define CPU_PREEMPT         0 /* src/base/lock.h knows this one */
#define CPU_WAKE            4
#define CPU_THREAD          8
#define CPU_USER_RIP        16
#define CPU_USER_RSP        24
#define CPU_SYSCALL_FRAME   32
#define CPU_INTERRUPT_FRAME 40
#define CPU_EXCEPTION_FRAME 48
#define CPU_STACKS          56
#define CPU_LAPIC           64
#define CPU_TICK            72
#define CPU_FLUSHES         76
#define CPU_INTERRUPTED     80  /* rip, cs, rflags, rsp, ss */
#define CPU_FAULT           120 /* vector, error, rip, cs, rflags, rsp, ss */
#define CPU_FAULT_CR2       176
#define CPU_FAULT_RAX       184
#define CPU_SELF            192
#define CPU_HEAP            200
#define CPU_SIZE            256

/* The stacks of one CPU in ring 3, from CPU_STACKS up: guard, exception stack, guard, kernel stack. A stack pointer in
 * there means kernel context. */
#define STACK_GUARD     4096
#define EXCEPTION_STACK 8192
#define EXCEPTION_TOP   (STACK_GUARD + EXCEPTION_STACK)
#define KERNEL_STACK    16384
#define STACKS_SIZE     (EXCEPTION_TOP + STACK_GUARD + KERNEL_STACK)

/* struct stub_cpu: what ring 0 has of each CPU, out of reach for ring 3 */
#define STUB_CPU_SIZE        512
#define STUB_TSS             0
#define STUB_STACK_TOP       256 /* of exceptions and gates: what is left above the task state segment */
#define STUB_INTERRUPT_TOP   384 /* of interrupts */
#define STUB_INTERRUPT_FRAME 384 /* frames for IRETQ to ring 3: rip, cs, rflags, rsp, ss */
#define STUB_EXCEPTION_FRAME 424
#define STUB_ENTRY_FRAME     464

/* struct thread */
#define THREAD_RAX    0
#define THREAD_RBX    8
#define THREAD_RCX    16
#define THREAD_RDX    24
#define THREAD_RSI    32
#define THREAD_RDI    40
#define THREAD_RBP    48
#define THREAD_R8     56
#define THREAD_R9     64
#define THREAD_R10    72
#define THREAD_R11    80
#define THREAD_R12    88
#define THREAD_R13    96
#define THREAD_R14    104
#define THREAD_R15    112
#define THREAD_RIP    120
#define THREAD_RSP    128
#define THREAD_RFLAGS 136
#define THREAD_FULL   144 /* interrupted anywhere: every register counts */

#endif
