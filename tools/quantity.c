#include "tools/quantity.h"

#include "tools/message.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* strtod() alone would also take "inf", "0x10", " 1" and "+1". */
static bool parse_decimal(const char *text, char **end, double *number)
{
    if (!isdigit((unsigned char)text[0]) || (text[0] == '0' && tolower((unsigned char)text[1]) == 'x'))
        return false;
    errno = 0;
    *number = strtod(text, end);
    return errno == 0 && isfinite(*number);
}

bool parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    double number;
    if (!parse_decimal(text, &end, &number))
        return false;
    unsigned shift = 0;
    if (*end != '\0') {
        const char *unit = strchr(units, toupper((unsigned char)*end));
        if (unit == NULL)
            return false;
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
        if (strcmp(end, "") != 0 && strcmp(end, "iB") != 0 && strcmp(end, "B") != 0)
            return false;
    } else if (number != 0) {
        return false;
    }
    const double size = ldexp(number, (int)shift);
    if (size > ldexp(1, 52))
        return false;
    *bytes = (uint64_t)size;
    return true;
}

bool parse_seconds(const char *text, double *seconds)
{
    char *end;
    if (!parse_decimal(text, &end, seconds))
        return false;
    if (strcmp(end, "s") == 0)
        end++;
    return *end == '\0' && *seconds <= 366.0 * 24 * 3600;
}

bool parse_number(const char *text, unsigned least, unsigned most, unsigned *number)
{
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < least || value > most)
        return false;
    *number = (unsigned)value;
    return true;
}

static bool parse_step(char *item, struct balloon_step *step)
{
    char *at = strchr(item, '@');
    if (at == NULL)
        return false;
    *at = '\0';
    const bool size_good = strcmp(item, "max") == 0 || parse_size(item, &step->bytes);
    if (strcmp(item, "max") == 0)
        step->bytes = BALLOON_MAX;
    *at = '@';
    return size_good && parse_seconds(at + 1, &step->time);
}

bool parse_balloon_steps(const char *text, struct balloon_step **steps, size_t *count, const char **fault)
{
    *steps = NULL;
    *count = 0;
    for (;;) {
        const size_t length = strcspn(text, ",");
        char item[64];
        struct balloon_step step = {0};
        snprintf(item, sizeof item, "%.*s", (int)length, text);
        if (length >= sizeof item || !parse_step(item, &step)) {
            *fault = text;
            free(*steps);
            *steps = NULL;
            *count = 0;
            return false;
        }
        /* Insertion keeps steps of the same time in the order they were written. */
        *steps = must_realloc(*steps, (*count + 1) * sizeof **steps);
        size_t place = (*count)++;
        for (; place > 0 && (*steps)[place - 1].time > step.time; place--)
            (*steps)[place] = (*steps)[place - 1];
        (*steps)[place] = step;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

char *format_size(char text[static 16], uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    size_t unit = 0;
    for (; number >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        number /= 1024;
    snprintf(text, 16, number < 10 && number != floor(number) ? "%.1f %s" : "%.0f %s", number, units[unit]);
    return text;
}
