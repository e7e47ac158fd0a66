/* The balloon as host and guest see it: it follows the target, leaves a reserve, gives everything back, relieves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/reclaim/policy.h"
#include "tests/reclaim/machine.h"
#include "tests/support/platform.h"

static struct machine machine;

static const struct machine_options qemu, firecracker = {.firecracker = true}, quiet = {.no_reporting = true},
                                          firecracker_quiet = {.firecracker = true, .no_reporting = true};
static const struct machine_options *const hosts[] = {&qemu, &firecracker, &quiet, &firecracker_quiet};

enum {
    HOSTS = 4
};

static void assert_well(void)
{
    assert_null(machine_check(&machine));
    assert_int_equal(test_errors, 0);
}

static void set_target(size_t frames)
{
    machine.fake.target = (uint32_t)frames;
}

/* 160 of 256 MiB touched and freed, then wanted by the host: all of it leaves the host, then all comes back. */
static void follows_the_target(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOSTS; i++) {
        machine_start(&machine, hosts[i]);
        machine_free(&machine, machine_alloc(&machine, 160 * MIB_OF), 160 * MIB_OF);
        set_target(160 * MIB_OF);
        machine_pass(&machine, 200 * MS, MS);
        assert_int_equal(machine_stats(&machine).ballooned, 160 * MIB_OF);
        assert_int_equal(machine_frames(&machine).ballooned, 160 * MIB_OF);
        assert_int_equal(machine_frames(&machine).free, 96 * MIB_OF);
        assert_int_equal(machine.fake.actual, 160 * MIB_OF);
        assert_in_range(machine.rss, 0, 64); /* buffers of page numbers */
        assert_well();
        set_target(10 * MIB_OF);
        machine_pass(&machine, 300 * MS, MS);
        assert_int_equal(machine_frames(&machine).ballooned, 10 * MIB_OF);
        assert_int_equal(machine.fake.actual, 10 * MIB_OF);
        set_target(0);
        machine_pass(&machine, 300 * MS, MS);
        assert_int_equal(machine_frames(&machine).free, FRAMES);
        assert_int_equal(machine.fake.actual, 0);
        assert_int_equal(machine.taken[WEIR_BALLOON_INFLATE], 160 * MIB_OF);
        assert_int_equal(machine.taken[WEIR_BALLOON_DEFLATE], 160 * MIB_OF);
        assert_int_not_equal(machine_alloc(&machine, FRAMES), 0);
        assert_well();
    }
}

/* What the host backs goes first: with half the memory touched, a target of that half frees all of it. */
static void backed_memory_goes_first(void **state)
{
    (void)state;
    machine_start(&machine, &quiet);
    uintptr_t low = machine_alloc(&machine, 100 * MIB_OF), high = machine_alloc(&machine, 50 * MIB_OF);
    machine_free(&machine, low, 100 * MIB_OF);
    set_target(100 * MIB_OF);
    machine_pass(&machine, 200 * MS, MS);
    assert_in_range(machine.rss, 50 * MIB_OF, 50 * MIB_OF + 64);
    machine_free(&machine, high, 50 * MIB_OF);
    assert_well();
}

/* Whole 2 MiB in one request where the host can use that, never more than 256 numbers where it cannot. */
static void requests_have_the_host_s_shape(void **state)
{
    (void)state;
    machine_start(&machine, &quiet);
    set_target(128 * MIB_OF);
    machine_pass(&machine, 200 * MS, MS);
    assert_int_equal(machine.fake.largest_request, 512);
    assert_in_range(machine.fake.huge_requests, 60, 64); /* the seam of the bus lies across 2 MiB */
    assert_in_range(machine.fake.queues[0].served, 64, 67);
    machine_start(&machine, &firecracker_quiet);
    set_target(128 * MIB_OF);
    machine_pass(&machine, 200 * MS, MS);
    assert_int_equal(machine.fake.largest_request, 256);
    assert_in_range(machine.fake.queues[0].doorbells, 1, 3); /* many requests at one doorbell */
    assert_well();
}

