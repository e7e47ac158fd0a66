/*
 * Time: the TSC, scaled to nanoseconds since boot.
 *
 * Its frequency comes from whoever knows it: CPUID (crystal leaf, then the hypervisor's timing leaf), kvmclock, and
 * last a measurement against the local APIC's timer, which on KVM and on QEMU counts nanoseconds. The wall clock is
 * asked for when the program first wants it: kvmclock's, else the real-time clock's registers.
 */
#include "cpu.h"
#include "kernel.h"
#include "thread.h"

#define MSR_KVM_WALL_CLOCK  0x4b564d00
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define MEASURE_NS          1000000

bool clock_ready;
static uint64_t start_tsc;
static uint64_t nanoseconds_per_tick; /* times 2^32 */
static bool kvmclock;

/* Filled by KVM. */
static struct {
    uint32_t version, pad;
    uint64_t tsc, system;
    uint32_t multiplier;
    int8_t shift;
    uint8_t flags, pad2[2];
} kvm_time __attribute__((aligned(64)));

static struct {
    uint32_t version, seconds, nanoseconds;
} kvm_wall __attribute__((aligned(64)));

static uint64_t hertz_from_cpuid(void)
{
    uint32_t max = cpuid(0, 0).a;
    if (max >= 0x15) {
        struct cpuid r = cpuid(0x15, 0);
        if (r.a && r.b && r.c)
            return (uint64_t)r.c * r.b / r.a;
    }
    uint32_t virtual_max = cpuid(0x40000000, 0).a;
    if (virtual_max >= 0x40000010 && virtual_max < 0x40010000) {
        uint32_t kilohertz = cpuid(0x40000010, 0).a;
        if (kilohertz)
            return (uint64_t)kilohertz * 1000;
    }
    return 0;
}

static uint64_t hertz_from_kvmclock(void)
{
    if (!kvmclock)
        return 0;
    kernel_gate(GATE_WRMSR, MSR_KVM_SYSTEM_TIME, (uintptr_t)&kvm_time | 1);
    uint64_t hertz = 0;
    if (kvm_time.multiplier) {
        /* ns = (ticks << shift) * multiplier >> 32 */
        hertz = ((uint64_t)1000000000 << 32) / kvm_time.multiplier;
        hertz = kvm_time.shift < 0 ? hertz << -kvm_time.shift : hertz >> kvm_time.shift;
    }
    kernel_gate(GATE_WRMSR, MSR_KVM_SYSTEM_TIME, 0);
    return hertz;
}

/* One reading of both clocks, the APIC's between two of the TSC that are close together. */
static void read_both(uint64_t *tsc, uint32_t *count)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < 5; i++) {
        uint64_t before = read_tsc();
        uint32_t c = apic_read(APIC_TIMER_CURRENT);
        uint64_t after = read_tsc();
        if (after - before < best) {
            best = after - before;
            *tsc = before + best / 2;
            *count = c;
        }
    }
}

static uint64_t hertz_from_apic(void)
{
    uint64_t t0, t1;
    uint32_t c0, c1;
    apic_write(APIC_TIMER, 0x10000 | VECTOR_TIMER);
    apic_write(APIC_TIMER_DIVIDE, 0xb);
    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
    read_both(&t0, &c0);
    while (c0 - apic_read(APIC_TIMER_CURRENT) < MEASURE_NS)
        pause();
    read_both(&t1, &c1);
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_TIMER, VECTOR_TIMER);
    return (uint64_t)((unsigned __int128)(t1 - t0) * 1000000000 / (c0 - c1));
}

void clock_init(uint64_t boot_tsc)
{
    start_tsc = boot_tsc;
    struct cpuid r = cpuid(0x40000000, 0);
    if (r.b == HYPERVISOR_KVM)
        kvmclock = cpuid(0x40000001, 0).a >> 3 & 1;
    uint64_t hertz = hertz_from_cpuid();
    if (!hertz)
        hertz = hertz_from_kvmclock();
    if (!hertz)
        hertz = hertz_from_apic();
    nanoseconds_per_tick = (uint64_t)(((unsigned __int128)1000000000 << 32) / hertz);
    clock_ready = true;
}

