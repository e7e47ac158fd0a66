/* speed MIB: how fast MIB of touched memory goes to the host by reports, in GiB/s, five times; the first touch beside.
 */
#include "tests/reclaim/guest/guest.h"

int main(int argc, char **argv)
{
    size_t bytes = argument(argc, argv, 1, 1024) * MIB;
    struct weir_reclaim *reclaim = reclaim_wait();
    for (unsigned round = 0; round < 5; round++) {
        char *memory = malloc(bytes);
        if (memory == NULL)
            return 2;
        double start = seconds();
        touch(memory, bytes);
        double touched = seconds() - start;
        start = seconds();
        touch(memory, bytes);
        double retouched = seconds() - start;
        uint64_t before = reclaim_stats().reported;
        free(memory);
        start = seconds();
        weir_reclaim_hasten(reclaim);
        while ((reclaim_stats().reported - before) * 4096 < bytes - 4 * MIB && seconds() - start < 10) {
            weir_reclaim_poll(reclaim);
            rest(0.0001);
        }
        double gone = seconds() - start;
        double gib = (double)bytes / (1 << 30);
        printf("\x1eweir phase speed touch=%.2f retouch=%.2f report=%.2f report_ms=%.2f reports=%llu\n", gib / touched,
               gib / retouched, gib / gone, gone * 1e3, (unsigned long long)reclaim_stats().reports);
        fflush(stdout);
        rest(0.2);
    }
    return 0;
}
