/*
 * What `weir bench` found out: for people a table, for programs results.json.
 */
#ifndef WEIR_TOOLS_RESULTS_H
#define WEIR_TOOLS_RESULTS_H

#include "tools/trial.h"

#include <jansson.h>
#include <stdio.h>

#define TRIALS_MOST 16

struct results {
    const struct machine *machine;
    json_t *machine_facts; /* of the first trial that booted; null: none did */
    struct trial trials[TRIALS_MOST];
    size_t count;                /* of trials that are done */
    double entries[TRIALS_MOST]; /* milliseconds from the VMM's start, of each boot */
    double mains[TRIALS_MOST];
    size_t boots;
};

/* Remembers how `session` booted. */
void results_take_boot(struct results *results, const struct session *session);

/*
 * {"machine", "image": {"bytes"}, "boot_ms": {"entry", "main"}, "runs": [{"program", "allocator", "exit", "seconds",
 *  "live_bytes", "peak_bytes", "rss_mib": {"before", "peak", "after_free", "after_balloon"}}]}
 * with null for what was not reached.
 */
json_t *results_json(struct results *results);

void results_print(struct results *results, FILE *file);

void results_free(struct results *results);

#endif
