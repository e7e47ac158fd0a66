#include "tools/report.h"

#include "tools/message.h"

#include <math.h>

double mib(uint64_t bytes)
{
    return round((double)bytes / 1048576 * 1000) / 1000;
}

static double thousandths(double number)
{
    return round(number * 1000) / 1000;
}

json_t *report_machine(const struct session *session)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:s}", "cpus", (int)session->machine.cpus, "accel",
                     session->accel == ACCEL_KVM ? "kvm" : "tcg", "why", session->why != NULL ? session->why : "",
                     "vmm", session->machine.vmm->name, "version", session->version);
}

json_t *report_boot(const struct session *session)
{
    if (session->main_time == 0)
        return json_pack("{s:n, s:n}", "entry", "main");
    return json_pack("{s:f, s:f}", "entry", thousandths((session->entry_time - session->started) * 1e3), "main",
                     thousandths((session->main_time - session->started) * 1e3));
}

static json_t *report_samples(const struct session *session, double origin)
{
    json_t *samples = json_array();
    for (size_t i = 0; i < session->series.count; i++) {
        const struct sample *sample = &session->series.samples[i];
        json_array_append_new(samples, json_pack("{s:f, s:f, s:f}", "t", thousandths(sample->time - origin), "rss_mib",
                                                 mib(sample->rss), "balloon_mib", mib(sample->balloon)));
    }
    return samples;
}

static json_t *report_phases(const struct session *session, double origin)
{
    json_t *phases = json_array();
    for (size_t i = 0; i < session->phase_count; i++) {
        json_t *phase = json_deep_copy(session->phases[i].keys);
        json_object_set_new(phase, "t", json_real(thousandths(session->phases[i].time - origin)));
        json_object_set_new(phase, "rss_mib", json_real(mib(session->phases[i].rss)));
        json_array_append_new(phases, phase);
    }
    return phases;
}

json_t *report_session(const struct session *session, const struct image_facts *image, int exit_code)
{
    const double origin = session->main_time > 0 ? session->main_time : session->started;
    json_t *report = json_pack("{s:o, s:{s:I, s:s}, s:o, s:i}", "machine", report_machine(session), "image", "bytes",
                               (json_int_t)image->bytes, "malloc", image->malloc_name, "boot_ms", report_boot(session),
                               "exit", exit_code);
    if (report == NULL)
        return NULL;
    json_object_set_new(report, "seconds",
                        session->main_time > 0 ? json_real(thousandths(session->end_time - origin)) : json_null());
    json_object_set_new(report, "rss_mib",
                        json_pack("{s:f, s:f, s:f}", "start", mib(session->rss_start), "peak", mib(session->rss_peak),
                                  "end", mib(session->rss_end)));
    json_object_set_new(report, "samples", report_samples(session, origin));
    json_object_set_new(report, "phases", report_phases(session, origin));
    json_object_set_new(report, "peak_bytes",
                        session->guest_peak > 0 ? json_integer((json_int_t)session->guest_peak) : json_null());
    return report;
}

int report_write(json_t *report, const char *path)
{
    const int failed = report == NULL || json_dump_file(report, path, JSON_INDENT(2)) != 0;
    json_decref(report);
    return failed ? fail(EXIT_TOOL, "%s cannot be written", path) : 0;
}
