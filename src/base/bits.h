/* Bits and powers of two. */
#ifndef WEIR_BASE_BITS_H
#define WEIR_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* floor(log2(n)), n > 0 */
static inline unsigned log2_floor(size_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

/* ceil(log2(n)), n > 0 */
static inline unsigned log2_ceil(size_t n)
{
    return n <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(n - 1);
}

/* `n` rounded to a multiple of `unit`, a power of two. round_up wraps around near SIZE_MAX: check before. */
static inline size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) & ~(unit - 1);
}

static inline size_t round_down(size_t n, size_t unit)
{
    return n & ~(unit - 1);
}

/* Number of ones. Not the builtin: without -mpopcnt it calls libgcc. */
static inline unsigned count_ones(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (unsigned)(x * 0x0101010101010101 >> 56);
}

/* `n` ones from bit `from` on; from + n <= 64, n > 0 */
static inline uint64_t ones(unsigned from, unsigned n)
{
    return ~UINT64_C(0) >> (64 - n) << from;
}

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
