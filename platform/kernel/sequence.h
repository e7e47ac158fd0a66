/*
 * Restartable sequences: see cpu_heap.h for what they are good for.
 *
 * Each instance of one, wherever the compiler put it, tells its ranges in section .weir.sequences. A thread that is
 * preempted at an instruction of [from, to) goes on at `restart`. If `count` is not 0, the 16-bit counter at %rax +
 * count was lowered by then, and is raised again.
 */
#ifndef WEIR_KERNEL_SEQUENCE_H
#define WEIR_KERNEL_SEQUENCE_H

#include <stdint.h>

struct sequence {
    uint32_t from, to, restart, count;
};

/* One range, by labels; to be used within an asm statement. */
#define SEQUENCE(from, to, restart, count)                                                                             \
    ".pushsection .weir.sequences, \"a\", @progbits\n\t"                                                               \
    ".long " from ", " to ", " restart ", " count "\n\t"                                                               \
    ".popsection\n\t"

struct thread;

/* In kernel context, first thing after `thread` was interrupted on this CPU. */
void sequence_restart(struct thread *thread);

/* How often that was needed, in all: without a count to raise, and with one. */
extern _Atomic(uint64_t) sequences_restarted[2];

#endif
