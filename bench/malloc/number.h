/*
 * Natural numbers of any length, each an object of its own: the values of cfrac.
 *
 * A number never changes. Every operation allocates its result, even one that is dropped at once; the caller releases
 * it. Numbers that fit a few digits make objects of 8 to 32 bytes that live for microseconds.
 */
#ifndef BENCH_MALLOC_NUMBER_H
#define BENCH_MALLOC_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

struct number;

struct number *number_from(uint64_t value);
struct number *number_copy(const struct number *a);
void number_release(struct number *a);

/* -1, 0, 1 */
int number_compare(const struct number *a, const struct number *b);
bool number_is(const struct number *a, uint32_t value);
bool number_is_odd(const struct number *a);

struct number *number_add(const struct number *a, const struct number *b);
/* a >= b */
struct number *number_subtract(const struct number *a, const struct number *b);
struct number *number_multiply(const struct number *a, const struct number *b);
/* b > 0; stores the remainder through `remainder` unless that is null. */
struct number *number_divide(const struct number *a, const struct number *b, struct number **remainder);
struct number *number_divide_small(const struct number *a, uint32_t b, uint32_t *remainder);
/* a modulo b */
struct number *number_modulo(const struct number *a, const struct number *b);
/* a · b modulo n */
struct number *number_multiply_modulo(const struct number *a, const struct number *b, const struct number *n);
/* The largest number whose square is not above a. */
struct number *number_root(const struct number *a);
struct number *number_gcd(const struct number *a, const struct number *b);

/* Gives `*variable` a new value and releases the old one. */
static inline void number_assign(struct number **variable, struct number *value)
{
    number_release(*variable);
    *variable = value;
}

#endif
