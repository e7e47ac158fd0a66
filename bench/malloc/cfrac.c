/*
 * cfrac: factors a number by its square root's continued fraction (Morrison and Brillhart, Math. Comp. 1975), with
 * numbers that are short-lived objects: the classic program whose run time is malloc's and free's.
 *
 * Let A(n)/B(n) be the convergents of √N. Then
 *
 *     A(n)² ≡ (-1)^(n+1) Q(n+1)  (mod N),     0 < Q(n+1) < 2√N,
 *
 * with Q from the recurrence below. The Q that split into primes of a small base are kept with their A. As soon as
 * there are more of them than primes, some product of them has even exponents only: x² ≡ y² (mod N), and gcd(x - y, N)
 * is a proper factor as often as not.
 */
#include "number.h"
#include "support.h"

static long p = 31415926535897999, q = 10000000000012411, primes = 200;

/* A product of base primes that is a square modulo N. exponents[0] counts the factor -1. */
struct relation {
    struct number *a;
    unsigned char *exponents;
    uint64_t *parity;  /* a bit for each exponent that is odd */
    uint64_t *sources; /* a bit for each relation that elimination multiplied into this one's parity */
};

struct base {
    uint32_t *primes; /* [0] stands for -1 */
    size_t count;
};

static void *array(size_t count, size_t size)
{
    void *made = calloc(count, size);
    if (!made)
        die(EXIT_MEMORY, "no memory for %zu elements", count);
    return made;
}

static size_t bit_words(size_t bits)
{
    return (bits + 63) / 64;
}

static uint32_t power_modulo(uint64_t x, uint32_t exponent, uint32_t modulus)
{
    uint64_t result = 1;
    for (x %= modulus; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = result * x % modulus;
        x = x * x % modulus;
    }
    return (uint32_t)result;
}

static bool is_prime(uint32_t x)
{
    for (uint32_t d = 2; d * d <= x; d++) {
        if (x % d == 0)
            return false;
    }
    return true;
}

/* The primes of which N is a square: no others divide a Q. */
static struct base base_new(const struct number *n, size_t count)
{
    struct base base = {array(count, sizeof *base.primes), 2};
    base.primes[1] = 2;
    for (uint32_t prime = 3; base.count < count; prime += 2) {
        uint32_t rest;
        if (!is_prime(prime))
            continue;
        number_release(number_divide_small(n, prime, &rest));
        if (rest != 0 && power_modulo(rest, (prime - 1) / 2, prime) == 1)
            base.primes[base.count++] = prime;
    }
    return base;
}

/* Splits `value` into primes of the base; null if something is left over. The caller frees the exponents. */
static unsigned char *split(const struct base *base, const struct number *value)
{
    unsigned char *exponents = array(base->count, 1);
    struct number *rest = number_copy(value);
    for (size_t i = 1; i < base->count && !number_is(rest, 1); i++) {
        for (;;) {
            uint32_t remainder;
            struct number *quotient = number_divide_small(rest, base->primes[i], &remainder);
            if (remainder) {
                number_release(quotient);
                break;
            }
            number_assign(&rest, quotient);
            exponents[i]++;
        }
    }
    const bool smooth = number_is(rest, 1);
    number_release(rest);
    if (smooth)
        return exponents;
    free(exponents);
    return NULL;
}

static struct relation relation_new(const struct base *base, const struct number *a, unsigned char *exponents,
                                    size_t index, size_t relations)
{
    struct relation relation = {number_copy(a), exponents, array(bit_words(base->count), sizeof(uint64_t)),
                                array(bit_words(relations), sizeof(uint64_t))};
    for (size_t i = 0; i < base->count; i++)
        relation.parity[i / 64] |= (uint64_t)(exponents[i] & 1) << (i % 64);
    relation.sources[index / 64] = UINT64_C(1) << (index % 64);
    return relation;
}

static void relation_release(struct relation *relation)
{
    number_release(relation->a);
    free(relation->exponents);
    free(relation->parity);
    free(relation->sources);
}

/* The state of the continued fraction after n steps; `big` is P, Q and A's index in the theory above. */
struct fraction {
    const struct number *n, *root;
    struct number *big_p, *big_q, *a, *a_before;
    bool odd; /* n is odd: the sign of Q is minus */
};

static void fraction_start(struct fraction *f, const struct number *n, const struct number *root)
{
    struct number *square = number_multiply(root, root);
    *f = (struct fraction){.n = n,
                           .root = root,
                           .big_p = number_copy(root),
                           .big_q = number_subtract(n, square),
                           .a = number_copy(root),
                           .a_before = number_from(1),
                           .odd = true};
    number_release(square);
}

/* From n to n + 1, with x = (√N + P)/Q:
 * q = ⌊x⌋,  A' = q A + A-before,  P' = q Q - P,  Q' = (N - P'²) / Q. */
