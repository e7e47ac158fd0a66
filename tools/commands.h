/*
 * The commands. Each takes what stands behind its name (argv[0] is "weir NAME") and returns the tool's exit code.
 */
#ifndef WEIR_TOOLS_COMMANDS_H
#define WEIR_TOOLS_COMMANDS_H

int build_command(int argc, char **argv);
int run_command(int argc, char **argv);
int bench_command(int argc, char **argv);

#endif
