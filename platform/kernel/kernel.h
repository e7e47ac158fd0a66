/*
 * What the unikernel offers to the code that is linked into its image: drivers, the malloc glue, tests.
 *
 * Everything here runs in ring 3. There are two kinds of context, and each function works in both unless it says
 * otherwise:
 *
 *   thread context   the program's threads and whatever they call, the allocator included. May be preempted, but not
 *                    while it holds a struct lock (src/base/lock.h).
 *   kernel context   system calls, the idle loop. Runs on its CPU's own stack, is never preempted and never waits. It
 *                    has NO thread-local storage: what it calls must not touch a `_Thread_local` (nor errno).
 *
 * Guest addresses of managed memory are virtual: all RAM is one contiguous window. Devices need bus addresses:
 * kernel_bus_range.
 */
#ifndef WEIR_KERNEL_H
#define WEIR_KERNEL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/frames.h"
#include "weir/platform.h"

/* --- memory --- */

/* The frame table of all RAM that the image and the tables leave. Never null once the program or devices_init runs. */
struct weir_frames *weir_kernel_frames(void);

/* slot: the CPU's number. error: one line on the console. panic: a backtrace and the end, exit code 134. heartbeat:
 * polls the devices when they are due. */
const struct weir_platform *weir_kernel_platform(void);

/* Makes device memory reachable, uncached. The same page asked for again is the same mapping; there is no undoing.
 * Null when the space for mappings (2 MiB) is used up. */
void *kernel_map_mmio(uint64_t physical, size_t length);

/* The bus address of `address` (in the image or in the window) and how many of the `length` bytes from there are
 * contiguous on the bus; 0 for an address that is neither. `context` is not used: it fits weir_reclaim_config. */
size_t kernel_bus_range(void *context, uintptr_t address, size_t length, uint64_t *bus);

/* --- devices: hooks of the kernel, weak; platform/kernel/devices.c defines them --- */

/* Called once, a little after the program started. In kernel context, while other CPUs run threads. */
void devices_init(void);

/* Does what is due and never waits: called in both kinds of context, on any CPU, also on several at once. Returns the
 * time (of platform->now) at which it wants to be called again, UINT64_MAX for never. */
uint64_t devices_poll(uint64_t now);

/* When devices_poll wants to be called by now: earlier than it said if it was asked for something since. Lock-free. */
uint64_t devices_next(void);

/* Memory is short by `bytes`: true if something was given back and the allocation is worth another try. */
bool devices_relieve(size_t bytes);

/* Called by a CPU that found nothing to run, before it halts; and by one whose thread has used up its slice. Weak; for
 * the malloc glue (no TLS, see above). */
void weir_kernel_idle(void);
void weir_kernel_tick(void);

/* --- the command line: words before ` -- ` --- */

/* The value of `name=value`, "" for a bare `name`, null if there is no such word. The last one counts. */
const char *kernel_option(const char *name);

/* The n-th (from 0) `virtio_mmio.device=SIZE@BASE:IRQ` word. False when there are no more. */
bool kernel_virtio_mmio(unsigned n, uint64_t *base, uint64_t *size, unsigned *irq);

/* The strings `key=value` of section .weir.info, as kernel_option. */
const char *kernel_info(const char *key);

/* --- console --- */

/* A small printf: %s %c %d %u %x %p %%, with l, ll or z, width and leading zero. Buffered; never fails. */
void kprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kvprintf(const char *format, va_list arguments);

/* Whether a tool listens (weir.tool=1): only then are frames (lines that start with byte 0x1e) printed. */
bool kernel_tool(void);

/* Everything printed so far is on its way to the host when this returns. */
void kernel_flush(void);

/* --- the end --- */

/* Prints what is to be printed last, then ends the guest with exit code `code` & 255. */
void kernel_exit(int code) __attribute__((noreturn));

/* An invariant is broken: message, backtrace, exit code 134. */
void kernel_panic(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* --- time, CPUs --- */

uint64_t kernel_now(void);  /* nanoseconds since boot */
unsigned kernel_cpus(void); /* that run threads */

/* --- port I/O and PCI configuration space (mechanism 1), usable from ring 3 --- */

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

/* `function` is bus << 8 | device << 3 | function, `offset` a multiple of 4 below 256; as in weir/virtio.h. All bits
 * one where there is no function. The caller serialises. */
static inline uint32_t kernel_pci_read(uint32_t function, unsigned offset)
{
    outl(0xcf8, 0x80000000u | function << 8 | (offset & 0xfc));
    return inl(0xcfc);
}

static inline void kernel_pci_write(uint32_t function, unsigned offset, uint32_t value)
{
    outl(0xcf8, 0x80000000u | function << 8 | (offset & 0xfc));
    outl(0xcfc, value);
}

#endif
