/*
 * What a program gets without a system call: the time.
 *
 * A system call costs microseconds where ring 0 is interpreted, and reading the TSC nanoseconds; on Linux the vDSO
 * serves the same purpose. These definitions come before libc.a's, which is then not asked for its own; they are weak,
 * so that a program may have its own.
 */
#include <errno.h>
#include <time.h>

#include "cpu.h"
#include "kernel.h"
#include "thread.h"

__attribute__((weak)) int __clock_gettime(clockid_t clock, struct timespec *time);

int __clock_gettime(clockid_t clock, struct timespec *time)
{
    uint64_t ns;
    if (!clock_read(clock, false, &ns)) { /* no such clock, or the kernel has to find out first */
        long result = 228;
        __asm__ volatile("syscall" : "+a"(result) : "D"((long)clock), "S"(time) : "rcx", "r11", "memory");
        if (result == 0)
            return 0;
        errno = (int)-result;
        return -1;
    }
    time->tv_sec = (time_t)(ns / 1000000000);
    time->tv_nsec = (long)(ns % 1000000000);
    return 0;
}

__attribute__((weak, alias("__clock_gettime"))) int clock_gettime(clockid_t clock, struct timespec *time);
