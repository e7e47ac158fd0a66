/*
 * QEMU's machine protocol: a JSON object per line, each way. The client sends commands as they come and does not wait;
 * an answer finds its command by the `id` that QEMU returns with it.
 */
#ifndef WEIR_TOOLS_QMP_H
#define WEIR_TOOLS_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define QMP_LINE_LIMIT 65536

struct qmp_sink {
    /* {"QMP": {"version": …}}: the first thing that comes. Commands are taken from then on. */
    void (*greeting)(void *context, json_t *version);
    /* The answer to the command `name`: `value` is what it returned, or null and `error` says why not. */
    void (*answer)(void *context, const char *name, json_t *value, const char *error);
    void (*event)(void *context, const char *name, json_t *data);
    void *context;
};

struct qmp {
    int fd; /* does not block; -1 once the other side is gone */
    struct qmp_sink sink;
    size_t length;
    char line[QMP_LINE_LIMIT];
};

/* Sends a command; `arguments` (may be null) is taken over. False if the other side does not listen any more. */
bool qmp_send(struct qmp *qmp, const char *name, json_t *arguments);

/* Reads what is there and calls the sink. */
void qmp_receive(struct qmp *qmp);

void qmp_close(struct qmp *qmp);

#endif
