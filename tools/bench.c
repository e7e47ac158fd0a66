/*
 * `weir bench`: real programs, each on weir's malloc, musl's and jemalloc, as peers in the same guest.
 */
#include "tools/build.h"
#include "tools/cmdline.h"
#include "tools/commands.h"
#include "tools/machine_options.h"
#include "tools/message.h"
#include "tools/report.h"
#include "tools/results.h"
#include "tools/temporary.h"
#include "tools/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIAL_TIMEOUT 180.0

/* The programs, built from examples/. */
static const struct program {
    const char *name;
    const char *source;
    const char *library;   /* null for none */
    const char *arguments; /* of the program: a size at which there is something to measure */
} programs[] = {
    {"lua", "lua.c", "-llua5.4", "8 3"},
    {"sqlite", "sqlite.c", "-lsqlite3", ""},
    {"threads", "threads.c", NULL, ""},
    {"cpp", "containers.cc", NULL, ""},
};
#define PROGRAM_COUNT (sizeof programs / sizeof *programs)

_Static_assert(PROGRAM_COUNT * 3 <= TRIALS_MOST, "all trials have a place");

static const char *const allocators[] = {"weir", "musl", "jemalloc"};
#define ALLOCATOR_COUNT (sizeof allocators / sizeof *allocators)

struct bench {
    struct machine machine;
    const char *out;
    const char *examples;
    bool with_program[PROGRAM_COUNT];
    bool with_allocator[ALLOCATOR_COUNT];
    bool verbose;

    struct interrupts interrupts;
    struct toolchain tools;
    char *directory; /* intermediate files */
    struct results results;
    size_t total; /* of trials to do */
};

/* Options. */

enum {
    KEY_OUT = 0x400,
    KEY_PROGRAMS,
    KEY_MALLOCS,
    KEY_EXAMPLES,
    KEY_VERBOSE
};

static const struct argp_option options[] = {
    {"out", KEY_OUT, "DIR", 0, "where results.json, the images and the programs' output go; default build/run", 1},
    {"programs", KEY_PROGRAMS, "LIST", 0, "of lua,sqlite,threads,cpp; default all", 1},
    {"mallocs", KEY_MALLOCS, "LIST", 0, "of weir,musl,jemalloc; default all", 1},
    {"examples", KEY_EXAMPLES, "DIR", 0, "where the programs' sources are", 1},
    {"verbose", KEY_VERBOSE, 0, 0, "show the commands, and what the VMM says", 1},
    {0}};

static bool list_has(const char *list, const char *word)
{
    const size_t length = strlen(word);
    for (; *list != '\0'; list += strcspn(list, ","), list += *list == ',')
        if (strcspn(list, ",") == length && strncmp(list, word, length) == 0)
            return true;
    return false;
}

/* Sets wanted[i] for each of `names` in `list`; returns how many items of the list are none. */
static size_t choose(const char *list, const char *const *names, size_t count, bool *wanted)
{
    size_t items = 1;
    for (const char *c = list; *c != '\0'; c++)
        items += *c == ',';
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        wanted[i] = list_has(list, names[i]);
        found += wanted[i];
    }
    return items - found;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct bench *bench = state->input;
    const char *names[PROGRAM_COUNT];
    for (size_t i = 0; i < PROGRAM_COUNT; i++)
        names[i] = programs[i].name;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &bench->machine;
        return 0;
    case KEY_OUT:
        bench->out = argument;
        return 0;
    case KEY_PROGRAMS:
        if (choose(argument, names, PROGRAM_COUNT, bench->with_program) != 0)
            argp_error(state, "--programs=%s: choose of lua,sqlite,threads,cpp", argument);
        return 0;
    case KEY_MALLOCS:
        if (choose(argument, allocators, ALLOCATOR_COUNT, bench->with_allocator) != 0)
            argp_error(state, "--mallocs=%s: choose of weir,musl,jemalloc", argument);
        return 0;
    case KEY_EXAMPLES:
        bench->examples = argument;
        return 0;
    case KEY_VERBOSE:
        bench->verbose = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s: bench takes options only", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&machine_argp, 0, NULL, 0}, {0}};
