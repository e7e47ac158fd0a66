/* What the kernel says of this process, and running parts of a test in processes of their own. */
#ifndef TESTS_LINUX_PROCESS_H
#define TESTS_LINUX_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a line of /proc/self/smaps_rollup such as "Rss". */
size_t process_memory(const char *name);

/* Threads alive. */
unsigned process_threads(void);

/* The signals that the thread called `name` blocks; 0 if there is no such thread. */
uint64_t process_blocked(const char *name);

/* Page faults so far. */
long process_faults(void);

/* Whether the kernel has huge pages for those who ask. */
bool system_has_huge_pages(void);

/* Runs this program's part `name` (see process_part) with one more variable in its environment, "NAME=value" or null;
 * returns its exit code, 255 if it died. */
int process_run(const char *name, const char *variable);

/* For main: runs one of the parts, whose names and functions these are, if the program was started by process_run. */
struct process_part {
    const char *name;
    int (*run)(void);
};

bool process_part(int argc, char **argv, const struct process_part *parts, size_t count, int *code);

/* Waits until the condition holds, at most some seconds; returns whether it does. */
#define process_until(condition)                                                                                       \
    ({                                                                                                                 \
        bool holds_ = false;                                                                                           \
        for (int round_ = 0; round_ < 1000 && !(holds_ = (condition)); round_++)                                       \
            process_pause();                                                                                           \
        holds_;                                                                                                        \
    })
void process_pause(void);

/* Fails a part: says which condition does not hold, and ends the process. */
#define require(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            process_fail(__FILE__, __LINE__, #condition);                                                              \
    } while (0)
_Noreturn void process_fail(const char *file, int line, const char *condition);

#endif
