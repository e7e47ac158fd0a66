/*
 * The table of functions that weir takes of Linux. Nothing here allocates; what makes system calls preserves errno
 * where the C library might set it.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

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

/* A line is put together by hand: the C library's formatting may allocate. */
struct line {
    char text[256];
    size_t length;
};

static void put(struct line *line, const char *text)
{
    size_t length = strlen(text), room = sizeof line->text - line->length;
    length = length < room ? length : room;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void put_number(struct line *line, uintptr_t number, unsigned base)
{
    char digits[24] = "", *digit = digits + sizeof digits - 1;
    do {
        *--digit = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    put(line, digit);
}

static void print(struct line *line)
{
    put(line, "\n");
    int error = errno;
    if (write(STDERR_FILENO, line->text, line->length) < 0)
        errno = error;
}

static void error(void *context, const struct weir_error *error)
{
    (void)context;
    struct line line = {.length = 0};
    put(&line, "weir: ");
    put(&line, error->operation);
    put(&line, ": ");
    put(&line, weir_status_text(error->status));
    put(&line, ": 0x");
    put_number(&line, error->address, 16);
    if (error->size) {
        put(&line, ", ");
        put_number(&line, error->size, 10);
        put(&line, " bytes");
    }
    print(&line);
    const char *fatal = getenv("WEIR_ABORT");
    if (fatal && strcmp(fatal, "1") == 0)
        abort();
}

static void panic(void *context, const char *message)
{
    (void)context;
    struct line line = {.length = 0};
    put(&line, "weir: ");
    put(&line, message);
    print(&line);
    abort();
}

const struct weir_platform linux_platform = {
    .slot = slot,
    .relax = relax,
    .now = linux_now,
    .random = random_bits,
    .error = error,
    .panic = panic,
    .heartbeat = space_heartbeat,
};
