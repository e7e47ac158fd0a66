/*
 * Ring 0 while the guest runs: it forwards.
 *
 * An exception or a timer interrupt that comes from ring 3 is turned round at once: what the processor saved goes to the
 * CPU's struct cpu, and IRETQ continues in ring 3 on the CPU's own stack, at exception or preempted in entry.S. Ring 0
 * keeps no state between two entries. System calls do not come here, see entry.S.
 *
 * Interrupts arrive in ring 3 with any code interrupted, kernel context included. Only threads are preempted: not kernel
 * context (the stack pointer tells), not the holder of a lock (cpu.preempt tells), not the way into the kernel.
 */
#include "../layout.h"

    .section .stub.text, "ax"
    .balign 16
vectors:                    /* 16 bytes each */
    .set vector, 0
    .rept VECTORS
    .balign 16
    .if vector == VECTOR_TIMER
    jmp timer
    .elseif vector == VECTOR_WAKE
    jmp wake
    .elseif vector == VECTOR_FLUSH
    jmp flush
    .elseif vector == VECTOR_SPURIOUS
    iretq
    .elseif vector == 6
    jmp invalid_opcode
    .else
    .if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)
    push $0                 /* the processor pushes an error code with the others */
    .endif
    push $vector
    jmp forward
    .endif
    .set vector, vector + 1
    .endr
    .balign 16

forward:
    popq %gs:CPU_FAULT
    popq %gs:CPU_FAULT + 8
    popq %gs:CPU_FAULT + 16
    popq %gs:CPU_FAULT + 24
    popq %gs:CPU_FAULT + 32
    popq %gs:CPU_FAULT + 40
    popq %gs:CPU_FAULT + 48
    mov %rax, %gs:CPU_FAULT_RAX
    mov %cr2, %rax
    mov %rax, %gs:CPU_FAULT_CR2
    mov %gs:CPU_FAULT_RAX, %rax
    mov %gs:CPU_EXCEPTION_FRAME, %rsp
    iretq

timer:
    push %rax
    mov %gs:CPU_LAPIC, %rax
    movl $0, 0xb0(%rax)     /* end of interrupt */
    movl $1, %gs:CPU_TICK
    testb $3, 16(%rsp)      /* cs: from the window in gate_idle? */
    jz 2f
    mov 32(%rsp), %rax      /* rsp */
    sub %gs:CPU_STACKS, %rax
    cmp $STACKS_SIZE, %rax
    jbe 1f
    cmpl $0, %gs:CPU_PREEMPT
    jne 1f
    cmpq $system_call_stub, 8(%rsp)
    jb 3f
    cmpq $system_call_stub_end, 8(%rsp)
    jb 1f
3:  pop %rax
    popq %gs:CPU_INTERRUPTED
    popq %gs:CPU_INTERRUPTED + 8
    popq %gs:CPU_INTERRUPTED + 16
    popq %gs:CPU_INTERRUPTED + 24
    popq %gs:CPU_INTERRUPTED + 32
    mov %gs:CPU_INTERRUPT_FRAME, %rsp
    iretq
1:  mov %gs:CPU_LAPIC, %rax /* try again soon: the thread (that will run) may make no system call */
    movl $TIMER_RETRY, 0x380(%rax)
2:  pop %rax
    iretq

wake:                       /* it has done its work by ending HLT */
    push %rax
    mov %gs:CPU_LAPIC, %rax
    movl $0, 0xb0(%rax)
    pop %rax
    iretq

flush:
    push %rax
    mov %cr3, %rax
    mov %rax, %cr3
    lock incl %gs:CPU_FLUSHES
    mov %gs:CPU_LAPIC, %rax
    movl $0, 0xb0(%rax)
    pop %rax
    iretq

/* kernel_gate: an invalid opcode at a known place. %eax is the function, %rdi and %rsi its arguments; %rax, %rcx,
 * %rdx, %rdi, %rsi may change. */
invalid_opcode:
    cmpq $kernel_gate_opcode, (%rsp)
    jne 1f
    cmp $GATES, %eax
    jae 1f
    addq $2, (%rsp)
    jmp *gates(, %rax, 8)
1:  push $0
    push $6
    jmp forward

gate_idle:
    cmpl $0, %gs:CPU_WAKE
    jne 1f
    cmpl $0, %gs:CPU_TICK   /* the timer that should end the wait came before it */
    jne 1f
    sti                     /* takes effect behind the next instruction */
    hlt
    cli
1:  iretq

gate_root:
    mov %rdi, %cr3
    mov %rdi, root
    iretq

gate_entries:               /* rdi: runs of { destination, source, count }, rsi: how many */
    mov %rdi, %rdx
1:  mov (%rdx), %rdi
    mov 16(%rdx), %rcx
    mov %rsi, %rax
    mov 8(%rdx), %rsi
    rep movsq
    mov %rax, %rsi
    add $24, %rdx
    dec %rsi
    jnz 1b
gate_flush:
    mov %cr3, %rax
    mov %rax, %cr3
    iretq

gate_wrmsr:
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
    wrmsr
    iretq

gate_xsetbv:
    mov %edi, %eax
    xor %edx, %edx
    xor %ecx, %ecx
    xsetbv
    iretq

gate_interrupts:
    orl $0x200, 16(%rsp)
    iretq

gate_end:
    lidt no_idt
    int3

    .balign 8
gates:
    .quad gate_idle, gate_root, gate_entries, gate_flush, gate_wrmsr, gate_xsetbv, gate_interrupts, gate_end

    .section .stub.data, "aw"
    .globl idt_pointer
    .balign 16
idt:                        /* interrupt gates: the stub lies within 64 KiB from IMAGE_BASE */
    .set vector, 0
    .rept VECTORS
    .word vectors - IMAGE_BASE + 16 * vector, CODE0
    .byte vector / 32       /* interrupts have a stack of their own: they may strike in system_call_stub */
    .byte 0x8e - 0x60 * (vector == 3)  /* ring 3 may say INT3; true is -1 here */
    .word IMAGE_BASE >> 16
    .quad 0
    .set vector, vector + 1
    .endr
idt_pointer:
    .word VECTORS * 16 - 1
    .quad idt
no_idt:
    .word 0
    .quad 0

    .section .note.GNU-stack, "", @progbits
