#include "api/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void text_flush(struct text *text)
{
    int error = errno;
    if (text->sink) {
        text->buffer[text->length] = '\0';
        text->sink(text->buffer, text->argument);
    } else if (text->stream) {
        fwrite(text->buffer, 1, text->length, text->stream);
    } else {
        const char *rest = text->buffer;
        while (text->length > 0) {
            ssize_t written = write(text->file, rest, text->length);
            if (written < 0 && errno == EINTR)
                continue;
            if (written <= 0)
                break;
            rest += written;
            text->length -= (size_t)written;
        }
    }
    text->length = 0;
    errno = error;
}

static void put(struct text *text, const char *string, size_t length)
{
    while (length > 0) {
        if (text->length == sizeof text->buffer - 1)
            text_flush(text);
        size_t room = sizeof text->buffer - 1 - text->length, part = length < room ? length : room;
        memcpy(text->buffer + text->length, string, part);
        text->length += part;
        string += part;
        length -= part;
    }
}

static void put_spaces(struct text *text, size_t length, size_t width)
{
    for (; length < width; length++)
        put(text, " ", 1);
}

void text_put(struct text *text, const char *string)
{
    put(text, string, strlen(string));
}

void text_left(struct text *text, const char *string, size_t width)
{
    text_put(text, string);
    put_spaces(text, strlen(string), width);
}

void text_right(struct text *text, const char *string, size_t width)
{
    put_spaces(text, strlen(string), width);
    text_put(text, string);
}

void text_quote(struct text *text, const char *string, size_t most)
{
    for (size_t n = 0; n < most && string[n]; n++)
        put(text, string[n] >= ' ' && string[n] <= '~' ? &string[n] : "?", 1);
}

/* Writes digits so that they end before `end`; returns where they start. */
static char *digits(char *end, uint64_t number, unsigned base)
{
    do {
        *--end = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    return end;
}

static const char *number_in(char out[NUMBER_MAX], uint64_t number, unsigned base, const char *unit)
{
    char all[NUMBER_MAX], *end = all + sizeof all, *start = digits(end, number, base);
    size_t length = (size_t)(end - start), more = strlen(unit);
    memcpy(out, start, length);
    memcpy(out + length, unit, more + 1);
    return out;
}

const char *number_text(char out[NUMBER_MAX], uint64_t number)
{
    return number_in(out, number, 10, "");
}

void text_number(struct text *text, uint64_t number)
{
    char out[NUMBER_MAX];
    text_put(text, number_text(out, number));
}

void text_hex(struct text *text, uint64_t number)
{
    char out[NUMBER_MAX];
    text_put(text, "0x");
    text_put(text, number_in(out, number, 16, ""));
}

const char *size_text(char out[NUMBER_MAX], uint64_t bytes)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    unsigned unit = 0;
    while (unit < sizeof units / sizeof *units - 1 && bytes >> unit * 10 >= 1024)
        unit++;
    if (unit == 0)
        return number_in(out, bytes, 10, units[0]);
    /* In tenths, by halves of a tenth; bytes beyond 2^60 lose a little so that nothing overflows. */
    unsigned shift = unit * 10;
    uint64_t scaled = shift > 10 ? bytes >> (shift - 10) : bytes;
    uint64_t tenths = (scaled * 20 + 1024) / 2048;
    if (tenths >= 10235 && unit < sizeof units / sizeof *units - 1) {
        unit++;
        tenths = 10;
    }
    if (tenths >= 100)
        return number_in(out, (tenths + 5) / 10, 10, units[unit]);
    number_in(out, tenths / 10, 10, ".");
    out[2] = (char)('0' + tenths % 10);
    memcpy(out + 3, units[unit], strlen(units[unit]) + 1);
    return out;
}

const char *exact_size_text(char out[NUMBER_MAX], uint64_t bytes)
{
    static const char *const suffixes[] = {"", "K", "M", "G", "T"};
    unsigned suffix = 0;
    while (suffix < sizeof suffixes / sizeof *suffixes - 1 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        suffix++;
    }
    return number_in(out, bytes, 10, suffixes[suffix]);
}
