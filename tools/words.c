#include "tools/words.h"

#include "tools/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take(struct words *words, char *word)
{
    words->items = must_realloc(words->items, (words->count + 2) * sizeof *words->items);
    words->items[words->count++] = word;
    words->items[words->count] = NULL;
}

void words_add(struct words *words, const char *word)
{
    take(words, must_duplicate(word));
}

void words_addf(struct words *words, const char *format, ...)
{
    char *word = NULL;
    va_list list;
    va_start(list, format);
    const int length = vasprintf(&word, format, list);
    va_end(list);
    if (length < 0)
        exit(fail(EXIT_TOOL, "out of memory"));
    take(words, word);
}

void words_add_all(struct words *words, const struct words *more)
{
    for (size_t i = 0; i < more->count; i++)
        words_add(words, more->items[i]);
}

void words_add_split(struct words *words, const char *text)
{
    static const char blanks[] = " \t\n";
    for (text += strspn(text, blanks); *text != '\0'; text += strspn(text, blanks)) {
        const size_t length = strcspn(text, blanks);
        words_addf(words, "%.*s", (int)length, text);
        text += length;
    }
}

void say_words(const struct words *words)
{
    char *line = must_duplicate(words->items[0]);
    for (size_t i = 1; i < words->count; i++) {
        char *longer = must_format("%s %s", line, words->items[i]);
        free(line);
        line = longer;
    }
    say("%s", line);
    free(line);
}

void words_free(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    free(words->items);
    *words = (struct words){0};
}