static void reserve_stays_with_the_guest(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOSTS; i++) {
        machine_start(&machine, hosts[i]);
        set_target(UINT32_MAX);
        machine_pass(&machine, 1000 * MS, MS);
        /* buffers of page numbers may have been in the way for a moment; they are free again */
        assert_in_range(machine_frames(&machine).free, FRAMES / RESERVE_SHARE, FRAMES / RESERVE_SHARE + 64);
        for (unsigned k = 0; k < 3 * MIB_OF / 16; k++)
            assert_int_not_equal(weir_frames_alloc(machine.frames, 16, 1, 0, NULL), 0);
        unsigned requests = machine.fake.queues[0].served;
        machine_pass(&machine, 1000 * MS, MS);
        assert_int_equal(machine.fake.queues[0].served, requests);
        assert_well();
    }
    struct machine_options options = {.reserve = 32 * MIB};
    machine_start(&machine, &options);
    set_target(UINT32_MAX);
    machine_pass(&machine, 1000 * MS, MS);
    assert_in_range(machine_frames(&machine).free, 32 * MIB_OF, 32 * MIB_OF + 64);
    assert_well();
}

/* Memory in single frames, scattered: slower, but it all goes and comes back. */
static void fragments_are_taken_too(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOSTS; i++) {
        machine_start(&machine, hosts[i]);
        uintptr_t run = machine_alloc(&machine, 64 * MIB_OF);
        for (size_t k = 0; k < 64 * MIB_OF; k += 2)
            machine_free(&machine, run + k * WEIR_FRAME_SIZE, 1);
        while (weir_frames_alloc(machine.frames, 2, 1, 0, NULL) != 0)
            ;
        set_target(32 * MIB_OF);
        machine_pass(&machine, 500 * MS, MS);
        assert_in_range(machine_frames(&machine).ballooned, 27 * MIB_OF, 28 * MIB_OF); /* but for the reserve */
        assert_well();
        set_target(0);
        machine_pass(&machine, 3000 * MS, MS);
        assert_int_equal(machine_frames(&machine).ballooned, 0);
        assert_well();
    }
}

/* A host that is slow, and one whose queues are short. */
static void slow_host(void **state)
{
    (void)state;
    machine_start(&machine, &quiet);
    machine.fake.at_once = false;
    set_target(100 * MIB_OF);
    for (unsigned i = 0; i < 200; i++) {
        machine_pass(&machine, MS, MS);
        fake_serve(&machine.fake, WEIR_BALLOON_INFLATE, 1);
        assert_null(machine_check(&machine));
    }
    machine_pass(&machine, 20 * MS, MS);
    assert_int_equal(machine.fake.actual, 100 * MIB_OF);
    set_target(50 * MIB_OF);
    for (unsigned i = 0; i < 200; i++) {
        machine_pass(&machine, MS, MS);
        fake_serve(&machine.fake, WEIR_BALLOON_DEFLATE, 1);
        assert_null(machine_check(&machine));
    }
    machine_pass(&machine, 20 * MS, MS);
    assert_int_equal(machine_frames(&machine).ballooned, 50 * MIB_OF);
    assert_well();
}

/* A page is free again only when the host has confirmed its deflation. */
static void deflated_memory_waits_for_the_host(void **state)
{
    struct machine_options options = {.no_reporting = true, .with = WEIR_BALLOON_MUST_TELL_HOST};
    (void)state;
    machine_start(&machine, &options);
    assert_true(weir_balloon_features(machine.balloon) & WEIR_BALLOON_MUST_TELL_HOST);
    set_target(100 * MIB_OF);
    machine_pass(&machine, 200 * MS, MS);
    machine.fake.at_once = false;
    set_target(0);
    machine_pass(&machine, 1000 * MS, MS);
    assert_int_equal(machine_frames(&machine).ballooned, 100 * MIB_OF);
    assert_int_equal(fake_serve(&machine.fake, WEIR_BALLOON_DEFLATE, 2), 2); /* of many */
    machine_pass(&machine, 10 * MS, MS);
    assert_int_equal(machine_frames(&machine).ballooned, 100 * MIB_OF);
    machine.fake.at_once = true;
    fake_serve(&machine.fake, WEIR_BALLOON_DEFLATE, 1000);
    machine_pass(&machine, 200 * MS, MS);
    assert_int_equal(machine_frames(&machine).ballooned, 0);
    assert_well();
}

