#include "tools/session.h"

#include "tools/ending.h"
#include "tools/message.h"
#include "tools/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLE_INTERVAL 0.05
#define INPUT_FULL      65536
/* A serial port has nowhere to keep what its reader does not take: the guest's output waits here for a slow stdout. */
#define OUTPUT_FULL (64u << 20)
#define LEAVE_TIME  2.0 /* for the VMM to end after the guest has */

/* What comes out of the guest. */

static void on_text(void *context, const char *data, size_t length)
{
    struct session *session = context;
    session->spoke = true;
    if (session->hooks.output != NULL)
        session->hooks.output(session, data, length);
    else
        outlet_put(&session->to_stdout, data, length);
}

static void on_main(struct session *session, const char *rest)
{
    double microseconds = 0;
    frame_number(rest, "us", &microseconds);
    session->main_time = clock_now();
    session->entry_time = session->main_time - microseconds * 1e-6;
    session->rss_start = session_sample(session);
}

static void on_exit_frame(struct session *session, const char *rest)
{
    unsigned code;
    if (!parse_number(rest, 0, 255, &code))
        return;
    session->rss_end = session_sample(session);
    session->end = END_EXIT;
    session->guest_exit = (int)code;
    session->end_time = clock_now();
    session->leave_by = session->end_time + LEAVE_TIME;
}

static void on_phase(struct session *session, const char *rest)
{
    json_t *keys = json_object();
    const size_t length = strcspn(rest, " ");
    frame_to_json(rest + length, keys);
    json_object_set_new(keys, "name", json_stringn(rest, length));
    session->phases = must_realloc(session->phases, (session->phase_count + 1) * sizeof *session->phases);
    session->phases[session->phase_count++] =
        (struct phase){.time = clock_now(), .rss = session_sample(session), .keys = keys};
}

static void on_frame(void *context, const struct frame *frame)
{
    struct session *session = context;
    double bytes;
    if (strcmp(frame->word, "main") == 0)
        on_main(session, frame->rest);
    else if (strcmp(frame->word, "exit") == 0)
        on_exit_frame(session, frame->rest);
    else if (strcmp(frame->word, "phase") == 0)
        on_phase(session, frame->rest);
    else if (strcmp(frame->word, "memory") == 0 && frame_number(frame->rest, "peak", &bytes) && bytes >= 0)
        session->guest_peak = (uint64_t)bytes;
    if (session->hooks.frame != NULL)
        session->hooks.frame(session, frame);
}

/* At its end a pipe is always readable: it is not polled any more. */
static void close_once(int *fd)
{
    close(*fd);
    *fd = -1;
}

/* Returns false once there is nothing more to come. */
static bool read_console(struct session *session)
{
    char data[16384];
    const ssize_t length = read(session->vmm->process.output, data, sizeof data);
    if (length > 0)
        console_feed(&session->console, data, (size_t)length);
    else if (length == 0)
        close_once(&session->vmm->process.output);
    return length > 0 || (length < 0 && errno == EINTR);
}

/* Keeps the end of what the VMM says on stderr. */
static bool read_errors(struct session *session)
{
    char data[1024];
    const ssize_t length = read(session->vmm->process.errors, data, sizeof data);
    if (length == 0)
        close_once(&session->vmm->process.errors);
    if (length <= 0)
        return length < 0 && errno == EINTR;
    const size_t room = sizeof session->errors - 1;
    if (session->errors_length + (size_t)length > room) {
        const size_t drop = session->errors_length + (size_t)length - room;
        memmove(session->errors, session->errors + drop, session->errors_length - drop);
        session->errors_length -= drop;
    }
    memcpy(session->errors + session->errors_length, data, (size_t)length);
    session->errors_length += (size_t)length;
    session->errors[session->errors_length] = '\0';
    return true;
}

/* What goes in. */

/* The console is a terminal to the guest: the end of input is the byte 4 at the start of a line, as a person would type
 * it. */
static void end_input(struct session *session)
{
    static const char end_of_file[] = "\n\x04";
    const bool at_line_start = session->last_input == '\0' || session->last_input == '\n';
    outlet_put(&session->to_guest, end_of_file + at_line_start, (size_t)2 - at_line_start);
    session->input_ended = true;
}

static void read_input(struct session *session)
{
    char data[4096];
    const ssize_t length = read(STDIN_FILENO, data, sizeof data);
    if (length > 0) {
        outlet_put(&session->to_guest, data, (size_t)length);
        session->last_input = data[length - 1];
    } else if (length == 0 || (errno != EINTR && errno != EAGAIN)) {
        end_input(session);
    }
}

/*
 * A serial port that is not yet set up loses what comes, so input waits for the guest's first sign of life. A
 * background job that reads its terminal would be stopped, and the guest with it.
 */
