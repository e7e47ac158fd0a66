/*
 * pairs: what one malloc and one free cost, apart from anything else; `make bench-paths` runs it under callgrind.
 *
 *     mode=0  the object is freed at once
 *     mode=1  `burst` objects, freed last to first
 *     mode=2  `burst` objects, freed first to last
 *     mode=3  no malloc and no free: the loop alone
 *
 * Objects are neither written nor read, so that all that the loop adds is known from mode 3.
 */
#include "support.h"

enum {
    AT_ONCE,
    LAST_FIRST,
    FIRST_FIRST,
    LOOP_ALONE,
    MODES
};

enum {
    BURST_MOST = 4096
};

static long pairs = 20000000, size = 64, burst = 64, mode = AT_ONCE;

static void *objects[BURST_MOST];

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"pairs", &pairs, 0, "of malloc and free"},
        {"size", &size, 1, "of an object"},
        {"burst", &burst, 1, "objects alive at once, at most 4096"},
        {"mode", &mode, 0, "0 at once, 1 last first, 2 first first, 3 the loop alone"},
    };
    parameters_read("pairs of malloc and free in three orders", parameters, sizeof parameters / sizeof *parameters,
                    argc, argv);
    if (mode >= MODES || burst > BURST_MOST)
        die(EXIT_USAGE, "mode is 0 to 3 and burst at most 4096");
    for (long done = 0; done < pairs; done += mode == AT_ONCE ? 1 : burst) {
        if (mode == AT_ONCE) {
            objects[0] = malloc((size_t)size);
            free(objects[0]);
            continue;
        }
        for (long i = 0; i < burst; i++)
            objects[i] = mode == LOOP_ALONE ? objects : malloc((size_t)size);
        for (long i = 0; mode != LOOP_ALONE && i < burst; i++)
            free(objects[mode == LAST_FIRST ? burst - 1 - i : i]);
    }
    return 0;
}
