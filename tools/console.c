#include "tools/console.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char mark[] = "\x1eweir ";
#define MARK_LENGTH (sizeof mark - 1)

static void release(struct console *console)
{
    if (console->held > 0)
        console->sink.text(console->sink.context, console->hold, console->held);
    console->held = 0;
    console->state = CONSOLE_TEXT;
}

static void deliver(struct console *console)
{
    size_t end = console->held;
    if (console->hold[end - 1] == '\r')
        end--;
    console->hold[end] = '\0';
    char *word = console->hold + MARK_LENGTH;
    char *rest = word + strcspn(word, " ");
    if (*rest == ' ')
        *rest++ = '\0';
    console->held = 0;
    console->state = CONSOLE_TEXT;
    console->sink.frame(console->sink.context, &(struct frame){.word = word, .rest = rest});
}

/* Takes one byte in MARK or FRAME; false if it does not belong to the frame and has to be looked at as text. */
static bool hold(struct console *console, char byte)
{
    if (console->state == CONSOLE_FRAME && byte == '\n') {
        deliver(console);
        return true;
    }
    if (console->state == CONSOLE_MARK && byte != mark[console->held]) {
        release(console);
        return false;
    }
    if (console->held == FRAME_LIMIT) {
        release(console);
        return false;
    }
    console->hold[console->held++] = byte;
    if (console->held == MARK_LENGTH)
        console->state = CONSOLE_FRAME;
    return true;
}

void console_feed(struct console *console, const char *data, size_t length)
{
    size_t start = 0; /* of the text not yet passed on */
    for (size_t i = 0; i < length; i++) {
        if (console->state != CONSOLE_TEXT) {
            start = i;
            if (hold(console, data[i])) {
                start = i + 1;
                continue;
            }
        }
        if (data[i] != mark[0])
            continue;
        if (i > start)
            console->sink.text(console->sink.context, data + start, i - start);
        console->state = CONSOLE_MARK;
        console->hold[0] = mark[0];
        console->held = 1;
        start = i + 1;
    }
    if (length > start)
        console->sink.text(console->sink.context, data + start, length - start);
}

void console_finish(struct console *console)
{
    release(console);
}

/* The value of the next pair of `*rest`, which moves behind it; false at the end. Words without '=' are skipped. */
static bool next_pair(const char **rest, const char **key, size_t *key_length, const char **value, size_t *value_length)
{
    for (const char *word = *rest + strspn(*rest, " "); *word != '\0';) {
        const size_t length = strcspn(word, " ");
        const char *equals = memchr(word, '=', length);
        const char *after = word + length + strspn(word + length, " ");
        if (equals != NULL && equals > word) {
            *key = word;
            *key_length = (size_t)(equals - word);
            *value = equals + 1;
            *value_length = length - *key_length - 1;
            *rest = after;
            return true;
        }
        word = after;
    }
    return false;
}

static bool to_number(const char *value, size_t length, double *number)
{
    char text[64];
    if (length == 0 || length >= sizeof text || strchr("0123456789-.", *value) == NULL)
        return false;
    memcpy(text, value, length);
    text[length] = '\0';
    char *end;
    *number = strtod(text, &end);
    return *end == '\0' && isfinite(*number);
}

bool frame_number(const char *rest, const char *key, double *number)
{
    const char *found;
    const char *value;
    size_t found_length;
    size_t value_length;
    while (next_pair(&rest, &found, &found_length, &value, &value_length))
        if (found_length == strlen(key) && memcmp(found, key, found_length) == 0)
            return to_number(value, value_length, number);
    return false;
}

void frame_to_json(const char *rest, json_t *object)
{
    const char *key;
    const char *value;
    size_t key_length;
    size_t value_length;
    while (next_pair(&rest, &key, &key_length, &value, &value_length)) {
        char name[64];
        double number;
        if (key_length >= sizeof name)
            continue;
        memcpy(name, key, key_length);
        name[key_length] = '\0';
        json_t *item;
        if (!to_number(value, value_length, &number))
            item = json_stringn(value, value_length);
        else if (number == floor(number) && fabs(number) < 9e15)
            item = json_integer((json_int_t)number);
        else
            item = json_real(number);
        /* A guest may print bytes that are no UTF-8: such a pair has no place in JSON. */
        if (item != NULL)
            json_object_set_new(object, name, item);
    }
}
