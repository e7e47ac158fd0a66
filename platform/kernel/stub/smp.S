/*
 * How another CPU wakes up: in real mode, at TRAMPOLINE, where start.c has copied this code. It takes the first CPU's
 * way from there on.
 */
#include "../layout.h"

    .section .stub.text, "ax"
    .globl trampoline, trampoline_end
    .balign 16
trampoline:
    .code16
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl trampoline_gdt - trampoline + TRAMPOLINE
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $CODE0_32, $1f
    .balign 8
trampoline_gdt:
    .word TSS0 - 1
    .long gdt
trampoline_end:

    .code32
1:  mov $DATA0, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $early_root, %eax
    mov %eax, %cr3
    jmp enter_long_mode

    .section .note.GNU-stack, "", @progbits
