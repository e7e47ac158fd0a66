/*
 * Text put together without the C library's formatting, which may allocate: for what a malloc says of itself.
 *
 * Pieces collect in a buffer that is written out when it is full and by text_flush, so that a line or a table comes in
 * one piece. Nothing here sets errno.
 */
#ifndef WEIR_API_TEXT_H
#define WEIR_API_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A program's own way to print; `string` ends with NUL. */
typedef void text_sink(const char *string, void *argument);

struct text {
    int file;        /* where it goes, if … */
    FILE *stream;    /* … this is null … */
    text_sink *sink; /* … and this, too */
    void *argument;
    size_t length;
    char buffer[2048 + 1]; /* and a NUL */
};

#define NUMBER_MAX 24 /* characters that a number or size takes at most, its NUL included */

void text_put(struct text *text, const char *string);
void text_number(struct text *text, uint64_t number);
void text_hex(struct text *text, uint64_t number);

/* The string, and spaces up to `width` characters behind it (left) or before it (right). */
void text_left(struct text *text, const char *string, size_t width);
void text_right(struct text *text, const char *string, size_t width);

/* At most `most` characters of what somebody else wrote; what is not printable is shown as `?`. */
void text_quote(struct text *text, const char *string, size_t most);

void text_flush(struct text *text);

/* These return `out`. Decimal digits. */
const char *number_text(char out[NUMBER_MAX], uint64_t number);

/* Bytes for people: "512 B", "1.5 KiB", "23 MiB"; rounded to the nearest. */
const char *size_text(char out[NUMBER_MAX], uint64_t bytes);

/* Bytes as options take them, exactly: "32M", "1000". */
const char *exact_size_text(char out[NUMBER_MAX], uint64_t bytes);

#endif
