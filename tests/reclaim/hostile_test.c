/*
 * A host that is no friend. Whatever the device does, the tables stay whole, every frame is accounted for, the breach
 * is told once, and the guest goes on with its memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/reclaim/machine.h"
#include "tests/support/platform.h"

static struct machine machine;

static size_t accounted(void)
{
    struct weir_frames_stats stats = machine_frames(&machine);
    return stats.free + stats.isolated + stats.ballooned;
}

/* The device misbehaves while reports, inflations or deflations are answered. */
static void misdeeds_cost_no_memory(void **state)
{
    static const struct machine_options options[] = {{0}, {.no_reporting = true}, {.no_reporting = true}};
    (void)state;
    for (enum fake_misdeed misdeed = FAKE_ID_BEYOND; misdeed < FAKE_MISDEEDS; misdeed++) {
        for (unsigned road = 0; road < 3; road++) {
            machine_start(&machine, &options[road]);
            machine_free(&machine, machine_alloc(&machine, 200 * MIB_OF), 200 * MIB_OF);
            if (road == 2) {
                machine.fake.target = 100 * MIB_OF;
                machine_pass(&machine, 300 * MS, MS);
                assert_int_equal(machine_frames(&machine).ballooned, 100 * MIB_OF);
            }
            machine.fake.misdeed = misdeed;
            machine.fake.target = road == 1 ? 100 * MIB_OF : 0;
            machine_pass(&machine, 500 * MS, MS);
            if (misdeed == FAKE_SILENT) {
                assert_int_equal(test_errors, 0);
                machine_pass(&machine, 12000 * MS, MS);
            }
            assert_null(machine_check(&machine));
            assert_true(machine_stats(&machine).failed);
            assert_int_equal(machine_stats(&machine).lost, 0);
            assert_int_equal(test_errors, 1);
            assert_int_equal(test_last_error.status, WEIR_DEVICE);
            assert_int_equal(machine_frames(&machine).free, FRAMES);
            assert_int_not_equal(weir_frames_alloc(machine.frames, FRAMES, 1, 0, NULL), 0);
            /* the failed device is left alone */
            assert_int_equal(weir_reclaim_poll(machine.reclaim), UINT64_MAX);
            assert_false(weir_reclaim_relieve(machine.reclaim, MIB));
            weir_reclaim_hasten(machine.reclaim);
            weir_reclaim_set_reporting(machine.reclaim, true);
            unsigned accesses = machine.fake.register_accesses;
            machine_pass(&machine, 1000 * MS, MS);
            assert_int_equal(machine.fake.register_accesses, accesses);
            assert_null(machine_check(&machine));
        }
    }
}

/* A device that does not confirm its reset may still discard what it was given: that memory is never used again. */
static void unconfirmed_reset_keeps_what_is_in_flight(void **state)
{
    static const struct machine_options options[] = {{.firecracker = true},
                                                     {.firecracker = true, .no_reporting = true}};
    (void)state;
    for (unsigned road = 0; road < 2; road++) {
        machine_start(&machine, &options[road]);
        machine_free(&machine, machine_alloc(&machine, 200 * MIB_OF), 200 * MIB_OF);
        machine.fake.misdeed = FAKE_SILENT;
        machine.fake.target = road == 1 ? 100 * MIB_OF : 0;
        machine_pass(&machine, 12000 * MS, MS);
        assert_null(machine_check(&machine));
        struct weir_reclaim_stats stats = machine_stats(&machine);
        assert_true(stats.failed);
        assert_true(stats.lost != 0);
        assert_int_equal(test_errors, 1);
        size_t held_back = machine_frames(&machine).isolated + machine_frames(&machine).ballooned;
        assert_int_equal(stats.lost, held_back);
        assert_in_range(FRAMES - accounted(), 0, 64); /* the buffers that the device may still read */
        while (weir_frames_alloc(machine.frames, 1, 1, 0, NULL) != 0)
            ;
        /* late answers and discards meet nobody's memory */
        machine.fake.misdeed = FAKE_HONEST;
        machine.rss = 0;
        machine_pass(&machine, 100 * MS, MS);
        assert_int_equal(machine_frames(&machine).isolated + machine_frames(&machine).ballooned, held_back);
        assert_null(machine_check(&machine));
    }
}

/* With MUST_TELL_HOST nothing may be taken back from a host that does not listen any more. */
static void balloon_stays_where_the_host_must_be_told(void **state)
{
    struct machine_options options = {.no_reporting = true, .with = WEIR_BALLOON_MUST_TELL_HOST};
    (void)state;
    machine_start(&machine, &options);
    machine.fake.target = 100 * MIB_OF;
    machine_pass(&machine, 300 * MS, MS);
    machine.fake.misdeed = FAKE_LENGTH;
    machine.fake.target = 0;
    machine_pass(&machine, 300 * MS, MS);
    assert_null(machine_check(&machine));
    assert_int_equal(machine_stats(&machine).lost, 100 * MIB_OF);
    assert_int_equal(machine_frames(&machine).free, FRAMES - 100 * MIB_OF);
}

/* A guest that was paused for a day, or a clock that jumps, is no silent device. */
static void a_pause_is_no_silence(void **state)
{
    static const struct machine_options options;
    (void)state;
    machine_start(&machine, &options);
    machine.fake.at_once = false;
    machine_free(&machine, machine_alloc(&machine, 200 * MIB_OF), 200 * MIB_OF);
    machine_pass(&machine, 300 * MS, MS);
    assert_true(machine_stats(&machine).in_flight != 0);
    machine.now += 86400000 * MS;
    machine_pass(&machine, 10 * MS, MS);
    fake_serve(&machine.fake, WEIR_BALLOON_REPORT, 10);
    machine.fake.at_once = true;
    machine_pass(&machine, 1000 * MS, MS);
    assert_int_equal(machine.rss, 0);
    assert_int_equal(test_errors, 0);
    assert_null(machine_check(&machine));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misdeeds_cost_no_memory),
        cmocka_unit_test(unconfirmed_reset_keeps_what_is_in_flight),
        cmocka_unit_test(balloon_stays_where_the_host_must_be_told),
        cmocka_unit_test(a_pause_is_no_silence),
    };
    return cmocka_run_group_tests(tests, NULL, machine_end);
}
