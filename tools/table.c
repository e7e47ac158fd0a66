#include "tools/table.h"

#include "tools/message.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_row(struct table *table, ...)
{
    const char *cells[TABLE_COLUMNS];
    size_t count = 0;
    va_list list;
    va_start(list, table);
    for (const char *cell; count < TABLE_COLUMNS && (cell = va_arg(list, const char *)) != NULL;)
        cells[count++] = cell;
    va_end(list);
    if (table->rows == 0)
        table->columns = count;
    table->cells = must_realloc(table->cells, (table->rows + 1) * table->columns * sizeof *table->cells);
    for (size_t i = 0; i < table->columns; i++)
        table->cells[table->rows * table->columns + i] = must_duplicate(i < count ? cells[i] : "");
    table->rows++;
}

static const char *cell(const struct table *table, size_t row, size_t column)
{
    return table->cells[row * table->columns + column];
}

static int width(const struct table *table, size_t column)
{
    size_t most = 0;
    for (size_t row = 0; row < table->rows; row++)
        if (strlen(cell(table, row, column)) > most)
            most = strlen(cell(table, row, column));
    return (int)most;
}

static void print_rule(const struct table *table, FILE *file)
{
    for (size_t column = 0; column < table->columns; column++) {
        fputs(column > 0 ? "  " : "", file);
        for (int i = 0; i < width(table, column); i++)
            fputc('-', file);
    }
    fputc('\n', file);
}

void table_print(const struct table *table, size_t left, FILE *file)
{
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t column = 0; column < table->columns; column++)
            fprintf(file, "%s%*s", column > 0 ? "  " : "", column < left ? -width(table, column) : width(table, column),
                    cell(table, row, column));
        fputc('\n', file);
        if (row == 0)
            print_rule(table, file);
    }
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}
