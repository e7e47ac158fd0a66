#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* splitmix64: spreads one word of seed over the state */
static uint64_t spread(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

struct random random_seeded(uint64_t seed)
{
    struct random random;
    for (int i = 0; i < 4; i++)
        random.state[i] = spread(&seed);
    return random;
}

struct random random_start(const char *name)
{
    const char *given = getenv("WEIR_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
    fprintf(stderr, "# %s: WEIR_SEED=%llu\n", name, (unsigned long long)seed);
    return random_seeded(seed);
}

uint64_t random_next(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t product = s[1] * 5;
    uint64_t result = (product << 7 | product >> 57) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

uint64_t random_below(struct random *random, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)random_next(random) * n) >> 64);
}

uint64_t random_size(struct random *random, uint64_t n)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(n);
    uint64_t top = (uint64_t)1 << random_below(random, bits);
    uint64_t size = top + random_below(random, top);
    return size < n ? size : n;
}

size_t random_rounds(size_t n)
{
    const char *times = getenv("WEIR_ROUNDS");
    return times ? n * strtoull(times, NULL, 0) : n;
}

size_t random_shrink(const struct random_test *test, void *operations, size_t count)
{
    char *from = operations;
    char *tried = malloc(count * test->size + 1);
    if (tried == NULL)
        return count;
    size_t chunk = count / 2;
    while (chunk > 0) {
        bool shorter = false;
        for (size_t start = 0; start < count;) {
            size_t length = start + chunk < count ? chunk : count - start;
            size_t after = count - start - length;
            memcpy(tried, from, start * test->size);
            memcpy(tried + start * test->size, from + (start + length) * test->size, after * test->size);
            if (test->run(test->context, tried, count - length) != NULL) {
                count -= length;
                memcpy(from, tried, count * test->size);
                shorter = true;
            } else {
                start += length;
            }
        }
        if (!shorter || chunk > count)
            chunk /= 2;
    }
    free(tried);
    return count;
}

void random_check(const struct random_test *test, void *operations, size_t count)
{
    const char *what = test->run(test->context, operations, count);
    if (what == NULL)
        return;
    fprintf(stderr, "# failed: %s; shrinking %zu operations\n", what, count);
    size_t remain = random_shrink(test, operations, count);
    what = test->run(test->context, operations, remain);
    for (size_t i = 0; i < remain; i++) {
        fprintf(stderr, "#   ");
        test->print(test->context, (const char *)operations + i * test->size);
    }
    fail_msg("%s, after the %zu operations above", what ? what : "fails only now and then", remain);
}
