/* The balloon's driver: queues found by what is offered, requests in the shape that each host takes, misdeeds survived.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/platform.h"
#include "tests/virtio/fake.h"

struct fixture {
    struct fake fake;
    struct weir_virtio device;
    struct weir_balloon *balloon;
    void *memory;
    uint64_t inflated, deflated, reported; /* bytes */
};

static void take(void *context, enum weir_balloon_queue queue, uint64_t bus, uint64_t bytes)
{
    struct fixture *fixture = context;
    (void)bus;
    if (queue == WEIR_BALLOON_INFLATE)
        fixture->inflated += bytes;
    else if (queue == WEIR_BALLOON_DEFLATE)
        fixture->deflated += bytes;
    else
        fixture->reported += bytes;
}

static void start(struct fixture *fixture)
{
    struct weir_registers registers = fake_registers(&fixture->fake);
    test_platform_reset();
    fixture->fake.take = take;
    fixture->fake.context = fixture;
    fixture->inflated = fixture->deflated = fixture->reported = 0;
    memset(fixture->memory, 0, WEIR_BALLOON_MEMORY);
    assert_true(weir_virtio_open_mmio(&fixture->device, &registers, FAKE_WINDOW, WEIR_VIRTIO_ID_BALLOON));
    struct weir_balloon_config config = {
        .device = &fixture->device,
        .memory = fixture->memory,
        .bus = (uintptr_t)fixture->memory + fixture->fake.bus_offset,
        .platform = test_platform(),
    };
    fixture->balloon = weir_balloon_init(&config);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->memory = aligned_alloc(4096, WEIR_BALLOON_MEMORY);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    free(fixture->memory);
    free(fixture);
    return 0;
}

/* Sends `count` page numbers in one request. */
static bool send_numbers(struct fixture *fixture, enum weir_balloon_queue queue, unsigned count, uint32_t cookie)
{
    uint64_t bus;
    uint32_t *numbers = weir_balloon_spare(fixture->balloon, &bus);
    for (unsigned i = 0; i < count && i < WEIR_BALLOON_SPARE / 4; i++)
        numbers[i] = 1000 + i;
    struct weir_segment segment = {bus, 4 * count};
    bool sent = weir_balloon_submit(fixture->balloon, queue, &segment, 1, cookie);
    weir_balloon_doorbell(fixture->balloon, queue);
    return sent;
}

static bool send_report(struct fixture *fixture, unsigned count, uint32_t cookie)
{
    struct weir_segment segments[WEIR_BALLOON_REPORT_SEGMENTS + 1];
    for (unsigned i = 0; i < count; i++)
        segments[i] = (struct weir_segment){(uint64_t)i << 31, 1u << 30};
    bool sent = weir_balloon_submit(fixture->balloon, WEIR_BALLOON_REPORT, segments, count, cookie);
    weir_balloon_doorbell(fixture->balloon, WEIR_BALLOON_REPORT);
    return sent;
}

static void requests_arrive_and_come_back(void **state)
{
    struct fixture *fixture = *state;
    uint32_t cookie = 0;
    fake_init_qemu(&fixture->fake);
    fixture->fake.bus_offset = UINT64_C(0x7000000000);
    start(fixture);
    assert_non_null(fixture->balloon);
    assert_int_equal(weir_balloon_features(fixture->balloon),
                     WEIR_BALLOON_STATISTICS | WEIR_BALLOON_DEFLATE_ON_OOM | WEIR_BALLOON_REPORTING);
    assert_true(send_numbers(fixture, WEIR_BALLOON_INFLATE, 512, 11));
    assert_int_equal(fixture->inflated, 512 * 4096);
    assert_true(weir_balloon_collect(fixture->balloon, WEIR_BALLOON_INFLATE, &cookie));
    assert_int_equal(cookie, 11);
    assert_false(weir_balloon_collect(fixture->balloon, WEIR_BALLOON_INFLATE, &cookie));
    assert_true(send_numbers(fixture, WEIR_BALLOON_DEFLATE, 3, 12));
    assert_int_equal(fixture->deflated, 3 * 4096);
    assert_true(weir_balloon_collect(fixture->balloon, WEIR_BALLOON_DEFLATE, &cookie));
    assert_true(send_report(fixture, WEIR_BALLOON_REPORT_SEGMENTS, 13));
    assert_int_equal(fixture->reported, UINT64_C(32) << 30);
    assert_true(weir_balloon_collect(fixture->balloon, WEIR_BALLOON_REPORT, &cookie));
    assert_int_equal(cookie, 13);
    assert_null(fixture->fake.complaint);
    assert_int_equal(test_errors, 0);
}