static bool may_read_input(const struct session *session)
{
    if (!session->forward_input || session->input_ended || outlet_is_full(&session->to_guest))
        return false;
    if (session->main_time == 0 && !session->spoke)
        return false;
    return !isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void session_type(struct session *session, const char *text)
{
    outlet_put(&session->to_guest, text, strlen(text));
}

/* The clock. */

uint64_t session_sample(struct session *session)
{
    uint64_t now;
    uint64_t peak;
    if (session->vmm->process.pid == 0 || !resident_bytes(session->vmm->process.pid, &now, &peak))
        return session->series.count > 0 ? session->series.samples[session->series.count - 1].rss : 0;
    if (peak > session->rss_peak)
        session->rss_peak = peak;
    session->rss_end = now;
    series_add(&session->series, &(struct sample){clock_now(), now, session->vmm->balloon});
    return now;
}

void session_inflate(struct session *session, uint64_t bytes)
{
    session->watch_balloon = true;
    session->vmm->class->inflate(session->vmm, bytes);
}

static void run_clock(struct session *session)
{
    const double now = clock_now();
    if (now >= session->series.next) {
        if (session->watch_balloon && session->vmm->ready)
            session->vmm->class->ask_balloon(session->vmm);
        session_sample(session);
        session->series.next = now + session->series.interval;
        if (session->hooks.tick != NULL)
            session->hooks.tick(session);
    }
    while (session->main_time > 0 && session->vmm->ready && session->steps_done < session->step_count &&
           now >= session->main_time + session->steps[session->steps_done].time)
        session_inflate(session, session->steps[session->steps_done++].bytes);
    if (session->timeout > 0 && now >= session->started + session->timeout && session->end == END_NONE)
        session->end = END_TIMEOUT;
}

static int milliseconds_to_wait(const struct session *session)
{
    const double now = clock_now();
    double until = session->series.next;
    if (session->main_time > 0 && session->steps_done < session->step_count)
        until = fmin(until, session->main_time + session->steps[session->steps_done].time);
    if (session->timeout > 0)
        until = fmin(until, session->started + session->timeout);
    const int patience = session->vmm->class->patience(session->vmm);
    const int wait = until > now ? (int)ceil((until - now) * 1e3) : 0;
    return patience >= 0 && patience < wait ? patience : wait;
}

/* The loop. */

/* One turn: waits for something to happen and attends to it. Returns false when there is nothing more to wait for. */
static bool turn(struct session *session)
{
    struct vmm *vmm = session->vmm;
    const bool thirsty = !outlet_is_full(&session->to_stdout);
    enum {
        SIGNALS,
        PROCESS,
        CONSOLE,
        ERRORS,
        CONTROL,
        TO_STDOUT,
        TO_GUEST,
        INPUT,
        COUNT
    };
    struct pollfd fds[COUNT] = {
        [SIGNALS] = {session->interrupts->fd, POLLIN, 0},
        [PROCESS] = {vmm->process.handle, POLLIN, 0},
        [CONSOLE] = {thirsty ? vmm->process.output : -1, POLLIN, 0},
        [ERRORS] = {vmm->process.errors, POLLIN, 0},
        [CONTROL] = vmm->class->watch(vmm),
        [TO_STDOUT] = outlet_watch(&session->to_stdout),
        [TO_GUEST] = outlet_watch(&session->to_guest),
        [INPUT] = {may_read_input(session) ? STDIN_FILENO : -1, POLLIN, 0},
    };
    poll(fds, COUNT, milliseconds_to_wait(session));

    if (fds[ERRORS].revents != 0)
        read_errors(session);
    if (fds[CONSOLE].revents != 0)
        read_console(session);
    vmm->class->attend(vmm);
    if (fds[INPUT].revents != 0)
        read_input(session);
    outlet_attend(&session->to_guest, fds[TO_GUEST].revents);
    outlet_attend(&session->to_stdout, fds[TO_STDOUT].revents);
    run_clock(session);

    if (interrupts_check(session->interrupts) != 0)
        session->end = END_INTERRUPTED;
    else if (session->to_stdout.broken)
        session->end = END_CLOSED;
    else if (vmm->broken && session->end == END_NONE)
        session->end = END_STOPPED;
    if (session->end == END_EXIT)
        return !process_ended(&vmm->process) && clock_now() < session->leave_by;
    return session->end == END_NONE && !process_ended(&vmm->process);
}

/* The VMM is gone: what it wrote last is still in the pipes. */
static void read_the_rest(struct session *session)
{
    process_kill(&session->vmm->process);
    while (read_errors(session))
        ;
    while (read_console(session))
        ;
    session->vmm->class->attend(session->vmm);
    console_finish(&session->console);
    if (session->end == END_NONE)
        session->end = END_GONE;
    if (session->end_time == 0)
        session->end_time = clock_now();
    while (session->to_stdout.length > 0 && interrupts_check(session->interrupts) == 0) {
        struct pollfd fds[2] = {{session->interrupts->fd, POLLIN, 0}, outlet_watch(&session->to_stdout)};
        poll(fds, 2, -1);
        outlet_attend(&session->to_stdout, fds[1].revents);
    }
}

static int attempt(struct session *session, const char *path)
{
    session->started = clock_now();
    session->main_time = 0;
    session->end = END_NONE;
    session->end_time = 0;
    session->errors_length = 0;
    session->errors[0] = '\0';
    session->console = (struct console){.sink = {on_text, on_frame, session}};
    series_free(&session->series);
    series_start(&session->series, SAMPLE_INTERVAL);
    const int code = session->machine.vmm->start(&session->vmm, &session->machine, path, session->accel);
    if (code != 0) {
        session->end = END_NO_START;
        return code;
    }
    outlet_open(&session->to_stdout, session->hooks.output == NULL ? STDOUT_FILENO : -1, OUTPUT_FULL);
    outlet_open(&session->to_guest, session->vmm->process.input, INPUT_FULL);
    while (turn(session))
        ;
    read_the_rest(session);
    session->vmm_status = session->vmm->process.status;
    memcpy(session->version, session->vmm->version, sizeof session->version);
    return 0;
}

static void end_attempt(struct session *session)
{
    outlet_close(&session->to_stdout);
    outlet_close(&session->to_guest);
    if (session->vmm != NULL)
        session->vmm->class->release(session->vmm);
    session->vmm = NULL;
}

/* The accelerator. */

static void choose(struct session *session, enum accel accel, char *why)
{
    free(session->why);
    session->accel = accel;
    session->why = why;
}

static int choose_accel(struct session *session)
{
    const struct machine *machine = &session->machine;
    if (machine->accel == ACCEL_TCG && !machine->vmm->emulates)
        return fail(EXIT_TOOL, "%s needs KVM and cannot emulate: leave --accel=tcg away, or use --vmm=qemu",
                    machine->vmm->name);
    if (machine->accel == ACCEL_TCG) {
        choose(session, ACCEL_TCG, must_duplicate("asked for"));
        return 0;
    }
    const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm >= 0) {
        close(kvm);
        choose(session, ACCEL_KVM, must_duplicate(machine->accel == ACCEL_KVM ? "asked for" : "KVM works here"));
        return 0;
    }
    const char *error = strerror(errno);
    if (machine->accel == ACCEL_KVM || !machine->vmm->emulates)
        return fail(EXIT_TOOL, "no KVM here (/dev/kvm: %s): %s", error,
                    machine->vmm->emulates ? "use --accel=tcg" : "use --vmm=qemu, which can emulate");
    choose(session, ACCEL_TCG, must_format("no KVM here (/dev/kvm: %s)", error));
    say("%s: emulating with TCG, several times slower", session->why);
    return 0;
}

