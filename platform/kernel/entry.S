/*
 * Into and out of the kernel body, in ring 3.
 *
 * A thread that enters the kernel leaves all its integer registers in its struct thread; the kernel body (which is
 * compiled without SSE) leaves the others alone until it switches threads. So there is one kernel stack per CPU, not
 * per thread, and leaving the kernel is always the same: resume whatever cpu->thread is by now.
 */
#include "layout.h"

    .text
    .globl first_entry
first_entry:                /* the first CPU arrives in ring 3 */
    xor %ebp, %ebp
    call kernel_start
    jmp resume

    .globl other_entry
other_entry:                /* the other CPUs do */
    xor %ebp, %ebp
    call kernel_start_other
    jmp resume

    .macro save_registers   /* rcx: the thread; all but rcx, rip, rsp, rflags */
    mov %rax, THREAD_RAX(%rcx)
    mov %rbx, THREAD_RBX(%rcx)
    mov %rdx, THREAD_RDX(%rcx)
    mov %rsi, THREAD_RSI(%rcx)
    mov %rdi, THREAD_RDI(%rcx)
    mov %rbp, THREAD_RBP(%rcx)
    mov %r8, THREAD_R8(%rcx)
    mov %r9, THREAD_R9(%rcx)
    mov %r10, THREAD_R10(%rcx)
    mov %r11, THREAD_R11(%rcx)
    mov %r12, THREAD_R12(%rcx)
    mov %r13, THREAD_R13(%rcx)
    mov %r14, THREAD_R14(%rcx)
    mov %r15, THREAD_R15(%rcx)
    .endm

/*
 * SYSCALL comes here. On hardware that is ring 0; on KVM without hardware virtualization it is ring 3, whatever the
 * segment descriptors say: the page and the frame must serve both. So the code lies here and not in the stub, the frame
 * lies where ring 3 may read, and of the ways back only IRETQ works in both. Interrupts stay on, if they are: in
 * ring 3 nothing could turn them on again. %rcx is the return address, %r11 the flags.
 */
    .globl system_call_stub, system_call_stub_end
system_call_stub:
    mov %rcx, %gs:CPU_USER_RIP
    mov %rsp, %gs:CPU_USER_RSP
    mov %gs:CPU_SYSCALL_FRAME, %rsp
    iretq
system_call_stub_end:

    .globl system_call
system_call:
    mov %gs:CPU_THREAD, %rcx
    save_registers
    mov %gs:CPU_USER_RIP, %rax
    mov %rax, THREAD_RIP(%rcx)
    mov %gs:CPU_USER_RSP, %rax
    mov %rax, THREAD_RSP(%rcx)
    movl $0, THREAD_FULL(%rcx)
    mov %rcx, %rdi
    xor %ebp, %ebp
    call system_call_entry

resume:
    mov %gs:CPU_THREAD, %rdi
    mov THREAD_RAX(%rdi), %rax
    mov THREAD_RBX(%rdi), %rbx
    mov THREAD_RDX(%rdi), %rdx
    mov THREAD_RSI(%rdi), %rsi
    mov THREAD_RBP(%rdi), %rbp
    mov THREAD_R8(%rdi), %r8
    mov THREAD_R9(%rdi), %r9
    mov THREAD_R10(%rdi), %r10
    mov THREAD_R11(%rdi), %r11
    mov THREAD_R12(%rdi), %r12
    mov THREAD_R13(%rdi), %r13
    mov THREAD_R14(%rdi), %r14
    mov THREAD_R15(%rdi), %r15
    cmpl $0, THREAD_FULL(%rdi)
    jne 1f
    mov THREAD_RIP(%rdi), %rcx      /* a system call may change rcx and r11 */
    mov THREAD_RSP(%rdi), %rsp
    mov THREAD_RDI(%rdi), %rdi
    jmp *%rcx
1:  mov THREAD_RCX(%rdi), %rcx
    push $DATA3
    push THREAD_RSP(%rdi)
    push THREAD_RFLAGS(%rdi)
    push $CODE3
    push THREAD_RIP(%rdi)
    mov THREAD_RDI(%rdi), %rdi
    iretq

    .globl preempted
preempted:                  /* the timer interrupted a thread; the kernel stack is empty */
    push %rcx
    mov %gs:CPU_THREAD, %rcx
    save_registers
    pop THREAD_RCX(%rcx)
    mov %gs:CPU_INTERRUPTED, %rax
    mov %rax, THREAD_RIP(%rcx)
    mov %gs:CPU_INTERRUPTED + 16, %rax
    mov %rax, THREAD_RFLAGS(%rcx)
    mov %gs:CPU_INTERRUPTED + 24, %rax
    mov %rax, THREAD_RSP(%rcx)
    movl $1, THREAD_FULL(%rcx)
    mov %rcx, %rdi
    xor %ebp, %ebp
    cld
    call preempted_entry
    jmp resume

    .globl exception
exception:                  /* does not return: the registers go to the exception stack, to be printed */
    push %r15
    push %r14
    push %r13
    push %r12
    push %r11
    push %r10
    push %r9
    push %r8
    push %rbp
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rbx
    push %rax
    mov %rsp, %rdi
    xor %ebp, %ebp
    and $-16, %rsp
    cld
    call exception_entry
    ud2

    .globl kernel_gate, kernel_gate_opcode
kernel_gate:                /* (function, argument, argument) */
    mov %edi, %eax
    mov %rsi, %rdi
    mov %rdx, %rsi
kernel_gate_opcode:
    ud2
    ret

    .section .note.GNU-stack, "", @progbits
