/*
 * Programs that the tool starts: compilers, which it waits for, and the VMM, which it watches.
 *
 * Every child leads a process group of its own and dies with the tool, however the tool dies: a Ctrl-C reaches the tool
 * alone, which then ends the whole group.
 */
#ifndef WEIR_TOOLS_PROCESS_H
#define WEIR_TOOLS_PROCESS_H

#include "tools/interrupt.h"
#include "tools/words.h"

#include <stdbool.h>
#include <sys/types.h>

/* A running child. Descriptors that are not there are -1; those that are do not block. */
struct process {
    pid_t pid;  /* 0: none, or waited for */
    int handle; /* a pidfd: readable once the child has ended */
    int input;  /* to the child's stdin */
    int output; /* from its stdout */
    int errors; /* from its stderr */
    int status; /* as of waitpid(), once pid is 0 */
};

/* Which of the child's streams are pipes; the others are the tool's own, stdin is empty. */
enum process_pipes {
    PIPE_INPUT = 1,
    PIPE_OUTPUT = 2,
    PIPE_ERRORS = 4
};

/* Starts `words` (items[0] is a path); `inherit`, if not -1, stays open in the child. Returns 0 or an errno. */
int process_start(struct process *process, const struct words *words, unsigned pipes, int inherit);

/* Whether the child has ended; then `status` is set and `pid` is 0. Does not wait. */
bool process_ended(struct process *process);

/* Ends the child's whole group at once and waits for it. */
void process_kill(struct process *process);

/* Kills what still runs, closes all descriptors. */
void process_close(struct process *process);

/* A status as a shell's number: the exit code, or 128 + signal. */
int process_exit_code(int status);

/*
 * Finds `program` as a shell would: a name with a slash as it is, others on the PATH. Returns a path for free(), or
 * null with errno ENOENT or EACCES.
 */
char *find_program(const char *program);

/*
 * Runs `words` (items[0] is looked up on the PATH) to its end. `output`, if not null, receives its stdout, for free();
 * its stderr is the tool's. Returns its exit code, or 128 + signal if the tool was interrupted meanwhile; if it cannot
 * be started says so and returns EXIT_NOT_FOUND or EXIT_CANNOT_RUN.
 */
int command_run(struct interrupts *interrupts, const struct words *words, bool verbose, char **output);

#endif