/* A target that is another at every read: bounded work, all accounted for, and at peace when it settles. */
static void wild_target(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    machine.fake.wild_target = true;
    for (unsigned i = 0; i < 200; i++) {
        machine_pass(&machine, 20 * MS, MS);
        assert_null(machine_check(&machine));
        assert_true(machine_frames(&machine).free >= FRAMES / RESERVE_SHARE);
    }
    machine.fake.wild_target = false;
    machine_pass(&machine, 1000 * MS, MS);
    assert_int_equal(machine_frames(&machine).free, FRAMES);
    assert_well();
}

/* --- relief --- */

static void relief_takes_from_the_balloon(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOSTS; i++) {
        machine_start(&machine, hosts[i]);
        set_target(240 * MIB_OF);
        machine_pass(&machine, 500 * MS, MS);
        assert_int_equal(machine_frames(&machine).ballooned, 240 * MIB_OF);
        assert_int_equal(weir_frames_alloc(machine.frames, 100 * MIB_OF, 1, 0, NULL), 0);
        assert_true(weir_reclaim_relieve(machine.reclaim, 100 * MIB));
        assert_int_not_equal(weir_frames_alloc(machine.frames, 100 * MIB_OF, 1, 0, NULL), 0);
        assert_true(machine_stats(&machine).relieved >= 84 * MIB_OF);
        /* and the next allocations do not fight with the host for it */
        size_t held = machine_frames(&machine).ballooned;
        machine_pass(&machine, 900 * MS, MS);
        assert_int_equal(machine_frames(&machine).ballooned, held);
        assert_int_equal(machine.fake.actual, held);
        assert_well();
    }
}

/* A small guest's last frame is gone: relief needs no memory of its own. */
static void relief_works_without_a_free_frame(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    set_target(200 * MIB_OF);
    machine_pass(&machine, 500 * MS, MS);
    while (weir_frames_alloc(machine.frames, 1, 1, 0, NULL) != 0)
        ;
    assert_int_equal(machine_frames(&machine).free, 0);
    machine.fake.at_once = false;
    assert_true(weir_reclaim_relieve(machine.reclaim, 1));
    assert_true(machine_frames(&machine).free >= RELIEF_LEAST);
    assert_true(weir_reclaim_relieve(machine.reclaim, 64 * MIB));
    assert_true(machine_frames(&machine).free >= 64 * MIB_OF);
    assert_well();
}

static void relief_needs_the_host_s_leave(void **state)
{
    struct machine_options options = {.no_reporting = true, .without = WEIR_BALLOON_DEFLATE_ON_OOM};
    (void)state;
    machine_start(&machine, &options);
    set_target(200 * MIB_OF);
    machine_pass(&machine, 500 * MS, MS);
    assert_false(weir_reclaim_relieve(machine.reclaim, MIB));
    assert_int_equal(machine_frames(&machine).ballooned, 200 * MIB_OF);
    set_target(150 * MIB_OF); /* what the host does not want any more may be taken at once */
    machine.now += 200 * MS;
    weir_reclaim_poll(machine.reclaim);
    assert_true(weir_reclaim_relieve(machine.reclaim, MIB));
    assert_well();
}

