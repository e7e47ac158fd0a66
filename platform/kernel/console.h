/* The serial console, inwards: what kernel.h does not offer to everybody. */
#ifndef WEIR_KERNEL_CONSOLE_H
#define WEIR_KERNEL_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec_ {
    char *base;
    size_t length;
};

/* Appends to what is to be printed. */
void console_write(const char *bytes, size_t n);

/* Appends all parts as one: nothing of others comes between. */
size_t console_writev(const struct iovec_ *parts, size_t n);

/* Flushes what has waited long enough; returns when the rest wants to be flushed, UINT64_MAX for nothing. */
uint64_t console_poll(uint64_t now);
bool console_dirty(void);

/* Takes what has arrived: up to `n` bytes; 0 if there is nothing. Caller serialises. */
size_t console_read(char *bytes, size_t n);

/* From now on only the calling CPU prints, whoever held the console. */
void console_seize(void);

#endif
