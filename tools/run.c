/*
 * `weir run`: one guest, as if it were a program of the host.
 */
#include "platform/kernel/command_line.h"
#include "tools/build.h"
#include "tools/cmdline.h"
#include "tools/commands.h"
#include "tools/image.h"
#include "tools/machine_options.h"
#include "tools/message.h"
#include "tools/report.h"
#include "tools/session.h"
#include "tools/temporary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    KEY_BALLOON = 0x100,
    KEY_ENV,
    KEY_OPTION,
    KEY_TIMEOUT,
    KEY_JSON,
    KEY_VERBOSE
};

struct run_options {
    struct machine machine;
    struct build_request build; /* its inputs are what is to run */
    struct guest_words guest;
    struct balloon_step *steps;
    size_t step_count;
    double timeout;
    const char *json;
    bool verbose;
};

static const struct argp_option options[] = {
    {0, 0, 0, 0, "The guest:", 1},
    {"balloon", KEY_BALLOON, "SIZE@TIME,…", 0,
     "inflate the balloon to SIZE at TIME seconds after main: 256M@1.5,1G@4,0@6; SIZE counts what the balloon holds, "
     "taken from "
     "the guest; max takes all that the guest can spare",
     0},
    {"env", KEY_ENV, "NAME=VALUE", 0, "set a variable of the program's environment", 0},
    {"option", KEY_OPTION, "weir.X=Y", 0, "an option for weir's kernel", 0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "kill the guest that runs longer, and exit with 124", 0},
    {"json", KEY_JSON, "FILE", 0, "write what was measured to FILE: boot, phases, the host's memory over time", 0},
    {"verbose", KEY_VERBOSE, 0, 0, "show the commands, and what the VMM says", 0},
    {0}};

static void add_env(struct run_options *run, const char *text, struct argp_state *state)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || strcspn(text, " \t\n'\"\\") < (size_t)(equals - text))
        argp_error(state, "--env %s: write NAME=VALUE", text);
    words_add(&run->guest.env, text);
}

static void add_option(struct run_options *run, const char *text, struct argp_state *state)
{
    if (strncmp(text, "weir.", 5) != 0 || strpbrk(text, " \t\n'\"\\") != NULL)
        argp_error(state, "--option %s: an option for weir looks like weir.report=off", text);
    words_add(&run->guest.options, text);
}

static void set_balloon(struct run_options *run, const char *text, struct argp_state *state)
{
    const char *fault;
    free(run->steps);
    if (!parse_balloon_steps(text, &run->steps, &run->step_count, &fault))
        argp_error(state, "--balloon: \"%.*s\" is not SIZE@TIME, as in 256M@1.5 or max@3", (int)strcspn(fault, ","),
                   fault);
}

/*
 * The program's arguments stand behind the first "--" and are no business of argp, which moves words about: takes them,
 * and returns how many words are left.
 */
static int take_program_arguments(struct run_options *run, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        for (int j = i + 1; j < argc; j++)
            words_add(&run->guest.args, argv[j]);
        argv[i] = NULL;
        return i;
    }
    return argc;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct run_options *run = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &run->machine;
        state->child_inputs[1] = &run->build;
        return 0;
    case KEY_BALLOON:
        set_balloon(run, argument, state);
        return 0;
    case KEY_ENV:
        add_env(run, argument, state);
        return 0;
    case KEY_OPTION:
        add_option(run, argument, state);
        return 0;
    case KEY_TIMEOUT:
        if (!parse_seconds(argument, &run->timeout) || run->timeout == 0)
            argp_error(state, "--timeout=%s: not a number of seconds", argument);
        return 0;
    case KEY_JSON:
        run->json = argument;
        return 0;
    case KEY_VERBOSE:
        run->verbose = true;
        return 0;
    case ARGP_KEY_ARG:
        words_add(&run->build.inputs, argument);
        return 0;
    case ARGP_KEY_END:
        if (run->build.inputs.count == 0)
            argp_error(state, "nothing to run: name an image or sources");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&machine_argp, 0, NULL, 0}, {&build_argp, 0, NULL, 0}, {0}};
