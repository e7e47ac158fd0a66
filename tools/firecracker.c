/*
 * Firecracker: configured, started and watched through its API on a socket in the session's directory. The guest's
 * serial port is on stdin and stdout; Firecracker's own words go to a log beside the socket, or they would cut the
 * guest's lines in two.
 */
#include "tools/api.h"
#include "tools/message.h"
#include "tools/quantity.h"
#include "tools/sample.h"
#include "tools/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_TIME 10.0 /* seconds for each step of the start */
#define CPU_LIMIT  32

struct firecracker {
    struct vmm vmm; /* first: the two are cast into each other */
    struct api api;
    char *socket;
    char *log;
    char *refusal; /* what the API said no to, while the guest is being started */
    bool running;
};

static struct firecracker *of(struct vmm *vmm)
{
    return (struct firecracker *)vmm;
}

static void answered(void *context, const char *path, json_t *answer, const char *error)
{
    struct firecracker *firecracker = context;
    struct vmm *vmm = &firecracker->vmm;
    if (strcmp(path, "/version") == 0 && error == NULL) {
        const char *version = json_string_value(json_object_get(answer, "firecracker_version"));
        snprintf(vmm->version, sizeof vmm->version, "%s", version != NULL ? version : "");
    }
    if (strcmp(path, "/balloon/statistics") == 0 && error == NULL) {
        json_t *actual = json_object_get(answer, "actual_mib");
        if (json_is_integer(actual))
            vmm->balloon = (uint64_t)json_integer_value(actual) << 20;
    }
    if (!firecracker->running && error != NULL && firecracker->refusal == NULL)
        firecracker->refusal = must_format("%s: %s", path, error);
    /* The statistics may not be there yet; nothing is lost. */
    if (firecracker->running && error != NULL && strcmp(path, "/balloon") == 0)
        say("Firecracker refuses to set the balloon: %s", error);
}

/* One request and its answer, before the guest runs. Returns whether it was granted; if not, `refusal` says why. */
static bool granted(struct firecracker *firecracker, const char *method, const char *path, json_t *body)
{
    free(firecracker->refusal);
    firecracker->refusal = NULL;
    api_send(&firecracker->api, method, path, body);
    if (!api_finish(&firecracker->api, START_TIME) && firecracker->refusal == NULL)
        firecracker->refusal = must_format("%s: no answer", path);
    return firecracker->refusal == NULL;
}

static json_t *balloon(bool reporting)
{
    json_t *body = json_pack("{s:i, s:b, s:i}", "amount_mib", 0, "deflate_on_oom", 1, "stats_polling_interval_s", 1);
    if (reporting)
        json_object_set_new(body, "free_page_reporting", json_true());
    return body;
}

static bool configure(struct firecracker *firecracker, const struct machine *machine)
{
    return granted(firecracker, "PUT", "/machine-config",
                   json_pack("{s:i, s:I}", "vcpu_count", (int)machine->cpus, "mem_size_mib",
                             (json_int_t)(machine->memory >> 20))) &&
           granted(firecracker, "PUT", "/boot-source",
                   json_pack("{s:s, s:s}", "kernel_image_path", machine->image, "boot_args", machine->command_line));
}

/* Releases before free page reporting refuse a balloon that asks for it; such a guest gives back by the balloon alone.
 */
static bool add_balloon(struct firecracker *firecracker)
{
    if (granted(firecracker, "PUT", "/balloon", balloon(true)))
        return true;
    if (!granted(firecracker, "PUT", "/balloon", balloon(false)))
        return false;
    say("this Firecracker (%s) has no free page reporting: freed memory flows back through the balloon only",
        firecracker->vmm.version);
    return true;
}

/* Asks for the version until there is an answer. False if the process ended or the time was up. */
static bool wait_for_answer(struct firecracker *firecracker)
{
    const double deadline = clock_now() + START_TIME;
    while (access(firecracker->socket, F_OK) != 0 || !granted(firecracker, "GET", "/version", NULL)) {
        if (process_ended(&firecracker->vmm.process) || clock_now() > deadline)
            return false;
        usleep(500);
    }
    return true;
}

static int boot(struct firecracker *firecracker, const struct machine *machine)
{
    if (!wait_for_answer(firecracker))
        return process_ended(&firecracker->vmm.process)
                   ? 0 /* the session finds it gone and shows its words */
                   : fail(EXIT_TOOL, "Firecracker does not answer on its socket: is %s really Firecracker?",
                          machine->vmm_path != NULL ? machine->vmm_path : "firecracker on the PATH");
    if (configure(firecracker, machine) && add_balloon(firecracker) &&
        granted(firecracker, "PUT", "/actions", json_pack("{s:s}", "action_type", "InstanceStart"))) {
        firecracker->running = true;
        firecracker->vmm.ready = true;
        return 0;
    }
    /* A connection that broke is the first sign of a process that ends, which then has more to say. */
    poll(&(struct pollfd){firecracker->vmm.process.handle, POLLIN, 0}, 1, 200);
    if (process_ended(&firecracker->vmm.process))
        return 0;
    return fail(EXIT_TOOL, "Firecracker does not start the guest: %s", firecracker->refusal);
}

