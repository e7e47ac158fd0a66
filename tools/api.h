/*
 * A client of an HTTP API on a Unix socket, as Firecracker's: JSON both ways, one request after the other.
 *
 * Requests wait in a queue; api_attend() moves the first of them on without ever blocking. Before the guest runs there
 * is nothing to do meanwhile, and api_call() waits for its answer.
 */
#ifndef WEIR_TOOLS_API_H
#define WEIR_TOOLS_API_H

#include <curl/curl.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define API_ANSWER_LIMIT 65536

/* `answer` is null if there was none; `error` is null if all went well, else what the server, or curl, said. */
typedef void api_answered(void *context, const char *path, json_t *answer, const char *error);

struct api_request {
    struct api_request *next;
    const char *method; /* both are literals */
    const char *path;
    char *body; /* null for none */
};

struct api {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    const char *socket;
    api_answered *answered;
    void *context;
    struct api_request *queue; /* the first is on its way if `active` */
    bool active;
    char *answer;
    size_t answer_length;
};

/* Returns false without memory. `socket`, a path, is borrowed. */
bool api_open(struct api *api, const char *socket, api_answered *answered, void *context);

/* Queues a request; `body` (may be null) is taken over. `method` and `path` are literals. */
void api_send(struct api *api, const char *method, const char *path, json_t *body);

/* Whether a request to `path` waits or is on its way. */
bool api_is_busy_with(const struct api *api, const char *path);

void api_attend(struct api *api);
struct pollfd api_watch(const struct api *api);
int api_patience(const struct api *api); /* milliseconds, -1 when idle */

/* Works off the whole queue, at most `seconds` long. False if time ran out. */
bool api_finish(struct api *api, double seconds);

void api_close(struct api *api);

#endif