static void shape_follows_the_host(void **state)
{
    struct fixture *fixture = *state;
    fake_init_qemu(&fixture->fake);
    start(fixture);
    assert_int_equal(weir_balloon_numbers_max(fixture->balloon), 512);
    assert_false(send_numbers(fixture, WEIR_BALLOON_INFLATE, 513, 0));
    assert_false(send_report(fixture, WEIR_BALLOON_REPORT_SEGMENTS + 1, 0));
    assert_int_equal(weir_balloon_room(fixture->balloon, WEIR_BALLOON_REPORT, 32), 1);
    fake_init_firecracker(&fixture->fake);
    start(fixture);
    assert_int_equal(weir_balloon_numbers_max(fixture->balloon), 256);
    assert_false(send_numbers(fixture, WEIR_BALLOON_INFLATE, 257, 0));
    assert_true(send_numbers(fixture, WEIR_BALLOON_INFLATE, 256, 0));
    assert_int_equal(weir_balloon_room(fixture->balloon, WEIR_BALLOON_REPORT, 32), 2);
    assert_null(fixture->fake.complaint);
}

static void many_requests_take_one_doorbell(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bus;
    fake_init_firecracker(&fixture->fake);
    start(fixture);
    uint32_t *numbers = weir_balloon_spare(fixture->balloon, &bus);
    numbers[0] = 1;
    struct weir_segment segment = {bus, 4};
    for (unsigned i = 0; i < WEIR_BALLOON_ELEMENTS; i++)
        assert_true(weir_balloon_submit(fixture->balloon, WEIR_BALLOON_INFLATE, &segment, 1, i));
    assert_false(weir_balloon_submit(fixture->balloon, WEIR_BALLOON_INFLATE, &segment, 1, 0));
    assert_int_equal(weir_balloon_room(fixture->balloon, WEIR_BALLOON_INFLATE, 1), 0);
    weir_balloon_doorbell(fixture->balloon, WEIR_BALLOON_INFLATE);
    weir_balloon_doorbell(fixture->balloon, WEIR_BALLOON_INFLATE);
    assert_int_equal(fixture->fake.queues[0].doorbells, 1);
    assert_int_equal(fixture->fake.queues[0].served, WEIR_BALLOON_ELEMENTS);
    assert_null(fixture->fake.complaint);
}

/* The reporting queue is number 2, 3 or 4, by what is offered; hinting is counted though it is not accepted. */
static void queues_are_numbered_by_what_is_offered(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned offer = 0; offer < 8; offer++) {
        uint32_t cookie;
        fake_init_qemu(&fixture->fake);
        fixture->fake.offered &= ~(uint64_t)(WEIR_BALLOON_STATISTICS | WEIR_BALLOON_REPORTING);
        fixture->fake.offered |= offer & 1 ? WEIR_BALLOON_STATISTICS : 0;
        fixture->fake.offered |= offer & 2 ? WEIR_BALLOON_HINTING : 0;
        fixture->fake.offered |= offer & 4 ? WEIR_BALLOON_REPORTING : 0;
        for (unsigned i = 2; i < FAKE_QUEUES; i++)
            fixture->fake.queues[i].size_max =
                i < 2u + (unsigned)__builtin_popcount(offer) ? (i == 4 || !(offer & 2) ? 32 : 1024) : 0;
        start(fixture);
        assert_non_null(fixture->balloon);
        assert_int_equal(weir_balloon_asked(fixture->balloon), offer & 1);
        struct weir_statistic statistic = {WEIR_STATISTIC_FREE, 4096};
        weir_balloon_answer(fixture->balloon, &statistic, 1);
        assert_int_equal(fixture->fake.statistics_bytes, offer & 1 ? 10 : 0);
        assert_int_equal(send_report(fixture, 2, 1), (offer & 4) != 0);
        assert_int_equal(weir_balloon_collect(fixture->balloon, WEIR_BALLOON_REPORT, &cookie), (offer & 4) != 0);
        assert_null(fixture->fake.complaint);
        assert_int_equal(weir_balloon_features(fixture->balloon) & WEIR_BALLOON_HINTING, 0);
    }
}