uint64_t clock_from_tsc(uint64_t tsc)
{
    return (uint64_t)((unsigned __int128)(tsc - start_tsc) * nanoseconds_per_tick >> 32);
}

uint64_t kernel_now(void)
{
    return clock_from_tsc(read_tsc());
}

void clock_arm(uint64_t nanoseconds)
{
    if (nanoseconds > 0x7fffffff)
        nanoseconds = 0x7fffffff;
    apic_write(APIC_TIMER_INITIAL, nanoseconds < 1000 ? 1000 : (uint32_t)nanoseconds);
}

static unsigned rtc(unsigned reg)
{
    outb(0x70, (uint8_t)reg);
    return inb(0x71);
}

static unsigned from_bcd(unsigned v)
{
    return (v >> 4) * 10 + (v & 15);
}

/* Seconds since 1970 by the real-time clock; 0 if there is none. */
static uint64_t rtc_seconds(void)
{
    unsigned v[6], again[6];
    static const uint8_t registers[6] = {0, 2, 4, 7, 8, 9}; /* second, minute, hour, day, month, year */
    unsigned tries = 0;
    do {
        for (unsigned i = 0; i < 6; i++)
            v[i] = rtc(registers[i]);
        for (unsigned i = 0; i < 6; i++)
            again[i] = rtc(registers[i]);
    } while (__builtin_memcmp(v, again, sizeof v) != 0 && ++tries < 5);
    if (v[3] == 0xff || v[4] == 0)
        return 0;
    if (!(rtc(11) & 4))
        for (unsigned i = 0; i < 6; i++)
            v[i] = from_bcd(v[i]);
    unsigned year = 2000 + v[5], month = v[4];
    if (month > 2) { /* count years from March on: days before a month are then (153 m + 2) / 5 */
        month -= 3;
    } else {
        month += 9;
        year--;
    }
    uint64_t days = 365 * (uint64_t)year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + v[3] - 719469;
    return ((days * 24 + v[2]) * 60 + v[1]) * 60 + v[0];
}

static uint64_t find_realtime_offset(void)
{
    uint64_t found = 0;
    if (kvmclock) {
        kernel_gate(GATE_WRMSR, MSR_KVM_WALL_CLOCK, (uintptr_t)&kvm_wall);
        kernel_gate(GATE_WRMSR, MSR_KVM_SYSTEM_TIME, (uintptr_t)&kvm_time | 1);
        uint64_t tsc = read_tsc(), ticks = tsc - kvm_time.tsc;
        ticks = kvm_time.shift < 0 ? ticks >> -kvm_time.shift : ticks << kvm_time.shift;
        uint64_t system = kvm_time.system + (uint64_t)((unsigned __int128)ticks * kvm_time.multiplier >> 32);
        if (kvm_wall.seconds)
            found = kvm_wall.seconds * UINT64_C(1000000000) + kvm_wall.nanoseconds + system - clock_from_tsc(tsc);
        kernel_gate(GATE_WRMSR, MSR_KVM_SYSTEM_TIME, 0);
    }
    return found ? found : rtc_seconds() * 1000000000 - kernel_now();
}

static _Atomic(uint64_t) realtime_offset; /* 0: not asked for yet */

uint64_t clock_realtime_offset(void)
{
    uint64_t known = realtime_offset;
    if (known)
        return known;
    uint64_t none = 0, found = find_realtime_offset();
    return atomic_compare_exchange_strong(&realtime_offset, &none, found) ? found : none;
}

bool clock_read(int clock, bool kernel, uint64_t *ns)
{
    switch (clock) {
    case 0: /* REALTIME */
    case 5: /* REALTIME_COARSE */
        if (!kernel && !realtime_offset)
            return false;
        *ns = clock_realtime_offset() + kernel_now();
        return true;
    case 1: /* MONOTONIC */
    case 2: /* PROCESS_CPUTIME */
    case 3: /* THREAD_CPUTIME */
    case 4: /* MONOTONIC_RAW */
    case 6: /* MONOTONIC_COARSE */
    case 7: /* BOOTTIME */
        *ns = kernel_now();
        return true;
    default:
        return false;
    }
}
