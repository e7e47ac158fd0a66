/*
 * Random tests: a seed that is printed, a generator, and a shrinker.
 *
 * A random test makes an array of operations (any structure of fixed size) from a generator and hands it to
 * random_check, which runs it. A run that fails is shrunk by delta debugging (Zeller and Hildebrandt 2002) to a
 * sequence from which no single operation can be left out, which is printed before the test fails. Operations should
 * therefore stay meaningful when others are left out: "free the k-th live run, modulo their number".
 */
#ifndef TESTS_SUPPORT_RANDOM_H
#define TESTS_SUPPORT_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* xoshiro256** (Blackman and Vigna 2018) */
struct random {
    uint64_t state[4];
};

/* A generator seeded from the environment variable WEIR_SEED, else from the time; prints `name` and the seed, so that
 * a failure can be repeated. */
struct random random_start(const char *name);

/* A generator with a given seed, silently: for the threads of one test. */
struct random random_seeded(uint64_t seed);

uint64_t random_next(struct random *random);

/* Uniform in [0, n), n > 0. */
uint64_t random_below(struct random *random, uint64_t n);

/* In [1, n], n > 0, small values more often: each power of two is as likely as the next. */
uint64_t random_size(struct random *random, uint64_t n);

/* How often a random test should repeat: `n`, times the environment variable WEIR_ROUNDS if it is set. */
size_t random_rounds(size_t n);

struct random_test {
    /* Runs operations from a fresh state and cleans up. Null if all is well, else what went wrong (a static string or
     * one that lives until the next run). Must not use cmocka's assertions. */
    const char *(*run)(void *context, const void *operations, size_t count);
    /* Prints one operation to stderr, as one line. */
    void (*print)(void *context, const void *operation);
    void *context;
    size_t size; /* of one operation */
};

/* Runs; when the run fails: shrinks (overwrites `operations`), prints what remains and fails the cmocka test. */
void random_check(const struct random_test *test, void *operations, size_t count);

/* The shrinker alone: reduces `operations`, which fail, and returns how many remain. */
size_t random_shrink(const struct random_test *test, void *operations, size_t count);

#endif
