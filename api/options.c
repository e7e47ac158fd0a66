#include "api/options.h"

#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "api/text.h"

#define MIB ((size_t)1 << 20)
#define TIB ((size_t)1 << 40)

/* What values an option takes. */
enum kind {
    SWITCH, /* 0 or 1 */
    CHOICE, /* one of `words`: its place among them */
    NUMBER, /* least to most */
    SIZE,   /* the same, in bytes, perhaps with a suffix */
    TEXT,
};

enum place {
    EVERYWHERE,
    LINUX, /* means nothing in a guest */
};

struct description {
    const char *name; /* behind "WEIR_" */
    enum kind kind;
    enum place place;
    size_t initial, least, most;
    const char *const *words; /* of a CHOICE; the last is null */
    const char *unit;
    const char *meaning;
};

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct description table[OPTIONS] = {
    [OPTION_HELP] = {"HELP", SWITCH, .meaning = "print this table when the program starts"},
    [OPTION_VERBOSE] = {"VERBOSE", SWITCH, .meaning = "say at the start which options are in force"},
    [OPTION_STATS] = {"STATS", CHOICE, .words = WORDS("0", "1", "json"),
                      .meaning = "print statistics when the program ends"},
    [OPTION_STATS_FILE] = {"STATS_FILE", TEXT, LINUX, .unit = "path",
                           .meaning = "append them to this file (%p: process number) instead of stderr"},
    [OPTION_ABORT] = {"ABORT", SWITCH, LINUX, .meaning = "end the program when it misuses free or realloc"},
    [OPTION_LIMIT] = {"LIMIT", SIZE, .most = SIZE_MAX, .unit = "bytes",
                      .meaning = "most memory that malloc may hold; 0: no limit"},
    [OPTION_RESERVE] = {"RESERVE", SIZE, LINUX, .most = TIB / 2, .unit = "bytes",
                        .meaning = "range of addresses to reserve; 0: four times the machine's memory"},
    [OPTION_KEEP] = {"KEEP", SIZE, LINUX, .initial = 32 * MIB, .most = SIZE_MAX, .unit = "bytes",
                     .meaning = "free memory that always stays with the process, and ..."},
    [OPTION_KEEP_PART] = {"KEEP_PART", NUMBER, LINUX, .initial = 25, .most = 1000, .unit = "percent",
                          .meaning = "... as much as this part of what is in use, if that is more"},
    [OPTION_COLD_MS] = {"COLD_MS", NUMBER, LINUX, .initial = 500, .most = 3600000, .unit = "ms",
                        .meaning = "memory freed this recently stays, too"},
    [OPTION_MADVISE] = {"MADVISE", CHOICE, LINUX, .words = WORDS("dontneed", "free"),
                        .meaning = "how memory is given back: at once, or when the kernel wants it"},
    [OPTION_HUGE] = {"HUGE", CHOICE, LINUX, .words = WORDS("default", "never", "always", "system"),
                     .meaning = "transparent huge pages; default: for large processes; system: as it is set"},
    [OPTION_BACKGROUND] = {"BACKGROUND", SWITCH, LINUX,
                           .meaning = "a thread gives memory back while the program idles"},
    [OPTION_BACKGROUND_MS] = {"BACKGROUND_MS", NUMBER, LINUX, .initial = 100, .least = 1, .most = 3600000, .unit = "ms",
                              .meaning = "how often it looks"},
};

/* Names that begin as options do, but belong to weir's tool, tests and examples. */
static const char *const others[] = {"EXAMPLES", "LIB", "LONG", "PHASES", "ROUNDS", "SEED", "VERSION"};

_Atomic(size_t) option_values[OPTIONS];
atomic_bool options_known;

static char stats_file[1024];

/* The place of `text` among `words`; SIZE_MAX if it is none of them. */
static size_t find_word(const char *const *words, const char *text)
{
    for (size_t n = 0; words[n]; n++)
        if (strcmp(words[n], text) == 0)
            return n;
    return SIZE_MAX;
}

/* A decimal number and, for a size, perhaps a suffix: K, M, G or T; KiB, KB and so on mean the same. */
static bool read_number(const char *text, bool size, size_t *value)
{
    static const char suffixes[] = "KMGT";
    size_t number = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(number, (size_t)10, &number) ||
            __builtin_add_overflow(number, (size_t)(*text - '0'), &number))
            return false;
    const char *suffix = size && *text ? strchr(suffixes, *text & ~0x20) : NULL;
    if (suffix && *suffix) {
        unsigned shift = (unsigned)(suffix - suffixes + 1) * 10;
        if (number > SIZE_MAX >> shift)
            return false;
        number <<= shift;
        text += strncmp(text + 1, "iB", 2) == 0 ? 3 : text[1] == 'B' ? 2 : 1;
    }
    *value = number;
    return *text == '\0';
}

