/*
 * measure: runs a program and says what it took.
 *
 *     measure --report FD [--preload FILE] [--timeout SECONDS] -- program arguments…
 *
 * Writes one line of JSON to the descriptor FD: exit status, signal, wall time, processor time, peak resident memory
 * and page faults, with all descendants that were waited for. A small program does this, and not the interpreter that
 * collects the numbers, because Linux counts what the forking process held as a peak of its child.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct request {
    int report;
    const char *preload;
    unsigned timeout; /* seconds; 0: none */
    char **command;
};

static volatile pid_t child;
static volatile sig_atomic_t timed_out;

static void usage(void)
{
    fputs("usage: measure --report FD [--preload FILE] [--timeout SECONDS] -- program arguments...\n", stderr);
    exit(64);
}

static struct request parse(int argc, char **argv)
{
    struct request request = {.report = -1};
    int i = 1;
    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (strcmp(argv[i], "--report") == 0)
            request.report = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--preload") == 0)
            request.preload = argv[i + 1];
        else if (strcmp(argv[i], "--timeout") == 0)
            request.timeout = (unsigned)atoi(argv[i + 1]);
        else
            usage();
    }
    if (i + 1 >= argc || request.report < 0)
        usage();
    request.command = argv + i + 1;
    return request;
}

static void on_alarm(int signal)
{
    (void)signal;
    timed_out = 1;
    kill(-child, SIGKILL);
}

/* A polite request to end reaches the program too: a server is stopped this way. */
static void on_terminate(int signal)
{
    kill(child, signal);
}

static void start(const struct request *request)
{
    child = fork();
    if (child < 0) {
        fprintf(stderr, "measure: cannot fork: %s\n", strerror(errno));
        exit(71);
    }
    if (child > 0) {
        setpgid(child, child);
        return;
    }
    setpgid(0, 0);
    close(request->report);
    if (request->preload)
        setenv("LD_PRELOAD", request->preload, 1);
    execvp(request->command[0], request->command);
    fprintf(stderr, "measure: %s: %s\n", request->command[0], strerror(errno));
    _exit(127);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    const struct request request = parse(argc, argv);
    signal(SIGALRM, on_alarm);
    signal(SIGTERM, on_terminate);
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    start(&request);
    alarm(request.timeout);
    int status;
    struct rusage usage;
    while (wait4(child, &status, 0, &usage) < 0) {
        if (errno != EINTR)
            return 71;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    alarm(0);
    kill(-child, SIGKILL); /* what it left behind must not disturb the next */
    dprintf(request.report,
            "{\"exit\": %d, \"signal\": %d, \"timeout\": %s, \"seconds\": %.6f, \"user\": %.6f, \"system\": %.6f, "
            "\"rss\": %ld, \"faults\": %ld}\n",
            WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
            timed_out ? "true" : "false",
            (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9,
            seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss * 1024, usage.ru_minflt);
    return 0;
}
