/*
 * The guest's console, as it comes from the VMM: what the program prints, and between it frames that are for the tool.
 *
 *     text … 0x1e "weir " word key=value key=value … '\n' … text
 *
 * A frame may come in the middle of a line, and anywhere may the stream be cut into pieces. The filter is a machine of
 * three states:
 *
 *     TEXT ──0x1e──► MARK ──"weir " complete──► FRAME ──'\n'──► TEXT
 *                     └──any other byte──► TEXT, and what was held back is text again
 *
 * so that 0x1e in a program's own output passes unharmed unless "weir " follows. A frame longer than the buffer is
 * no frame: it is passed on as text.
 */
#ifndef WEIR_TOOLS_CONSOLE_H
#define WEIR_TOOLS_CONSOLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define FRAME_LIMIT 1024

/* One frame, taken apart: "exit 3" has the word "exit" and the rest "3". */
struct frame {
    const char *word;
    const char *rest;
};

struct console_sink {
    void (*text)(void *context, const char *data, size_t length);
    void (*frame)(void *context, const struct frame *frame);
    void *context;
};

/* All zero but the sink is the start. */
struct console {
    struct console_sink sink;
    enum console_state {
        CONSOLE_TEXT,
        CONSOLE_MARK,
        CONSOLE_FRAME
    } state;
    size_t held;                /* bytes in `hold`, the mark included */
    char hold[FRAME_LIMIT + 1]; /* what may become a frame, or is one */
};

/* Takes `length` bytes from the guest; calls the sink for what is complete. */
void console_feed(struct console *console, const char *data, size_t length);

/* The guest is gone: what was held back was text after all. */
void console_finish(struct console *console);

/* The number behind `key` in "key=value key=value"; false if it is not there or no number. */
bool frame_number(const char *rest, const char *key, double *number);

/* Adds all key=value pairs of `rest` to `object`: numbers as numbers, anything else as strings. */
void frame_to_json(const char *rest, json_t *object);

#endif
