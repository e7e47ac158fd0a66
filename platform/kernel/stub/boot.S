/*
 * From the PVH entry to ring 3, on the first CPU.
 *
 * The machine starts us in 32-bit protected mode without paging, %ebx pointing to the start info. On KVM without
 * hardware virtualization every instruction here is interpreted, at thousands of cycles each. So nothing is computed
 * that the linker can compute: the tables of this file are complete as they lie in the image, and everything else
 * (the final page tables, the state of other CPUs) is built by start.c in ring 3 and sealed afterwards with GATE_ROOT.
 *
 * No SSE instruction in ring 0, ever: it kills such a guest.
 */
#include "../layout.h"

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18          /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long pvh_entry

    .section .stub.text, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    cld
    rdtsc
    mov %eax, boot_tsc
    mov %edx, boot_tsc + 4
    mov %ebx, boot_info
    mov $early_root, %eax
    mov %eax, %cr3

    .globl enter_long_mode  /* other CPUs join here, paging off, cr3 loaded */
enter_long_mode:
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    and $1, %ebx
    shl $16, %ebx           /* CR4.FSGSBASE, if there is such a thing: start.c insists */
    mov %ebx, %esi
    mov $1, %eax
    cpuid
    and $(1 << 26), %ecx
    shr $8, %ecx            /* CR4.OSXSAVE */
    mov %cr4, %eax
    or $0x620, %eax         /* PAE, OSFXSR, OSXMMEXCPT */
    or %ecx, %eax
    or %esi, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx   /* EFER: SCE, LME, NXE */
    rdmsr
    or $0x901, %eax
    wrmsr
    mov %cr0, %eax
    and $~0x6000000c, %eax  /* EM, TS, CD, NW off */
    or $0x80010023, %eax    /* PG, WP, NE, MP, PE */
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $CODE0, $1f

    .code64
1:  mov $DATA0, %eax
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    lidt idt_pointer
    mov $0xc0000081, %ecx   /* STAR: SYSCALL goes to CODE0 */
    mov $(DATA3 << 16 | CODE0), %edx
    wrmsr
    inc %ecx                /* LSTAR */
    mov $system_call_stub, %eax
    xor %edx, %edx
    wrmsr
    mov $0xc0000084, %ecx   /* FMASK: DF, TF, AC */
    mov $0x40500, %eax
    wrmsr

    /* Which CPU is this? The first comes first. */
    mov $1, %ebx
    lock xadd %ebx, cpus_arrived
    mov $0xc0000101, %ecx   /* GS base */
    mov cpu_areas(, %rbx, 8), %eax
    wrmsr
    mov %ebx, %eax
    shl $4, %eax
    add $TSS0, %eax
    ltr %ax
    mov root, %eax
    mov %rax, %cr3
    mov entry_frames(, %rbx, 8), %rsp
    iretq

    .section .stub.data, "aw"
    .balign 4096
/* The early page tables: the first GiB as it is, open to ring 3. They serve the first CPU until start.c has built the
 * final ones, and every other CPU until it has left the trampoline. */
    .globl early_root
early_root:
    .quad early_pointers + 0x67
    .fill 511, 8, 0
early_pointers:
    .quad early_directory + 0x67
    .fill 511, 8, 0
early_directory:
    .set page, 0
    .rept 512
    .quad page + 0xe7       /* 2 MiB, dirty, accessed, user, writable, present */
    .set page, page + 0x200000
    .endr

    .globl gdt, gdt_pointer
    .balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* CODE0 */
    .quad 0x00cf93000000ffff    /* DATA0 */
    .quad 0x00cff3000000ffff    /* DATA3 */
    .quad 0x00affb000000ffff    /* CODE3 */
    .quad 0x00cf9b000000ffff    /* CODE0_32 */
    .set cpu, 0
    .rept MAX_CPUS          /* the task state segments: STUB_CPU_SIZE apart, one I/O bitmap behind them all */
    .word stub_io_end - stub_cpus - STUB_CPU_SIZE * cpu
    .word stub_cpus + STUB_CPU_SIZE * cpu - IMAGE_BASE
    .byte IMAGE_BASE >> 16, 0x89, 0, 0
    .quad 0
    .set cpu, cpu + 1
    .endr
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

    .balign 8
    .globl boot_info, boot_tsc, root, cpus_arrived
boot_tsc:
    .quad 0
boot_info:
    .quad 0
root:                       /* what a CPU loads into cr3 before ring 3 */
    .quad early_root
cpus_arrived:
    .quad 0
entry_frames:               /* by CPU number: the frame with which it enters ring 3 */
    .quad first_frame
    .set cpu, 1
    .rept MAX_CPUS - 1
    .quad stub_cpus + STUB_CPU_SIZE * cpu + STUB_ENTRY_FRAME
    .set cpu, cpu + 1
    .endr
cpu_areas:                  /* by CPU number: its struct cpu */
    .set cpu, 0
    .rept MAX_CPUS
    .quad cpus + CPU_SIZE * cpu
    .set cpu, cpu + 1
    .endr
first_frame:
    .quad first_entry, CODE3, 2, kernel_stacks + STACKS_SIZE, DATA3

    .section .stub.bss, "aw", @nobits
    .balign 4096
    .globl stub_cpus, stub_io, stub_io_end
stub_cpus:
    .skip STUB_CPU_SIZE * MAX_CPUS
stub_io:                    /* all zero: ring 3 may use every port */
    .skip 8192
stub_io_end:
    .skip 8                 /* the processor wants one more byte, of ones; start.c writes it */

    .section .note.GNU-stack, "", @progbits
