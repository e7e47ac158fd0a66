/*
 * The serial console.
 *
 * A byte costs an exit from the guest: 35 µs where the machine is virtualized without hardware help. So output is
 * buffered, and flushed when the buffer is full, when a CPU is idle, before the end, at the end of a frame (a tool
 * waits for it), and at the end of a line if nothing was flushed in the last FLUSH_NS; otherwise FLUSH_NS later. The
 * transmit register may be busy while the host's reader is slow; its FIFO takes 16 bytes, so its state is read once for
 * 16 bytes.
 */
#include "console.h"

#include "cpu.h"
#include "kernel.h"
#include "src/base/lock.h"
#include "thread.h"

#define PORT     0x3f8
#define FIFO     16
#define BUFFER   4096
#define FLUSH_NS 20000000
#define FRAME    '\x1e'

static struct lock console;
static char buffer[BUFFER];
static size_t filled;
static bool frame, started; /* the line being written is a frame; the FIFO is on */
static uint64_t flushed;    /* when */
static struct cpu *seized_by;

static void take(void)
{
    if (seized_by != this_cpu())
        lock_take(&console, weir_kernel_platform());
}

static void drop(void)
{
    if (seized_by != this_cpu())
        lock_drop(&console);
}

static void start_fifo(void)
{
    if (!started)
        outb(PORT + 2, 1);
    started = true;
}

/* Lock held. */
static void flush(void)
{
    start_fifo();
    for (size_t at = 0; at < filled;) {
        for (unsigned i = 0; i < 100000 && !(inb(PORT + 5) & 0x20); i++)
            pause();
        size_t n = filled - at < FIFO ? filled - at : FIFO;
        const char *from = buffer + at;
        at += n;
        __asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"((uint16_t)PORT) : "memory");
    }
    filled = 0;
    flushed = clock_ready ? kernel_now() : 0;
}

/* Lock held. */
static void append(const char *bytes, size_t n)
{
    bool line = false, framed = false;
    for (size_t i = 0; i < n; i++) {
        if (filled == BUFFER)
            flush();
        buffer[filled++] = bytes[i];
        if (bytes[i] == FRAME) {
            frame = true;
        } else if (bytes[i] == '\n') {
            line = true;
            framed |= frame;
            frame = false;
        }
    }
    if (framed || (line && clock_ready && kernel_now() - flushed >= FLUSH_NS))
        flush();
    else if (clock_ready)
        scheduler_due(kernel_now() + FLUSH_NS);
}

void console_write(const char *bytes, size_t n)
{
    take();
    append(bytes, n);
    drop();
}

size_t console_writev(const struct iovec_ *parts, size_t n)
{
    size_t written = 0;
    take();
    for (size_t i = 0; i < n; i++) {
        append(parts[i].base, parts[i].length);
        written += parts[i].length;
    }
    drop();
    return written;
}

bool console_dirty(void)
{
    return filled > 0;
}

void kernel_flush(void)
{
    take();
    if (filled > 0)
        flush();
    drop();
}

uint64_t console_poll(uint64_t now)
{
    if (!console_dirty())
        return NEVER;
    if (now - flushed < FLUSH_NS)
        return flushed + FLUSH_NS;
    kernel_flush();
    return NEVER;
}

size_t console_read(char *bytes, size_t n)
{
    size_t got = 0;
    start_fifo();
    while (got < n && (inb(PORT + 5) & 1))
        bytes[got++] = (char)inb(PORT);
    return got;
}

void console_seize(void)
{
    uint64_t start = read_tsc();
    if (seized_by == this_cpu())
        return;
    while (!lock_try(&console) && read_tsc() - start < 2000000000)
        pause();
    seized_by = this_cpu();
}

/* --- printing --- */

struct line {
    char text[128];
    size_t n;
};

static void put(struct line *line, char c)
{
    if (line->n == sizeof line->text) {
        console_write(line->text, line->n);
        line->n = 0;
    }
    line->text[line->n++] = c;
}

static void put_number(struct line *line, uint64_t value, unsigned base, unsigned width, char fill, bool negative)
{
    char digits[24];
    unsigned n = 0;
    do
        digits[n++] = "0123456789abcdef"[value % base];
    while (value /= base);
    if (negative)
        digits[n++] = '-';
    for (unsigned i = n; i < width; i++)
        put(line, fill);
    while (n > 0)
        put(line, digits[--n]);
}

void kvprintf(const char *format, va_list arguments)
{
    struct line line = {.n = 0};
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(&line, *f);
            continue;
        }
        char fill = *++f == '0' ? '0' : ' ';
        unsigned width = 0;
        for (; *f >= '0' && *f <= '9'; f++)
            width = 10 * width + (unsigned)(*f - '0');
        bool wide = false;
        for (; *f == 'l' || *f == 'z'; f++)
            wide = true;
        switch (*f) {
        case 's': {
            const char *s = va_arg(arguments, const char *);
            for (s = s ? s : "(null)"; *s; s++)
                put(&line, *s);
            break;
        }
        case 'c':
            put(&line, (char)va_arg(arguments, int));
            break;
        case 'd': {
            int64_t v = wide ? va_arg(arguments, int64_t) : va_arg(arguments, int);
            put_number(&line, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, fill, v < 0);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t v = wide ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            put_number(&line, v, *f == 'x' ? 16 : 10, width, fill, false);
            break;
        }
        case 'p':
            put(&line, '0');
            put(&line, 'x');
            put_number(&line, (uintptr_t)va_arg(arguments, void *), 16, width, fill, false);
            break;
        default:
            put(&line, *f);
        }
    }
    if (line.n > 0)
        console_write(line.text, line.n);
}

void kprintf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    kvprintf(format, arguments);
    va_end(arguments);
}
