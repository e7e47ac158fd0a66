#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void die(int status, const char *format, ...)
{
    /* One write from the stack: the allocator that failed may be the one that stdio's buffer would come from. */
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    dprintf(2, "%s: %s\n", program_invocation_short_name, text);
    _exit(status);
}

static void help(const char *purpose, const struct parameter *parameters, size_t count)
{
    printf("%s: %s\n\nusage: %s [name=value]...\n", program_invocation_short_name, purpose,
           program_invocation_short_name);
    for (size_t i = 0; i < count; i++)
        printf("  %-12s %s (default %ld)\n", parameters[i].name, parameters[i].meaning, *parameters[i].value);
    exit(0);
}

static const struct parameter *find(const struct parameter *parameters, size_t count, const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(parameters[i].name) == length && memcmp(parameters[i].name, name, length) == 0)
            return &parameters[i];
    }
    return NULL;
}

void parameters_read(const char *purpose, const struct parameter *parameters, size_t count, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            help(purpose, parameters, count);
        const char *equals = strchr(argv[i], '=');
        const struct parameter *parameter =
            equals ? find(parameters, count, argv[i], (size_t)(equals - argv[i])) : NULL;
        if (!parameter)
            die(EXIT_USAGE, "%s: no such parameter; --help lists them", argv[i]);
        char *end;
        errno = 0;
        const long value = strtol(equals + 1, &end, 10);
        if (errno || end == equals + 1 || *end || value < parameter->least)
            die(EXIT_USAGE, "%s: expected a whole number of at least %ld", argv[i], parameter->least);
        *parameter->value = value;
    }
}

struct worker {
    pthread_t thread;
    void (*body)(void *context, long index);
    void *context;
    long index;
};

static void *work(void *argument)
{
    struct worker *worker = (struct worker *)argument;
    worker->body(worker->context, worker->index);
    return NULL;
}

void threads_run(long count, void (*body)(void *context, long index), void *context)
{
    enum {
        MOST = 1024
    };
    struct worker workers[MOST];
    if (count > MOST)
        die(EXIT_USAGE, "more than %d threads", MOST);
    for (long i = 0; i < count; i++) {
        workers[i] = (struct worker){.body = body, .context = context, .index = i};
        const int error = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        if (error)
            die(EXIT_MEMORY, "cannot start thread %ld: %s", i, strerror(error));
    }
    for (long i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
}
