#include "tools/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One write for the whole line: lines of several processes in one terminal or log do not mix. */
static void say_list(const char *format, va_list list)
{
    char line[4096] = "weir: ";
    const size_t prefix = strlen(line);
    const int length = vsnprintf(line + prefix, sizeof line - prefix - 1, format, list);
    size_t size = prefix + (length < 0 ? 0 : (size_t)length);
    if (size > sizeof line - 2)
        size = sizeof line - 2;
    line[size++] = '\n';
    fflush(stderr);
    for (size_t done = 0; done < size;) {
        const ssize_t wrote = write(STDERR_FILENO, line + done, size - done);
        if (wrote <= 0)
            return;
        done += (size_t)wrote;
    }
}

void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
}

int fail(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
    return code;
}

void quote_output(const char *prefix, const char *text)
{
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        if (length > 0)
            say("%s%.*s", prefix, (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static void *must(void *pointer)
{
    if (pointer == NULL)
        exit(fail(EXIT_TOOL, "out of memory"));
    return pointer;
}

void *must_alloc(size_t size)
{
    return must(calloc(1, size > 0 ? size : 1));
}

void *must_realloc(void *pointer, size_t size)
{
    return must(realloc(pointer, size > 0 ? size : 1));
}

char *must_duplicate(const char *text)
{
    return must(strdup(text));
}

char *must_format(const char *format, ...)
{
    char *text = NULL;
    va_list list;
    va_start(list, format);
    const int length = vasprintf(&text, format, list);
    va_end(list);
    return must(length < 0 ? NULL : text);
}
