#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The number behind "name:" in a file of lines, in the base given; 0 if there is none. */
static uint64_t number_in(const char *path, const char *name, int base)
{
    char line[256];
    uint64_t number = 0;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            number = strtoull(line + strlen(name) + 1, NULL, base);
    if (file)
        fclose(file);
    return number;
}

size_t process_memory(const char *name)
{
    return number_in("/proc/self/smaps_rollup", name, 10) * 1024;
}

unsigned process_threads(void)
{
    return (unsigned)number_in("/proc/self/status", "Threads", 10);
}

uint64_t process_blocked(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    uint64_t blocked = 0;
    for (const struct dirent *entry; tasks && (entry = readdir(tasks));) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file && fgets(comm, sizeof comm, file) && strncmp(comm, name, strlen(name)) == 0 &&
            comm[strlen(name)] == '\n') {
            snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
            blocked = number_in(path, "SigBlk", 16);
        }
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return blocked;
}

long process_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

bool system_has_huge_pages(void)
{
    char text[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    bool have = file && fgets(text, sizeof text, file) && !strstr(text, "[never]");
    if (file)
        fclose(file);
    return have;
}

int process_run(const char *name, const char *variable)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (variable)
            putenv((char *)variable);
        execl("/proc/self/exe", "part", name, (char *)NULL);
        _exit(254);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

bool process_part(int argc, char **argv, const struct process_part *parts, size_t count, int *code)
{
    for (size_t i = 0; argc == 2 && i < count; i++)
        if (strcmp(parts[i].name, argv[1]) == 0) {
            *code = parts[i].run();
            return true;
        }
    return false;
}

void process_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

void process_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, condition);
    _exit(1);
}