static bool read_value(const struct description *option, const char *text, size_t *value)
{
    switch (option->kind) {
    case SWITCH:
        *value = find_word(WORDS("0", "1", "off", "on", "no", "yes", "false", "true"), text);
        if (*value == SIZE_MAX)
            return false;
        *value %= 2;
        return true;
    case CHOICE:
        *value = find_word(option->words, text);
        return *value != SIZE_MAX;
    case NUMBER:
    case SIZE:
        return read_number(text, option->kind == SIZE, value) && *value >= option->least && *value <= option->most;
    case TEXT:
        break;
    }
    size_t length = strlen(text);
    if (length >= sizeof stats_file)
        return false;
    memcpy(stats_file, text, length + 1);
    return true;
}

/* A value as the user would write it. */
static const char *value_text(char out[NUMBER_MAX], const struct description *option, size_t value)
{
    switch (option->kind) {
    case CHOICE:
        return option->words[value];
    case SIZE:
        return exact_size_text(out, value);
    case SWITCH:
    case NUMBER:
        return number_text(out, value);
    case TEXT:
        break;
    }
    return *stats_file ? stats_file : "-";
}

/* --- complaints --- */

static void begin(struct text *line)
{
    line->file = STDERR_FILENO;
    line->stream = NULL;
    line->sink = NULL;
    line->length = 0;
    text_put(line, "weir: ");
}

static void end(struct text *line)
{
    text_put(line, "\n");
    text_flush(line);
}

static void put_expected(struct text *line, const struct description *option)
{
    char out[NUMBER_MAX];
    switch (option->kind) {
    case SWITCH:
        text_put(line, "0 or 1");
        return;
    case CHOICE:
        for (size_t n = 0; option->words[n]; n++) {
            text_put(line, n == 0 ? "" : option->words[n + 1] ? ", " : " or ");
            text_put(line, option->words[n]);
        }
        return;
    case TEXT:
        text_put(line, "at most ");
        text_number(line, sizeof stats_file - 1);
        text_put(line, " characters");
        return;
    case NUMBER:
        text_put(line, "a number from ");
        break;
    case SIZE:
        text_put(line, "bytes, such as 100000, 64K, 32M or 1G");
        if (option->most == SIZE_MAX)
            return;
        text_put(line, ", from ");
        break;
    }
    text_put(line, value_text(out, option, option->least));
    text_put(line, " to ");
    text_put(line, value_text(out, option, option->most));
}

static void complain_of_value(const struct description *option, const char *value)
{
    struct text line;
    char out[NUMBER_MAX];
    begin(&line);
    text_put(&line, "WEIR_");
    text_put(&line, option->name);
    text_put(&line, "=");
    text_quote(&line, value, 60);
    text_put(&line, strlen(value) > 60 ? "..." : "");
    text_put(&line, ": expected ");
    put_expected(&line, option);
    text_put(&line, "; ");
    text_put(&line, option->kind == TEXT ? "nothing" : value_text(out, option, option->initial));
    text_put(&line, " is used");
    end(&line);
}

/* How many characters must be inserted, dropped or replaced to turn one name into the other (Wagner and Fischer 1974),
 * row by row. */
static size_t distance(const char *from, size_t length, const char *to)
{
    size_t row[32], width = strlen(to);
    for (size_t k = 0; k <= width; k++)
        row[k] = k;
    for (size_t i = 0; i < length; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < width; k++) {
            size_t replaced = diagonal + ((from[i] & ~0x20) != to[k]);
            diagonal = row[k + 1];
            size_t other = row[k] < diagonal ? row[k] + 1 : diagonal + 1;
            row[k + 1] = replaced < other ? replaced : other;
        }
    }
    return row[width];
}

static const struct description *nearest(const char *name, size_t length)
{
    const struct description *best = table;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < OPTIONS; i++) {
        size_t away = distance(name, length, table[i].name);
        if (away < least) {
            least = away;
            best = &table[i];
        }
    }
    return best;
}

static void complain_of_name(const char *name, size_t length)
{
    struct text line;
    length = length < 60 ? length : 60;
    begin(&line);
    text_put(&line, "no option is called WEIR_");
    text_quote(&line, name, length);
    text_put(&line, "; the nearest is WEIR_");
    text_put(&line, nearest(name, length)->name);
    text_put(&line, ", and WEIR_HELP=1 lists all");
    end(&line);
}

static void complain_of_place(const struct description *option)
{
    struct text line;
    begin(&line);
    text_put(&line, "WEIR_");
    text_put(&line, option->name);
    text_put(&line, " means nothing in a guest");
    end(&line);
}

/* --- reading --- */

static bool means_something(const struct description *option)
{
#ifdef WEIR_GUEST
    return option->place == EVERYWHERE;
#else
    (void)option;
    return true;
#endif
}

