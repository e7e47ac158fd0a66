/*
 * The conformance suite: what every allocator of the family must do, whatever else it does.
 *
 * The suite takes a struct weir_allocator and holds it to the abilities that it declares, no more and no less:
 *
 *   cases      fixed situations, each of which needs some abilities (cases.c for objects, limits.c for memory)
 *   programs   random ones, made from a seed, single-threaded and threaded (programs.c)
 *
 * A maker (registry.c) makes a fresh allocator over a stretch of memory for each of them. The same sources build for
 * the host, under cmocka and sanitizers, and as a program of the guest (guest_main.c): hence no more of the C library
 * than both have, and problems are strings, not assertions.
 *
 * After every step that could break something the allocator's own check is asked, too.
 */
#ifndef TESTS_CONFORMANCE_H
#define TESTS_CONFORMANCE_H

#include <stdatomic.h>

#include "weir/allocator.h"

/* Memory to build an allocator in: whole frames. `zero`: it holds zeroes, and the allocator may be told. */
struct memory {
    uintptr_t start;
    size_t bytes;
    bool zero;
};

/* An allocator under test. */
struct subject {
    struct weir_allocator allocator;
    struct memory memory; /* all that was given */
    uintptr_t spare;      /* for addmem: a part of it that was held back */
    size_t spare_bytes;   /* 0 without WEIR_CAN_GROW */
    const struct maker *maker;
    void *state; /* the maker's */
    char problem[256];
};

struct maker {
    const char *name;
    bool frees_parts; /* what realloc cuts off counts as a free of its own: mallocs - frees tells nothing */
    /* Makes subject->allocator in subject->memory. Errors go to conformance_platform. False: it does not fit. */
    bool (*make)(struct subject *subject);
    void (*unmake)(struct subject *subject);
    /* The calling thread will not use the allocator any more. May be null. */
    void (*leave)(struct subject *subject);
    /* Nobody uses the allocator: what it has put off may be done, so that its counts are exact. May be null. */
    void (*settle)(struct subject *subject);
};

/* All allocators of the family: registry.c. */
extern const struct maker registry[];
extern const size_t registry_count;

/* What is wrong, or null. The string lives in the subject or is static. */
typedef const char *problem;

/* The problem `format`, in subject->problem. */
problem fault(struct subject *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- the platform under the allocators: counts misuse --- */

extern const struct weir_platform conformance_platform;
extern atomic_uint conformance_errors;

/* --- fixed cases --- */

struct conformance_case {
    const char *name;
    unsigned needs; /* abilities */
    problem (*run)(struct subject *subject);
};

extern const struct conformance_case object_cases[], limit_cases[];
extern const size_t object_case_count, limit_case_count;

/* Makes an allocator, runs the case, has the allocator check itself, unmakes it. Null also where the allocator lacks
 * the abilities that the case needs: `*skipped` (if not null) tells. */
problem conformance_run(const struct maker *maker, const struct memory *memory, const struct conformance_case *c,
                        struct subject *subject, bool *skipped);

/* --- random programs --- */

enum {
    PROGRAM_SLOTS = 192
};

enum kind {
    OP_MALLOC,
    OP_CALLOC,
    OP_MEMALIGN,
    OP_POSIX_MEMALIGN,
    OP_REALLOC,
    OP_FREE,
    OP_PAGES,
    OP_SEND, /* leaves the object for whichever thread looks next, and takes what lies there */
    OP_LOOK, /* verifies without freeing */
    OP_CHECK,
    OP_KINDS
};

/* One operation on one slot. An operation that finds its slot full frees it first (but for realloc and look), so that
 * a program stays meaningful when operations are left out of it. */
struct operation {
    uint8_t kind;
    uint8_t align; /* log2, for the two that align */
    uint16_t slot;
    uint32_t stamp;
    size_t size;
};

/* The program of `seed`: `count` operations for an allocator in `bytes` of memory. */
void program_make(uint64_t seed, size_t bytes, struct operation *program, size_t count);

/* Runs it in a fresh allocator: all contents verified, all objects freed at the end, the allocator's check clean,
 * nothing reported, and every refusal justified by maxalloc where there is one. */
problem program_run(const struct maker *maker, const struct memory *memory, const struct operation *program,
                    size_t count, struct subject *subject);

/* `threads` threads run the programs of seed, seed + 1, … at the same time in one allocator, and exchange objects.
 * Null without doing anything where the allocator lacks WEIR_CAN_THREADS. */
problem program_run_threads(const struct maker *maker, const struct memory *memory, uint64_t seed, size_t count,
                            unsigned threads, struct subject *subject);

/* One line about an operation, for whoever reads a failing program. */
void program_describe(const struct operation *operation, char *to, size_t room);

#endif
