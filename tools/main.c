/*
 * weir: builds images, runs them, compares allocators in them.
 */
#include "tools/commands.h"
#include "tools/message.h"

#include <argp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"build", "make a bootable image from C or C++ sources, objects, archives", build_command},
    {"run", "run an image, or sources, in a virtual machine", run_command},
    {"bench", "run real programs on weir, musl and jemalloc, and compare", bench_command},
};

static void print_help(FILE *file)
{
    fputs("Usage: weir COMMAND [OPTIONS]\n"
          "Programs as unikernels whose freed memory flows back to the host.\n\n",
          file);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(file, "  weir %-6s %s\n", commands[i].name, commands[i].summary);
    fputs("  weir help COMMAND   the command's options, with examples\n"
          "  weir --version\n"
          "\n"
          "A first guest:\n"
          "  weir run hello.c\n",
          file);
}

static int run_by_name(const char *name, int argc, char **argv)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0) {
            char *full = must_format("weir %s", name);
            argv[0] = full;
            const int code = commands[i].run(argc, argv);
            free(full);
            return code;
        }
    return fail(EXIT_TOOL, "there is no command \"%s\": weir help lists them", name);
}

static int help(int argc, char **argv)
{
    if (argc > 1) {
        char option[] = "--help";
        char *words[] = {argv[1], option, NULL};
        return run_by_name(argv[1], 2, words);
    }
    print_help(stdout);
    return 0;
}

/* Descriptors 0 to 2 may be closed; then no other file is to get their numbers. */
static void fill_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
            _exit(EXIT_TOOL);
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    argp_err_exit_status = EXIT_TOOL;
    if (argc < 2) {
        print_help(stderr);
        return EXIT_TOOL;
    }
    const char *word = argv[1];
    if (strcmp(word, "help") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "-?") == 0)
        return help(1, argv);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("weir " WEIR_VERSION);
        return 0;
    }
    return run_by_name(word, argc - 1, argv + 1);
}
