/*
 * The Linux system calls that musl's libc.a makes, answered in the image.
 *
 * What a program can do without gets ENOSYS, and is counted. There is one process, no file but the console (0, 1, 2)
 * and one that jemalloc reads, and no signal is ever delivered: one that would end the process ends the guest.
 */
#include "syscalls.h"

#include <string.h>

#include "console.h"
#include "exception.h"
#include "kernel.h"
#include "paging.h"
#include "thread.h"

#define CALLS       512
#define PARTS_MAX   1024 /* of one readv or writev, as on Linux */
#define MASK_FILE   100  /* file descriptor of the one file */
#define INPUT_NS    1000000
#define SECOND      UINT64_C(1000000000)
#define END_OF_FILE 4 /* Ctrl-D */

static const char overcommit_path[] = "/proc/sys/vm/overcommit_memory";

static _Atomic(uint32_t) unknown[CALLS];

/* Who waits for input, and where it goes. Guarded by `scheduler`. */
static struct thread *reader;
static struct iovec_ reader_parts[2];
static bool at_line_start = true, end_waits;

/* Whether the program may not do that with its memory. Looks at the first and the last page. */
static bool bad(uint64_t address, size_t bytes, unsigned rights)
{
    unsigned first, last;
    return bytes > 0 && (address + bytes < address || !paging_rights(address, &first) ||
                         !paging_rights(address + bytes - 1, &last) || (first & last & rights) != rights);
}

static bool bad_parts(const struct iovec_ *parts, size_t n, unsigned rights)
{
    if (n > PARTS_MAX || bad((uintptr_t)parts, n * sizeof *parts, RIGHT_READ))
        return true;
    for (size_t i = 0; i < n; i++)
        if (bad((uintptr_t)parts[i].base, parts[i].length, rights))
            return true;
    return false;
}

/* --- console --- */

/* Lock held: moves what has arrived into the parts; -1 if nothing has. An end of file behind other bytes waits for the
 * next call, and so does what comes behind it. */
static long take_input(const struct iovec_ *parts, size_t n)
{
    long got = 0;
    char byte = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < parts[i].length; k++) {
            if (!end_waits && console_read(&byte, 1) == 0)
                return got ? got : -1;
            if (end_waits || (byte == END_OF_FILE && at_line_start)) {
                end_waits = got != 0;
                return got;
            }
            at_line_start = byte == '\n';
            parts[i].base[k] = byte;
            got++;
        }
    return got;
}

static long read_console(struct thread *thread, const struct iovec_ *parts, size_t n)
{
    size_t room = 0;
    n = n < 2 ? n : 2;
    for (size_t i = 0; i < n; i++)
        room += parts[i].length;
    if (room == 0)
        return 0;
    kernel_flush();
    lock_take(&scheduler, weir_kernel_platform());
    long got = reader ? -EAGAIN_ : take_input(parts, n);
    if (got != -1) {
        lock_drop(&scheduler);
        return got;
    }
    memset(reader_parts, 0, sizeof reader_parts);
    for (size_t i = 0; i < n; i++)
        reader_parts[i] = parts[i];
    reader = thread;
    thread_wait(thread, NEVER, 0);
    scheduler_due(kernel_now() + INPUT_NS);
    schedule();
    return RESULT_LATER;
}

uint64_t input_poll(uint64_t now)
{
    uint64_t next = NEVER;
    lock_take(&scheduler, weir_kernel_platform());
    if (reader) {
        long got = take_input(reader_parts, 2);
        if (got != -1) {
            struct thread *thread = reader;
            reader = NULL;
            thread_wake(thread, got);
        } else {
            next = now + INPUT_NS;
        }
    }
    lock_drop(&scheduler);
    return next;
}

static long read_file(struct thread *thread, int file, const struct iovec_ *parts, size_t n)
{
    if (bad_parts(parts, n, RIGHTS_DATA))
        return -EFAULT_;
    if (file == 0)
        return read_console(thread, parts, n);
    if (file != MASK_FILE)
        return -EBADF_;
    if (n == 0 || parts[0].length == 0)
        return 0;
    parts[0].base[0] = '1';
    return 1;
}

static long write_file(int file, const struct iovec_ *parts, size_t n)
{
    if (file != 1 && file != 2)
        return -EBADF_;
    if (bad_parts(parts, n, RIGHT_READ))
        return -EFAULT_;
    return (long)console_writev(parts, n);
}

