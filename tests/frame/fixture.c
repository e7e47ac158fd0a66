#include "tests/frame/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

struct weir_frames *fixture_open(struct fixture *fixture, uintptr_t base, size_t frames, unsigned order_max,
                                 unsigned slots)
{
    fixture->size = weir_frames_metadata_size(base, frames);
    assert_true(fixture->size > 0);
    fixture->metadata =
        mmap(NULL, fixture->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(fixture->metadata, MAP_FAILED);
    struct weir_frames_config config = {
        .base = base,
        .frames = frames,
        .metadata = fixture->metadata,
        .order_max = order_max,
        .slots = slots,
        .platform = test_platform(),
    };
    test_platform_reset();
    fixture->frames = weir_frames_init(&config);
    assert_non_null(fixture->frames);
    return fixture->frames;
}

void fixture_close(struct fixture *fixture)
{
    munmap(fixture->metadata, fixture->size);
}

struct weir_frames_stats fixture_stats(struct weir_frames *frames)
{
    struct weir_frames_stats stats;
    weir_frames_stats(frames, &stats);
    return stats;
}
