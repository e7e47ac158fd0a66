/* Prints the options as the process sees them, a line each, and whether it runs with more privileges than its user. */
#include <stdio.h>
#include <sys/auxv.h>

#include "api/options.h"

int main(void)
{
    printf("help=%zu verbose=%zu stats=%zu abort=%zu\n", option(OPTION_HELP), option(OPTION_VERBOSE),
           option(OPTION_STATS), option(OPTION_ABORT));
    printf("limit=%zu reserve=%zu keep=%zu keep_part=%zu cold_ms=%zu\n", option(OPTION_LIMIT), option(OPTION_RESERVE),
           option(OPTION_KEEP), option(OPTION_KEEP_PART), option(OPTION_COLD_MS));
    printf("madvise=%zu huge=%zu background=%zu background_ms=%zu\n", option(OPTION_MADVISE), option(OPTION_HUGE),
           option(OPTION_BACKGROUND), option(OPTION_BACKGROUND_MS));
    printf("stats_file=<%s> secure=%lu\n", option_text(OPTION_STATS_FILE), getauxval(AT_SECURE));
    return fflush(stdout); /* before sanitizers have their say */
}
