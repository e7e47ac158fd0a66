#include "tools/results.h"

#include "tools/quantity.h"
#include "tools/report.h"
#include "tools/table.h"

#include <math.h>
#include <stdlib.h>

void results_take_boot(struct results *results, const struct session *session)
{
    if (session->main_time == 0 || results->boots == TRIALS_MOST)
        return;
    if (results->machine_facts == NULL)
        results->machine_facts = report_machine(session);
    results->entries[results->boots] = (session->entry_time - session->started) * 1e3;
    results->mains[results->boots] = (session->main_time - session->started) * 1e3;
    results->boots++;
}

static int compare_numbers(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* NAN of nothing. Sorts `numbers`. */
static double median(double *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    if (count == 0)
        return NAN;
    return count % 2 == 1 ? numbers[count / 2] : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
}

/* For programs. */

static json_t *number_or_null(double number)
{
    return isnan(number) ? json_null() : json_real(round(number * 1e6) / 1e6);
}

static json_t *bytes_or_null(double number)
{
    return isnan(number) ? json_null() : json_integer((json_int_t)number);
}

static json_t *mib_or_null(double bytes)
{
    return isnan(bytes) ? json_null() : json_real(mib((uint64_t)bytes));
}

static json_t *trial_json(const struct trial *trial)
{
    const double *figures = trial->figures;
    json_t *rss = json_pack("{s:o, s:o, s:o, s:o}", "before", mib_or_null(figures[FIGURE_RSS_BEFORE]), "peak",
                            mib_or_null(figures[FIGURE_RSS_PEAK]), "after_free", mib_or_null(figures[FIGURE_RSS_FREED]),
                            "after_balloon", mib_or_null(figures[FIGURE_RSS_BALLOONED]));
    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "program", trial->program, "allocator", trial->allocator,
                     "exit", trial->code, "seconds", number_or_null(figures[FIGURE_SECONDS]), "live_bytes",
                     bytes_or_null(figures[FIGURE_LIVE]), "peak_bytes", bytes_or_null(figures[FIGURE_PEAK]), "rss_mib",
                     rss);
}

json_t *results_json(struct results *results)
{
    json_t *runs = json_array();
    for (size_t i = 0; i < results->count; i++)
        json_array_append_new(runs, trial_json(&results->trials[i]));
    json_t *machine = results->machine_facts != NULL ? json_incref(results->machine_facts) : json_object();
    return json_pack("{s:o, s:{s:I}, s:{s:o, s:o}, s:o}", "machine", machine, "image", "bytes",
                     (json_int_t)results->trials[0].image_bytes, "boot_ms", "entry",
                     number_or_null(median(results->entries, results->boots)), "main",
                     number_or_null(median(results->mains, results->boots)), "runs", runs);
}

/* For people. */

static const char *fact(const struct results *results, const char *name)
{
    const char *text = json_string_value(json_object_get(results->machine_facts, name));
    return text != NULL ? text : "";
}

static void print_machine(struct results *results, FILE *file)
{
    char size[16];
    const struct machine *machine = results->machine;
    const struct trial *first = &results->trials[0];
    if (results->boots == 0)
        return;
    fprintf(file, "machine  %u CPUs, %s, %s %s%s\n", machine->cpus, format_size(size, machine->memory),
            machine->vmm->name, fact(results, "version"),
            machine->vmm != &qemu_class     ? ""
            : machine->model == MACHINE_Q35 ? ", q35"
                                            : ", microvm");
    fprintf(file, "accel    %s: %s\n", fact(results, "accel"), fact(results, "why"));
    fprintf(file, "boot     VMM start -> kernel entry %.0f ms -> main %.0f ms (median of %zu)\n",
            median(results->entries, results->boots), median(results->mains, results->boots), results->boots);
    fprintf(file, "image    %s (%s on %s)\n\n", format_size(size, first->image_bytes), first->program,
            first->allocator);
}

__attribute__((format(printf, 2, 0))) static const char *cell(char text[static 24], const char *format, double number)
{
    if (isnan(number))
        snprintf(text, 24, "-");
    else
        snprintf(text, 24, format, number);
    return text;
}

static void print_table(const struct results *results, FILE *file)
{
    static const double mebibyte = 1048576;
    struct table table = {0};
    table_row(&table, "program", "allocator", "seconds", "live MiB", "peak MiB", "RSS before", "RSS peak",
              "2 s after free", "after balloon", NULL);
    for (size_t i = 0; i < results->count; i++) {
        const struct trial *trial = &results->trials[i];
        const double *figures = trial->figures;
        char cells[FIGURE_COUNT][24];
        cell(cells[FIGURE_SECONDS], "%.2f", figures[FIGURE_SECONDS]);
        for (size_t j = FIGURE_LIVE; j < FIGURE_COUNT; j++)
            cell(cells[j], "%.1f", figures[j] / mebibyte);
        table_row(&table, trial->program, trial->allocator, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5],
                  cells[6], NULL);
    }
    table_print(&table, 2, file);
    table_free(&table);
}

void results_print(struct results *results, FILE *file)
{
    print_machine(results, file);
    print_table(results, file);
    fprintf(file,
            "\nseconds: inside the guest. live: bytes the program had asked for at most. peak: bytes of memory its "
            "allocator\n"
            "held at most. RSS: resident MiB of the %s process on the host.\n",
            results->machine->vmm->name);
}

void results_free(struct results *results)
{
    json_decref(results->machine_facts);
    results->machine_facts = NULL;
}
