#include "tests/acceptance/check.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FAILURES_PRINTED = 5
};

static struct {
    int argc;
    char **argv;
} arguments;

static atomic_uint failures; /* of the test in progress */
static const char *_Atomic skipped;

static const char *argument(const char *name)
{
    size_t length = strlen(name);
    for (int i = 1; i < arguments.argc; i++)
        if (strncmp(arguments.argv[i], name, length) == 0 && arguments.argv[i][length] == '=')
            return arguments.argv[i] + length + 1;
    return NULL;
}

size_t parameter(const char *name, size_t otherwise)
{
    const char *given = argument(name);
    return given ? strtoull(given, NULL, 0) : otherwise;
}

bool long_run(void)
{
    const char *wanted = getenv("WEIR_LONG");
    return wanted && strcmp(wanted, "1") == 0;
}

/* stdio would allocate its buffer. */
static void say(const char *format, va_list values)
{
    char line[512];
    int length = vsnprintf(line, sizeof line, format, values);
    if (length > (int)sizeof line - 1)
        length = sizeof line - 1;
    if (length < 0 || write(STDOUT_FILENO, line, (size_t)length) < 0)
        _exit(2);
}

static __attribute__((format(printf, 1, 2))) void print(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say(format, values);
    va_end(values);
}

void note(const char *format, ...)
{
    char text[400];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    print("# %s\n", text);
}

bool check_that(bool holds, const char *what, const char *file, int line)
{
    if (!holds && atomic_fetch_add(&failures, 1) < FAILURES_PRINTED)
        note("%s:%d: %s", file, line, what);
    return holds;
}

bool check_at_most(unsigned long long a, unsigned long long b, const char *what, const char *file, int line)
{
    if (a > b && atomic_fetch_add(&failures, 1) < FAILURES_PRINTED)
        note("%s:%d: %s: %llu, %llu", file, line, what, a, b);
    return a <= b;
}

void skip(const char *why)
{
    atomic_store(&skipped, why);
}

int run_tests(int argc, char **argv, const struct test *tests, size_t count)
{
    arguments.argc = argc;
    arguments.argv = argv;
    const char *only = argument("only");
    unsigned failed = 0, number = 0;
    for (size_t i = 0; i < count; i++) {
        if (only && !strstr(tests[i].name, only))
            continue;
        atomic_store(&failures, 0);
        atomic_store(&skipped, NULL);
        tests[i].body();
        unsigned wrong = atomic_load(&failures);
        const char *why = atomic_load(&skipped);
        if (wrong > FAILURES_PRINTED)
            note("%u failures in all", wrong);
        print("%sok %u - %s%s%s\n", wrong ? "not " : "", ++number, tests[i].name, why && !wrong ? " # SKIP " : "",
              why && !wrong ? why : "");
        failed += wrong != 0;
    }
    print("1..%u\n", number);
    return failed != 0;
}

size_t resident(void)
{
    char text[128] = "";
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    char *second = length > 0 ? strchr(text, ' ') : NULL;
    return second ? strtoull(second, NULL, 10) * 4096 : 0;
}

static uint64_t stamp_word(uint64_t stamp, size_t i)
{
    return (stamp + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* The builtins are single instructions whatever the program is compiled with. */
void stamp_write(void *object, size_t size, uint64_t stamp)
{
    unsigned char *bytes = object;
    size_t i = 0;
    for (; size - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word = stamp_word(stamp, i);
        __builtin_memcpy(bytes + i, &word, sizeof word);
    }
    for (uint64_t word = stamp_word(stamp, i); i < size; i++, word >>= 8)
        bytes[i] = (unsigned char)word;
}

bool stamp_holds(const void *object, size_t size, uint64_t stamp)
{
    const unsigned char *bytes = object;
    size_t i = 0;
    for (; size - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word;
        __builtin_memcpy(&word, bytes + i, sizeof word);
        if (word != stamp_word(stamp, i))
            return false;
    }
    for (uint64_t word = stamp_word(stamp, i); i < size; i++, word >>= 8)
        if (bytes[i] != (unsigned char)word)
            return false;
    return true;
}

/* splitmix64 */
uint64_t chance_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

size_t chance_below(uint64_t *state, size_t n)
{
    return (size_t)(((unsigned __int128)chance_next(state) * n) >> 64);
}

size_t chance_size(uint64_t *state, size_t most)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(most);
    size_t top = (size_t)1 << chance_below(state, bits);
    size_t size = top + chance_below(state, top);
    return size < most ? size : most;
}

uint64_t chance_seed(void)
{
    static uint64_t seed;
    if (seed == 0) {
        const char *given = getenv("WEIR_SEED");
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
        note("WEIR_SEED=%llu", (unsigned long long)seed);
    }
    return seed;
}
