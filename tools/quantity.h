/*
 * The quantities a person writes on the command line: sizes ("64M"), times ("1.5"), and the balloon's timetable
 * ("256M@1.5,1G@4,max@6").
 */
#ifndef WEIR_TOOLS_QUANTITY_H
#define WEIR_TOOLS_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A balloon's size that stands for "as far as the guest lets it". */
#define BALLOON_MAX UINT64_MAX

/* At `time` seconds after the guest's main began, the balloon is to hold `bytes`. */
struct balloon_step {
    double time;
    uint64_t bytes;
};

/* "512K", "64M", "64MiB", "1.5G": a number and a unit, powers of 1024; a bare "0" needs no unit. */
bool parse_size(const char *text, uint64_t *bytes);

/* "2", "0.25": seconds, not negative, not more than a year. */
bool parse_seconds(const char *text, double *seconds);

/* A whole number from `least` to `most`, all of `text`. */
bool parse_number(const char *text, unsigned least, unsigned most, unsigned *number);

/*
 * Parses "SIZE@TIME,…" into an array for free(), sorted by time. On failure returns false with *fault at the first
 * item that is wrong.
 */
bool parse_balloon_steps(const char *text, struct balloon_step **steps, size_t *count, const char **fault);

/* Writes "64 MiB", "1.5 GiB", "12 KiB" into `text`; returns `text`. */
char *format_size(char text[static 16], uint64_t bytes);

#endif