static long control(int file, unsigned request, void *argument)
{
    if (file < 0 || file > 2)
        return file == MASK_FILE ? -ENOTTY_ : -EBADF_;
    if (request != 0x5413) /* TIOCGWINSZ: is it a terminal? */
        return -ENOTTY_;
    memcpy(argument, (uint16_t[4]){25, 80, 0, 0}, 8);
    return 0;
}

static long describe(int file, uint32_t *stat)
{
    if (file < 0 || file > 2)
        return -EBADF_;
    memset(stat, 0, 144);
    stat[6] = 0020620; /* st_mode: a character device */
    stat[14] = 4096;   /* st_blksize */
    return 0;
}

static long open_file(const char *path)
{
    return strcmp(path, overcommit_path) == 0 ? MASK_FILE : -ENOENT_;
}

/* --- time --- */

static void to_timespec(uint64_t ns, int64_t *time)
{
    time[0] = (int64_t)(ns / SECOND);
    time[1] = (int64_t)(ns % SECOND);
}

static uint64_t realtime(void)
{
    uint64_t ns = 0;
    clock_read(0, true, &ns);
    return ns;
}

static long get_clock(int clock, int64_t *time)
{
    uint64_t ns;
    if (bad((uintptr_t)time, 16, RIGHTS_DATA))
        return -EFAULT_;
    if (!clock_read(clock, true, &ns))
        return -EINVAL_;
    to_timespec(ns, time);
    return 0;
}

static long get_time_of_day(int64_t *time)
{
    if (time) {
        to_timespec(realtime(), time);
        time[1] /= 1000;
    }
    return 0;
}

static long sleep_until(struct thread *thread, int clock, bool absolute, const int64_t *time)
{
    uint64_t now, at = kernel_now();
    if (bad((uintptr_t)time, 16, RIGHT_READ))
        return -EFAULT_;
    if (!clock_read(clock, true, &now) || time[0] < 0 || time[1] < 0 || time[1] >= (int64_t)SECOND)
        return -EINVAL_;
    uint64_t ns = (uint64_t)time[0] < NEVER / SECOND / 4 ? (uint64_t)time[0] * SECOND + (uint64_t)time[1] : NEVER / 4;
    if (absolute)
        ns = ns > now ? ns - now : 0;
    lock_take(&scheduler, weir_kernel_platform());
    thread_wait(thread, at + ns, 0);
    schedule();
    return RESULT_LATER;
}

/* --- the rest --- */

static long random_bytes(char *to, size_t n)
{
    if (bad((uintptr_t)to, n, RIGHTS_DATA))
        return -EFAULT_;
    const struct weir_platform *platform = weir_kernel_platform();
    for (size_t i = 0; i < n; i += 8) {
        uint64_t bits = platform->random(platform->context);
        memcpy(to + i, &bits, n - i < 8 ? n - i : 8);
    }
    return (long)n;
}

static long get_affinity(size_t bytes, unsigned char *mask)
{
    if (bytes < 8)
        return -EINVAL_;
    memset(mask, 0, 8);
    for (unsigned i = 0; i < cpus_online; i++)
        mask[i / 8] |= (unsigned char)(1 << i % 8);
    return 8;
}

static long get_name(char *name)
{
    static const char *const fields[6] = {"weir", "weir", "0.1", "1", "x86_64", ""};
    memset(name, 0, (size_t)6 * 65);
    for (unsigned i = 0; i < 6; i++)
        memcpy(name + (size_t)i * 65, fields[i], strlen(fields[i]));
    return 0;
}

static long get_sysinfo(uint64_t *info)
{
    struct weir_frames_stats stats;
    weir_frames_stats(weir_kernel_frames(), &stats);
    memset(info, 0, 112);
    info[0] = kernel_now() / SECOND;
    info[4] = stats.managed * WEIR_FRAME_SIZE;
    info[5] = stats.free * WEIR_FRAME_SIZE;
    *(uint16_t *)(info + 10) = (uint16_t)threads_alive;
    *(uint32_t *)(info + 13) = 1; /* unit */
    return 0;
}

static long get_limit(uint64_t *limit)
{
    if (limit)
        limit[0] = limit[1] = UINT64_MAX;
    return 0;
}

static long get_usage(uint64_t *usage)
{
    memset(usage, 0, 144);
    uint64_t now = kernel_now();
    usage[0] = now / SECOND;
    usage[1] = now % SECOND / 1000;
    return 0;
}

static long not_there(unsigned number)
{
    if (number < CALLS)
        unknown[number]++;
    return -ENOSYS_;
}

void system_calls_report(void)
{
    const char *wanted = kernel_option("weir.syscalls");
    if (!wanted || *wanted != '1')
        return;
    for (unsigned i = 0; i < CALLS; i++)
        if (unknown[i])
            kprintf("weir: system call %u: not there, asked for %u times\n", i, unknown[i]);
}