static const struct argp bench_argp = {
    options,
    parse,
    NULL,
    "Runs real programs in guests on weir's malloc, musl's and jemalloc, and compares time and memory."
    "\vEach program takes memory, frees all of it, and waits: then the host's resident memory (RSS) of the VMM is read "
    "2 s later, and once more with the balloon at its limit. The table goes to stdout, all figures to "
    "DIR/results.json.\n"
    "\n"
    "Examples:\n"
    "  weir bench\n"
    "  weir bench --programs=lua,cpp --mallocs=weir,musl --accel=tcg\n"
    "\n"
    "Exit codes: 0 if all programs ran, 1 if one failed, else as of weir run.\n",
    children,
    NULL,
    NULL};

/* Progress: one line that changes on a terminal, a line for each trial elsewhere. */

static void progress_clear(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

static void progress_show(void *context, const struct trial *trial, uint64_t rss)
{
    const struct bench *bench = context;
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[K[%zu/%zu] %s on %s %s, RSS %.0f MiB", bench->results.count + 1, bench->total,
            trial->program, trial->allocator, trial_state_text(trial), mib(rss));
    fflush(stderr);
}

/* One trial. */

static void say_trial(const struct bench *bench, const struct trial *trial, const char *log)
{
    static const double mebibyte = 1048576;
    const double *figures = trial->figures;
    char place[64];
    snprintf(place, sizeof place, "[%zu/%zu] %s on %s", bench->results.count + 1, bench->total, trial->program,
             trial->allocator);
    if (trial_succeeded(trial)) {
        say("%s: %.2f s; RSS %.0f MiB, at most %.0f, 2 s after free %.0f, with balloon %.0f", place,
            figures[FIGURE_SECONDS], figures[FIGURE_RSS_BEFORE] / mebibyte, figures[FIGURE_RSS_PEAK] / mebibyte,
            figures[FIGURE_RSS_FREED] / mebibyte, figures[FIGURE_RSS_BALLOONED] / mebibyte);
        return;
    }
    quote_output("| ", trial->tail);
    say("%s FAILED (exit %d); all it printed is in %s", place, trial->code, log);
}

static void run_session(struct bench *bench, const char *image, const char *arguments, struct trial *trial)
{
    struct session *session = must_alloc(sizeof *session);
    struct guest_words guest = {.name = trial->program};
    words_add(&guest.env, "WEIR_PHASES=1");
    words_add_split(&guest.args, arguments);
    char *line = cmdline_build(&guest);
    session->machine = bench->machine;
    session->machine.image = image;
    session->machine.command_line = line;
    session->machine.verbose = bench->verbose;
    session->timeout = TRIAL_TIMEOUT;
    session->watch_balloon = true;
    trial_hook(session, trial);
    trial->code = session_run(session, &bench->interrupts);
    results_take_boot(&bench->results, session);
    /* One guest found KVM wanting: the others need not try again. */
    if (bench->machine.accel == ACCEL_AUTO && session->accel == ACCEL_TCG)
        bench->machine.accel = ACCEL_TCG;
    session_close(session);
    free(session);
    free(line);
    words_free(&guest.env);
    words_free(&guest.args);
}

static void run_trial(struct bench *bench, const char *image, const char *arguments, struct trial *trial)
{
    char *log = must_format("%s/%s-%s.log", bench->out, trial->program, trial->allocator);
    trial->log = fopen(log, "we");
    trial->progress = progress_show;
    trial->progress_context = bench;
    run_session(bench, image, arguments, trial);
    if (trial->log != NULL)
        fclose(trial->log);
    trial->log = NULL;
    progress_clear();
    if (bench->interrupts.caught == 0)
        say_trial(bench, trial, log);
    free(log);
}

static int build_and_run(struct bench *bench, const struct program *program)
{
    struct build_request request = {.verbose = bench->verbose};
    struct words objects = {0};
    words_addf(&request.inputs, "%s/%s", bench->examples, program->source);
    if (program->library != NULL)
        words_add(&request.inputs, program->library);
    int code = build_compile(&bench->interrupts, &bench->tools, &request, bench->directory, &objects);
    for (size_t i = 0; i < ALLOCATOR_COUNT && code == 0; i++) {
        if (!bench->with_allocator[i])
            continue;
        char *image = must_format("%s/%s-%s.img", bench->out, program->name, allocators[i]);
        struct trial *trial = &bench->results.trials[bench->results.count];
        *trial = trial_new(program->name, allocators[i]);
        request.output = image;
        request.malloc_name = allocators[i];
        code = build_link(&bench->interrupts, &bench->tools, &request, bench->directory, &objects);
        struct stat info;
        if (code == 0 && stat(image, &info) == 0)
            trial->image_bytes = (uint64_t)info.st_size;
        if (code == 0) {
            run_trial(bench, image, program->arguments, trial);
            bench->results.count++;
        }
        if (bench->interrupts.caught != 0)
            code = EXIT_SIGNAL + bench->interrupts.caught;
        free(image);
    }
    words_free(&objects);
    build_request_free(&request);
    return code;
}

/* The command. */

static int make_directories(const char *path)
{
    char *copy = must_duplicate(path);
    for (char *slash = copy + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(copy, 0777);
        *slash = '/';
    }
    const int error = mkdir(copy, 0777) == 0 || errno == EEXIST ? 0 : errno;
    free(copy);
    return error == 0 ? 0 : fail(EXIT_TOOL, "--out=%s: %s", path, strerror(error));
}

static int bench_all(struct bench *bench)
{
    int code = 0;
    for (size_t i = 0; i < PROGRAM_COUNT && code == 0; i++)
        if (bench->with_program[i])
            code = build_and_run(bench, &programs[i]);
    if (bench->results.count > 0 && bench->interrupts.caught == 0) {
        char *path = must_format("%s/results.json", bench->out);
        const int written = report_write(results_json(&bench->results), path);
        free(path);
        results_print(&bench->results, stdout);
        code = code != 0 ? code : written;
    }
    for (size_t i = 0; i < bench->results.count && code == 0; i++)
        code = trial_succeeded(&bench->results.trials[i]) ? 0 : 1;
    return code;
}

static int bench_run(struct bench *bench)
{
    int code = make_directories(bench->out);
    if (code == 0)
        code = toolchain_find(&bench->tools, &bench->interrupts, bench->verbose);
    if (code == 0 && (bench->directory = temporary_create()) == NULL)
        code = EXIT_TOOL;
    if (code == 0)
        code = bench_all(bench);
    temporary_remove(bench->directory);
    toolchain_free(&bench->tools);
    results_free(&bench->results);
    return code;
}

int bench_command(int argc, char **argv)
{
    struct bench *bench = must_alloc(sizeof *bench);
    const char *examples = getenv("WEIR_EXAMPLES");
    machine_defaults(&bench->machine);
    bench->results.machine = &bench->machine;
    bench->machine.memory = 256u << 20;
    bench->out = "build/run";
    bench->examples = examples != NULL ? examples : WEIR_EXAMPLES;
    memset(bench->with_program, true, sizeof bench->with_program);
    memset(bench->with_allocator, true, sizeof bench->with_allocator);
    argp_parse(&bench_argp, argc, argv, 0, NULL, bench);
    size_t program_count = 0;
    size_t allocator_count = 0;
    for (size_t i = 0; i < PROGRAM_COUNT; i++)
        program_count += bench->with_program[i];
    for (size_t i = 0; i < ALLOCATOR_COUNT; i++)
        allocator_count += bench->with_allocator[i];
    bench->total = program_count * allocator_count;
    int code = machine_check(&bench->machine);
    if (code == 0 && (code = interrupts_open(&bench->interrupts)) == 0) {
        code = bench_run(bench);
        interrupts_close(&bench->interrupts);
    }
    free(bench);
    return code;
}
