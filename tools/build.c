/*
 * `weir build`, and the options of all commands that build.
 */
#include "tools/build.h"
#include "tools/commands.h"

#include "tools/message.h"
#include "tools/quantity.h"
#include "tools/temporary.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    KEY_MALLOC = 0x300,
    KEY_CFLAGS,
    KEY_VERBOSE,
    KEY_KEEP
};

static const struct argp_option options[] = {
    {0, 0, 0, 0, "Building:", 10},
    {"malloc", KEY_MALLOC, "NAME", 0, "the program's malloc: weir (default), musl, or jemalloc", 0},
    {0, 'O', "LEVEL", 0, "optimization; default 2", 0},
    {0, 'g', 0, 0, "debug information and all symbols in the image", 0},
    {0, 'I', "DIR", 0, "look for headers in DIR, too", 0},
    {0, 'D', "NAME[=VALUE]", 0, "define a macro", 0},
    {0, 'l', "NAME", 0, "link libNAME.a: of -L, of musl, of the system", 0},
    {0, 'L', "DIR", 0, "look for archives in DIR, too", 0},
    {"cflags", KEY_CFLAGS, "FLAGS", 0, "more options for the compilers, between blanks", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct build_request *request = state->input;
    switch (key) {
    case KEY_MALLOC:
        if (strcmp(argument, "weir") != 0 && strcmp(argument, "musl") != 0 && strcmp(argument, "jemalloc") != 0)
            argp_error(state, "--malloc=%s: choose weir, musl or jemalloc", argument);
        request->malloc_name = argument;
        return 0;
    case 'O':
        words_addf(&request->cflags, "-O%s", argument);
        return 0;
    case 'g':
        words_add(&request->cflags, "-g");
        request->debug = true;
        return 0;
    case 'I':
        words_addf(&request->cflags, "-I%s", argument);
        return 0;
    case 'D':
        words_addf(&request->cflags, "-D%s", argument);
        return 0;
    case 'l':
        words_addf(&request->inputs, "-l%s", argument);
        return 0;
    case 'L':
        words_add(&request->library_dirs, argument);
        return 0;
    case KEY_CFLAGS:
        words_add_split(&request->cflags, argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp build_argp = {options, parse_option, NULL, NULL, NULL, NULL, NULL};

void build_request_free(struct build_request *request)
{
    words_free(&request->inputs);
    words_free(&request->library_dirs);
    words_free(&request->cflags);
}

/* The command. */

struct build_options {
    struct build_request request;
    bool keep;
};

static const struct argp_option command_options[] = {
    {0, 'o', "IMAGE", 0, "where the image goes (required)", 1},
    {"keep", KEY_KEEP, 0, 0, "keep the intermediate files, and say where they are", 1},
    {"verbose", KEY_VERBOSE, 0, 0, "show every command", 1},
    {0}};

static error_t parse_command(int key, char *argument, struct argp_state *state)
{
    struct build_options *build = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &build->request;
        return 0;
    case 'o':
        build->request.output = argument;
        return 0;
    case KEY_KEEP:
        build->keep = true;
        return 0;
    case KEY_VERBOSE:
        build->request.verbose = true;
        return 0;
    case ARGP_KEY_ARG:
        words_add(&build->request.inputs, argument);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "nothing to build: name a source, an object or an archive");
        return 0;
    case ARGP_KEY_END:
        if (build->request.output == NULL && state->arg_num > 0)
            argp_error(state, "where to? Name the image with -o IMAGE");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child command_children[] = {{&build_argp, 0, NULL, 0}, {0}};
static const struct argp command_argp = {
    command_options,
    parse_command,
    "SOURCE.c|.cc|.o|.a… -o IMAGE",
    "Makes a bootable image from C or C++ sources, objects and archives."
    "\vThe image boots by the PVH entry of QEMU (microvm, q35) and of Firecracker. C is compiled over musl's headers, "
    "C++ over "
    "libstdc++; $CC and $CXX name other compilers than gcc and g++.\n"
    "\n"
    "Examples:\n"
    "  weir build hello.c -o hello.img\n"
    "  weir build main.cc lib.o -O3 -g -o main.img\n"
    "  weir build script.c -l lua5.4 --malloc=jemalloc -o script.img\n"
    "\n"
    "Exit codes: 0, 125 what failed was said, 127 something is not installed.\n",
    command_children,
    NULL,
    NULL};

/* An input named twice as the output would be destroyed by the linker. */
static int check_output(const struct build_request *request)
{
    struct stat output;
    struct stat input;
    if (stat(request->output, &output) != 0)
        return 0;
    if (S_ISDIR(output.st_mode))
        return fail(EXIT_TOOL, "-o %s: that is a directory", request->output);
    for (size_t i = 0; i < request->inputs.count; i++)
        if (stat(request->inputs.items[i], &input) == 0 && input.st_ino == output.st_ino &&
            input.st_dev == output.st_dev)
            return fail(EXIT_TOOL, "-o %s would overwrite an input", request->output);
    return 0;
}

static int build(struct interrupts *interrupts, const struct build_options *command)
{
    int code = check_output(&command->request);
    char *directory = code == 0 ? temporary_create() : NULL;
    if (directory == NULL)
        return code != 0 ? code : EXIT_TOOL;
    code = build_image(interrupts, &command->request, directory);
    if (command->keep) {
        say("intermediate files are in %s", directory);
        free(directory);
    } else {
        temporary_remove(directory);
    }
    return code;
}

int build_command(int argc, char **argv)
{
    struct build_options command = {0};
    argp_parse(&command_argp, argc, argv, 0, NULL, &command);
    struct interrupts interrupts;
    int code = interrupts_open(&interrupts);
    if (code == 0) {
        code = build(&interrupts, &command);
        interrupts_close(&interrupts);
    }
    build_request_free(&command.request);
    return code;
}
