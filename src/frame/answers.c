/* Counts and indices. */
#include "src/frame/bitmaps.h"

void weir_frames_stats(struct weir_frames *f, struct weir_frames_stats *stats)
{
    frames_lock(f);
    size_t cached = cache_count(f);
    size_t out = f->managed - f->free - f->isolated - f->ballooned;
    cached = cached < out ? cached : out;
    if (out - cached > f->peak_used)
        f->peak_used = out - cached;
    *stats = (struct weir_frames_stats){
        .managed = f->managed,
        .free = f->free + cached,
        .cached = cached,
        .isolated = f->isolated,
        .ballooned = f->ballooned,
        .backed = f->backed - f->balloon_backed,
        .free_backed = f->free_backed + cached,
        .peak_used = f->peak_used,
        .allocs = f->allocs,
        .frees = f->frees,
        .failed = atomic_load_explicit(&f->failed, memory_order_relaxed),
        .reported = f->reported,
        .retaken = f->retaken,
    };
    uint32_t present = f->present[LIST_BACKED] | f->present[LIST_UNBACKED];
    if (present != 0)
        stats->largest = (size_t)1 << log2_floor(present);
    for (unsigned order = 0; order < WEIR_ORDERS; order++)
        stats->blocks[order] = f->blocks[order];
    frames_unlock(f);
    for (unsigned i = 0; i < f->slot_count; i++) {
        stats->allocs += atomic_load_explicit(&f->slots[i].allocs, memory_order_relaxed);
        stats->frees += atomic_load_explicit(&f->slots[i].frees, memory_order_relaxed);
    }
}

/* Thousandths of `whole`, rounded to the nearest. */
static unsigned thousandths(size_t part, size_t whole)
{
    return whole == 0 ? 0 : (unsigned)((part * 1000 + whole / 2) / whole);
}

unsigned weir_frames_fragmentation(struct weir_frames *f)
{
    size_t largest = weir_frames_largest_run(f);
    struct weir_frames_stats stats;
    weir_frames_stats(f, &stats);
    return largest < stats.free ? thousandths(stats.free - largest, stats.free) : 0;
}

unsigned weir_frames_unusable(struct weir_frames *f, unsigned order)
{
    struct weir_frames_stats stats;
    weir_frames_stats(f, &stats);
    size_t usable = 0;
    for (unsigned k = order; k < WEIR_ORDERS; k++)
        usable += stats.blocks[k] << k;
    return usable < stats.free ? thousandths(stats.free - usable, stats.free) : 0;
}
