/*
 * What the process's malloc has to say of itself: as a table for people, as JSON (one line) for programs, and as the
 * XML of glibc's malloc_info. Gathered first, printed then; nothing here allocates.
 */
#ifndef WEIR_API_STATISTICS_H
#define WEIR_API_STATISTICS_H

#include "api/platform.h"
#include "api/text.h"

struct statistics {
    uint64_t process;
    struct weir_arena_stats arena;
    struct weir_size_stats sizes[WEIR_SIZES];
    struct weir_frames_stats frames;
    struct platform_usage usage;
};

/* All zero before anything was allocated. */
void statistics_gather(struct statistics *statistics);

void statistics_table(struct text *text, const struct statistics *statistics);
void statistics_json(struct text *text, const struct statistics *statistics);
void statistics_xml(struct text *text, const struct statistics *statistics);

/* What WEIR_STATS asks for, to a file descriptor. The platform calls it when the process ends. */
void statistics_report(int file);

#endif