static bool is_named(const char *name, size_t length, const char *wanted)
{
    return strlen(wanted) == length && memcmp(name, wanted, length) == 0;
}

/* The option of this name; OPTIONS if there is none. */
static enum option find_option(const char *name, size_t length)
{
    unsigned i = 0;
    while (i < OPTIONS && !is_named(name, length, table[i].name))
        i++;
    return (enum option)i;
}

static bool belongs_to_others(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (is_named(name, length, others[i]))
            return true;
    return false;
}

/* One NAME=VALUE, without its WEIR_. An empty value is none. */
static void take(const char *entry)
{
    size_t length = strcspn(entry, "="), value;
    const char *text = entry + length + (entry[length] == '=');
    enum option found = find_option(entry, length);
    if (found == OPTIONS) {
        if (!belongs_to_others(entry, length))
            complain_of_name(entry, length);
        return;
    }
    const struct description *option = &table[found];
    if (*text == '\0')
        return;
    if (!means_something(option))
        complain_of_place(option);
    else if (!read_value(option, text, &value))
        complain_of_value(option, text);
    else if (option->kind != TEXT)
        atomic_store_explicit(&option_values[found], value, memory_order_relaxed);
}

static void print_table(void)
{
    struct text text;
    char out[NUMBER_MAX];
    begin(&text);
    text_put(&text, "options, taken from the environment\n\n");
    text_left(&text, "name", 20);
    text_left(&text, "value", 10);
    text_left(&text, "default", 10);
    text_left(&text, "unit", 9);
    text_put(&text, "meaning\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct description *option = &table[i];
        if (!means_something(option))
            continue;
        text_put(&text, "WEIR_");
        text_left(&text, option->name, 15);
        text_left(&text, value_text(out, option, option_values[i]), 9);
        text_put(&text, " ");
        text_left(&text, option->kind == TEXT ? "-" : value_text(out, option, option->initial), 9);
        text_put(&text, " ");
        text_left(&text, option->unit ? option->unit : "", 9);
        text_put(&text, option->meaning);
        for (size_t n = 0; option->words && option->words[n]; n++) {
            text_put(&text, n == 0 ? " (" : option->words[n + 1] ? ", " : " or ");
            text_put(&text, option->words[n]);
        }
        text_put(&text, option->words ? ")\n" : "\n");
    }
    text_flush(&text);
}

static void print_start(void)
{
    struct text line;
    char out[NUMBER_MAX];
    begin(&line);
    text_put(&line, "malloc of process ");
    text_number(&line, (uint64_t)getpid());
    text_put(&line, ":");
    for (size_t i = 0; i < OPTIONS; i++) {
        bool set = table[i].kind == TEXT ? *stats_file != '\0' : option_values[i] != table[i].initial;
        if (!set)
            continue;
        text_put(&line, " WEIR_");
        text_put(&line, table[i].name);
        text_put(&line, "=");
        text_put(&line, value_text(out, &table[i], option_values[i]));
    }
    end(&line);
}

/* glibc's loader allocates before the C library has set `environ`; what the kernel left on the stack is there. */
extern void *__libc_stack_end __attribute__((weak));

static char **environment(void)
{
    static char *none[] = {NULL};
    if (getauxval(AT_SECURE))
        return none;
    if (environ)
        return environ;
    if (!&__libc_stack_end || !__libc_stack_end)
        return none;
    uintptr_t *argc = __libc_stack_end;
    return (char **)(argc + 1 + *argc + 1);
}

static void read_all(void)
{
    for (size_t i = 0; i < OPTIONS; i++)
        option_values[i] = table[i].initial;
    for (char **entry = environment(); *entry; entry++)
        if (strncmp(*entry, "WEIR_", 5) == 0)
            take(*entry + 5);
    if (option_values[OPTION_HELP])
        print_table();
    if (option_values[OPTION_VERBOSE])
        print_start();
}

void options_read(void)
{
    static atomic_bool begun;
    if (!atomic_exchange(&begun, true)) {
        read_all();
        atomic_store_explicit(&options_known, true, memory_order_release);
    }
    while (!atomic_load_explicit(&options_known, memory_order_acquire))
        sched_yield();
}

/* A program that never allocates is told, too. */
__attribute__((constructor)) static void read_at_start(void)
{
    options_read();
}

bool option_set(enum option option, size_t value)
{
    const struct description *description = &table[option];
    size_t most = description->kind == SWITCH ? 1 : description->most;
    for (size_t n = 0; description->words && description->words[n]; n++)
        most = n;
    options_read();
    if (description->kind == TEXT || value < description->least || value > most)
        return false;
    atomic_store_explicit(&option_values[option], value, memory_order_relaxed);
    return true;
}

const char *option_text(enum option option)
{
    options_read();
    return option == OPTION_STATS_FILE ? stats_file : "";
}
