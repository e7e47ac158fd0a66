/*
 * The table of functions that weir takes of Linux. Nothing here allocates; what makes system calls preserves errno
 * where the C library might set it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "api/faces.h"
#include "api/options.h"
#include "api/platform.h"
#include "api/text.h"
#include "api/thread.h"
#include "platform/linux/linux.h"

/* Heaps are frames: their numbers tell threads apart. */
static unsigned slot(void *context)
{
    (void)context;
    return (unsigned)((uintptr_t)thread_heap >> WEIR_FRAME_SHIFT);
}

static void relax(void *context, unsigned round)
{
    (void)context;
    if (round < 100)
        __builtin_ia32_pause();
    else
        sched_yield();
}

uint64_t linux_now(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t random_bits(void *context)
{
    uint64_t bits;
    int error = errno;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits)
        bits = linux_now(context) * UINT64_C(0x9e3779b97f4a7c15);
    errno = error;
    return bits;
}

static struct text line_begin(void)
{
    struct text line = {.file = STDERR_FILENO};
    text_put(&line, "weir: ");
    return line;
}

static void line_end(struct text *line)
{
    text_put(line, "\n");
    text_flush(line);
}

static void error(void *context, const struct weir_error *error)
{
    (void)context;
    struct text line = line_begin();
    text_put(&line, error->operation);
    text_put(&line, ": ");
    text_put(&line, weir_status_text(error->status));
    text_put(&line, ": ");
    text_hex(&line, error->address);
    if (error->size) {
        text_put(&line, ", ");
        text_number(&line, error->size);
        text_put(&line, " bytes");
    }
    line_end(&line);
    face_misused(error->status);
    if (option(OPTION_ABORT))
        abort();
}

static void panic(void *context, const char *message)
{
    (void)context;
    struct text line = line_begin();
    text_put(&line, message);
    line_end(&line);
    abort();
}

/* Kilobytes of a line of /proc/self/status, such as "VmRSS:"; 0 if there is none. */
static size_t status_field(const char *status, const char *name)
{
    const char *field = strstr(status, name);
    size_t kilobytes = 0;
    for (field = field ? field + strlen(name) : ""; *field == ' ' || *field == '\t';)
        field++;
    for (; *field >= '0' && *field <= '9'; field++)
        kilobytes = kilobytes * 10 + (size_t)(*field - '0');
    return kilobytes * 1024;
}

static uint64_t milliseconds(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000 + (uint64_t)time->tv_usec / 1000;
}

void platform_usage(struct platform_usage *usage)
{
    *usage = (struct platform_usage){0};
    int error = errno;
    char status[4096] = "";
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t length = read(file, status, sizeof status - 1);
        status[length > 0 ? length : 0] = '\0';
        close(file);
    }
    usage->resident = status_field(status, "\nVmRSS:");
    usage->peak_resident = status_field(status, "\nVmHWM:");
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        usage->faults = (uint64_t)used.ru_minflt + (uint64_t)used.ru_majflt;
        usage->user_ms = milliseconds(&used.ru_utime);
        usage->system_ms = milliseconds(&used.ru_stime);
    }
    errno = error;
}

const struct weir_platform linux_platform = {
    .slot = slot,
    .relax = relax,
    .now = linux_now,
    .random = random_bits,
    .error = error,
    .panic = panic,
    .heartbeat = give_back_heartbeat,
};