/* Guest and host both want the last memory: they exchange it rarely, not in a circle. */
static void guest_and_host_do_not_spin(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    set_target(UINT32_MAX);
    machine_pass(&machine, 1000 * MS, MS);
    uint64_t inflated = machine_stats(&machine).inflated;
    for (unsigned i = 0; i < 600; i++) {
        uintptr_t run;
        while ((run = weir_frames_alloc(machine.frames, 20 * MIB_OF, 1, 0, NULL)) == 0)
            assert_true(weir_reclaim_relieve(machine.reclaim, 20 * MIB));
        machine_pass(&machine, 50 * MS, MS);
        machine_free(&machine, run, 20 * MIB_OF);
        machine_pass(&machine, 50 * MS, MS);
    }
    assert_in_range(machine_stats(&machine).inflated - inflated, 0, 400 * MIB_OF);
    assert_well();
}

/* A report in flight holds the memory: relief waits for it instead of failing. */
static void relief_waits_for_reports(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    machine.fake.at_once = false;
    machine_free(&machine, machine_alloc(&machine, FRAMES), FRAMES);
    machine_pass(&machine, 300 * MS, MS);
    assert_true(machine_frames(&machine).isolated != 0);
    assert_int_equal(weir_frames_alloc(machine.frames, 200 * MIB_OF, 1, 0, NULL), 0);
    assert_int_not_equal(machine_alloc(&machine, 200 * MIB_OF), 0);
    assert_well();
}

static void relief_of_nothing_is_false(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    assert_int_not_equal(weir_frames_alloc(machine.frames, FRAMES, 1, 0, NULL), 0);
    assert_false(weir_reclaim_relieve(machine.reclaim, MIB));
    assert_false(weir_reclaim_relieve(machine.reclaim, SIZE_MAX));
    assert_well();
}

/* --- statistics --- */

static uint64_t statistic(unsigned tag)
{
    for (unsigned at = 0; at + 10 <= machine.fake.statistics_bytes; at += 10) {
        uint16_t here;
        uint64_t value;
        memcpy(&here, machine.fake.statistics + at, 2);
        memcpy(&value, machine.fake.statistics + at + 2, 8);
        if (here == tag)
            return value;
    }
    return UINT64_MAX;
}

static void statistics_tell_the_truth(void **state)
{
    struct machine_options no_oom = {.without = WEIR_BALLOON_DEFLATE_ON_OOM};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        machine_start(&machine, i == 0 ? &qemu : &no_oom);
        machine_pass(&machine, 200 * MS, MS);
        assert_int_equal(machine.fake.statistics_bytes, 80);
        assert_int_equal(statistic(WEIR_STATISTIC_TOTAL), WINDOW);
        assert_int_equal(statistic(WEIR_STATISTIC_FREE), WINDOW);
        machine_alloc(&machine, 56 * MIB_OF);
        set_target(100 * MIB_OF);
        machine_pass(&machine, 300 * MS, MS);
        assert_true(fake_ask(&machine.fake));
        machine_pass(&machine, 110 * MS, MS);
        assert_int_equal(statistic(WEIR_STATISTIC_FREE), 100 * MIB);
        assert_int_equal(statistic(WEIR_STATISTIC_AVAILABLE), 100 * MIB);
        assert_int_equal(statistic(WEIR_STATISTIC_TOTAL), i == 0 ? WINDOW : 156 * MIB);
        assert_well();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_target),
        cmocka_unit_test(backed_memory_goes_first),
        cmocka_unit_test(requests_have_the_host_s_shape),
        cmocka_unit_test(reserve_stays_with_the_guest),
        cmocka_unit_test(fragments_are_taken_too),
        cmocka_unit_test(slow_host),
        cmocka_unit_test(deflated_memory_waits_for_the_host),
        cmocka_unit_test(wild_target),
        cmocka_unit_test(relief_takes_from_the_balloon),
        cmocka_unit_test(relief_works_without_a_free_frame),
        cmocka_unit_test(relief_needs_the_host_s_leave),
        cmocka_unit_test(guest_and_host_do_not_spin),
        cmocka_unit_test(relief_waits_for_reports),
        cmocka_unit_test(relief_of_nothing_is_false),
        cmocka_unit_test(statistics_tell_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, machine_end);
}