static void fraction_step(struct fraction *f)
{
    struct number *sum = number_add(f->root, f->big_p);
    struct number *digit = number_divide(sum, f->big_q, NULL);
    struct number *product = number_multiply(digit, f->a);
    struct number *a_sum = number_add(product, f->a_before);
    struct number *a = number_modulo(a_sum, f->n);
    struct number *step = number_multiply(digit, f->big_q);
    struct number *next_p = number_subtract(step, f->big_p);
    struct number *square = number_multiply(next_p, next_p);
    struct number *difference = number_subtract(f->n, square);
    struct number *next_q = number_divide(difference, f->big_q, NULL);
    number_release(sum);
    number_release(digit);
    number_release(product);
    number_release(a_sum);
    number_release(step);
    number_release(square);
    number_release(difference);
    number_assign(&f->a_before, f->a);
    f->a = a;
    number_assign(&f->big_p, next_p);
    number_assign(&f->big_q, next_q);
    f->odd = !f->odd;
}

static void fraction_end(struct fraction *f)
{
    number_release(f->big_p);
    number_release(f->big_q);
    number_release(f->a);
    number_release(f->a_before);
}

static void collect(const struct number *n, const struct base *base, struct relation *relations, size_t wanted)
{
    struct number *root = number_root(n);
    struct fraction f;
    fraction_start(&f, n, root);
    for (size_t found = 0; found < wanted; fraction_step(&f)) {
        if (number_is(f.big_q, 1))
            die(EXIT_WRONG, "the period of the fraction is too short");
        unsigned char *exponents = split(base, f.big_q);
        if (!exponents)
            continue;
        exponents[0] = f.odd;
        relations[found] = relation_new(base, f.a, exponents, found, wanted);
        found++;
    }
    fraction_end(&f);
    number_release(root);
}

/* What x² ≡ y² gives for the relations in `sources`: gcd(x - y, N). */
static struct number *factor_of(const struct number *n, const struct base *base, const struct relation *relations,
                                size_t count, const uint64_t *sources)
{
    struct number *x = number_from(1), *y = number_from(1);
    unsigned *exponents = array(base->count, sizeof *exponents);
    for (size_t i = 0; i < count; i++) {
        if (!(sources[i / 64] >> (i % 64) & 1))
            continue;
        number_assign(&x, number_multiply_modulo(x, relations[i].a, n));
        for (size_t e = 0; e < base->count; e++)
            exponents[e] += relations[i].exponents[e];
    }
    for (size_t e = 1; e < base->count; e++) {
        struct number *prime = number_from(base->primes[e]);
        for (unsigned times = exponents[e] / 2; times-- > 0;)
            number_assign(&y, number_multiply_modulo(y, prime, n));
        number_release(prime);
    }
    struct number *difference = number_compare(x, y) < 0 ? number_subtract(y, x) : number_subtract(x, y);
    struct number *factor = number_gcd(difference, n);
    number_release(difference);
    number_release(x);
    number_release(y);
    free(exponents);
    return factor;
}

static void bits_add(uint64_t *to, const uint64_t *from, size_t words)
{
    for (size_t i = 0; i < words; i++)
        to[i] ^= from[i];
}

static bool bits_none(const uint64_t *bits, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        if (bits[i])
            return false;
    }
    return true;
}

/* Gauss over two elements, column by column; afterwards dependent relations have no odd exponents. */
static void eliminate(const struct base *base, struct relation *relations, size_t count)
{
    const size_t parity_words = bit_words(base->count), source_words = bit_words(count);
    bool *used = array(count, sizeof *used);
    for (size_t column = 0; column < base->count; column++) {
        const uint64_t bit = UINT64_C(1) << (column % 64);
        size_t pivot = 0;
        while (pivot < count && (used[pivot] || !(relations[pivot].parity[column / 64] & bit)))
            pivot++;
        if (pivot == count)
            continue;
        used[pivot] = true;
        for (size_t i = 0; i < count; i++) {
            if (i == pivot || !(relations[i].parity[column / 64] & bit))
                continue;
            bits_add(relations[i].parity, relations[pivot].parity, parity_words);
            bits_add(relations[i].sources, relations[pivot].sources, source_words);
        }
    }
    free(used);
}

/* A proper factor of n, or null when every dependency gave 1 or n. */
static struct number *factor(const struct number *n)
{
    struct base base = base_new(n, (size_t)primes);
    const size_t count = base.count + 20;
    struct relation *relations = array(count, sizeof *relations);
    collect(n, &base, relations, count);
    eliminate(&base, relations, count);
    struct number *found = NULL;
    for (size_t i = 0; i < count && !found; i++) {
        if (!bits_none(relations[i].parity, bit_words(base.count)))
            continue;
        found = factor_of(n, &base, relations, count, relations[i].sources);
        if (number_is(found, 1) || number_compare(found, n) == 0) {
            number_release(found);
            found = NULL;
        }
    }
    for (size_t i = 0; i < count; i++)
        relation_release(&relations[i]);
    free(relations);
    free(base.primes);
    return found;
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"p", &p, 3, "one prime factor of the number to split"},
        {"q", &q, 3, "the other"},
        {"primes", &primes, 10, "in the base"},
    };
    parameters_read("splits p · q into p and q", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    struct number *left = number_from((uint64_t)p), *right = number_from((uint64_t)q);
    struct number *n = number_multiply(left, right);
    struct number *found = factor(n);
    if (!found)
        die(EXIT_WRONG, "no factor found: try more primes");
    if (number_compare(found, left) != 0 && number_compare(found, right) != 0)
        die(EXIT_WRONG, "what was found is no factor");
    number_release(found);
    number_release(n);
    number_release(left);
    number_release(right);
    return 0;
}
