/* Free page reporting as a user sees it: what stays free goes home soon, what bounces stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/reclaim/policy.h"
#include "tests/reclaim/machine.h"
#include "tests/support/platform.h"

static struct machine machine;

static const struct machine_options qemu, firecracker = {.firecracker = true};

static void assert_well(void)
{
    assert_null(machine_check(&machine));
    assert_int_equal(test_errors, 0);
}

/* 200 MiB freed: nothing goes within the hold-off, everything soon after, on both hosts. */
static void freed_memory_goes_home(void **state)
{
    (void)state;
    for (unsigned host = 0; host < 2; host++) {
        machine_start(&machine, host == 0 ? &qemu : &firecracker);
        uintptr_t run = machine_alloc(&machine, 200 * MIB_OF);
        machine_pass(&machine, 1000 * MS, 10 * MS);
        assert_int_equal(machine.rss, 200 * MIB_OF);
        machine_free(&machine, run, 200 * MIB_OF);
        machine_pass(&machine, 90 * MS, MS);
        assert_int_equal(machine.rss, 200 * MIB_OF);
        machine_pass(&machine, 70 * MS, MS);
        assert_int_equal(machine.rss, 0);
        assert_int_equal(machine_frames(&machine).free, FRAMES);
        assert_int_equal(machine_stats(&machine).reported, 200 * MIB_OF);
        assert_well();
    }
}

/* The first reports tell what faults cost: they come more than once, and nothing of them stays with the host. */
static void cost_is_measured_first(void **state)
{
    static const struct machine_options measure = {.measure = true};
    size_t taken[3];
    (void)state;
    machine_start(&machine, &measure);
    for (unsigned round = 0; round < 3; round++) {
        machine_free(&machine, machine_alloc(&machine, 100 * MIB_OF), 100 * MIB_OF);
        size_t before = machine.taken[WEIR_BALLOON_REPORT];
        machine_pass(&machine, 4000 * MS, 10 * MS);
        taken[round] = machine.taken[WEIR_BALLOON_REPORT] - before;
        assert_int_equal(machine_stats(&machine).reported, (size_t)(round + 1) * 100 * MIB_OF);
        assert_int_equal(machine.rss, 0);
        assert_well();
    }
    assert_in_range(taken[0], 101 * MIB_OF, 500 * MIB_OF);
    assert_int_equal(taken[2], 100 * MIB_OF);
}

/* Few and large ranges: what lies together goes in one piece, cut only at the seam of the bus. */
static void reports_are_large(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    uintptr_t run = machine_alloc(&machine, FRAMES);
    machine_free(&machine, run, FRAMES);
    machine_pass(&machine, 300 * MS, MS);
    assert_int_equal(machine.rss, 0);
    /* half of what is free at a time: 128, 64, 32, 16, 8, 8 MiB */
    assert_in_range(machine_stats(&machine).reports, 1, 8);
    assert_well();
}

/* The memory stays allocatable: it never vanishes as a whole, and comes back untouched by anybody else. */
static void half_of_what_is_free_stays_allocatable(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    machine.fake.at_once = false;
    machine_free(&machine, machine_alloc(&machine, FRAMES), FRAMES);
    machine_pass(&machine, 300 * MS, MS);
    assert_true(machine_stats(&machine).in_flight != 0);
    assert_true(machine_frames(&machine).free >= FRAMES / 4);
    assert_int_not_equal(machine_alloc(&machine, FRAMES / 8), 0);
    fake_serve(&machine.fake, WEIR_BALLOON_REPORT, 10);
    machine.fake.at_once = true;
    machine_pass(&machine, 300 * MS, MS);
    assert_int_equal(machine_stats(&machine).in_flight, 0);
    assert_int_equal(machine.rss, FRAMES / 8);
    assert_well();
}

/* What a fault of the host costs, in nanoseconds: with huge pages, and with small ones and no hardware. */
#define CHEAP 2000
#define DEAR  17000

/* What a cycle of allocate, touch, free costs when its memory rests for `rest`: the part of the time spent on faults
 * that reporting caused, in thousandths, after `cycles`. */
static unsigned cost_of_cycle(uint64_t busy, uint64_t rest, unsigned cycles, uint64_t fault_cost)
{
    struct machine_options options = {.fault_cost = fault_cost};
    machine_start(&machine, &options);
    uint64_t start = machine.now, faults = 0;
    for (unsigned i = 0; i < cycles; i++) {
        size_t before = machine.rss;
        uintptr_t run = machine_alloc(&machine, 200 * MIB_OF);
        assert_int_not_equal(run, 0);
        faults += i == 0 ? 0 : machine.rss - before;
        machine_pass(&machine, busy, 10 * MS);
        machine_free(&machine, run, 200 * MIB_OF);
        machine_pass(&machine, rest, 10 * MS);
    }
    assert_well();
    return (unsigned)(faults * fault_cost * 1000 / (machine.now - start));
}

