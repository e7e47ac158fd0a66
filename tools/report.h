/*
 * What `weir run --json` writes about a session.
 */
#ifndef WEIR_TOOLS_REPORT_H
#define WEIR_TOOLS_REPORT_H

#include "tools/session.h"

#include <jansson.h>
#include <stdint.h>

struct image_facts {
    uint64_t bytes;
    char malloc_name[32];
};

/*
 * {"machine": {"cpus", "accel", "why", "vmm", "version"}, "image": {"bytes", "malloc"}, "boot_ms": {"entry", "main"},
 *  "exit", "seconds", "rss_mib": {"start", "peak", "end"}, "samples": [{"t", "rss_mib", "balloon_mib"}],
 *  "phases": [{"name", "t", "rss_mib", …}], "peak_bytes"}
 *
 * Times `t` count from main; what was not reached is null. `exit` is the tool's exit code.
 */
json_t *report_session(const struct session *session, const struct image_facts *image, int exit_code);

/* Parts that others want, too. */
json_t *report_machine(const struct session *session);
json_t *report_boot(const struct session *session);
double mib(uint64_t bytes);

/* Writes `report` (may be null: no memory) to `path`; consumes it. Returns 0 or fails with a line. */
int report_write(json_t *report, const char *path);

#endif
