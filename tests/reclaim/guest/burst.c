/*
 * burst MIB idle|busy [PIECE]: allocates and touches MIB in pieces of PIECE bytes, frees them, and goes on for 4 s,
 * asleep or computing (with a small allocation now and then, as programs do).
 */
#include <string.h>

#include "tests/reclaim/guest/guest.h"

static void compute(double duration)
{
    static void *volatile kept[1024];
    volatile uint64_t sink = 1;
    double end = seconds() + duration;
    for (unsigned round = 0; seconds() < end; round++) {
        for (unsigned i = 0; i < 20000; i++)
            sink = sink * 6364136223846793005u + 1;
        free(kept[round % 1024]);
        kept[round % 1024] = malloc(16 + sink % 500);
    }
    for (unsigned i = 0; i < 1024; i++)
        free(kept[i]);
}

int main(int argc, char **argv)
{
    size_t bytes = argument(argc, argv, 1, 256) * MIB;
    size_t piece = argument(argc, argv, 3, bytes);
    size_t count = bytes / piece;
    char **pieces = malloc(count * sizeof(*pieces));
    if (pieces == NULL)
        return 1;
    rest(0.3);
    phase_seen("before");
    for (size_t i = 0; i < count; i++) {
        pieces[i] = malloc(piece);
        if (pieces[i] == NULL)
            return 2;
        touch(pieces[i], piece);
    }
    phase_seen("peak");
    for (size_t i = 0; i < count; i++)
        free(pieces[i]);
    free(pieces);
    phase("freed");
    if (argc > 2 && strcmp(argv[2], "busy") == 0)
        compute(3.2);
    else
        rest(3.2);
    phase("end");
    return 0;
}
