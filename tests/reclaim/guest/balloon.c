/*
 * balloon TOUCH INFLATED DEFLATED AGAIN [quiet]: touches TOUCH MiB and frees them; rests until the balloon should be
 * inflated (at INFLATED ms after its start) and deflated (at DEFLATED ms); then allocates and touches AGAIN MiB.
 * `quiet`: without reporting. Prints how fast the balloon moved.
 */
#include <string.h>

#include "tests/reclaim/guest/guest.h"

/* Watches the balloon until `end`; prints the rate at which it moved, in GiB/s. */
static void watch(const char *name, double end)
{
    size_t first = reclaim_stats().ballooned, last = first;
    double begun = 0, moved = 0;
    while (seconds() < end) {
        size_t now = reclaim_stats().ballooned;
        if (now != last) {
            moved = seconds();
            if (begun == 0) {
                begun = moved;
                first = now; /* the first step's beginning was not seen */
            }
            last = now;
        }
        rest(0.0002);
    }
    double gib = (double)(last > first ? last - first : first - last) / 262144;
    printf("\x1eweir phase %s gib=%.3f rate=%.2f\n", name, gib, moved > begun ? gib / (moved - begun) : 0);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    double start = seconds();
    size_t bytes = argument(argc, argv, 1, 1024) * MIB;
    double inflated = start + (double)argument(argc, argv, 2, 4000) / 1000;
    double deflated = start + (double)argument(argc, argv, 3, 7000) / 1000;
    size_t again = argument(argc, argv, 4, 1024) * MIB;
    if (weir_kernel_reclaim() == NULL)
        return 3;
    if (argc > 5 && strcmp(argv[5], "quiet") == 0)
        weir_reclaim_set_reporting(weir_kernel_reclaim(), false);
    rest(0.2);
    phase("before");
    char *memory = malloc(bytes);
    if (memory == NULL)
        return 2;
    touch(memory, bytes);
    phase("touched");
    free(memory);
    phase("freed");
    watch("inflation", inflated);
    phase("inflated");
    watch("deflation", deflated);
    phase("deflated");
    memory = malloc(again);
    if (memory == NULL)
        return 4;
    touch(memory, again);
    phase("again");
    free(memory);
    rest(1);
    phase("end");
    return 0;
}
