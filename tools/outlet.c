#include "tools/outlet.h"

#include "tools/message.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void outlet_open(struct outlet *outlet, int fd)
{
    *outlet = (struct outlet){.fd = fd};
}

void outlet_put(struct outlet *outlet, const char *data, size_t length)
{
    if (outlet->fd < 0 || outlet->broken)
        return;
    if (outlet->start > 0) {
        memmove(outlet->data, outlet->data + outlet->start, outlet->length);
        outlet->start = 0;
    }
    if (outlet->length + length > outlet->room) {
        outlet->room = 2 * (outlet->length + length);
        outlet->data = must_realloc(outlet->data, outlet->room);
    }
    memcpy(outlet->data + outlet->length, data, length);
    outlet->length += length;
}

bool outlet_is_full(const struct outlet *outlet)
{
    return outlet->length >= OUTLET_FULL;
}

struct pollfd outlet_watch(const struct outlet *outlet)
{
    return (struct pollfd){.fd = outlet->length > 0 ? outlet->fd : -1, .events = POLLOUT};
}

void outlet_attend(struct outlet *outlet, short revents)
{
    if (revents == 0 || outlet->length == 0)
        return;
    const size_t length = outlet->length < PIPE_BUF ? outlet->length : PIPE_BUF;
    const ssize_t wrote = write(outlet->fd, outlet->data + outlet->start, length);
    if (wrote < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (wrote < 0) {
        outlet->broken = true;
        outlet->length = 0;
        return;
    }
    outlet->start += (size_t)wrote;
    outlet->length -= (size_t)wrote;
}

void outlet_close(struct outlet *outlet)
{
    free(outlet->data);
    outlet_open(outlet, -1);
}
