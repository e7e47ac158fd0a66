#include "tools/process.h"

#include "tools/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* One stream of the child: `child` becomes its descriptor `target`, `ours` is what the tool holds. */
struct stream {
    int child;
    int ours;
    int target;
};

static int stream_open(struct stream *stream, bool piped)
{
    int ends[2];
    if (!piped) {
        if (stream->target == STDIN_FILENO)
            stream->child = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return stream->target == STDIN_FILENO && stream->child < 0 ? errno : 0;
    }
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    const bool to_child = stream->target == STDIN_FILENO;
    stream->child = ends[to_child ? 0 : 1];
    stream->ours = ends[to_child ? 1 : 0];
    return fcntl(stream->ours, F_SETFL, O_NONBLOCK) != 0 ? errno : 0;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void child(const struct words *words, const struct stream *streams, int inherit, pid_t parent, int report)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    interrupts_reset();
    for (int i = 0; i < 3; i++)
        if (streams[i].child >= 0 && dup2(streams[i].child, streams[i].target) < 0)
            goto failed;
    if (inherit >= 0 && fcntl(inherit, F_SETFD, 0) != 0)
        goto failed;
    /* The parent may have died before the wish to die with it was heard. */
    if (getppid() != parent)
        _exit(EXIT_TOOL);
    execv(words->items[0], words->items);
failed:;
    const int error = errno;
    if (write(report, &error, sizeof error) < 0)
        _exit(EXIT_TOOL);
    _exit(EXIT_CANNOT_RUN);
}

static int start(struct process *process, const struct words *words, struct stream *streams, int inherit)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return errno;
    const pid_t parent = getpid();
    process->pid = fork();
    if (process->pid == 0)
        child(words, streams, inherit, parent, report[1]);
    int error = process->pid < 0 ? errno : 0;
    close(report[1]);
    if (error == 0) {
        setpgid(process->pid, process->pid);
        process->handle = pidfd_open(process->pid, 0);
        if (read(report[0], &error, sizeof error) != sizeof error && process->handle < 0)
            error = errno;
    } else {
        process->pid = 0;
    }
    close(report[0]);
    return error;
}

int process_start(struct process *process, const struct words *words, unsigned pipes, int inherit)
{
    struct stream streams[3] = {{-1, -1, STDIN_FILENO}, {-1, -1, STDOUT_FILENO}, {-1, -1, STDERR_FILENO}};
    *process = (struct process){.handle = -1, .input = -1, .output = -1, .errors = -1};
    int error = 0;
    for (int i = 0; i < 3 && error == 0; i++)
        error = stream_open(&streams[i], (pipes & (1u << i)) != 0);
    if (error == 0)
        error = start(process, words, streams, inherit);
    for (int i = 0; i < 3; i++)
        close_one(&streams[i].child);
    process->input = streams[0].ours;
    process->output = streams[1].ours;
    process->errors = streams[2].ours;
    if (error != 0)
        process_close(process);
    return error;
}

bool process_ended(struct process *process)
{
    if (process->pid != 0 && waitpid(process->pid, &process->status, WNOHANG) == process->pid)
        process->pid = 0;
    return process->pid == 0;
}

void process_kill(struct process *process)
{
    if (process->pid == 0)
        return;
    kill(-process->pid, SIGKILL);
    kill(process->pid, SIGKILL);
    while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
        ;
    process->pid = 0;
}

void process_close(struct process *process)
{
    process_kill(process);
    close_one(&process->handle);
    close_one(&process->input);
    close_one(&process->output);
    close_one(&process->errors);
}

int process_exit_code(int status)
{
    return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool is_executable(const char *path, int *error)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return false;
    if (S_ISREG(info.st_mode) && access(path, X_OK) == 0)
        return true;
    *error = EACCES;
    return false;
}

char *find_program(const char *program)
{
    int error = ENOENT;
    const char *path = getenv("PATH");
    if (strchr(program, '/') != NULL) {
        if (is_executable(program, &error))
            return must_duplicate(program);
    } else if (path != NULL) {
        while (*program != '\0' && *path != '\0') {
            const size_t length = strcspn(path, ":");
            char *full = must_format("%.*s/%s", length > 0 ? (int)length : 1, length > 0 ? path : ".", program);
            if (is_executable(full, &error))
                return full;
            free(full);
            path += length + (path[length] == ':');
        }
    }
    errno = error;
    return NULL;
}

static void drain(struct process *process, FILE *out)
{
    char data[4096];
    ssize_t length;
    while (process->output >= 0 && (length = read(process->output, data, sizeof data)) >= 0) {
        if (length == 0)
            close_one(&process->output);
        else
            fwrite(data, 1, (size_t)length, out);
    }
}

/* Reads the child's output until it ends or a signal comes. What it wrote last is there once it has ended. */
static void collect(struct process *process, struct interrupts *interrupts, FILE *out)
{
    bool ended = false;
    while (!ended && interrupts_check(interrupts) == 0) {
        struct pollfd fds[] = {{interrupts->fd, POLLIN, 0}, {process->handle, POLLIN, 0}, {process->output, POLLIN, 0}};
        poll(fds, 3, -1);
        ended = process_ended(process);
        drain(process, out);
    }
}

int command_run(struct interrupts *interrupts, const struct words *words, bool verbose, char **output)
{
    if (verbose)
        say_words(words);
    char *path = find_program(words->items[0]);
    if (path == NULL)
        return errno == EACCES ? fail(EXIT_CANNOT_RUN, "%s is not an executable program", words->items[0])
                               : fail(EXIT_NOT_FOUND, "%s is not installed, or not on the PATH", words->items[0]);
    struct words full = {0};
    words_add(&full, path);
    for (size_t i = 1; i < words->count; i++)
        words_add(&full, words->items[i]);
    struct process process;
    const int error = process_start(&process, &full, output != NULL ? PIPE_OUTPUT : 0, -1);
    words_free(&full);
    if (error != 0) {
        const int code = fail(EXIT_CANNOT_RUN, "%s does not start: %s", path, strerror(error));
        free(path);
        return code;
    }
    free(path);
    size_t size = 0;
    FILE *out = output != NULL ? open_memstream(output, &size) : NULL;
    collect(&process, interrupts, out);
    if (out != NULL)
        fclose(out);
    process_close(&process);
    return interrupts->caught != 0 ? EXIT_SIGNAL + interrupts->caught : process_exit_code(process.status);
}
