/*
 * Contents by which an object is known again.
 *
 * Objects up to a frame are written whole; longer ones in their first and last 64 bytes and in one word of each frame,
 * which finds every overlap of whole frames and costs little. Everything follows from the stamp and the length.
 */
#ifndef TESTS_CONFORMANCE_STAMP_H
#define TESTS_CONFORMANCE_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "weir/frames.h"

static inline uint64_t stamp_mix(uint64_t n)
{
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
    n = (n ^ n >> 27) * 0x94d049bb133111eb;
    return n ^ n >> 31;
}

/* The bytes from `at` to the end of its word, and how many of them lie before `to`. */
static inline uint64_t stamp_word(uint64_t stamp, size_t at, size_t to, size_t *n)
{
    *n = 8 - at % 8 < to - at ? 8 - at % 8 : to - at;
    return stamp_mix(stamp + at / 8) >> at % 8 * 8;
}

static inline void stamp_bytes(unsigned char *object, size_t from, size_t to, uint64_t stamp)
{
    for (size_t at = from, n; at < to; at += n) {
        uint64_t word = stamp_word(stamp, at, to, &n);
        memcpy(object + at, &word, n);
    }
}

static inline bool stamp_bytes_hold(const unsigned char *object, size_t from, size_t to, uint64_t stamp)
{
    for (size_t at = from, n; at < to; at += n) {
        uint64_t word = stamp_word(stamp, at, to, &n);
        if (memcmp(object + at, &word, n) != 0)
            return false;
    }
    return true;
}

static inline void stamp_write(void *object, size_t size, uint64_t stamp)
{
    if (size <= WEIR_FRAME_SIZE) {
        stamp_bytes(object, 0, size, stamp);
        return;
    }
    stamp_bytes(object, 0, 64, stamp);
    for (size_t at = WEIR_FRAME_SIZE; at + 8 <= size; at += WEIR_FRAME_SIZE)
        stamp_bytes(object, at, at + 8, stamp);
    stamp_bytes(object, size - 64, size, stamp);
}

/* Whether the first `size` bytes hold what stamp_write left there for an object of `written` bytes, size <= written. */
static inline bool stamp_holds(const void *object, size_t size, size_t written, uint64_t stamp)
{
    if (written <= WEIR_FRAME_SIZE)
        return stamp_bytes_hold(object, 0, size, stamp);
    if (!stamp_bytes_hold(object, 0, size < 64 ? size : 64, stamp))
        return false;
    for (size_t at = WEIR_FRAME_SIZE; at + 8 <= size; at += WEIR_FRAME_SIZE)
        if (!stamp_bytes_hold(object, at, at + 8, stamp))
            return false;
    return size < written || stamp_bytes_hold(object, size - 64, size, stamp);
}

#endif