static void what_bounces_at_once_is_never_reported(void **state)
{
    (void)state;
    cost_of_cycle(50 * MS, 0, 1000, CHEAP);
    assert_in_range(machine_stats(&machine).reports, 0, 1);
    cost_of_cycle(50 * MS, 50 * MS, 1000, CHEAP);
    assert_in_range(machine_stats(&machine).reports, 0, 4);
}

/* Whatever the period, bouncing costs a few hundredths of the time, and far fewer than one report in a cycle. */
static void bouncing_is_bounded(void **state)
{
    static const uint64_t rests[] = {120, 160, 250, 450, 800, 1200, 1500};
    (void)state;
    for (unsigned i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        unsigned cost = cost_of_cycle(50 * MS, rests[i] * MS, 1000, CHEAP);
        assert_in_range(cost, 0, 30);
        assert_in_range(machine_stats(&machine).reports, 1, 3000);
    }
    /* Where a bounce is dear (0.9 s here) one is enough to learn from, and the next comes only when it is paid for. */
    for (unsigned i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        cost_of_cycle(50 * MS, rests[i] * MS, 10, DEAR);
        assert_in_range(machine_stats(&machine).bounced, 0, 600 * MIB_OF);
        assert_in_range(cost_of_cycle(50 * MS, rests[i] * MS, 1000, DEAR), 0, 40);
    }
    /* Longer than the longest hold-off: reported in each cycle, at a known price. */
    assert_in_range(cost_of_cycle(50 * MS, 3000 * MS, 100, CHEAP), 0, 40);
}

/* Even right after the worst history, memory that stays free is home well within 3 s, and the hold-off recovers. */
static void history_does_not_keep_memory(void **state)
{
    (void)state;
    cost_of_cycle(50 * MS, 450 * MS, 200, CHEAP);
    cost_of_cycle(50 * MS, 1500 * MS, 20, CHEAP);
    assert_true(machine_stats(&machine).hold_off >= HOLD_OFF_MOST / 2);
    uintptr_t run = machine_alloc(&machine, 200 * MIB_OF);
    machine_pass(&machine, 50 * MS, 10 * MS);
    machine_free(&machine, run, 200 * MIB_OF);
    machine_pass(&machine, 2300 * MS, 10 * MS);
    assert_int_equal(machine.rss, 0);
    machine_pass(&machine, 120000 * MS, 50 * MS);
    assert_int_equal(machine_stats(&machine).hold_off, HOLD_OFF_FIRST);
    assert_well();
}

/* A program that grows into memory that was reported long ago is not punished for it. */
static void growth_is_no_bounce(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    machine_free(&machine, machine_alloc(&machine, 200 * MIB_OF), 200 * MIB_OF);
    machine_pass(&machine, 10000 * MS, 10 * MS);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_not_equal(machine_alloc(&machine, 4 * MIB_OF), 0);
        machine_pass(&machine, 50 * MS, 10 * MS);
    }
    assert_int_equal(machine_stats(&machine).hold_off, HOLD_OFF_FIRST);
    assert_int_equal(machine_stats(&machine).bounced, 0);
    assert_well();
}

/* Nor for growing right after a report: once, not once for each step. */
static void growth_is_one_bounce(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    machine_free(&machine, machine_alloc(&machine, 200 * MIB_OF), 200 * MIB_OF);
    machine_pass(&machine, 500 * MS, 10 * MS);
    assert_int_equal(machine.rss, 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_not_equal(machine_alloc(&machine, 4 * MIB_OF), 0);
        machine_pass(&machine, 50 * MS, 10 * MS);
    }
    assert_in_range(machine_stats(&machine).hold_off, HOLD_OFF_FIRST, BOUNCE_RAISE * HOLD_OFF_FIRST);
    assert_well();
}

/* A program that works on with small objects does not keep the rest of its memory from going home. */
static void small_churn_does_not_hold_back_the_rest(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    machine_free(&machine, machine_alloc(&machine, 200 * MIB_OF), 200 * MIB_OF);
    for (unsigned i = 0; i < 300; i++) {
        uintptr_t run = machine_alloc(&machine, 100);
        machine_pass(&machine, MS, MS);
        machine_free(&machine, run, 100);
    }
    assert_in_range(machine.rss, 0, 4 * MIB_OF);
    assert_well();
}

