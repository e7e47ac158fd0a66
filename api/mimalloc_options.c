/*
 * mimalloc's interface: options.
 *
 * Some of mimalloc's options have a counterpart among weir's (options.h): reading one tells what weir does, setting it
 * changes that. The others tune what weir does not have. They start with the value that describes weir best, remember
 * what they are set to, and do nothing.
 */
#include <limits.h>

#include "api/mimalloc.h"
#include "api/options.h"

struct description {
    const char *name;
    long initial;
    bool kilobytes; /* mi_option_get_size counts bytes */
};

static const struct description table[_mi_option_last] = {
    [mi_option_show_errors] = {"show_errors", 1, false},
    [mi_option_show_stats] = {"show_stats", 0, false},
    [mi_option_verbose] = {"verbose", 0, false},
    [mi_option_eager_commit] = {"eager_commit", 0, false},
    [mi_option_arena_eager_commit] = {"arena_eager_commit", 0, false},
    [mi_option_purge_decommits] = {"purge_decommits", 0, false},
    [mi_option_allow_large_os_pages] = {"allow_large_os_pages", 0, false},
    [mi_option_reserve_huge_os_pages] = {"reserve_huge_os_pages", 0, false},
    [mi_option_reserve_huge_os_pages_at] = {"reserve_huge_os_pages_at", -1, false},
    [mi_option_reserve_os_memory] = {"reserve_os_memory", 0, true},
    [mi_option_deprecated_segment_cache] = {"deprecated_segment_cache", 0, false},
    [mi_option_deprecated_page_reset] = {"deprecated_page_reset", 0, false},
    [mi_option_abandoned_page_purge] = {"abandoned_page_purge", 0, false},
    [mi_option_deprecated_segment_reset] = {"deprecated_segment_reset", 0, false},
    [mi_option_eager_commit_delay] = {"eager_commit_delay", 0, false},
    [mi_option_purge_delay] = {"purge_delay", 0, false},
    [mi_option_use_numa_nodes] = {"use_numa_nodes", 1, false},
    [mi_option_disallow_os_alloc] = {"disallow_os_alloc", 0, false},
    [mi_option_os_tag] = {"os_tag", 100, false},
    [mi_option_max_errors] = {"max_errors", LONG_MAX, false},
    [mi_option_max_warnings] = {"max_warnings", LONG_MAX, false},
    [mi_option_max_segment_reclaim] = {"max_segment_reclaim", 100, false},
    [mi_option_destroy_on_exit] = {"destroy_on_exit", 0, false},
    [mi_option_arena_reserve] = {"arena_reserve", 0, true},
    [mi_option_arena_purge_mult] = {"arena_purge_mult", 1, false},
    [mi_option_purge_extend_delay] = {"purge_extend_delay", 0, false},
    [mi_option_disallow_arena_alloc] = {"disallow_arena_alloc", 0, false},
    [mi_option_retry_on_oom] = {"retry_on_oom", 0, false},
    [mi_option_visit_abandoned] = {"visit_abandoned", 0, false},
    [mi_option_guarded_min] = {"guarded_min", 0, false},
    [mi_option_guarded_max] = {"guarded_max", 0, false},
    [mi_option_guarded_precise] = {"guarded_precise", 0, false},
    [mi_option_guarded_sample_rate] = {"guarded_sample_rate", 0, false},
    [mi_option_guarded_sample_seed] = {"guarded_sample_seed", 0, false},
    [mi_option_generic_collect] = {"generic_collect", 64, false},
    [mi_option_page_reclaim_on_free] = {"page_reclaim_on_free", 0, false},
    [mi_option_page_full_retain] = {"page_full_retain", 1, false},
    [mi_option_page_max_candidates] = {"page_max_candidates", 4, false},
    [mi_option_max_vabits] = {"max_vabits", 47, false},
    [mi_option_pagemap_commit] = {"pagemap_commit", 0, false},
    [mi_option_page_commit_on_demand] = {"page_commit_on_demand", 1, false},
    [mi_option_page_max_reclaim] = {"page_max_reclaim", -1, false},
    [mi_option_page_cross_thread_max_reclaim] = {"page_cross_thread_max_reclaim", -1, false},
    [mi_option_allow_thp] = {"allow_thp", 0, false},
    [mi_option_minimal_purge_size] = {"minimal_purge_size", 64, true},
    [mi_option_arena_max_object_size] = {"arena_max_object_size", LONG_MAX / 1024, true},
    [mi_option_arena_is_numa_local] = {"arena_is_numa_local", 0, false},
    [mi_option_abandoned_reclaim_on_free] = {"abandoned_reclaim_on_free", 0, false},
    [mi_option_target_segments_per_thread] = {"target_segments_per_thread", 0, false},
};

