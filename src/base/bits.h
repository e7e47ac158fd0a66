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

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
