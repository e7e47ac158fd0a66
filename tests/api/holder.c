/*
 * Holds memory that is known, and ends in the way that argv[1] names. What it holds at the end: 3000 objects of 100
 * bytes, 5 of 1 MiB; before that 2000 objects of 200 bytes, freed by another thread.
 */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SMALL = 3000,
    LARGE = 5,
    PASSED = 2000,
};

static void *volatile small[SMALL], *volatile large[LARGE], *passed[PASSED];

static void *free_passed(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < PASSED; i++)
        free(passed[i]);
    return NULL;
}

static void *end(void *argument)
{
    (void)argument;
    exit(0);
}

static void run_thread(void *(*function)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, NULL) != 0)
        abort();
    pthread_join(thread, NULL);
}

/* As daemons do; then what weir has kept open is the program's own file. */
static void take_all_files(const char *path)
{
    for (int file = 3; file < 1024; file++)
        close(file);
    close(STDERR_FILENO);
    int mine = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (int file = 2; file < 300; file++)
        dup2(mine, file);
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "return";
    for (size_t i = 0; i < PASSED; i++)
        passed[i] = malloc(200);
    run_thread(free_passed);
    for (size_t i = 0; i < SMALL; i++)
        small[i] = malloc(100);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = malloc((size_t)1 << 20);
    if (strcmp(way, "thread") == 0)
        run_thread(end);
    if (strcmp(way, "closed") == 0)
        fclose(stderr);
    if (strcmp(way, "taken") == 0)
        take_all_files(argv[2]);
    if (strcmp(way, "xml") == 0)
        return malloc_info(0, stdout);
    if (strcmp(way, "print") == 0)
        malloc_stats();
    if (strcmp(way, "fork") == 0)
        fork();
    return 0;
}
