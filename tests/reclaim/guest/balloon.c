/*
 * balloon TOUCH TARGET AGAIN [quiet]: touches TOUCH MiB and frees them; waits until TARGET MiB are in the balloon, then
 * until none are; then allocates and touches AGAIN MiB. `quiet`: without reporting. Prints how fast the balloon moved.
 */
#include <string.h>

#include "tests/reclaim/guest/guest.h"

#define PATIENCE 25 /* seconds */

/* Waits until `target` frames are in the balloon; prints the rate at which it moved, in GiB/s. */
static void watch(const char *name, size_t target)
{
    size_t last = reclaim_stats().ballooned, first = last;
    double begun = 0, moved = 0, end = seconds() + PATIENCE;
    while (last != target && seconds() < end) {
        size_t now = reclaim_stats().ballooned;
        if (now != last) {
            moved = seconds();
            if (begun == 0) {
                begun = moved;
                first = now; /* the beginning of the first step was not seen */
            }
            last = now;
        }
        rest(0.0002);
    }
    double gib = (double)(last > first ? last - first : first - last) / 262144;
    printf("\x1eweir phase %s gib=%.3f rate=%.2f\n", name, gib, moved > begun ? gib / (moved - begun) : 0);
    fflush(stdout);
    rest(0.3);
}

int main(int argc, char **argv)
{
    size_t bytes = argument(argc, argv, 1, 1100) * MIB;
    size_t target = argument(argc, argv, 2, 1024) * MIB / WEIR_FRAME_SIZE;
    size_t again = argument(argc, argv, 3, 1700) * MIB;
    reclaim_wait();
    if (argc > 4 && strcmp(argv[4], "quiet") == 0)
        weir_reclaim_set_reporting(weir_kernel_reclaim(), false);
    rest(0.2);
    phase_seen("before");
    char *memory = malloc(bytes);
    if (memory == NULL)
        return 2;
    touch(memory, bytes);
    phase_seen("touched");
    free(memory);
    watch("inflation", target);
    phase_seen("inflated");
    watch("deflation", 0);
    phase_seen("deflated");
    memory = malloc(again);
    if (memory == NULL)
        return 4;
    touch(memory, again);
    phase_seen("again");
    return 0;
}
