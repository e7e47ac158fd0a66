/* A frame table over addresses that nobody maps: the table never touches what it manages. */
#ifndef TESTS_FRAME_FIXTURE_H
#define TESTS_FRAME_FIXTURE_H

#include "tests/support/platform.h"
#include "weir/frames.h"

#define FRAME(n) ((uintptr_t)(n) << WEIR_FRAME_SHIFT)

/* Its pages appear as they are touched, so that large spans cost nothing. */
struct fixture {
    void *metadata;
    size_t size;
    struct weir_frames *frames;
};

/* Metadata for a span, and a table in it, without memory yet. */
struct weir_frames *fixture_open(struct fixture *fixture, uintptr_t base, size_t frames, unsigned order_max,
                                 unsigned slots);

/* Forgets the table. */
void fixture_close(struct fixture *fixture);

/* Asserts that the table is sound, and says what is broken if not. */
#define assert_sound(frames)                                                                                           \
    do {                                                                                                               \
        const char *what_ = NULL;                                                                                      \
        if (weir_frames_check(frames, &what_) != WEIR_OK)                                                              \
            fail_msg("%s", what_);                                                                                     \
    } while (0)

/* Asserts that exactly one error was reported, this one, and forgets it. */
#define assert_misuse(expected, call)                                                                                  \
    do {                                                                                                               \
        test_platform_reset();                                                                                         \
        assert_int_equal((call), (expected));                                                                          \
        assert_int_equal(atomic_load(&test_errors), 1);                                                                \
        assert_int_equal(test_last_error.status, (expected));                                                          \
    } while (0)

struct weir_frames_stats fixture_stats(struct weir_frames *frames);

#endif
