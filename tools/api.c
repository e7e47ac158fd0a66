#include "tools/api.h"

#include "tools/message.h"
#include "tools/sample.h"

#include <stdlib.h>
#include <string.h>

static size_t receive(char *data, size_t size, size_t count, void *context)
{
    struct api *api = context;
    const size_t length = size * count;
    if (length > API_ANSWER_LIMIT - api->answer_length)
        return 0;
    memcpy(api->answer + api->answer_length, data, length);
    api->answer_length += length;
    return length;
}

bool api_open(struct api *api, const char *socket, api_answered *answered, void *context)
{
    *api = (struct api){.socket = socket, .answered = answered, .context = context};
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
        return false;
    api->multi = curl_multi_init();
    api->easy = curl_easy_init();
    api->headers = curl_slist_append(NULL, "Content-Type: application/json");
    api->answer = must_alloc(API_ANSWER_LIMIT);
    if (api->multi != NULL && api->easy != NULL && api->headers != NULL)
        return true;
    api_close(api);
    return false;
}

static void begin(struct api *api)
{
    const struct api_request *request = api->queue;
    char url[128];
    snprintf(url, sizeof url, "http://localhost%s", request->path);
    curl_easy_reset(api->easy);
    curl_easy_setopt(api->easy, CURLOPT_UNIX_SOCKET_PATH, api->socket);
    curl_easy_setopt(api->easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(api->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(api->easy, CURLOPT_TIMEOUT, 10L);
    curl_easy_setopt(api->easy, CURLOPT_URL, url);
    curl_easy_setopt(api->easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->body != NULL) {
        curl_easy_setopt(api->easy, CURLOPT_HTTPHEADER, api->headers);
        curl_easy_setopt(api->easy, CURLOPT_POSTFIELDS, request->body);
    }
    curl_easy_setopt(api->easy, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(api->easy, CURLOPT_WRITEDATA, api);
    api->answer_length = 0;
    api->active = curl_multi_add_handle(api->multi, api->easy) == CURLM_OK;
}

static struct api_request *take_first(struct api *api)
{
    struct api_request *request = api->queue;
    api->queue = request->next;
    return request;
}

static void request_free(struct api_request *request)
{
    free(request->body);
    free(request);
}

/* Hands over the answer of the first request. */
static void end(struct api *api, CURLcode result)
{
    struct api_request *request = take_first(api);
    long status = 0;
    curl_easy_getinfo(api->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(api->multi, api->easy);
    api->active = false;

    json_t *answer = api->answer_length > 0 ? json_loadb(api->answer, api->answer_length, 0, NULL) : NULL;
    const char *error = NULL;
    if (result != CURLE_OK)
        error = curl_easy_strerror(result);
    else if (status >= 300)
        error = json_string_value(json_object_get(answer, "fault_message"));
    if (result == CURLE_OK && status >= 300 && error == NULL)
        error = "it gave no reason";
    api->answered(api->context, request->path, answer, error);
    json_decref(answer);
    request_free(request);
}

void api_send(struct api *api, const char *method, const char *path, json_t *body)
{
    struct api_request *request = must_alloc(sizeof *request);
    *request = (struct api_request){.method = method, .path = path};
    if (body != NULL && (request->body = json_dumps(body, JSON_COMPACT)) == NULL)
        exit(fail(EXIT_TOOL, "out of memory"));
    json_decref(body);
    struct api_request **last = &api->queue;
    while (*last != NULL)
        last = &(*last)->next;
    *last = request;
    api_attend(api);
}

bool api_is_busy_with(const struct api *api, const char *path)
{
    for (const struct api_request *request = api->queue; request != NULL; request = request->next)
        if (strcmp(request->path, path) == 0)
            return true;
    return false;
}

void api_attend(struct api *api)
{
    for (;;) {
        if (!api->active && api->queue != NULL)
            begin(api);
        if (!api->active)
            return;
        int running = 0;
        int left = 0;
        curl_multi_perform(api->multi, &running);
        const CURLMsg *message = curl_multi_info_read(api->multi, &left);
        if (message == NULL || message->msg != CURLMSG_DONE)
            return;
        end(api, message->data.result);
    }
}

struct pollfd api_watch(const struct api *api)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (api->active)
        curl_easy_getinfo(api->easy, CURLINFO_ACTIVESOCKET, &socket);
    return (struct pollfd){.fd = socket == CURL_SOCKET_BAD ? -1 : socket, .events = POLLIN};
}

int api_patience(const struct api *api)
{
    /* Curl's own timers, and a connection that is not there yet. */
    return api->active ? 5 : -1;
}

bool api_finish(struct api *api, double seconds)
{
    const double deadline = clock_now() + seconds;
    for (api_attend(api); api->queue != NULL; api_attend(api)) {
        if (clock_now() > deadline)
            return false;
        curl_multi_poll(api->multi, NULL, 0, 10, NULL);
    }
    return true;
}

void api_close(struct api *api)
{
    if (api->active)
        curl_multi_remove_handle(api->multi, api->easy);
    while (api->queue != NULL)
        request_free(take_first(api));
    if (api->easy != NULL)
        curl_easy_cleanup(api->easy);
    if (api->multi != NULL)
        curl_multi_cleanup(api->multi);
    curl_slist_free_all(api->headers);
    free(api->answer);
    curl_global_cleanup();
    *api = (struct api){0};
}
