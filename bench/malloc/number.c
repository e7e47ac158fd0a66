/* Schoolbook arithmetic on digits of 32 bits, least first, without leading zeros: zero has no digits. */
#include "number.h"

#include "support.h"

struct number {
    uint32_t length;
    uint32_t digits[];
};

static struct number *number_new(uint32_t length)
{
    struct number *a = malloc(sizeof *a + length * sizeof *a->digits);
    if (!a)
        die(EXIT_MEMORY, "no memory for %u digits", length);
    a->length = length;
    return a;
}

static struct number *trim(struct number *a)
{
    while (a->length > 0 && a->digits[a->length - 1] == 0)
        a->length--;
    return a;
}

struct number *number_from(uint64_t value)
{
    struct number *a = number_new(2);
    a->digits[0] = (uint32_t)value;
    a->digits[1] = (uint32_t)(value >> 32);
    return trim(a);
}

struct number *number_copy(const struct number *a)
{
    struct number *copy = number_new(a->length);
    memcpy(copy->digits, a->digits, a->length * sizeof *a->digits);
    return copy;
}

void number_release(struct number *a)
{
    free(a);
}

int number_compare(const struct number *a, const struct number *b)
{
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    for (uint32_t i = a->length; i-- > 0;) {
        if (a->digits[i] != b->digits[i])
            return a->digits[i] < b->digits[i] ? -1 : 1;
    }
    return 0;
}

bool number_is(const struct number *a, uint32_t value)
{
    return value == 0 ? a->length == 0 : a->length == 1 && a->digits[0] == value;
}

bool number_is_odd(const struct number *a)
{
    return a->length > 0 && (a->digits[0] & 1);
}

