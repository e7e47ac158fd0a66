/*
 * mimalloc's interface: statistics, in terms of what weir counts (api/statistics.h). The table and the JSON are weir's
 * own.
 */
#include "include/mimalloc-stats.h"

#include <errno.h>

#include "api/mimalloc.h"
#include "api/statistics.h"

static mi_stat_count_t count(uint64_t total, uint64_t peak, uint64_t current)
{
    return (mi_stat_count_t){(int64_t)total, (int64_t)(peak > current ? peak : current), (int64_t)current};
}

static mi_stat_counter_t counter(uint64_t total)
{
    return (mi_stat_counter_t){(int64_t)total};
}

/* Calls since the process began: nothing is ever set back. */
static void fill(mi_stats_t *stats, const struct statistics *from)
{
    const struct weir_arena_stats *arena = &from->arena;
    const struct weir_frames_stats *frames = &from->frames;
    size_t small = arena->live > arena->run_bytes ? arena->live - arena->run_bytes : 0;
    size_t managed = frames->managed << WEIR_FRAME_SHIFT;
    mi_stats_init(stats);
    stats->pages = count(arena->slabs + arena->runs, 0, arena->slabs + arena->runs);
    stats->reserved = count(managed, managed, managed);
    stats->committed = count(arena->peak_held, arena->peak_held, arena->held);
    stats->page_committed = count(0, arena->peak_held - arena->metadata, arena->held - arena->metadata);
    stats->purged = counter(frames->reported << WEIR_FRAME_SHIFT);
    stats->threads = count(arena->heaps, arena->heaps, arena->heaps);
    stats->heaps = count(arena->heaps, arena->heaps, arena->heaps);
    stats->malloc_normal = count(0, arena->peak_live, small);
    stats->malloc_huge = count(0, 0, arena->run_bytes);
    stats->malloc_requested = count(0, arena->peak_live, arena->live);
    stats->malloc_normal_count = counter(arena->mallocs);
    stats->malloc_huge_count = counter(arena->runs);
    stats->arena_count = counter(arena->held != 0);
    for (unsigned i = 0; i < WEIR_SIZES; i++) { /* the last bin has all the largest */
        unsigned bin = i < MI_BIN_HUGE ? i : MI_BIN_HUGE;
        stats->malloc_bins[bin].current += (int64_t)from->sizes[i].live;
        stats->page_bins[bin].current += (int64_t)from->sizes[i].slabs;
    }
}

FACE bool mi_stats_get(mi_stats_t *stats)
{
    if (!stats || stats->size != sizeof *stats || stats->version != MI_STAT_VERSION)
        return false;
    int error = errno;
    struct statistics statistics;
    statistics_gather(&statistics);
    fill(stats, &statistics);
    errno = error;
    return true;
}

FACE size_t mi_stats_get_bin_size(size_t bin)
{
    struct statistics statistics;
    statistics_gather(&statistics);
    return bin < MI_BIN_HUGE ? statistics.sizes[bin].size : 0;
}

/* --- text --- */

FACE void mi_stats_print_out(mi_output_fun *out, void *arg)
{
    struct statistics statistics;
    struct text text;
    int error = errno;
    statistics_gather(&statistics);
    mimalloc_text(&text, out, arg);
    statistics_table(&text, &statistics);
    text_flush(&text);
    errno = error;
}

FACE void mi_stats_print(void *out)
{
    (void)out;
    mi_stats_print_out(NULL, NULL);
}

FACE void mi_thread_stats_print_out(mi_output_fun *out, void *arg)
{
    mi_stats_print_out(out, arg);
}

FACE void mi_stats_reset(void)
{
}

FACE void mi_stats_merge(void)
{
}

/* A place in memory, filled as far as it goes. */
struct sink {
    char *buffer;
    size_t size, length; /* length: of all, whether it had room or not */
};

static void append(const char *string, void *argument)
{
    struct sink *sink = argument;
    for (; *string; string++, sink->length++)
        if (sink->length + 1 < sink->size)
            sink->buffer[sink->length] = *string;
}

static void write_json(struct sink *sink, const struct statistics *statistics)
{
    struct text text;
    mimalloc_text(&text, append, sink);
    statistics_json(&text, statistics);
    text_flush(&text);
    if (sink->size)
        sink->buffer[sink->length < sink->size ? sink->length : sink->size - 1] = '\0';
}

FACE char *mi_stats_get_json(size_t buf_size, char *buf)
{
    struct statistics statistics;
    struct sink sink = {buf, buf ? buf_size : 0, 0};
    statistics_gather(&statistics);
    write_json(&sink, &statistics);
    if (!buf) {
        sink = (struct sink){mi_malloc(sink.length + 1), sink.length + 1, 0};
        if (sink.buffer)
            write_json(&sink, &statistics);
    }
    return sink.buffer;
}

/* The structure holds less than weir knows: the answer is what mi_stats_get_json says now. */
FACE char *mi_stats_as_json(mi_stats_t *stats, size_t buf_size, char *buf)
{
    return stats ? mi_stats_get_json(buf_size, buf) : NULL;
}

/* --- of heaps and sub-processes: the process's --- */

FACE bool mi_heap_stats_get(mi_heap_t *heap, mi_stats_t *stats)
{
    (void)heap;
    return mi_stats_get(stats);
}

FACE char *mi_heap_stats_get_json(mi_heap_t *heap, size_t buf_size, char *buf)
{
    (void)heap;
    return mi_stats_get_json(buf_size, buf);
}

FACE void mi_heap_stats_print_out(mi_heap_t *heap, mi_output_fun *out, void *arg)
{
    (void)heap;
    mi_stats_print_out(out, arg);
}

FACE void mi_heap_stats_merge_to_subproc(mi_heap_t *heap)
{
    (void)heap;
}

FACE bool mi_subproc_stats_get(mi_subproc_id_t subproc_id, mi_stats_t *stats)
{
    (void)subproc_id;
    return mi_stats_get(stats);
}

FACE bool mi_subproc_stats_get_exclusive(mi_subproc_id_t subproc_id, mi_stats_t *stats)
{
    (void)subproc_id;
    return mi_stats_get(stats);
}

FACE char *mi_subproc_stats_get_json(mi_subproc_id_t subproc_id, size_t buf_size, char *buf)
{
    (void)subproc_id;
    return mi_stats_get_json(buf_size, buf);
}

FACE void mi_subproc_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun *out, void *arg)
{
    (void)subproc_id;
    mi_stats_print_out(out, arg);
}

FACE void mi_subproc_heap_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun *out, void *arg)
{
    (void)subproc_id;
    mi_stats_print_out(out, arg);
}
