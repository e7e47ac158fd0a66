/*
 * The options that describe the machine, common to `weir run` and `weir bench`.
 */
#ifndef WEIR_TOOLS_MACHINE_OPTIONS_H
#define WEIR_TOOLS_MACHINE_OPTIONS_H

#include "tools/vmm.h"

#include <argp.h>

/* To be a child of a command's argp, with a struct machine as its input. */
extern const struct argp machine_argp;

void machine_defaults(struct machine *machine);

/* What no single option can know: fails with a line if the options do not go together. */
int machine_check(const struct machine *machine);

#endif
