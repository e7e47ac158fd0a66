/*
 * What the malloc benchmarks share: parameters, chance, threads, and marks that find a wrong answer.
 *
 * A benchmark does a fixed amount of work. Its parameters and its seed determine every call a thread makes, so that two
 * runs under two allocators differ in time and memory only. It prints nothing unless something is wrong:
 *
 *     exit 0   the work is done and every object held what was written into it
 *     exit 1   an object did not, or a result is wrong: the allocator's fault
 *     exit 2   the allocator had no memory (in C++: SIGABRT, by an exception), or the machine no thread
 *     exit 64  a parameter is wrong
 *
 * The programs follow the published descriptions of the benchmarks whose names they bear; the text is weir's own.
 */
#ifndef BENCH_MALLOC_SUPPORT_H
#define BENCH_MALLOC_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    EXIT_WRONG = 1,
    EXIT_MEMORY = 2,
    EXIT_USAGE = 64
};

/* Prints program name and message to stderr; does not return. */
__attribute__((noreturn, format(printf, 2, 3))) void die(int status, const char *format, ...);

/* A number that the command line may set with `name=value`. */
struct parameter {
    const char *name;
    long *value; /* holds the default */
    long least;
    const char *meaning;
};

/* Reads `name=value` arguments; `--help` prints what there is. `purpose` is one sentence. */
void parameters_read(const char *purpose, const struct parameter *parameters, size_t count, int argc, char **argv);

/* Runs body(context, 0) … body(context, count - 1), each in a thread of its own, until all have returned. */
void threads_run(long count, void (*body)(void *context, long index), void *context);

/* splitmix64 (Steele, Lea and Flood 2014): a few instructions, so that the allocator is what is measured. */
static inline uint64_t chance(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [0, n), 0 < n < 2^32. */
static inline uint64_t chance_below(uint64_t *state, uint64_t n)
{
    return ((chance(state) >> 32) * n) >> 32;
}

/* In [least, most]. */
static inline size_t chance_between(uint64_t *state, size_t least, size_t most)
{
    return least + chance_below(state, most - least + 1);
}

/* The state of thread `index`: far from those of the others. */
static inline uint64_t chance_of_thread(long seed, long index)
{
    uint64_t state = (uint64_t)seed * 0x2545f4914f6cdd1du + (uint64_t)index;
    return chance(&state);
}

/*
 * Marks. An object's first bytes and its last one depend on its address, its size and a key that its owner knows and
 * that no other live object of this size has. If an allocator hands out the same memory twice, cuts an object short or
 * writes into a live one, the check fails.
 */
static inline uint64_t mark_value(const void *object, size_t size, uint64_t key)
{
    return ((uint64_t)(uintptr_t)object ^ key * 0x9e3779b97f4a7c15u) + size * 0xff51afd7ed558ccdu;
}

/* Marks what an allocation function has just returned; null means that there is no memory, and ends the program. */
static inline void mark(void *object, size_t size, uint64_t key)
{
    if (!object)
        die(EXIT_MEMORY, "no memory for %zu bytes", size);
    const uint64_t value = mark_value(object, size, key);
    unsigned char *bytes = (unsigned char *)object;
    bytes[size - 1] = (unsigned char)(value >> 56);
    if (size > sizeof(uint64_t))
        memcpy(bytes, &value, sizeof(uint64_t));
    else if (size > sizeof(uint32_t))
        memcpy(bytes, &value, sizeof(uint32_t));
}

static inline bool mark_holds(const void *object, size_t size, uint64_t key)
{
    const uint64_t value = mark_value(object, size, key);
    const unsigned char *bytes = (const unsigned char *)object;
    const bool tail = bytes[size - 1] == (unsigned char)(value >> 56);
    if (size > sizeof(uint64_t))
        return tail && memcmp(bytes, &value, sizeof(uint64_t)) == 0;
    return tail && (size <= sizeof(uint32_t) || memcmp(bytes, &value, sizeof(uint32_t)) == 0);
}

static inline void mark_check(const void *object, size_t size, uint64_t key)
{
    if (!object || !mark_holds(object, size, key))
        die(EXIT_WRONG, "the object of %zu bytes at %p does not hold what was written", size, object);
}

/* An object as its owner remembers it, with a random key. */
struct object {
    void *address;
    uint32_t size;
    uint32_t key;
};

static inline struct object object_marked(void *address, size_t size, uint64_t *state)
{
    const struct object object = {address, (uint32_t)size, (uint32_t)chance(state)};
    mark(address, size, object.key);
    return object;
}

static inline void object_check(struct object object)
{
    mark_check(object.address, object.size, object.key);
}

#ifdef __cplusplus
}
#endif

#endif
