#include "tools/outlet.h"

#include "tools/message.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void outlet_open(struct outlet *outlet, int fd, size_t full)
{
    *outlet = (struct outlet){.fd = fd, .full = full};
}

/* Moving costs no more than was written since the last move: what waits is at most what has gone. */
static void make_room(struct outlet *outlet, size_t length)
{
    if (outlet->start + outlet->length + length <= outlet->room)
        return;
    if (outlet->start >= outlet->length && outlet->length + length <= outlet->room) {
        memcpy(outlet->data, outlet->data + outlet->start, outlet->length);
        outlet->start = 0;
        return;
    }
    outlet->room = 2 * (outlet->start + outlet->length + length);
    outlet->data = must_realloc(outlet->data, outlet->room);
}

void outlet_put(struct outlet *outlet, const char *data, size_t length)
{
    if (outlet->fd < 0 || outlet->broken)
        return;
    make_room(outlet, length);
    memcpy(outlet->data + outlet->start + outlet->length, data, length);
    outlet->length += length;
}

bool outlet_is_full(const struct outlet *outlet)
{
    return outlet->length >= outlet->full;
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
    if (outlet->length == 0)
        outlet->start = 0;
}

void outlet_close(struct outlet *outlet)
{
    free(outlet->data);
    outlet_open(outlet, -1, 0);
}
