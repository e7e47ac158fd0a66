/*
 * One guest from the start of its VMM to its end.
 *
 *     STARTING ──frame "main"──► RUNNING ──frame "exit"──► LEAVING ──the VMM's process ends──► an ending
 *
 * From every state the session may end otherwise: the VMM's process ends or stops the guest, the time is up, a signal
 * comes, whoever reads stdout goes away. However it ends, the VMM is gone when session_run() returns, and
 * session_close() removes what it kept on disk.
 *
 * All happens in one thread around one poll(): signals, the VMM's process, its console, its stderr, its control
 * channel, the tool's stdin and stdout, and the clock (samples, balloon steps, timeout).
 */
#ifndef WEIR_TOOLS_SESSION_H
#define WEIR_TOOLS_SESSION_H

#include "tools/console.h"
#include "tools/interrupt.h"
#include "tools/outlet.h"
#include "tools/quantity.h"
#include "tools/sample.h"
#include "tools/vmm.h"

#include <jansson.h>
#include <stdbool.h>

enum session_end {
    END_NONE,        /* it runs */
    END_EXIT,        /* the guest said its exit code */
    END_NO_START,    /* the VMM could not be started; a line said so */
    END_GONE,        /* the VMM's process ended before the guest said its exit code */
    END_STOPPED,     /* the VMM stopped the guest */
    END_TIMEOUT,     /* killed after `timeout` */
    END_INTERRUPTED, /* killed because a signal came */
    END_CLOSED       /* killed because stdout's reader has gone */
};

/* A milestone that the program in the guest announced ("phase NAME key=value …"). */
struct phase {
    double time;
    uint64_t rss;
    json_t *keys; /* the pairs, and "name" */
};

struct session;

/* What a user of the session may want to know while it runs; each may be null. */
struct session_hooks {
    void (*output)(struct session *session, const char *data, size_t length); /* instead of to stdout */
    void (*frame)(struct session *session, const struct frame *frame);        /* after the session has looked at it */
    void (*tick)(struct session *session);                                    /* after each sample */
    void *context;
};

struct session {
    /* Set before session_run(). */
    struct machine machine; /* `directory` is the session's own and set by it */
    struct session_hooks hooks;
    const struct balloon_step *steps;
    size_t step_count;
    double timeout;     /* seconds from the VMM's start, 0: none */
    bool watch_balloon; /* ask for its size with every sample */
    bool forward_input; /* the tool's stdin is the guest's */

    /* What became of it. Times are of clock_now(). */
    enum session_end end;
    int guest_exit; /* if END_EXIT */
    double started;
    double main_time;  /* 0: main was not reached */
    double entry_time; /* main_time − what the guest needed from its ELF entry to main */
    double end_time;
    enum accel accel; /* KVM or TCG */
    char *why;        /* this accelerator */
    char version[32]; /* of the VMM */
    int vmm_status;   /* of its process, as of waitpid() */
    uint64_t rss_start;
    uint64_t rss_peak;
    uint64_t rss_end;
    uint64_t guest_peak; /* bytes of frames in use at most, as the kernel says */
    struct series series;
    struct phase *phases;
    size_t phase_count;
    size_t steps_done;

    /* Its own. */
    struct vmm *vmm;
    struct interrupts *interrupts;
    struct console console;
    struct outlet to_stdout;
    struct outlet to_guest;
    bool spoke;      /* the guest has printed something */
    char last_input; /* the last byte of it so far */
    bool input_ended;
    double leave_by;   /* LEAVING: when the VMM is killed if it does not end */
    char errors[4096]; /* the end of what the VMM wrote to stderr */
    size_t errors_length;
};

/* Runs the guest to its end and says what went wrong, if something did. Returns the tool's exit code. */
int session_run(struct session *session, struct interrupts *interrupts);

/* Reads the VMM's memory now: a sample, and what it updates. */
uint64_t session_sample(struct session *session);

/* From hooks: change the balloon, type into the guest's console. */
void session_inflate(struct session *session, uint64_t bytes);
void session_type(struct session *session, const char *text);

void session_close(struct session *session);

#endif
