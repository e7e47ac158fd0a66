/*
 * What the programs of this folder share.
 *
 * Each is a user's program: it includes nothing of weir and needs no test library, so that the same source runs with
 * any malloc on any C library: preloaded, linked, static, static-PIE, on glibc, on musl, in a guest. Each prints TAP,
 * allocates nothing itself while it does so, and takes arguments of the form name=number.
 */
#ifndef TESTS_ACCEPTANCE_CHECK_H
#define TESTS_ACCEPTANCE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct test {
    const char *name;
    void (*body)(void);
};

/* Runs the tests in order; main returns what this returns. An argument only=WORD leaves the others out. */
int run_tests(int argc, char **argv, const struct test *tests, size_t count);

/* The argument `name`, or `otherwise`; for times and numbers of rounds: more if the environment has WEIR_LONG=1. */
size_t parameter(const char *name, size_t otherwise);
bool long_run(void);

/* From any thread. A condition that does not hold fails the test, which goes on; the first few are printed. */
#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
bool check_that(bool holds, const char *what, const char *file, int line);

/* The same for numbers, which are printed if they are not in this order. */
#define CHECK_AT_MOST(a, b)                                                                                            \
    check_at_most((unsigned long long)(a), (unsigned long long)(b), #a " <= " #b, __FILE__, __LINE__)
bool check_at_most(unsigned long long a, unsigned long long b, const char *what, const char *file, int line);

/* The test in progress is not for this place. */
void skip(const char *why);

/* One line of commentary. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Bytes of this process in real memory; 0 where nobody knows. */
size_t resident(void);

/* The same address, but the compiler does not know where it comes from: headers promise what is to be found out. */
static inline void *plain(void *object)
{
    __asm__ volatile("" : "+r"(object));
    return object;
}

/* Fills an object with words that follow from `stamp`; finds out whether the first `size` bytes are still there. */
void stamp_write(void *object, size_t size, uint64_t stamp);
bool stamp_holds(const void *object, size_t size, uint64_t stamp);

/* A generator of its own for each thread; small sizes come more often: each power of two is as likely as the next. */
uint64_t chance_next(uint64_t *state);
size_t chance_below(uint64_t *state, size_t n);
size_t chance_size(uint64_t *state, size_t most);

/* What chance starts from: the environment's WEIR_SEED, else of the clock; printed once. */
uint64_t chance_seed(void);

#ifdef __cplusplus
}
#endif

#endif
