/* The map: every frame once, in order, as what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/frame/fixture.h"

static const uintptr_t base = (uintptr_t)1 << 32;
static struct fixture fixture;
static struct weir_frames *frames;

struct list {
    struct weir_frames_piece pieces[64];
    size_t count, stop;
};

static bool collect(void *context, const struct weir_frames_piece *piece)
{
    struct list *list = context;
    list->pieces[list->count++] = *piece;
    return list->count < list->stop;
}

static void test_kinds(void **state)
{
    (void)state;
    static _Alignas(16) char descriptor[16];
    struct weir_range range;
    frames = fixture_open(&fixture, base, 8192, 0, 1);
    test_set_slot(0);
    weir_frames_add(frames, base + FRAME(512), 512, WEIR_REGION_ZERO);
    weir_frames_add(frames, base + FRAME(4096), 100, WEIR_REGION_BACKED);
    uintptr_t run = weir_frames_alloc_within(frames, 30, 1, base + FRAME(512), base + FRAME(542), 0, NULL);
    uintptr_t metadata =
        weir_frames_alloc_within(frames, 5, 1, base + FRAME(542), base + FRAME(547), WEIR_FRAMES_METADATA, NULL);
    uintptr_t slab = weir_frames_alloc_slab(frames, 2, descriptor, NULL);
    assert_int_equal(weir_frames_balloon(frames, 16, true, &range, 1), 1);
    uintptr_t ballooned = range.start;
    assert_int_equal(weir_frames_isolate(frames, 0, 8, 0, &range, 1), 1);
    uintptr_t isolated = range.start;
    uintptr_t cached = weir_frames_alloc(frames, 2, 1, 0, NULL);
    weir_frames_free(frames, cached, 2);

    struct list list = {.stop = 64};
    weir_frames_walk(frames, collect, &list);
    size_t of_kind[WEIR_FRAME_CACHED + 1] = {0};
    uintptr_t at = base + FRAME(512);
    for (size_t i = 0; i < list.count; i++) {
        const struct weir_frames_piece *piece = &list.pieces[i];
        assert_int_equal(piece->range.start, at);
        at += FRAME(piece->range.frames);
        of_kind[piece->kind] += piece->range.frames;
        switch (piece->kind) {
        case WEIR_FRAME_RUN:
            assert_int_equal(piece->range.start, run);
            assert_int_equal(piece->backed, 30);
            break;
        case WEIR_FRAME_METADATA:
            assert_int_equal(piece->range.start, metadata);
            break;
        case WEIR_FRAME_SLAB:
            assert_int_equal(piece->range.start, slab);
            break;
        case WEIR_FRAME_BALLOONED:
            assert_int_equal(piece->range.start, ballooned);
            assert_int_equal(piece->backed, 0);
            break;
        case WEIR_FRAME_ISOLATED:
            assert_int_equal(piece->range.start, isolated);
            break;
        case WEIR_FRAME_CACHED:
            assert_int_equal(piece->range.start, cached);
            break;
        default:
            break;
        }
        for (size_t k = 0; k < piece->range.frames; k++)
            assert_int_equal(weir_frames_kind(frames, piece->range.start + FRAME(k) + 99), piece->kind);
    }
    assert_int_equal(at, base + FRAME(4196));
    static const size_t expected[] = {
        [WEIR_FRAME_HOLE] = 3072,  [WEIR_FRAME_FREE] = 612 - 65, [WEIR_FRAME_RUN] = 30,     [WEIR_FRAME_SLAB] = 4,
        [WEIR_FRAME_METADATA] = 5, [WEIR_FRAME_BALLOONED] = 16,  [WEIR_FRAME_ISOLATED] = 8, [WEIR_FRAME_CACHED] = 2,
    };
    assert_memory_equal(of_kind, expected, sizeof(of_kind));
    assert_int_equal(weir_frames_kind(frames, base), WEIR_FRAME_HOLE);
    assert_int_equal(weir_frames_kind(frames, base - 1), WEIR_FRAME_HOLE);
    assert_int_equal(weir_frames_kind(frames, base + FRAME(8192)), WEIR_FRAME_HOLE);
    fixture_close(&fixture);
}

static void test_stops(void **state)
{
    (void)state;
    frames = fixture_open(&fixture, base, 8192, 0, 0);
    weir_frames_add(frames, base + FRAME(3), 5000, 0);
    for (size_t stop = 1; stop < 5; stop++) {
        struct list list = {.stop = stop};
        weir_frames_walk(frames, collect, &list);
        assert_int_equal(list.count, stop);
    }
    fixture_close(&fixture);
}

/* A hole is one piece, however it lies to chunks and regions; none before the first region or after the last. */
static void test_holes(void **state)
{
    (void)state;
    frames = fixture_open(&fixture, base, 8192, 0, 0);
    struct list list = {.stop = 64};
    weir_frames_walk(frames, collect, &list);
    assert_int_equal(list.count, 0);
    weir_frames_add(frames, base + FRAME(500), 1, 0);
    weir_frames_add(frames, base + FRAME(4000), 1, 0);
    weir_frames_walk(frames, collect, &list);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.pieces[1].kind, WEIR_FRAME_HOLE);
    assert_int_equal(list.pieces[1].range.start, base + FRAME(501));
    assert_int_equal(list.pieces[1].range.frames, 3499);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
