/*
 * Statistics for programs: JSON and XML. What is written are keys chosen here and numbers, so that nothing needs
 * escaping; a library would have to be there at run time, and would call malloc.
 */
#include "api/statistics.h"

/* --- JSON --- */

static void json_key(struct text *text, const char *key, bool first)
{
    text_put(text, first ? "\"" : ", \"");
    text_put(text, key);
    text_put(text, "\": ");
}

static void json_number(struct text *text, const char *key, uint64_t number, bool first)
{
    json_key(text, key, first);
    text_number(text, number);
}

struct field {
    const char *key;
    uint64_t number;
};

static void json_object(struct text *text, const struct field *fields, size_t n)
{
    text_put(text, "{");
    for (size_t i = 0; i < n; i++)
        json_number(text, fields[i].key, fields[i].number, i == 0);
}

static void json_sizes(struct text *text, const struct weir_size_stats *sizes)
{
    bool first = true;
    text_put(text, "[");
    for (unsigned i = 0; i < WEIR_SIZES; i++) {
        const struct weir_size_stats *row = &sizes[i];
        if (!row->held)
            continue;
        const struct field fields[] = {
            {"size", row->size},       {"live", row->live},   {"live_bytes", row->bytes},
            {"held_bytes", row->held}, {"slabs", row->slabs}, {"room", row->room},
        };
        text_put(text, first ? "" : ", ");
        json_object(text, fields, sizeof fields / sizeof *fields);
        text_put(text, "}");
        first = false;
    }
    text_put(text, "]");
}

void statistics_json(struct text *text, const struct statistics *statistics)
{
    const struct weir_arena_stats *arena = &statistics->arena;
    const struct weir_frames_stats *frames = &statistics->frames;
    const struct platform_usage *usage = &statistics->usage;
    const struct field fields[] = {
        {"process", statistics->process},
        {"live_bytes", arena->live},
        {"peak_live_bytes", arena->peak_live},
        {"held_bytes", arena->held},
        {"peak_held_bytes", arena->peak_held},
        {"metadata_bytes", arena->metadata},
        {"large_bytes", arena->run_bytes},
        {"limit_bytes", arena->limit},
        {"resident_bytes", usage->resident},
        {"peak_resident_bytes", usage->peak_resident},
        {"free_bytes", frames->free_backed << WEIR_FRAME_SHIFT},
        {"given_back_bytes", frames->reported << WEIR_FRAME_SHIFT},
        {"taken_again_bytes", frames->retaken << WEIR_FRAME_SHIFT},
        {"mallocs", arena->mallocs},
        {"frees", arena->frees},
        {"remote_frees", arena->remote_frees},
        {"failed", arena->failed},
        {"heaps", arena->heaps},
        {"idle_heaps", arena->idle_heaps},
        {"slabs", arena->slabs},
        {"large", arena->runs},
        {"page_faults", usage->faults},
        {"user_ms", usage->user_ms},
        {"system_ms", usage->system_ms},
    };
    json_object(text, fields, sizeof fields / sizeof *fields);
    json_key(text, "sizes", false);
    json_sizes(text, statistics->sizes);
    text_put(text, "}\n");
}

/* --- XML, as glibc's malloc_info lays it out --- */

static void xml_attribute(struct text *text, const char *name, uint64_t number)
{
    text_put(text, " ");
    text_put(text, name);
    text_put(text, "=\"");
    text_number(text, number);
    text_put(text, "\"");
}

static void xml_total(struct text *text, const char *type, uint64_t count, uint64_t size)
{
    text_put(text, "<total type=\"");
    text_put(text, type);
    text_put(text, "\"");
    xml_attribute(text, "count", count);
    xml_attribute(text, "size", size);
    text_put(text, "/>\n");
}

static void xml_amount(struct text *text, const char *element, const char *type, uint64_t size)
{
    text_put(text, "<");
    text_put(text, element);
    text_put(text, " type=\"");
    text_put(text, type);
    text_put(text, "\"");
    xml_attribute(text, "size", size);
    text_put(text, "/>\n");
}

/* What stands both in the one heap and in the sum. */
static void xml_amounts(struct text *text, const struct statistics *statistics, uint64_t free, uint64_t bytes)
{
    const struct weir_arena_stats *arena = &statistics->arena;
    uint64_t space = statistics->frames.managed << WEIR_FRAME_SHIFT;
    xml_total(text, "fast", 0, 0);
    xml_total(text, "rest", free, bytes);
    xml_total(text, "mmap", arena->runs, arena->run_bytes);
    xml_amount(text, "system", "current", arena->held);
    xml_amount(text, "system", "max", arena->peak_held);
    xml_amount(text, "aspace", "total", space);
    xml_amount(text, "aspace", "mprotect", space);
}

void statistics_xml(struct text *text, const struct statistics *statistics)
{
    uint64_t free = 0, bytes = 0;
    text_put(text, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
    for (unsigned i = 0; i < WEIR_SIZES; i++) {
        const struct weir_size_stats *row = &statistics->sizes[i];
        uint64_t unused = row->room - row->live;
        if (!unused)
            continue;
        text_put(text, "  <size");
        xml_attribute(text, "from", i ? row[-1].size + 1 : 1);
        xml_attribute(text, "to", row->size);
        xml_attribute(text, "total", unused * row->size);
        xml_attribute(text, "count", unused);
        text_put(text, "/>\n");
        free += unused;
        bytes += unused * row->size;
    }
    text_put(text, "</sizes>\n");
    xml_amounts(text, statistics, free, bytes);
    text_put(text, "</heap>\n");
    xml_amounts(text, statistics, free, bytes);
    text_put(text, "</malloc>\n");
}