struct number *number_add(const struct number *a, const struct number *b)
{
    if (a->length < b->length) {
        const struct number *longer = b;
        b = a;
        a = longer;
    }
    struct number *sum = number_new(a->length + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->length; i++) {
        carry += (uint64_t)a->digits[i] + (i < b->length ? b->digits[i] : 0);
        sum->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sum->digits[a->length] = (uint32_t)carry;
    return trim(sum);
}

struct number *number_subtract(const struct number *a, const struct number *b)
{
    struct number *difference = number_new(a->length);
    uint64_t borrow = 0;
    for (uint32_t i = 0; i < a->length; i++) {
        const uint64_t digit = (uint64_t)a->digits[i] - (i < b->length ? b->digits[i] : 0) - borrow;
        difference->digits[i] = (uint32_t)digit;
        borrow = digit >> 63;
    }
    return trim(difference);
}

struct number *number_multiply(const struct number *a, const struct number *b)
{
    struct number *product = number_new(a->length + b->length);
    memset(product->digits, 0, product->length * sizeof *product->digits);
    for (uint32_t i = 0; i < a->length; i++) {
        uint64_t carry = 0;
        for (uint32_t j = 0; j < b->length; j++) {
            carry += (uint64_t)a->digits[i] * b->digits[j] + product->digits[i + j];
            product->digits[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        product->digits[i + b->length] = (uint32_t)carry;
    }
    return trim(product);
}

struct number *number_divide_small(const struct number *a, uint32_t b, uint32_t *remainder)
{
    struct number *quotient = number_new(a->length);
    uint64_t rest = 0;
    for (uint32_t i = a->length; i-- > 0;) {
        rest = rest << 32 | a->digits[i];
        quotient->digits[i] = (uint32_t)(rest / b);
        rest %= b;
    }
    *remainder = (uint32_t)rest;
    return trim(quotient);
}

/* a shifted left by less than 32 bits, with one digit more than a whether or not it is zero. */
static struct number *shifted(const struct number *a, int bits)
{
    struct number *result = number_new(a->length + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->length; i++) {
        carry |= (uint64_t)a->digits[i] << bits;
        result->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    result->digits[a->length] = (uint32_t)carry;
    return result;
}

/* rest[0 … n] -= digit · b[0 … n-1]; true if that went below zero, modulo 2^(32 (n+1)). */
static bool multiply_subtract(uint32_t *rest, const uint32_t *b, uint32_t n, uint64_t digit)
{
    uint64_t carry = 0, borrow = 0;
    for (uint32_t i = 0; i <= n; i++) {
        carry += i < n ? digit * b[i] : 0;
        const uint64_t difference = (uint64_t)rest[i] - (uint32_t)carry - borrow;
        rest[i] = (uint32_t)difference;
        borrow = difference >> 63;
        carry >>= 32;
    }
    return borrow != 0;
}

static void add_back(uint32_t *rest, const uint32_t *b, uint32_t n)
{
    uint64_t carry = 0;
    for (uint32_t i = 0; i < n; i++) {
        carry += (uint64_t)rest[i] + b[i];
        rest[i] = (uint32_t)carry;
        carry >>= 32;
    }
    rest[n] += (uint32_t)carry;
}

/* Knuth's algorithm D, for a divisor of two digits or more and a dividend not shorter than it. */
static struct number *divide_long(const struct number *a, const struct number *b, struct number **remainder)
{
    const uint32_t n = b->length;
    const int bits = __builtin_clz(b->digits[n - 1]);
    struct number *divisor = shifted(b, bits), *rest = shifted(a, bits);
    struct number *quotient = number_new(a->length - n + 1);
    const uint64_t top = divisor->digits[n - 1], second = divisor->digits[n - 2];
    for (uint32_t at = quotient->length; at-- > 0;) {
        uint32_t *digits = rest->digits + at;
        const uint64_t head = (uint64_t)digits[n] << 32 | digits[n - 1];
        uint64_t digit = head / top, left = head % top;
        while (digit >> 32 || digit * second > (left << 32 | digits[n - 2])) {
            digit--;
            left += top;
            if (left >> 32)
                break;
        }
        if (multiply_subtract(digits, divisor->digits, n, digit)) {
            digit--;
            add_back(digits, divisor->digits, n);
        }
        quotient->digits[at] = (uint32_t)digit;
    }
    if (remainder) {
        *remainder = number_new(n);
        for (uint32_t i = 0; i < n; i++)
            /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): shifted() has set them all */
            (*remainder)->digits[i] = (uint32_t)(((uint64_t)rest->digits[i + 1] << 32 | rest->digits[i]) >> bits);
        trim(*remainder);
    }
    number_release(divisor);
    number_release(rest);
    return trim(quotient);
}

struct number *number_divide(const struct number *a, const struct number *b, struct number **remainder)
{
    if (number_compare(a, b) < 0) {
        if (remainder)
            *remainder = number_copy(a);
        return number_from(0);
    }
    if (b->length >= 2)
        return divide_long(a, b, remainder);
    uint32_t rest;
    struct number *quotient = number_divide_small(a, b->digits[0], &rest);
    if (remainder)
        *remainder = number_from(rest);
    return quotient;
}

struct number *number_modulo(const struct number *a, const struct number *b)
{
    struct number *remainder;
    number_release(number_divide(a, b, &remainder));
    return remainder;
}

struct number *number_multiply_modulo(const struct number *a, const struct number *b, const struct number *n)
{
    struct number *product = number_multiply(a, b);
    struct number *result = number_modulo(product, n);
    number_release(product);
    return result;
}

struct number *number_root(const struct number *a)
{
    /* Newton's iteration falls from any start above the root, and stops falling at the root. */
    struct number *root = number_new(a->length / 2 + 1);
    memset(root->digits, 0xff, root->length * sizeof *root->digits);
    for (;;) {
        struct number *quotient = number_divide(a, root, NULL);
        struct number *sum = number_add(root, quotient);
        uint32_t odd;
        struct number *next = number_divide_small(sum, 2, &odd);
        number_release(quotient);
        number_release(sum);
        if (number_compare(next, root) >= 0) {
            number_release(next);
            return root;
        }
        number_assign(&root, next);
    }
}

struct number *number_gcd(const struct number *a, const struct number *b)
{
    struct number *x = number_copy(a), *y = number_copy(b);
    while (!number_is(y, 0)) {
        struct number *remainder = number_modulo(x, y);
        number_release(x);
        x = y;
        y = remainder;
    }
    number_release(y);
    return x;
}
