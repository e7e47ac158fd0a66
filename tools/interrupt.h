/*
 * Ctrl-C and SIGTERM as events: while a command runs, SIGINT, SIGTERM, SIGHUP and SIGQUIT are blocked and read from a
 * descriptor, so that everything that was started is ended and everything that was created is removed before the tool
 * itself ends by the same signal.
 */
#ifndef WEIR_TOOLS_INTERRUPT_H
#define WEIR_TOOLS_INTERRUPT_H

#include <signal.h>

struct interrupts {
    int fd;     /* readable when a signal came */
    int caught; /* the first signal that came, 0 for none */
};

/* Returns 0, or fails with a line. Also ignores SIGPIPE: a closed pipe is an error of write(). */
int interrupts_open(struct interrupts *interrupts);

/* Takes what is readable into `caught`; returns `caught`. */
int interrupts_check(struct interrupts *interrupts);

/* Restores the signals; ends the process by `caught` if there is one. */
void interrupts_close(struct interrupts *interrupts);

/* In a child, before exec: the signals as a fresh program expects them. */
void interrupts_reset(void);

#endif