static void statistics_are_packed_and_answered_when_asked(void **state)
{
    struct fixture *fixture = *state;
    const struct weir_statistic statistics[] = {{WEIR_STATISTIC_FREE, 0x1122334455667788},
                                                {WEIR_STATISTIC_TOTAL, 64 << 20}};
    const uint8_t expected[] = {4, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 5, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    fake_init_qemu(&fixture->fake);
    start(fixture);
    assert_true(weir_balloon_asked(fixture->balloon));
    weir_balloon_answer(fixture->balloon, statistics, 2);
    assert_int_equal(fixture->fake.statistics_bytes, sizeof(expected));
    assert_memory_equal(fixture->fake.statistics, expected, sizeof(expected));
    assert_false(weir_balloon_asked(fixture->balloon));
    weir_balloon_answer(fixture->balloon, statistics, 1); /* nobody asked */
    assert_int_equal(fixture->fake.statistics_bytes, sizeof(expected));
    assert_true(fake_ask(&fixture->fake));
    assert_true(weir_balloon_asked(fixture->balloon));
    assert_true(weir_balloon_asked(fixture->balloon));
    weir_balloon_answer(fixture->balloon, statistics, 1);
    assert_int_equal(fixture->fake.statistics_bytes, 10);
    assert_null(fixture->fake.complaint);
    assert_int_equal(weir_balloon_health(fixture->balloon), WEIR_BALLOON_WELL);
}

static void target_and_actual(void **state)
{
    struct fixture *fixture = *state;
    fake_init_qemu(&fixture->fake);
    fixture->fake.target = 4711;
    start(fixture);
    assert_int_equal(weir_balloon_target(fixture->balloon), 4711);
    weir_balloon_set_actual(fixture->balloon, 42);
    assert_int_equal(fixture->fake.actual, 42);
}

/* Every breach: reset, reported once, nothing accepted afterwards. */
static void misdeeds_end_the_device(void **state)
{
    struct fixture *fixture = *state;
    for (enum fake_misdeed misdeed = FAKE_ID_BEYOND; misdeed < FAKE_SILENT; misdeed++) {
        uint32_t cookie;
        fake_init_qemu(&fixture->fake);
        start(fixture);
        fixture->fake.misdeed = misdeed;
        send_numbers(fixture, WEIR_BALLOON_INFLATE, 10, 1);
        while (weir_balloon_collect(fixture->balloon, WEIR_BALLOON_INFLATE, &cookie))
            assert_int_equal(cookie, 1);
        assert_int_equal(weir_balloon_health(fixture->balloon), WEIR_BALLOON_RESET);
        assert_int_equal(fixture->fake.status, 0);
        assert_int_equal(test_errors, 1);
        assert_int_equal(test_last_error.status, WEIR_DEVICE);
        unsigned accesses = fixture->fake.register_accesses;
        assert_false(send_numbers(fixture, WEIR_BALLOON_INFLATE, 10, 2));
        assert_false(send_report(fixture, 1, 2));
        assert_false(weir_balloon_collect(fixture->balloon, WEIR_BALLOON_INFLATE, &cookie));
        assert_int_equal(weir_balloon_target(fixture->balloon), 0);
        assert_int_equal(weir_balloon_room(fixture->balloon, WEIR_BALLOON_INFLATE, 1), 0);
        assert_false(weir_balloon_asked(fixture->balloon));
        weir_balloon_set_actual(fixture->balloon, 1);
        weir_balloon_fail(fixture->balloon);
        assert_int_equal(fixture->fake.register_accesses, accesses);
        assert_int_equal(test_errors, 1);
    }
}

static void device_that_cannot_reset_is_lost(void **state)
{
    struct fixture *fixture = *state;
    fake_init_firecracker(&fixture->fake);
    start(fixture);
    weir_balloon_fail(fixture->balloon);
    assert_int_equal(weir_balloon_health(fixture->balloon), WEIR_BALLOON_LOST);
    assert_int_equal(test_errors, 1);
}

static void what_is_no_balloon_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fake_init_qemu(&fixture->fake);
    fixture->fake.queues[1].size_max = 0;
    start(fixture);
    assert_null(fixture->balloon);
    assert_true(fixture->fake.status & WEIR_VIRTIO_FAILED);
    fake_init_qemu(&fixture->fake);
    fixture->fake.no_features_ok = true;
    start(fixture);
    assert_null(fixture->balloon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_arrive_and_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(shape_follows_the_host, setup, teardown),
        cmocka_unit_test_setup_teardown(many_requests_take_one_doorbell, setup, teardown),
        cmocka_unit_test_setup_teardown(queues_are_numbered_by_what_is_offered, setup, teardown),
        cmocka_unit_test_setup_teardown(statistics_are_packed_and_answered_when_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(target_and_actual, setup, teardown),
        cmocka_unit_test_setup_teardown(misdeeds_end_the_device, setup, teardown),
        cmocka_unit_test_setup_teardown(device_that_cannot_reset_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_balloon_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
