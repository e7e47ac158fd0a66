/* The shape of what --json writes: others parse it. */
#include "tests/tools/harness.h"
#include "tools/ending.h"
#include "tools/report.h"

#include <stdlib.h>
#include <string.h>

static struct session *make_session(void)
{
    struct session *session = calloc(1, sizeof *session);
    session->machine = (struct machine){.vmm = &qemu_class, .cpus = 2, .memory = 64u << 20};
    session->accel = ACCEL_KVM;
    session->why = strdup("asked for");
    strcpy(session->version, "7.2.22");
    session->started = 100;
    session->end_time = 103;
    return session;
}

static void expect_keys(json_t *object, const char *const *keys)
{
    size_t count = 0;
    for (; keys[count] != NULL; count++)
        if (json_object_get(object, keys[count]) == NULL)
            fail_msg("\"%s\" is missing", keys[count]);
    assert_int_equal(json_object_size(object), count);
}

static void test_a_session(void **state)
{
    (void)state;
    struct session *session = make_session();
    session->entry_time = 100.05;
    session->main_time = 100.06;
    session->rss_start = 40u << 20;
    session->rss_peak = 90u << 20;
    session->rss_end = 45u << 20;
    session->guest_peak = 12345;
    series_start(&session->series, 0.05);
    series_add(&session->series, &(struct sample){100.56, 50u << 20, 16u << 20});
    session->phases = malloc(sizeof *session->phases);
    session->phases[0] =
        (struct phase){101.06, 90u << 20, json_pack("{s:s, s:i, s:s}", "name", "peak", "live", 77, "t", "fake")};
    session->phase_count = 1;
    const struct image_facts facts = {.bytes = 1000, .malloc_name = "weir"};

    json_t *report = report_session(session, &facts, 7);
    json_t *expected =
        json_loads("{\"machine\": {\"cpus\": 2, \"accel\": \"kvm\", \"why\": \"asked for\", \"vmm\": \"qemu\","
                   "             \"version\": \"7.2.22\"},"
                   " \"image\": {\"bytes\": 1000, \"malloc\": \"weir\"},"
                   " \"boot_ms\": {\"entry\": 50.0, \"main\": 60.0},"
                   " \"exit\": 7, \"seconds\": 2.94,"
                   " \"rss_mib\": {\"start\": 40.0, \"peak\": 90.0, \"end\": 45.0},"
                   " \"samples\": [{\"t\": 0.5, \"rss_mib\": 50.0, \"balloon_mib\": 16.0}],"
                   " \"phases\": [{\"name\": \"peak\", \"t\": 1.0, \"rss_mib\": 90.0, \"live\": 77}],"
                   " \"peak_bytes\": 12345}",
                   0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(report, expected));
    json_decref(report);
    json_decref(expected);
    session_close(session);
    free(session);
}

static void test_a_session_that_did_not_reach_main(void **state)
{
    (void)state;
    static const char *const keys[] = {"machine", "image",   "boot_ms", "exit",       "seconds",
                                       "rss_mib", "samples", "phases",  "peak_bytes", NULL};
    struct session *session = make_session();
    const struct image_facts facts = {.bytes = 1, .malloc_name = "musl"};
    json_t *report = report_session(session, &facts, 125);
    expect_keys(report, keys);
    assert_true(json_is_null(json_object_get(report, "seconds")));
    assert_true(json_is_null(json_object_get(json_object_get(report, "boot_ms"), "main")));
    assert_true(json_is_null(json_object_get(report, "peak_bytes")));
    json_decref(report);
    session_close(session);
    free(session);
}

static void test_signal_names(void **state)
{
    (void)state;
    char text[16];
    assert_string_equal(signal_name(text, 11), "SIGSEGV");
    assert_string_equal(signal_name(text, 6), "SIGABRT");
    assert_string_equal(signal_name(text, 60), "signal 60");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session),
        cmocka_unit_test(test_a_session_that_did_not_reach_main),
        cmocka_unit_test(test_signal_names),
    };
    return cmocka_run_group_tests_name("tools/report", tests, NULL, NULL);
}
