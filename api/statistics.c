#include "api/statistics.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "api/options.h"
#include "api/thread.h"

#define ROWS_SHOWN 12u /* of the table by size; the rest is one row */

void statistics_gather(struct statistics *statistics)
{
    struct weir_arena *arena = process_arena();
    *statistics = (struct statistics){.process = (uint64_t)getpid()};
    if (arena) {
        weir_arena_stats(arena, &statistics->arena);
        weir_arena_sizes(arena, statistics->sizes);
        weir_frames_stats(arena->config.frames, &statistics->frames);
    }
    for (unsigned i = 0; i < WEIR_SIZES; i++) {
        struct weir_size_stats *row = &statistics->sizes[i];
        row->live = row->live < row->room ? row->live : row->room; /* counted while others go on */
    }
    platform_usage(&statistics->usage);
}

/* --- for people --- */

/* Digits in groups of three, then what it is that was counted. */
static void put_count(struct text *text, uint64_t count, const char *what)
{
    char all[NUMBER_MAX], digit[2] = "";
    size_t length = strlen(number_text(all, count));
    for (size_t i = 0; i < length; i++) {
        digit[0] = all[i];
        text_put(text, i > 0 && (length - i) % 3 == 0 ? "," : "");
        text_put(text, digit);
    }
    text_put(text, what);
}

static void put_size(struct text *text, uint64_t bytes, size_t width)
{
    char out[NUMBER_MAX];
    text_right(text, size_text(out, bytes), width);
}

static void put_bytes(struct text *text, uint64_t bytes, const char *what)
{
    put_size(text, bytes, 0);
    text_put(text, what);
}

/* `part` of `whole`, in percent. */
static void put_percent(struct text *text, uint64_t part, uint64_t whole, size_t width)
{
    char out[NUMBER_MAX];
    text_right(text, whole ? number_text(out, (part * 100 + whole / 2) / whole) : "-", width - 2);
    text_put(text, " %");
}

/* What of `held` is not `live`; both are counted while others go on. */
static void put_overhead(struct text *text, uint64_t live, uint64_t held)
{
    put_percent(text, live < held ? held - live : 0, held, 12);
}

static void put_seconds(struct text *text, uint64_t milliseconds, const char *what)
{
    char hundredths[] = {'.', (char)('0' + milliseconds / 100 % 10), (char)('0' + milliseconds / 10 % 10), ' ', 's', 0};
    text_number(text, milliseconds / 1000);
    text_put(text, hundredths);
    text_put(text, what);
}

/* A line of the summary: now, at most, what that is. */
static void put_line(struct text *text, const char *name, uint64_t now, uint64_t most, const char *meaning)
{
    text_put(text, "  ");
    text_left(text, name, 12);
    put_size(text, now, 10);
    put_size(text, most, 12);
    text_put(text, "   ");
    text_put(text, meaning);
    text_put(text, "\n");
}

static void put_memory(struct text *text, const struct statistics *statistics)
{
    const struct weir_arena_stats *arena = &statistics->arena;
    const struct platform_usage *usage = &statistics->usage;
    text_put(text, "  memory             now        most\n");
    put_line(text, "live", arena->live, arena->peak_live, "in objects of the program");
    put_line(text, "held", arena->held, arena->peak_held, "by malloc for them: slabs, runs and tables");
    text_put(text, "  overhead  ");
    put_overhead(text, arena->live, arena->held);
    put_overhead(text, arena->peak_live, arena->peak_held);
    text_put(text, "   of what is held is not live\n");
    if (usage->resident)
        put_line(text, "resident", usage->resident, usage->peak_resident ? usage->peak_resident : usage->resident,
                 "as the system counts; code, stacks and all");
}

static void put_counts(struct text *text, const struct statistics *statistics)
{
    const struct weir_arena_stats *arena = &statistics->arena;
    const struct weir_frames_stats *frames = &statistics->frames;
    const struct platform_usage *usage = &statistics->usage;
    text_put(text, "  free        ");
    put_bytes(text, frames->free_backed << WEIR_FRAME_SHIFT, " kept for later; given back to the system in all ");
    put_bytes(text, frames->reported << WEIR_FRAME_SHIFT, ", of these taken again ");
    put_bytes(text, frames->retaken << WEIR_FRAME_SHIFT, "\n  calls       ");
    put_count(text, arena->mallocs, " malloc, ");
    put_count(text, arena->frees, " free (");
    put_count(text, arena->remote_frees, " of another thread's objects), ");
    put_count(text, arena->failed, " refused\n  heaps       ");
    put_count(text, arena->heaps, ", ");
    put_count(text, arena->idle_heaps, " of them idle; ");
    put_count(text, arena->slabs, " slabs; ");
    put_count(text, arena->runs, " large objects, ");
    put_bytes(text, arena->run_bytes, "\n");
    if (arena->limit) {
        text_put(text, "  limit       ");
        put_bytes(text, arena->limit, "\n");
    }
    if (usage->faults) {
        text_put(text, "  process     ");
        put_count(text, usage->faults, " page faults; ");
        put_seconds(text, usage->user_ms, " as user, ");
        put_seconds(text, usage->system_ms, " in the system\n");
    }
}

static void put_row(struct text *text, const char *name, const struct weir_size_stats *row)
{
    char out[NUMBER_MAX];
    text_put(text, "  ");
    text_left(text, name, 12);
    text_right(text, number_text(out, row->live), 10);
    put_size(text, row->bytes, 12);
    put_size(text, row->held, 12);
    text_right(text, number_text(out, row->slabs), 9);
    put_percent(text, row->bytes, row->held, 8);
    text_put(text, "\n");
}

/* The rows that hold most, and the sum of the others. */
static void put_sizes(struct text *text, const struct statistics *statistics)
{
    const struct weir_size_stats *sizes = statistics->sizes;
    bool shown[WEIR_SIZES] = {false};
    char name[NUMBER_MAX + 3] = "<= ";
    if (statistics->arena.held)
        text_put(text, "\n  objects of        live       bytes        held    slabs    fill\n");
    for (unsigned n = 0; n < ROWS_SHOWN; n++) {
        unsigned most = WEIR_SIZES;
        for (unsigned i = 0; i < WEIR_SIZES; i++)
            if (!shown[i] && sizes[i].held > (most < WEIR_SIZES ? sizes[most].held : 0))
                most = i;
        if (most == WEIR_SIZES)
            return;
        shown[most] = true;
        size_text(name + 3, sizes[most].size);
        put_row(text, name, &sizes[most]);
    }
    struct weir_size_stats others = {0};
    for (unsigned i = 0; i < WEIR_SIZES; i++) {
        if (shown[i])
            continue;
        others.live += sizes[i].live;
        others.bytes += sizes[i].bytes;
        others.held += sizes[i].held;
        others.slabs += sizes[i].slabs;
    }
    if (others.held)
        put_row(text, "others", &others);
}

void statistics_table(struct text *text, const struct statistics *statistics)
{
    text_put(text, "weir: statistics of process ");
    text_number(text, statistics->process);
    text_put(text, " (");
    text_quote(text, program_invocation_short_name, 40);
    text_put(text, ")\n");
    put_memory(text, statistics);
    put_counts(text, statistics);
    put_sizes(text, statistics);
}

void statistics_report(int file)
{
    struct statistics statistics;
    struct text text = {.file = file};
    statistics_gather(&statistics);
    if (option(OPTION_STATS) == STATS_JSON)
        statistics_json(&text, &statistics);
    else
        statistics_table(&text, &statistics);
    text_flush(&text);
}
