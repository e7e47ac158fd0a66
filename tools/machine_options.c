#include "tools/machine_options.h"

#include "tools/message.h"
#include "tools/quantity.h"

#include <string.h>

#define MEMORY_LEAST (4ull << 20)
#define MEMORY_MOST  (1ull << 42)
#define CPUS_MOST    64

enum {
    KEY_MEMORY = 0x200,
    KEY_CPUS,
    KEY_MACHINE,
    KEY_VMM,
    KEY_FIRECRACKER,
    KEY_ACCEL
};

static const struct argp_option options[] = {
    {0, 0, 0, 0, "The machine:", 20},
    {"memory", KEY_MEMORY, "SIZE", 0, "memory of the guest: 16M, 1.5G; default 64M, for bench 256M", 0},
    {"cpus", KEY_CPUS, "N", 0, "CPUs of the guest; default 2", 0},
    {"machine", KEY_MACHINE, "MODEL", 0, "QEMU's machine: microvm (default) or q35", 0},
    {"vmm", KEY_VMM, "NAME", 0, "qemu (default) or firecracker", 0},
    {"firecracker", KEY_FIRECRACKER, "PATH", 0, "Firecracker's binary, if not on the PATH; implies --vmm=firecracker",
     0},
    {"accel", KEY_ACCEL, "HOW", 0,
     "kvm, tcg (emulation), or auto (default): KVM where it works, else emulation, and a line that says so", 0},
    {0}};

void machine_defaults(struct machine *machine)
{
    *machine = (struct machine){.vmm = &qemu_class, .memory = 64ull << 20, .cpus = 2};
}

/* The place of `word` in `names`, or a line and the end. */
static int choice(const char *option, const char *word, const char *const *names, struct argp_state *state)
{
    char list[64] = "";
    size_t length = 0;
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(word, names[i]) == 0)
            return i;
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s",
                                   i == 0                 ? ""
                                   : names[i + 1] == NULL ? " or "
                                                          : ", ",
                                   names[i]);
    }
    argp_error(state, "--%s=%s: choose %s", option, word, list);
    return 0;
}

static void choose_memory(struct machine *machine, const char *text, struct argp_state *state)
{
    if (!parse_size(text, &machine->memory))
        argp_error(state, "--memory=%s: not a size; write a number and K, M or G, as in 64M", text);
    else if (machine->memory < MEMORY_LEAST || machine->memory > MEMORY_MOST)
        argp_error(state, "--memory=%s: a guest takes from 4M to 4T", text);
    machine->memory &= ~4095ull;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    static const char *const models[] = {"microvm", "q35", NULL};
    static const char *const vmms[] = {"qemu", "firecracker", NULL};
    static const char *const accels[] = {"auto", "kvm", "tcg", NULL};
    struct machine *machine = state->input;
    switch (key) {
    case KEY_MEMORY:
        choose_memory(machine, argument, state);
        return 0;
    case KEY_CPUS:
        if (!parse_number(argument, 1, CPUS_MOST, &machine->cpus))
            argp_error(state, "--cpus=%s: a guest takes from 1 to %d", argument, CPUS_MOST);
        return 0;
    case KEY_MACHINE:
        machine->model = (enum machine_model)choice("machine", argument, models, state);
        return 0;
    case KEY_VMM:
        machine->vmm = choice("vmm", argument, vmms, state) == 0 ? &qemu_class : &firecracker_class;
        return 0;
    case KEY_FIRECRACKER:
        machine->vmm = &firecracker_class;
        machine->vmm_path = argument;
        return 0;
    case KEY_ACCEL:
        machine->accel = (enum accel)choice("accel", argument, accels, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp machine_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

int machine_check(const struct machine *machine)
{
    if (machine->vmm == &firecracker_class && machine->model != MACHINE_MICROVM)
        return fail(EXIT_TOOL, "Firecracker has one machine of its own: leave --machine away");
    if (machine->vmm == &qemu_class && machine->vmm_path != NULL)
        return fail(EXIT_TOOL, "--firecracker and --vmm=qemu contradict each other");
    return 0;
}
