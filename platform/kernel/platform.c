/* The unikernel as weir's core sees it: struct weir_platform. */
#include "cpu.h"
#include "kernel.h"
#include "thread.h"

#define YIELD_ROUNDS 64

void kernel_heartbeat(void);

static unsigned slot(void *context)
{
    (void)context;
    return this_cpu()->number;
}

static void relax(void *context, unsigned round)
{
    (void)context;
    pause();
    if (round % YIELD_ROUNDS != YIELD_ROUNDS - 1 || in_kernel() || this_cpu()->preempt)
        return;
    long result = 24; /* sched_yield */
    __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
}

static uint64_t now(void *context)
{
    (void)context;
    return kernel_now();
}

static uint64_t random_bits(void *context)
{
    (void)context;
    static _Atomic(uint64_t) state;
    static _Atomic(int) has_rdrand = -1;
    if (has_rdrand < 0)
        has_rdrand = cpuid(1, 0).c >> 30 & 1;
    uint64_t bits = 0;
    for (int tries = 0; has_rdrand && tries < 10; tries++) {
        unsigned char ok;
        __asm__ volatile("rdrand %0; setc %1" : "=r"(bits), "=qm"(ok) : : "cc");
        if (ok)
            return bits;
    }
    /* splitmix64 (Steele, Lea and Flood 2014) over a counter and the TSC: better than nothing */
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15)) ^ read_tsc();
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void error(void *context, const struct weir_error *e)
{
    (void)context;
    kprintf("weir: %s: %s", e->operation, weir_status_text(e->status));
    if (e->address)
        kprintf(", address 0x%lx", e->address);
    if (e->size)
        kprintf(", size %zu", e->size);
    kprintf("\n");
}

static void panic(void *context, const char *message)
{
    (void)context;
    kernel_panic("%s", message);
}

static void heartbeat(void *context)
{
    (void)context;
    kernel_heartbeat();
}

const struct weir_platform *weir_kernel_platform(void)
{
    static const struct weir_platform platform = {NULL, slot, relax, now, random_bits, error, panic, heartbeat};
    return &platform;
}