static const struct argp run_argp = {options,
                                     parse,
                                     "IMAGE|SOURCE… [-- ARGS…]",
                                     "Runs an image in a virtual machine, or builds sources and runs them."
                                     "\vThe guest's console is stdin and stdout; the tool's own words are on stderr. "
                                     "What stands after -- are the program's "
                                     "arguments. Ctrl-C ends the guest.\n"
                                     "\n"
                                     "Examples:\n"
                                     "  weir run hello.c\n"
                                     "  weir run lua.img --memory=16M -- script.lua \"two words\"\n"
                                     "  weir run job.img --memory=2G --balloon=1G@2,0@5 --json=job.json\n"
                                     "  weir run job.img --machine=q35 --accel=tcg --env LANG=C --timeout=10\n"
                                     "  weir run job.img --firecracker=./firecracker\n"
                                     "\n"
                                     "Exit codes: the program's own, 128 + N if signal N ended it; 124 after "
                                     "--timeout, 125 the tool or the VMM failed, 126 not "
                                     "something that runs, 127 not found.\n"
                                     "\n"
                                     "--json writes {machine, image, boot_ms, exit, seconds, rss_mib, samples, phases, "
                                     "peak_bytes}; times count from main, "
                                     "rss is the VMM's resident memory.\n",
                                     children,
                                     NULL,
                                     NULL};

/* Files that fail late are opened early: an hour's run is not to be lost to a mistyped name. */
static int check_json(const char *path)
{
    if (path == NULL)
        return 0;
    FILE *file = fopen(path, "ae");
    if (file == NULL)
        return fail(EXIT_TOOL, "--json=%s: %s", path, strerror(errno));
    fclose(file);
    return 0;
}

static int check_image(const char *path, struct image_facts *facts, const char *malloc_name)
{
    struct image image;
    const int error = image_open(&image, path);
    if (error != 0)
        return fail(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, "%s: %s", path, strerror(error));
    int code = 0;
    switch (image_kind(&image)) {
    case IMAGE_BOOTABLE:
        break;
    case IMAGE_OBJECT:
    case IMAGE_NOT_PVH:
        code = fail(EXIT_CANNOT_RUN, "%s is a program, but not an image that boots: make one with weir build", path);
        break;
    case IMAGE_NOT_ELF:
        code = fail(EXIT_CANNOT_RUN, "%s is neither an image nor a source (.c, .cc, .cpp, .S, .o, .a)", path);
        break;
    }
    const char *built_with = image_info(&image, "malloc");
    facts->bytes = image.size;
    snprintf(facts->malloc_name, sizeof facts->malloc_name, "%s", built_with != NULL ? built_with : "unknown");
    if (code == 0 && malloc_name != NULL && built_with == NULL)
        code = fail(EXIT_TOOL, "%s does not say which malloc is in it: --malloc is for sources", path);
    else if (code == 0 && malloc_name != NULL && strcmp(malloc_name, built_with) != 0)
        code = fail(EXIT_TOOL, "%s was built with --malloc=%s: build it again for another, or run its sources", path,
                    facts->malloc_name);
    image_close(&image);
    return code;
}

/* The program's name in the guest: the first input without directories and suffix. */
static char *program_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = must_duplicate(slash != NULL ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name)
        *dot = '\0';
    return name;
}

static int prepare_image(struct interrupts *interrupts, struct run_options *run, const char *directory, char **image)
{
    const struct words *inputs = &run->build.inputs;
    const char *first = inputs->items[0];
    if (!is_build_input(first) && strncmp(first, "-l", 2) != 0) {
        if (inputs->count > 1)
            return fail(EXIT_TOOL, "%s: only one image can run; arguments for the program go behind --",
                        inputs->items[1]);
        *image = realpath(first, NULL);
        return *image != NULL
                   ? 0
                   : fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, "%s: %s", first, strerror(errno));
    }
    *image = must_format("%s/image", directory);
    run->build.output = *image;
    run->build.verbose = run->verbose;
    return build_image(interrupts, &run->build, directory);
}

