/* System calls. */
#ifndef WEIR_KERNEL_SYSCALLS_H
#define WEIR_KERNEL_SYSCALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thread;

#define RESULT_LATER INT64_MIN /* the thread waits, or is gone; who wakes it gives the result */

/* Linux's error numbers, as the program gets them. */
enum {
    ENOENT_ = 2,
    EINTR_ = 4,
    EBADF_ = 9,
    ECHILD_ = 10,
    EAGAIN_ = 11,
    ENOMEM_ = 12,
    EACCES_ = 13,
    EFAULT_ = 14,
    EEXIST_ = 17,
    ENODEV_ = 19,
    EINVAL_ = 22,
    ENOTTY_ = 25,
    ESPIPE_ = 29,
    ENOSYS_ = 38,
    ETIMEDOUT_ = 110,
};

/* Does what the thread's registers ask for. */
long system_call_answer(struct thread *thread);

/* Gives arrived input to the thread that waits for it; returns when it wants to be called again. */
uint64_t input_poll(uint64_t now);

/* Lists the system calls that got ENOSYS, if weir.syscalls=1. */
void system_calls_report(void);

/* --- mmap.c --- */
long memory_map_call(struct thread *thread, uintptr_t address, size_t length, unsigned protection, unsigned flags,
                     int file);
long memory_unmap(uintptr_t address, size_t length);
long memory_remap(uintptr_t old, size_t old_length, size_t length, unsigned flags);
long memory_protect(uintptr_t address, size_t length, unsigned protection);
long memory_advise(uintptr_t address, size_t length, int advice);
long memory_break(uintptr_t end);

/* To be called before the thread's next system call if thread->pending is set. True if that call, mprotect of
 * [address, address + length) to `protection`, is done with it. */
bool memory_settle(struct thread *thread, bool is_protect, uintptr_t address, size_t length, unsigned protection);

#endif
