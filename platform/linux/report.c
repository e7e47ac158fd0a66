/*
 * WEIR_STATS under Linux: when and where statistics are printed.
 *
 * When the program ends by exit or by returning from main, in whatever thread, and as late as can be. A library that is
 * loaded with the program gives exit a function of its own before the loader gives it the one that runs all
 * destructors, and exit calls them in the opposite order; the null in place of a library's handle keeps the function
 * from being called when weir's own destructors run. In weir linked into the program a destructor is the last chance.
 *
 * Where: the file that WEIR_STATS_FILE names, else stderr. By then many programs have closed stderr; so it is kept
 * under another number from the start, and written to only if that still is the file it was: the program may have
 * closed everything and opened something else there.
 */
#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/options.h"
#include "api/statistics.h"

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden"))); /* by the linker: where this file starts */
int __cxa_atexit(void (*function)(void *), void *argument, void *library);

enum {
    KEPT_NUMBER = 200, /* the lowest for the kept stderr: out of the way of programs that expect low ones */
};

static int kept_file = -1;
static dev_t kept_device;
static ino_t kept_inode;

static bool is_kept(int file)
{
    struct stat status;
    return fstat(file, &status) == 0 && status.st_dev == kept_device && status.st_ino == kept_inode;
}

static void keep_stderr(void)
{
    struct stat status;
    if (*option_text(OPTION_STATS_FILE) || fstat(STDERR_FILENO, &status) != 0)
        return;
    kept_device = status.st_dev;
    kept_inode = status.st_ino;
    /* Not through the C library: glibc's header makes it fcntl64, which musl lacks. */
    kept_file = (int)syscall(SYS_fcntl, STDERR_FILENO, F_DUPFD_CLOEXEC, KEPT_NUMBER);
}

/* The path with %p replaced by the process's number. False if it gets too long. */
static bool expand(char *path, size_t room, const char *pattern)
{
    size_t length = 0;
    for (; *pattern; pattern++) {
        char number[NUMBER_MAX], one[2] = {*pattern, '\0'};
        const char *piece = one;
        if (pattern[0] == '%' && (pattern[1] == 'p' || pattern[1] == '%'))
            piece = *++pattern == 'p' ? number_text(number, (uint64_t)getpid()) : "%";
        for (; *piece; piece++) {
            if (length + 1 >= room)
                return false;
            path[length++] = *piece;
        }
    }
    path[length] = '\0';
    return true;
}

/* -1 if there is nowhere to write. */
static int open_report(void)
{
    char path[1200];
    const char *pattern = option_text(OPTION_STATS_FILE);
    if (!*pattern)
        return is_kept(kept_file) ? kept_file : is_kept(STDERR_FILENO) ? STDERR_FILENO : -1;
    int file = expand(path, sizeof path, pattern)
                   ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666)
                   : -1;
    if (file < 0) {
        struct text line = {.file = STDERR_FILENO};
        text_put(&line, "weir: cannot write statistics to ");
        text_quote(&line, pattern, 200);
        text_put(&line, "\n");
        text_flush(&line);
    }
    return file;
}

static void report(void *unused)
{
    (void)unused;
    int file = open_report();
    if (file >= 0)
        statistics_report(file);
}

/* Whether weir is linked into the program itself: then this is the file whose program headers the kernel names. */
static bool is_in_program(void)
{
    return (uintptr_t)&__ehdr_start + __ehdr_start.e_phoff == getauxval(AT_PHDR);
}

__attribute__((constructor)) static void report_start(void)
{
    if (option(OPTION_STATS) == STATS_OFF)
        return;
    keep_stderr();
    if (!is_in_program())
        __cxa_atexit(report, NULL, NULL);
}

__attribute__((destructor)) static void report_end(void)
{
    if (option(OPTION_STATS) != STATS_OFF && is_in_program())
        report(NULL);
}
