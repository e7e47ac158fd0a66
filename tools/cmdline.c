#include "tools/cmdline.h"

#include "tools/message.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(unsigned char c)
{
    return c >= 0x80 || isalnum(c) || strchr("_-./:=+,@%^", c) != NULL;
}

static void quote(FILE *out, const char *word)
{
    bool plain = *word != '\0' && strcmp(word, "--") != 0;
    for (const char *c = word; *c != '\0'; c++)
        plain = plain && is_plain((unsigned char)*c);
    if (plain) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (const char *c = word; *c != '\0'; c++) {
        if (*c == '\'')
            fputs("'\\''", out);
        else if (*c == ' ' && c - word >= 3 && strncmp(c - 3, " --", 3) == 0)
            fputs("'' ", out);
        else
            fputc(*c, out);
    }
    fputc('\'', out);
}

char *cmdline_quote(const char *word)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        exit(fail(EXIT_TOOL, "out of memory"));
    quote(out, word);
    if (fclose(out) != 0)
        exit(fail(EXIT_TOOL, "out of memory"));
    return text;
}

/* Whether an odd number of double quotes would stand before the separator. */
static bool is_unbalanced(const struct guest_words *guest)
{
    size_t count = 0;
    for (const char *c = guest->name; *c != '\0'; c++)
        count += *c == '"';
    for (size_t i = 0; i < guest->env.count; i++)
        for (const char *c = guest->env.items[i]; *c != '\0'; c++)
            count += *c == '"';
    return count % 2 != 0;
}

size_t cmdline_words(const struct guest_words *guest)
{
    return 2 + guest->options.count + guest->env.count + guest->args.count + is_unbalanced(guest);
}

char *cmdline_build(const struct guest_words *guest)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        exit(fail(EXIT_TOOL, "out of memory"));
    fputs("weir.tool=1 weir.name=", out);
    quote(out, guest->name);
    for (size_t i = 0; i < guest->options.count; i++)
        fprintf(out, " %s", guest->options.items[i]);
    for (size_t i = 0; i < guest->env.count; i++) {
        /* The name stays outside the quotes: the kernel looks for a word that starts with "env.". */
        const char *value = strchr(guest->env.items[i], '=') + 1;
        fprintf(out, " env.%.*s", (int)(value - guest->env.items[i]), guest->env.items[i]);
        quote(out, value);
    }
    if (is_unbalanced(guest))
        fputs(" '\"'", out);
    if (guest->args.count > 0)
        fputs(" --", out);
    for (size_t i = 0; i < guest->args.count; i++) {
        fputc(' ', out);
        quote(out, guest->args.items[i]);
    }
    if (fclose(out) != 0)
        exit(fail(EXIT_TOOL, "out of memory"));
    return text;
}

bool cmdline_is_ascii(const char *line)
{
    for (; *line != '\0'; line++)
        if ((unsigned char)*line < ' ' || (unsigned char)*line > '~')
            return false;
    return true;
}
