/*
 * Moves a preempted thread back to the beginning of its restartable sequence.
 *
 * There are as many ranges as there are inlined fast paths, some thirty: they are simply gone through, which costs less
 * than the interrupt's way here.
 */
#include "sequence.h"
#include "thread.h"

extern const struct sequence weir_sequences_start[], weir_sequences_end[];

_Atomic(uint64_t) sequences_restarted[2];

void sequence_restart(struct thread *thread)
{
    for (const struct sequence *s = weir_sequences_start; s < weir_sequences_end; s++) {
        if (thread->rip < s->from || thread->rip >= s->to)
            continue;
        if (s->count)
            ++*(uint16_t *)(thread->registers.rax + s->count);
        thread->rip = s->restart;
        atomic_fetch_add_explicit(&sequences_restarted[s->count != 0], 1, memory_order_relaxed);
        return;
    }
}
