#include "command_line.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Unquotes one word from *from to *to, both moved on. */
static void take_word(const char **from, char **to, const char *end)
{
    char quote = '\0';
    const char *f = *from;
    char *t = *to;
    for (; *f && (quote || !is_space(*f)); f++) {
        char c = *f;
        if (quote ? c == quote : (c == '"' || c == '\'')) {
            if (quote)
                quote = '\0';
            else
                quote = c;
            continue;
        }
        if (c == '\\' && quote != '\'' && f[1] && (!quote || f[1] == '"' || f[1] == '\\'))
            c = *++f;
        if (t < end)
            *t++ = c;
    }
    *from = f;
    *to = t;
}

void command_line_parse(struct command_line *line, const char *text)
{
    char *to = line->text, *end = line->text + sizeof line->text - 1;
    bool arguments = false;
    line->n = line->options = 0;
    line->cut = false;
    for (;;) {
        while (is_space(*text))
            text++;
        if (!*text)
            break;
        if (line->n == COMMAND_WORDS || to >= end) {
            line->cut = true;
            break;
        }
        const char *raw = text;
        char *word = to;
        take_word(&text, &to, end);
        if (to == end)
            line->cut = true;
        *to++ = '\0';
        if (!arguments && text - raw == 2 && raw[0] == '-' && raw[1] == '-') {
            arguments = true;
            to = word;
            continue;
        }
        line->words[line->n++] = word;
        if (!arguments)
            line->options = line->n;
    }
}

const char *command_word_value(const char *word, const char *name)
{
    while (*name && *word == *name) {
        word++;
        name++;
    }
    if (*name)
        return NULL;
    return *word == '=' ? word + 1 : *word ? NULL : word;
}

const char *command_line_option(const struct command_line *line, const char *name)
{
    for (unsigned i = line->options; i-- > 0;) {
        const char *value = command_word_value(line->words[i], name);
        if (value)
            return value;
    }
    return NULL;
}