long system_call_answer(struct thread *thread)
{
    const struct registers *r = &thread->registers;
    uint64_t a = r->rdi, b = r->rsi, c = r->rdx, d = r->r10, e = r->r8;
    struct iovec_ one = {(char *)b, c};
    if (thread->pending && memory_settle(thread, r->rax == 10, a, b, (unsigned)c))
        return 0;
    switch (r->rax) {
    case 0:
        return read_file(thread, (int)a, &one, 1);
    case 1:
        return write_file((int)a, &one, 1);
    case 2:
        return open_file((const char *)a);
    case 3: /* close */
        return a <= 2 || a == MASK_FILE ? 0 : -EBADF_;
    case 4:   /* stat */
    case 6:   /* lstat */
    case 21:  /* access */
    case 89:  /* readlink */
    case 262: /* newfstatat */
    case 267: /* readlinkat */
        return -ENOENT_;
    case 5:
        return describe((int)a, (uint32_t *)b);
    case 8: /* lseek */
        return -ESPIPE_;
    case 9:
        return memory_map_call(thread, a, b, (unsigned)c, (unsigned)d, (int)e);
    case 10:
        return memory_protect(a, b, (unsigned)c);
    case 11:
        return memory_unmap(a, b);
    case 12:
        return memory_break(a);
    case 13:  /* rt_sigaction */
    case 14:  /* rt_sigprocmask */
    case 131: /* sigaltstack */
        return 0;
    case 16:
        return control((int)a, (unsigned)b, (void *)c);
    case 19:
        return read_file(thread, (int)a, (const struct iovec_ *)b, c);
    case 20:
        return write_file((int)a, (const struct iovec_ *)b, c);
    case 24:
        if (this_cpu()->preempt)
            return 0; /* pinned: it holds a lock and waits for another, whose holder runs on another CPU */
        thread->registers.rax = 0;
        scheduler_yield(thread);
        return RESULT_LATER;
    case 25:
        return memory_remap(a, b, c, (unsigned)d);
    case 28:
        return memory_advise(a, b, (int)c);
    case 35:
        return sleep_until(thread, 1, false, (const int64_t *)a);
    case 39: /* getpid */
        return 1;
    case 56:
        return thread_clone(thread, a, b, (uint32_t *)c, (uint32_t *)d, e);
    case 60:
        return thread_end(thread, (int)a);
    case 61: /* wait4 */
        return -ECHILD_;
    case 62:  /* kill */
    case 200: /* tkill */
        return signal_sent(thread, (int)b);
    case 234: /* tgkill */
        return signal_sent(thread, (int)c);
    case 63:
        return get_name((char *)a);
    case 72: /* fcntl */
        return a <= 2 ? ((int)b == 3 ? 2 : 0) : -EBADF_;
    case 96:
        return get_time_of_day((int64_t *)a);
    case 98:
        return get_usage((uint64_t *)b);
    case 99:
        return get_sysinfo((uint64_t *)a);
    case 102: /* getuid, getgid, geteuid, getegid, getppid */
    case 104:
    case 107:
    case 108:
    case 110:
        return 0;
    case 158: /* arch_prctl */
        if (a != 0x1002)
            return -EINVAL_;
        thread->fs = b;
        __asm__ volatile("wrfsbase %0" : : "r"(b) : "memory");
        return 0;
    case 186: /* gettid */
        return thread->tid;
    case 201: /* time */
        return (long)(realtime() / SECOND);
    case 202:
        if (bad(a, 4, RIGHT_READ))
            return -EFAULT_;
        return futex(thread, (uint32_t *)a, (int)b, (uint32_t)c, d, (uint32_t *)e, (uint32_t)r->r9);
    case 203: /* sched_setaffinity */
    case 273: /* set_robust_list */
        return 0;
    case 204:
        return get_affinity(b, (unsigned char *)c);
    case 218:
        thread->clear_tid = (uint32_t *)a;
        return thread->tid;
    case 228:
        return get_clock((int)a, (int64_t *)b);
    case 229: /* clock_getres */
        if (b)
            to_timespec(1, (int64_t *)b);
        return 0;
    case 230:
        return sleep_until(thread, (int)a, b & 1, (const int64_t *)c);
    case 231:
        kernel_exit((int)a);
    case 257:
        return open_file((const char *)b);
    case 302: /* prlimit64 */
        return get_limit((uint64_t *)d);
    case 318:
        return random_bytes((char *)a, b);
    default:
        return not_there((unsigned)r->rax);
    }
}
