#include "tools/sample.h"

#include "tools/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

bool resident_bytes(pid_t pid, uint64_t *now, uint64_t *peak)
{
    char path[64];
    char line[128];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    int found = 0;
    while (found < 2 && fgets(line, sizeof line, file) != NULL) {
        unsigned long long kib;
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1) {
            *peak = kib << 10;
            found++;
        } else if (sscanf(line, "VmRSS: %llu kB", &kib) == 1) {
            *now = kib << 10;
            found++;
        }
    }
    fclose(file);
    return found == 2; /* a process that ended has a status without memory */
}

void series_start(struct series *series, double interval)
{
    *series = (struct series){.interval = interval};
}

static void thin_out(struct series *series)
{
    for (size_t i = 0; i < series->count / 2; i++)
        series->samples[i] = series->samples[2 * i];
    series->count /= 2;
    series->interval *= 2;
}

void series_add(struct series *series, const struct sample *sample)
{
    if (series->count == SAMPLE_LIMIT)
        thin_out(series);
    if ((series->count & (series->count - 1)) == 0)
        series->samples = must_realloc(series->samples, (series->count > 0 ? 2 * series->count : 1) * sizeof *sample);
    series->samples[series->count++] = *sample;
    series->next = sample->time + series->interval;
}

void series_free(struct series *series)
{
    free(series->samples);
    *series = (struct series){0};
}
