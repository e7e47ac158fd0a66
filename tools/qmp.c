#include "tools/qmp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool qmp_send(struct qmp *qmp, const char *name, json_t *arguments)
{
    json_t *command = arguments != NULL
                          ? json_pack("{s:s, s:s, s:o}", "execute", name, "id", name, "arguments", arguments)
                          : json_pack("{s:s, s:s}", "execute", name, "id", name);
    char text[1024];
    const size_t length = command != NULL ? json_dumpb(command, text, sizeof text - 1, JSON_COMPACT) : 0;
    json_decref(command);
    if (length == 0 || length > sizeof text - 1 || qmp->fd < 0)
        return false;
    text[length] = '\n';
    /* The commands are short and few: a socket that does not take one whole has a reader that hangs. */
    return send(qmp->fd, text, length + 1, MSG_NOSIGNAL) == (ssize_t)(length + 1);
}

static void take(struct qmp *qmp, json_t *message)
{
    const char *event = json_string_value(json_object_get(message, "event"));
    const char *id = json_string_value(json_object_get(message, "id"));
    json_t *greeting = json_object_get(message, "QMP");
    json_t *error = json_object_get(message, "error");
    if (greeting != NULL) {
        qmp->sink.greeting(qmp->sink.context, json_object_get(greeting, "version"));
    } else if (event != NULL) {
        qmp->sink.event(qmp->sink.context, event, json_object_get(message, "data"));
    } else if (id != NULL) {
        const char *why = json_string_value(json_object_get(error, "desc"));
        qmp->sink.answer(qmp->sink.context, id, json_object_get(message, "return"),
                         error != NULL && why == NULL ? "unknown error" : why);
    }
}

static void take_lines(struct qmp *qmp)
{
    char *start = qmp->line;
    char *newline;
    while ((newline = memchr(start, '\n', qmp->length - (size_t)(start - qmp->line))) != NULL) {
        json_t *message = json_loadb(start, (size_t)(newline - start), 0, NULL);
        /* What is no JSON is not for us: a VMM that speaks nonsense shows by being silent otherwise. */
        if (message != NULL)
            take(qmp, message);
        json_decref(message);
        start = newline + 1;
    }
    qmp->length -= (size_t)(start - qmp->line);
    memmove(qmp->line, start, qmp->length);
    if (qmp->length == sizeof qmp->line)
        qmp->length = 0;
}

void qmp_receive(struct qmp *qmp)
{
    while (qmp->fd >= 0) {
        const ssize_t length = recv(qmp->fd, qmp->line + qmp->length, sizeof qmp->line - qmp->length, MSG_DONTWAIT);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0) {
            qmp_close(qmp);
            return;
        }
        qmp->length += (size_t)length;
        take_lines(qmp);
    }
}

void qmp_close(struct qmp *qmp)
{
    if (qmp->fd >= 0)
        close(qmp->fd);
    qmp->fd = -1;
}
