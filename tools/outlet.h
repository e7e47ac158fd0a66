/*
 * Bytes on their way to a descriptor that may be slow, blocking, shared with others, or closed: the guest's console to
 * the tool's stdout, the tool's stdin to the guest. Nothing waits in a write: an outlet says what to poll for, and
 * writes at most PIPE_BUF bytes when poll() says that there is room.
 */
#ifndef WEIR_TOOLS_OUTLET_H
#define WEIR_TOOLS_OUTLET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

struct outlet {
    int fd;      /* -1: what is put vanishes */
    size_t full; /* with so many bytes waiting the source is better not read */
    bool broken; /* the reader has gone */
    char *data;
    size_t start; /* bytes data[start … start + length) wait */
    size_t length;
    size_t room; /* size of `data` */
};

void outlet_open(struct outlet *outlet, int fd, size_t full);
void outlet_put(struct outlet *outlet, const char *data, size_t length);
bool outlet_is_full(const struct outlet *outlet);

/* {fd, POLLOUT} while bytes wait, else {-1}. */
struct pollfd outlet_watch(const struct outlet *outlet);

/* Writes once, if poll() said so in `revents`. */
void outlet_attend(struct outlet *outlet, short revents);

/* Frees the buffer; the descriptor stays open. */
void outlet_close(struct outlet *outlet);

#endif