static void firecracker_release(struct vmm *vmm)
{
    struct firecracker *firecracker = of(vmm);
    process_close(&vmm->process);
    api_close(&firecracker->api);
    free(firecracker->refusal);
    free(firecracker->socket);
    free(firecracker->log);
    free(firecracker);
}

static int check(const struct machine *machine)
{
    if (machine->memory % (1 << 20) != 0)
        return fail(EXIT_TOOL, "Firecracker gives memory in whole MiB: choose another --memory");
    if (machine->cpus > CPU_LIMIT)
        return fail(EXIT_TOOL, "Firecracker has at most %d CPUs: choose fewer --cpus", CPU_LIMIT);
    return 0;
}

static int start_process(struct firecracker *firecracker, const struct machine *machine, const char *path)
{
    /* Firecracker opens its log, but older ones do not create it. */
    const int log = open(firecracker->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0)
        return fail(EXIT_TOOL, "%s: %s", firecracker->log, strerror(errno));
    close(log);
    struct words words = {0};
    words_add(&words, path);
    words_add(&words, "--api-sock");
    words_add(&words, firecracker->socket);
    words_add(&words, "--log-path");
    words_add(&words, firecracker->log);
    words_add_split(&words, "--level Warn");
    if (machine->verbose)
        say_words(&words);
    const int error = process_start(&firecracker->vmm.process, &words, PIPE_INPUT | PIPE_OUTPUT | PIPE_ERRORS, -1);
    words_free(&words);
    return error == 0 ? 0 : fail(EXIT_CANNOT_RUN, "%s does not start: %s", path, strerror(error));
}

static int firecracker_start(struct vmm **vmm, const struct machine *machine, const char *path, enum accel accel)
{
    (void)accel; /* always KVM */
    int code = check(machine);
    if (code != 0)
        return code;
    struct firecracker *firecracker = must_alloc(sizeof *firecracker);
    firecracker->vmm = (struct vmm){.class = &firecracker_class,
                                    .memory = machine->memory,
                                    .process = {.handle = -1, .input = -1, .output = -1, .errors = -1}};
    firecracker->socket = must_format("%s/api.sock", machine->directory);
    firecracker->log = must_format("%s/firecracker.log", machine->directory);
    if (!api_open(&firecracker->api, firecracker->socket, answered, firecracker))
        code = fail(EXIT_TOOL, "libcurl does not start");
    if (code == 0)
        code = start_process(firecracker, machine, path);
    if (code == 0)
        code = boot(firecracker, machine);
    if (code == 0)
        *vmm = &firecracker->vmm;
    else
        firecracker_release(&firecracker->vmm);
    return code;
}

static struct pollfd firecracker_watch(struct vmm *vmm)
{
    return api_watch(&of(vmm)->api);
}

static int firecracker_patience(struct vmm *vmm)
{
    return api_patience(&of(vmm)->api);
}

static void firecracker_attend(struct vmm *vmm)
{
    api_attend(&of(vmm)->api);
}

static void firecracker_inflate(struct vmm *vmm, uint64_t bytes)
{
    const uint64_t most = vmm->memory >> 20;
    const uint64_t wanted = bytes >= vmm->memory ? most : bytes >> 20;
    api_send(&of(vmm)->api, "PATCH", "/balloon", json_pack("{s:I}", "amount_mib", (json_int_t)wanted));
}

static void firecracker_ask_balloon(struct vmm *vmm)
{
    if (!api_is_busy_with(&of(vmm)->api, "/balloon/statistics"))
        api_send(&of(vmm)->api, "GET", "/balloon/statistics", NULL);
}

static char *firecracker_last_words(struct vmm *vmm)
{
    FILE *file = fopen(of(vmm)->log, "re");
    if (file == NULL)
        return NULL;
    char *text = must_alloc(2048);
    fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    fseek(file, size > 2047 ? size - 2047 : 0, SEEK_SET);
    text[fread(text, 1, 2047, file)] = '\0';
    fclose(file);
    return text;
}

const struct vmm_class firecracker_class = {
    .name = "firecracker",
    .program = "firecracker",
    .install = "download a release from its repository, and name it with --firecracker PATH",
    .command_line_limit = 2048 - 256, /* Firecracker adds its devices */
    .emulates = false,
    .any_byte = false,
    .start = firecracker_start,
    .watch = firecracker_watch,
    .patience = firecracker_patience,
    .attend = firecracker_attend,
    .inflate = firecracker_inflate,
    .ask_balloon = firecracker_ask_balloon,
    .last_words = firecracker_last_words,
    .release = firecracker_release,
};