/* Frees every other piece of 2^order frames. */
static void free_alternately(uintptr_t run, size_t count, unsigned order)
{
    for (size_t k = 0; k < count; k++)
        machine_free(&machine, run + (2 * k * WEIR_FRAME_SIZE << order), (size_t)1 << order);
}

static void order_decides_what_is_too_small(void **state)
{
    static const unsigned orders[] = {0, WEIR_RECLAIM_REPORT_ORDER, 9, 10};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct machine_options options = {.order = orders[i] == 0 ? UINT32_MAX : orders[i]};
        for (unsigned order = orders[i] - (i != 0); order <= orders[i]; order++) {
            size_t count = FRAMES >> order >> 2;
            machine_start(&machine, &options);
            free_alternately(machine_alloc(&machine, 2 * count << order), count, order);
            machine_pass(&machine, 4000 * MS, 10 * MS);
            assert_int_equal(machine.rss, (order < orders[i] ? 2 : 1) * count << order);
            assert_well();
        }
    }
}

/* What would split the host's huge pages goes when its neighbourhood was quiet for a second. */
static void small_pieces_go_later(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    free_alternately(machine_alloc(&machine, MIB_OF), 1, 6); /* the table begins to note times with the first look */
    machine_pass(&machine, 2000 * MS, 10 * MS);
    machine_alloc(&machine, 64);
    free_alternately(machine_alloc(&machine, 127 * MIB_OF), 127 * MIB_OF / 128, 6);
    machine_free(&machine, machine_alloc(&machine, 64 * MIB_OF), 64 * MIB_OF);
    machine_pass(&machine, 900 * MS, 10 * MS);
    assert_int_equal(machine.rss, 128 * MIB_OF);
    machine_pass(&machine, 200 * MS, 10 * MS);
    assert_in_range(machine.rss, 64 * MIB_OF, 65 * MIB_OF);
    assert_well();
}

static void reporting_can_be_off(void **state)
{
    static const struct machine_options off = {.no_reporting = true}, absent = {.without = WEIR_BALLOON_REPORTING};
    const struct machine_options *options[] = {&off, &absent};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        machine_start(&machine, options[i]);
        machine_free(&machine, machine_alloc(&machine, 100 * MIB_OF), 100 * MIB_OF);
        machine_pass(&machine, 3000 * MS, 10 * MS);
        assert_int_equal(machine.rss, 100 * MIB_OF);
        weir_reclaim_set_reporting(machine.reclaim, true);
        machine_pass(&machine, 3000 * MS, 10 * MS);
        assert_int_equal(machine.rss, i == 0 ? 0 : 100 * MIB_OF);
        assert_well();
    }
}

static void hasten_skips_the_hold_off(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    machine_free(&machine, machine_alloc(&machine, 200 * MIB_OF), 200 * MIB_OF);
    weir_reclaim_hasten(machine.reclaim);
    machine_pass(&machine, 5 * MS, MS);
    assert_int_equal(machine.rss, 0);
    machine_free(&machine, machine_alloc(&machine, 200 * MIB_OF), 200 * MIB_OF);
    machine_pass(&machine, 50 * MS, MS);
    assert_int_equal(machine.rss, 200 * MIB_OF); /* once only */
    assert_well();
}

/* At rest a poll comes ten times a second at most, and each reads one register. */
static void rest_is_cheap(void **state)
{
    (void)state;
    machine_start(&machine, &qemu);
    machine_free(&machine, machine_alloc(&machine, 10 * MIB_OF), 10 * MIB_OF);
    machine_pass(&machine, 1000 * MS, 10 * MS);
    unsigned accesses = machine.fake.register_accesses;
    machine_pass(&machine, 10000 * MS, MS);
    assert_in_range(machine.fake.register_accesses - accesses, 1, 101);
    assert_well();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_memory_goes_home),
        cmocka_unit_test(cost_is_measured_first),
        cmocka_unit_test(reports_are_large),
        cmocka_unit_test(half_of_what_is_free_stays_allocatable),
        cmocka_unit_test(what_bounces_at_once_is_never_reported),
        cmocka_unit_test(bouncing_is_bounded),
        cmocka_unit_test(history_does_not_keep_memory),
        cmocka_unit_test(growth_is_no_bounce),
        cmocka_unit_test(growth_is_one_bounce),
        cmocka_unit_test(small_churn_does_not_hold_back_the_rest),
        cmocka_unit_test(order_decides_what_is_too_small),
        cmocka_unit_test(small_pieces_go_later),
        cmocka_unit_test(reporting_can_be_off),
        cmocka_unit_test(hasten_skips_the_hold_off),
        cmocka_unit_test(rest_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, machine_end);
}
