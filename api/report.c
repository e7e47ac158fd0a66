/*
 * WEIR_STATS: statistics when the program ends by exit or by returning from main. A destructor of the library runs
 * after the program's own (and after what it gave to atexit), in whatever thread called exit.
 */
#include "api/options.h"
#include "api/statistics.h"

__attribute__((destructor)) static void report(void)
{
    size_t wanted = option(OPTION_STATS);
    int file = wanted == STATS_OFF ? -1 : platform_report();
    if (file < 0)
        return;
    struct statistics statistics;
    struct text text = {.file = file};
    statistics_gather(&statistics);
    if (wanted == STATS_JSON)
        statistics_json(&text, &statistics);
    else
        statistics_table(&text, &statistics);
    text_flush(&text);
}
