/*
 * What it costs to touch a frame that the host took back.
 *
 * That differs by a factor of fifty between hosts: 4 KiB pages or huge ones, hardware or not. A few frames spread over
 * one 2 MiB are touched, each by itself. With small pages every touch is a fault, and the middle one of the times is
 * the cost. With huge pages the first fault (or the first two, where guest and host do not agree on alignment) brings
 * the others along, and the sum is the cost of all 512 frames.
 */
#include "src/base/bits.h"
#include "src/reclaim/reclaim.h"

enum {
    PROBES = 8,
    CHUNK_BYTES = 2 << 20,
    CHUNK_FRAMES = CHUNK_BYTES / WEIR_FRAME_SIZE,
};

static uint64_t touch(const struct weir_platform *platform, uintptr_t address)
{
    uint64_t start = platform->now(platform->context);
    *(volatile uint64_t *)address = 0;
    return platform->now(platform->context) - start;
}

uint64_t fault_cost(const struct weir_platform *platform, const struct weir_range *range)
{
    uintptr_t chunk = round_up(range->start, CHUNK_BYTES);
    if (chunk + CHUNK_BYTES > range->start + (range->frames << WEIR_FRAME_SHIFT))
        return 0;
    uint64_t sorted[PROBES], sum = 0;
    for (unsigned n = 0; n < PROBES; n++) {
        uint64_t time = touch(platform, chunk + (uintptr_t)n * (CHUNK_BYTES / PROBES));
        unsigned at = n;
        for (; at > 0 && sorted[at - 1] > time; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = time;
        sum += time;
    }
    uint64_t middle = sorted[PROBES / 2];
    uint64_t cost = PROBES * middle >= sum / 2 ? middle : sum / CHUNK_FRAMES;
    return cost != 0 ? cost : 1;
}
