/*
 * A virtual machine monitor, whichever it is: QEMU and Firecracker are the two that implement this.
 *
 *     start ──► the process runs, its console on stdin and stdout ──attend()…──► it ends, or is killed by release()
 *
 * The session (session.h) owns the console and the life of the process; a VMM owns its control channel: QMP on a socket
 * pair, or an HTTP API on a socket in `directory`. It never blocks once the guest runs.
 */
#ifndef WEIR_TOOLS_VMM_H
#define WEIR_TOOLS_VMM_H

#include "tools/process.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum machine_model {
    MACHINE_MICROVM,
    MACHINE_Q35
};
enum accel {
    ACCEL_AUTO,
    ACCEL_KVM,
    ACCEL_TCG
};

/* The machine that is asked for; strings are borrowed. */
struct machine {
    const struct vmm_class *vmm;
    const char *vmm_path; /* null: the class's program on the PATH */
    enum machine_model model;
    enum accel accel;
    uint64_t memory;
    unsigned cpus;
    bool verbose;
    const char *image;
    const char *command_line;
    const char *directory; /* for sockets and logs */
};

struct vmm {
    const struct vmm_class *class;
    struct process process;
    uint64_t memory;
    uint64_t balloon; /* bytes the balloon holds, as last heard */
    bool ready;       /* the control channel has answered */
    bool broken;      /* the VMM stopped the guest for good; it said why on stderr or in its log */
    bool reset;       /* the VMM says that it was the guest that ended the machine */
    char version[32]; /* once ready */
};

struct vmm_class {
    const char *name;
    const char *program;
    const char *install;       /* how a person gets it, for the message that it is missing */
    size_t command_line_limit; /* bytes, its end included */
    bool emulates;             /* runs without KVM */
    bool any_byte;             /* takes every byte in the command line, not only printable ASCII */

    /*
     * Starts `machine` under `accel`. Returns 0 with *vmm running, or an exit code after a line that says why.
     * If the process dies later by itself, that is for the session to find.
     */
    int (*start)(struct vmm **vmm, const struct machine *machine, const char *path, enum accel accel);

    /* What to poll for the control channel. At most one descriptor; `fd` -1 for none. */
    struct pollfd (*watch)(struct vmm *vmm);

    /* Milliseconds until attend() wants to be called anyway, -1 for no such time. */
    int (*patience)(struct vmm *vmm);

    /* Something may have come on the control channel. */
    void (*attend)(struct vmm *vmm);

    /* The balloon is to hold `bytes`; BALLOON_MAX: as far as it goes. */
    void (*inflate)(struct vmm *vmm, uint64_t bytes);

    /* Asks for the balloon's size; `balloon` changes when the answer comes. */
    void (*ask_balloon)(struct vmm *vmm);

    /* The VMM's own last words: what it wrote in a log, for free(), or null. */
    char *(*last_words)(struct vmm *vmm);

    /* Kills what runs, frees all. */
    void (*release)(struct vmm *vmm);
};

extern const struct vmm_class qemu_class;
extern const struct vmm_class firecracker_class;

#endif