static int check_balloon(const struct run_options *run)
{
    char size[16];
    char memory[16];
    for (size_t i = 0; i < run->step_count; i++)
        if (run->steps[i].bytes > run->machine.memory && run->steps[i].bytes != BALLOON_MAX)
            return fail(EXIT_TOOL, "--balloon: %s is more than the guest's memory of %s; max takes what it can spare",
                        format_size(size, run->steps[i].bytes), format_size(memory, run->machine.memory));
    return 0;
}

#define DEVICE_WORDS 8 /* that a VMM may add */

static int check_command_line(const struct machine *machine, const struct guest_words *guest)
{
    const size_t length = strlen(machine->command_line) + 1;
    if (length > machine->vmm->command_line_limit)
        return fail(EXIT_TOOL, "arguments and environment take %zu bytes: %s passes on at most %zu", length,
                    machine->vmm->name, machine->vmm->command_line_limit);
    if (cmdline_words(guest) > COMMAND_WORDS - DEVICE_WORDS)
        return fail(EXIT_TOOL, "arguments and environment are %zu words: the guest takes at most %d",
                    cmdline_words(guest), COMMAND_WORDS - DEVICE_WORDS);
    if (!machine->vmm->any_byte && !cmdline_is_ascii(machine->command_line))
        return fail(EXIT_TOOL, "%s passes on printable ASCII only: use --vmm=qemu for other arguments",
                    machine->vmm->name);
    return 0;
}

static int run_session(struct interrupts *interrupts, struct run_options *run, const struct image_facts *facts)
{
    struct session *session = must_alloc(sizeof *session);
    session->machine = run->machine;
    session->steps = run->steps;
    session->step_count = run->step_count;
    session->watch_balloon = run->step_count > 0;
    session->timeout = run->timeout;
    session->forward_input = true;
    int code = session_run(session, interrupts);
    if (session->end == END_EXIT && session->steps_done < run->step_count)
        say("the program ended before step %zu of --balloon", session->steps_done + 1);
    if (run->json != NULL && session->end != END_NO_START) {
        const int written = report_write(report_session(session, facts, code), run->json);
        code = written != 0 ? written : code;
    }
    session_close(session);
    free(session);
    return code;
}

static int run(struct interrupts *interrupts, struct run_options *run)
{
    struct image_facts facts;
    char *image = NULL;
    char *directory = temporary_create();
    int code = directory == NULL ? EXIT_TOOL : prepare_image(interrupts, run, directory, &image);
    if (code == 0)
        code = check_image(image, &facts, run->build.malloc_name);
    char *name = program_name(run->build.inputs.items[0]);
    run->guest.name = name;
    char *line = cmdline_build(&run->guest);
    run->machine.image = image;
    run->machine.command_line = line;
    run->machine.verbose = run->verbose;
    if (code == 0)
        code = check_command_line(&run->machine, &run->guest);
    if (code == 0)
        code = run_session(interrupts, run, &facts);
    free(line);
    free(name);
    free(image);
    temporary_remove(directory);
    return code;
}

static void run_options_free(struct run_options *run)
{
    build_request_free(&run->build);
    words_free(&run->guest.options);
    words_free(&run->guest.env);
    words_free(&run->guest.args);
    free(run->steps);
}

int run_command(int argc, char **argv)
{
    struct run_options command = {0};
    machine_defaults(&command.machine);
    argc = take_program_arguments(&command, argc, argv);
    argp_parse(&run_argp, argc, argv, 0, NULL, &command);
    struct interrupts interrupts;
    int code = machine_check(&command.machine);
    if (code == 0)
        code = check_balloon(&command);
    if (code == 0)
        code = check_json(command.json);
    if (code == 0 && (code = interrupts_open(&interrupts)) == 0) {
        code = run(&interrupts, &command);
        interrupts_close(&interrupts);
    }
    run_options_free(&command);
    return code;
}