/* Of options without a counterpart: the value less its initial one, so that nothing needs setting up. */
static _Atomic(long) set_by[_mi_option_last];

static bool is_option(mi_option_t option)
{
    return (unsigned)option < _mi_option_last;
}

static long as_long(size_t value)
{
    return value <= LONG_MAX ? (long)value : LONG_MAX;
}

FACE long mi_option_get(mi_option_t which)
{
    if (!is_option(which))
        return 0;
    switch (which) {
    case mi_option_show_stats:
        return option(OPTION_STATS) != STATS_OFF;
    case mi_option_verbose:
        return as_long(option(OPTION_VERBOSE));
    case mi_option_purge_delay:
        return option(OPTION_KEEP) == SIZE_MAX ? -1 : as_long(option(OPTION_COLD_MS));
    case mi_option_purge_decommits:
        return option(OPTION_MADVISE) == MADVISE_DONTNEED;
    case mi_option_allow_thp:
        return option(OPTION_HUGE) != HUGE_NEVER;
    default:
        return (long)((unsigned long)table[which].initial + (unsigned long)atomic_load(&set_by[which]));
    }
}

/* mimalloc's -1: never. What kept memory before it is forgotten. */
static void set_purge_delay(long value)
{
    static const size_t keep_usual = (size_t)32 << 20;
    if (value < 0) {
        option_set(OPTION_KEEP, SIZE_MAX);
        return;
    }
    if (option(OPTION_KEEP) == SIZE_MAX)
        option_set(OPTION_KEEP, keep_usual);
    option_set(OPTION_COLD_MS, (size_t)value);
}

FACE void mi_option_set(mi_option_t which, long value)
{
    if (!is_option(which))
        return;
    switch (which) {
    case mi_option_show_stats:
        option_set(OPTION_STATS, value ? STATS_TEXT : STATS_OFF);
        return;
    case mi_option_verbose:
        option_set(OPTION_VERBOSE, value != 0);
        return;
    case mi_option_purge_delay:
        set_purge_delay(value);
        return;
    case mi_option_purge_decommits:
        option_set(OPTION_MADVISE, value ? MADVISE_DONTNEED : MADVISE_FREE);
        return;
    case mi_option_allow_thp:
        option_set(OPTION_HUGE, value ? HUGE_DEFAULT : HUGE_NEVER);
        return;
    default:
        atomic_store(&set_by[which], (long)((unsigned long)value - (unsigned long)table[which].initial));
    }
}

/* The environment, which comes first in mimalloc, is read before the program runs: a default is a value like others. */
FACE void mi_option_set_default(mi_option_t which, long value)
{
    mi_option_set(which, value);
}

FACE long mi_option_get_clamp(mi_option_t which, long min, long max)
{
    long value = mi_option_get(which);
    return value < min ? min : value > max ? max : value;
}

FACE size_t mi_option_get_size(mi_option_t which)
{
    long value = mi_option_get(which);
    return value < 0 ? 0 : (size_t)value * (is_option(which) && table[which].kilobytes ? 1024 : 1);
}

FACE bool mi_option_is_enabled(mi_option_t which)
{
    return mi_option_get(which) != 0;
}

FACE void mi_option_set_enabled(mi_option_t which, bool enable)
{
    mi_option_set(which, enable);
}

FACE void mi_option_set_enabled_default(mi_option_t which, bool enable)
{
    mi_option_set_default(which, enable);
}

FACE void mi_option_enable(mi_option_t which)
{
    mi_option_set(which, 1);
}

FACE void mi_option_disable(mi_option_t which)
{
    mi_option_set(which, 0);
}

FACE void mi_options_print_out(mi_output_fun *out, void *arg)
{
    struct text text;
    mimalloc_text(&text, out, arg);
    text_put(&text, "weir: options by mimalloc's names (docs/mimalloc.md says which do something)\n");
    for (unsigned i = 0; i < _mi_option_last; i++) {
        long value = mi_option_get((mi_option_t)i);
        text_put(&text, "  ");
        text_left(&text, table[i].name, 32);
        text_put(&text, value < 0 ? "-" : "");
        text_number(&text, value < 0 ? -(uint64_t)value : (uint64_t)value);
        text_put(&text, "\n");
    }
    text_flush(&text);
}

FACE void mi_options_print(void)
{
    mi_options_print_out(NULL, NULL);
}
