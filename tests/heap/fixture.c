#include "tests/heap/fixture.h"

#include <string.h>
#include <sys/mman.h>

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

/* As bad as discarding can be. */
static void scribble(void *context, uintptr_t start, size_t bytes)
{
    (void)context;
    memset((void *)start, 0xdd, bytes);
}

void fixture_open(struct fixture *fixture, const struct fixture_config *config)
{
    static const struct fixture_config plain;
    config = config ? config : &plain;
    fixture->bytes = config->bytes ? config->bytes : (size_t)64 << 20;
    fixture->memory = map(fixture->bytes);
    size_t count = fixture->bytes / WEIR_FRAME_SIZE;
    fixture->metadata_bytes = weir_frames_metadata_size((uintptr_t)fixture->memory, count);
    fixture->metadata = map(fixture->metadata_bytes);
    test_platform_reset();
    fixture->frames = weir_frames_init(&(struct weir_frames_config){
        .base = (uintptr_t)fixture->memory,
        .frames = count,
        .metadata = fixture->metadata,
        .slots = config->slots,
        .platform = test_platform(),
    });
    assert_non_null(fixture->frames);
    size_t added = count - config->held_back / WEIR_FRAME_SIZE;
    assert_int_equal(weir_frames_add(fixture->frames, (uintptr_t)fixture->memory, added, WEIR_REGION_ZERO), WEIR_OK);
    struct weir_frames_stats stats;
    weir_frames_stats(fixture->frames, &stats);
    fixture->frames_free = stats.free;
    fixture->arena = weir_arena_create(&(struct weir_arena_config){
        .frames = fixture->frames,
        .platform = config->platform ? config->platform : test_platform(),
        .limit = config->limit,
        .prompt = config->prompt,
        .discard = scribble,
        .idle_part = config->idle_part,
        .grow = config->grow,
        .reclaim = config->reclaim,
        .reclaim_context = config->context,
    });
}

void fixture_close(struct fixture *fixture)
{
    if (fixture->arena)
        weir_arena_destroy(fixture->arena);
    struct weir_frames_stats stats;
    weir_frames_stats(fixture->frames, &stats);
    assert_int_equal(stats.free, fixture->frames_free);
    const char *what = NULL;
    if (weir_frames_check(fixture->frames, &what) != WEIR_OK)
        fail_msg("%s", what);
    munmap(fixture->memory, fixture->bytes);
    munmap(fixture->metadata, fixture->metadata_bytes);
}

struct weir_arena_stats fixture_stats(const struct fixture *fixture)
{
    struct weir_arena_stats stats;
    weir_arena_stats(fixture->arena, &stats);
    return stats;
}

const char *fixture_broken(const struct fixture *fixture)
{
    const char *what = NULL;
    if (weir_arena_check(fixture->arena, &what) == WEIR_OK)
        weir_frames_check(fixture->frames, &what);
    return what;
}

void assert_sound(const struct fixture *fixture)
{
    const char *what = fixture_broken(fixture);
    if (what)
        fail_msg("%s", what);
}

static unsigned char stamp_byte(unsigned stamp, size_t i)
{
    return (unsigned char)((size_t)stamp * 167 + i * 31 + 1);
}

/* Long objects are stamped at their ends and here and there between. */
static size_t stamp_step(size_t i, size_t size)
{
    return i < 64 || i + 64 >= size ? 1 : size - 64 - i < 509 ? size - 64 - i : 509;
}

void stamp_write(void *object, size_t size, unsigned stamp)
{
    unsigned char *bytes = object;
    for (size_t i = 0; i < size; i += stamp_step(i, size))
        bytes[i] = stamp_byte(stamp, i);
}

bool stamp_holds(const void *object, size_t size, unsigned stamp)
{
    const unsigned char *bytes = object;
    for (size_t i = 0; i < size; i += stamp_step(i, size))
        if (bytes[i] != stamp_byte(stamp, i))
            return false;
    return true;
}

bool all_zero(const void *object, size_t size)
{
    const unsigned char *bytes = object;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}
