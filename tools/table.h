/*
 * A table for people: columns as wide as their widest cell, numbers to the right.
 */
#ifndef WEIR_TOOLS_TABLE_H
#define WEIR_TOOLS_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 12

struct table {
    size_t columns;
    size_t rows;  /* headings included */
    char **cells; /* rows × columns */
};

/* Adds a row; its cells come one after the other, ended by null. The first row is the heading and sets the columns. */
void table_row(struct table *table, ...) __attribute__((sentinel));

/* The first `left` columns stand to the left. A line is ruled below the heading. */
void table_print(const struct table *table, size_t left, FILE *file);

void table_free(struct table *table);

#endif
