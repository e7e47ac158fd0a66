/*
 * bounce MIB BUSY REST BLOCK: allocates, touches, works for BUSY ms, frees, rests for REST ms, over and over, in
 * blocks of SECONDS with reporting and without it by turns (on off off on); prints what a cycle took in each: the mean
 * of the best block, because other load on the machine only adds.
 */
#include "tests/reclaim/guest/guest.h"

static void spin(double duration)
{
    double end = seconds() + duration;
    volatile unsigned sink = 0;
    while (seconds() < end)
        for (unsigned i = 0; i < 1000; i++)
            sink++;
}

/* Cycles for `duration`; the mean time of a cycle in which the program had something to do. */
static double block(size_t bytes, double busy, double pause, double duration)
{
    double end = seconds() + duration, working = 0;
    unsigned cycles = 0;
    while (seconds() < end) {
        double start = seconds();
        char *memory = malloc(bytes);
        if (memory == NULL)
            exit(2);
        touch(memory, bytes);
        spin(busy);
        free(memory);
        working += seconds() - start;
        cycles++;
        if (pause > 0)
            rest(pause);
    }
    return working / cycles + pause;
}

int main(int argc, char **argv)
{
    size_t bytes = argument(argc, argv, 1, 256) * MIB;
    double busy = (double)argument(argc, argv, 2, 0) / 1000, pause = (double)argument(argc, argv, 3, 0) / 1000;
    double duration = (double)argument(argc, argv, 4, 1000) / 1000;
    double best[2] = {1e9, 1e9};
    reclaim_wait();
    block(bytes, busy, pause, 1);
    phase("start");
    for (unsigned i = 0; i < 8; i++) {
        bool on = (i ^ i >> 1) % 2 == 0;
        weir_reclaim_set_reporting(weir_kernel_reclaim(), on);
        /* The first cycle finds what the block before left: not counted. */
        block(bytes, busy, pause, 0.001);
        double took = block(bytes, busy, pause, duration);
        if (took < best[on])
            best[on] = took;
    }
    printf("\x1eweir phase bounce with_ms=%.3f without_ms=%.3f ratio=%.4f\n", best[1] * 1e3, best[0] * 1e3,
           best[1] / best[0]);
    fflush(stdout);
    weir_reclaim_set_reporting(weir_kernel_reclaim(), true);
    phase("stopped");
    rest(0.5);
    phase("end");
    return 0;
}
