/*
 * One trial of `weir bench`: a program on an allocator, taken through the phases it announces (examples/phases.h).
 *
 *     BOOT ──"before"──► IDLE ──250 ms──► WORK ──"freed"──► REST ──2 s──► SQUEEZE ──settled──► LEAVE
 *
 * The host's RSS is read at the end of IDLE (before), at its highest until "freed" (peak), at the end of REST
 * (after_free) and of SQUEEZE (after_balloon), when the balloon is at its limit. Then the program gets the line it
 * waits for, and ends.
 */
#ifndef WEIR_TOOLS_TRIAL_H
#define WEIR_TOOLS_TRIAL_H

#include "tools/session.h"

#include <stdbool.h>
#include <stdint.h>

enum trial_state {
    TRIAL_BOOT,
    TRIAL_IDLE,
    TRIAL_WORK,
    TRIAL_REST,
    TRIAL_SQUEEZE,
    TRIAL_LEAVE
};

/* What is found out: seconds of work, and bytes of all others. */
enum trial_figure {
    FIGURE_SECONDS,
    FIGURE_LIVE, /* most bytes the program had allocated at once */
    FIGURE_PEAK, /* most bytes of frames its allocator held */
    FIGURE_RSS_BEFORE,
    FIGURE_RSS_PEAK,
    FIGURE_RSS_FREED,
    FIGURE_RSS_BALLOONED,
    FIGURE_COUNT
};

struct trial {
    const char *program;
    const char *allocator;
    uint64_t image_bytes;

    enum trial_state state;
    double since;                 /* clock: when `state` was entered */
    int code;                     /* of the tool for this session */
    double figures[FIGURE_COUNT]; /* NAN: not reached */

    /* What settled means: nothing has changed since `changed`. */
    uint64_t last_rss;
    uint64_t last_balloon;
    double changed;

    /* Told of every sample. */
    void (*progress)(void *context, const struct trial *trial, uint64_t rss);
    void *progress_context;

    FILE *log;      /* the guest's output */
    char tail[512]; /* the end of it */
    size_t tail_length;
};

/* A trial of which nothing is known yet. */
struct trial trial_new(const char *program, const char *allocator);

/* Hooks that move `trial` on; session->hooks.context must be the trial. */
void trial_hook(struct session *session, struct trial *trial);

/* What it is doing, for people. */
const char *trial_state_text(const struct trial *trial);

/* Whether everything was measured and the program ended well. */
bool trial_succeeded(const struct trial *trial);

#endif