/* KVM was there, but the guest did not come to life under it: whatever the cause, emulation is worth a try. */
static bool should_emulate(const struct session *session)
{
    return session->machine.accel == ACCEL_AUTO && session->accel == ACCEL_KVM && session->machine.vmm->emulates &&
           (session->end == END_GONE || session->end == END_STOPPED) && !session->spoke && session->main_time == 0;
}

static const char *first_line_of_errors(struct session *session)
{
    session->errors[strcspn(session->errors, "\n")] = '\0';
    return session->errors[0] != '\0' ? session->errors : "it ended at once";
}

/* The whole. */

static char *find_vmm(const struct machine *machine, int *code)
{
    const char *program = machine->vmm_path != NULL ? machine->vmm_path : machine->vmm->program;
    char *path = find_program(program);
    if (path == NULL && errno == EACCES)
        *code = fail(EXIT_CANNOT_RUN, "%s is not an executable program", program);
    else if (path == NULL && machine->vmm_path != NULL)
        *code = fail(EXIT_NOT_FOUND, "%s does not exist", program);
    else if (path == NULL)
        *code = fail(EXIT_NOT_FOUND, "%s is not on the PATH: %s", program, machine->vmm->install);
    return path;
}

int session_run(struct session *session, struct interrupts *interrupts)
{
    session->interrupts = interrupts;
    session->end = END_NO_START;
    int code = 0;
    char *path = find_vmm(&session->machine, &code);
    if (path == NULL)
        return code;
    code = choose_accel(session);
    char *directory = code == 0 ? temporary_create() : NULL;
    if (code == 0 && directory == NULL)
        code = EXIT_TOOL;
    session->machine.directory = directory;
    if (code == 0)
        code = attempt(session, path);
    if (code == 0 && should_emulate(session)) {
        choose(session, ACCEL_TCG,
               must_format("%s does not run the guest under KVM: %s", session->machine.vmm->name,
                           first_line_of_errors(session)));
        say("%s; emulating with TCG, several times slower", session->why);
        end_attempt(session);
        code = attempt(session, path);
    }
    if (code == 0)
        code = ending_explain(session);
    end_attempt(session);
    temporary_remove(directory);
    session->machine.directory = NULL;
    free(path);
    return code;
}

void session_close(struct session *session)
{
    for (size_t i = 0; i < session->phase_count; i++)
        json_decref(session->phases[i].keys);
    free(session->phases);
    series_free(&session->series);
    free(session->why);
    session->phases = NULL;
    session->phase_count = 0;
    session->why = NULL;
}
