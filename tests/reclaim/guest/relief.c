/*
 * relief MIB: waits until the host has taken what the guest can spare, then allocates and touches MIB all the same:
 * half of it in one piece, half in small objects. The balloon has to give it back.
 */
#include "tests/reclaim/guest/guest.h"

#define PIECE 2000

int main(int argc, char **argv)
{
    size_t bytes = argument(argc, argv, 1, 150) * MIB;
    double end = seconds() + 20;
    size_t before = 0, now;
    reclaim_wait();
    phase("before");
    while ((now = reclaim_stats().ballooned) == 0 || now != before) {
        if (seconds() > end)
            return 4;
        before = now;
        rest(0.5);
    }
    phase("inflated");
    char *large = malloc(bytes / 2);
    if (large == NULL)
        return 5;
    touch(large, bytes / 2);
    char **small = malloc(bytes / 2 / PIECE * sizeof(*small));
    if (small == NULL)
        return 6;
    for (size_t i = 0; i < bytes / 2 / PIECE; i++) {
        small[i] = malloc(PIECE);
        if (small[i] == NULL)
            return 7;
        touch(small[i], PIECE);
    }
    phase_seen("relieved");
    for (size_t i = 0; i < bytes / 2 / PIECE; i++)
        free(small[i]);
    free(small);
    free(large);
    rest(3);
    phase("end");
    return 0;
}
