/* How the guest ends when something went wrong. */
#ifndef WEIR_KERNEL_EXCEPTION_H
#define WEIR_KERNEL_EXCEPTION_H

#include <stdint.h>

struct thread;

/* A thread sends itself, or another, a signal: ends the guest if it is one that ends a process. */
long signal_sent(struct thread *thread, int signal);

/* The machine is not one that the guest can start on: a line that says why, exit code 1. */
void kernel_refuse(const char *why) __attribute__((noreturn));

/* backtrace.c: prints where `rip` is and who called it; `rbp` and `rsp` are its registers. */
void backtrace(uint64_t rip, uint64_t rbp, uint64_t rsp);

/* The function that holds `address`, from .weir.symbols; null if it is not known. */
const char *symbol_of(uint64_t address, uint64_t *offset);

/* What the program used at its start: frames. */
void kernel_program_starts(void);

#endif
