/* An arena over frames of its own: real memory, so that objects can be written to. */
#ifndef TESTS_HEAP_FIXTURE_H
#define TESTS_HEAP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/platform.h"
#include "weir/heap.h"

struct fixture {
    void *memory, *metadata;
    size_t bytes, metadata_bytes;
    struct weir_frames *frames;
    struct weir_arena *arena;
    size_t frames_free; /* before the arena was made */
};

/* How the arena shall be, beside its memory; a null pointer is all zero. */
struct fixture_config {
    size_t bytes;     /* of memory; 0: 64 MiB */
    size_t held_back; /* of these, not in the frame table at first */
    unsigned slots;
    size_t limit;
    bool prompt;
    unsigned idle_part; /* see struct weir_arena_config; what is discarded is overwritten */
    bool (*grow)(void *context, size_t bytes);
    bool (*reclaim)(void *context, size_t bytes);
    void *context;
    const struct weir_platform *platform; /* null: test_platform() */
};

/* The arena is null if there is too little memory for it. */
void fixture_open(struct fixture *fixture, const struct fixture_config *config);

/* Ends the arena, asserts that all its frames came back, and unmaps. */
void fixture_close(struct fixture *fixture);

struct weir_arena_stats fixture_stats(const struct fixture *fixture);

/* Asserts that arena and frames are sound, and says what is broken if not. */
void assert_sound(const struct fixture *fixture);

/* Asserts that the call reports exactly one misuse, this one. */
#define assert_misuse(expected, call)                                                                                  \
    do {                                                                                                               \
        test_platform_reset();                                                                                         \
        (call);                                                                                                        \
        assert_int_equal(atomic_load(&test_errors), 1);                                                                \
        assert_int_equal(test_last_error.status, (expected));                                                          \
    } while (0)

/* Null if arena and frames are sound, else what is broken. */
const char *fixture_broken(const struct fixture *fixture);

/* Fills an object with bytes that follow from `stamp`; finds out whether they are still there. */
void stamp_write(void *object, size_t size, unsigned stamp);
bool stamp_holds(const void *object, size_t size, unsigned stamp);
bool all_zero(const void *object, size_t size);

#endif
