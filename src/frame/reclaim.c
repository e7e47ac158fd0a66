/*
 * The road of free frames to the host and back.
 *
 *     free --isolate--> isolated --unisolate--> free (and unbacked if the host took them)
 *     free --balloon--> ballooned --unballoon--> free (and unbacked if they reached the host)
 *
 * Both roads take whole stretches of chunks that the host backs out of the largest free blocks first, the block freed
 * longest ago first, as one range each: a host gives back 96 MiB at once in the time of a few pages. What is isolated
 * or ballooned is marked in the frame words like a run, so that any part of it can come back.
 */
#include "src/frame/bitmaps.h"
#include "src/frame/chunk.h"

/* A harvest under way. */
struct harvest {
    enum block_kind kind;
    size_t limit; /* frames that may still be taken */
    uint64_t cold_before;
    struct weir_range *ranges;
    size_t count, max;
};

static bool is_full(const struct harvest *harvest)
{
    return harvest->limit == 0 || harvest->count == harvest->max;
}

static void harvest_range(struct weir_frames *f, struct harvest *harvest, size_t n, size_t count)
{
    count = count < harvest->limit ? count : harvest->limit;
    size_t backed = bits_count_backed(f, n, count);
    f->free_backed -= backed;
    buddy_carve(f, n, count);
    run_mark(f, n, count, harvest->kind);
    if (harvest->kind == KIND_ISOLATED) {
        f->isolated += count;
    } else {
        f->ballooned += count;
        f->balloon_backed += backed;
        f->balloon_top = n + count > f->balloon_top ? n + count : f->balloon_top;
    }
    harvest->limit -= count;
    harvest->ranges[harvest->count++] = (struct weir_range){address_of(f, n), count};
}

static bool is_cold(const struct weir_frames *f, const struct harvest *harvest, size_t chunk)
{
    return harvest->cold_before == 0 || f->chunk[chunk].freed_at < harvest->cold_before;
}

/* Takes what is backed and cold of a free block of whole chunks. */
static void harvest_chunks(struct weir_frames *f, struct harvest *harvest, size_t n, unsigned order)
{
    size_t end = (n + ((size_t)1 << order)) >> CHUNK_ORDER;
    for (size_t chunk = n >> CHUNK_ORDER; chunk < end && !is_full(harvest);) {
        size_t start = chunk;
        while (chunk < end && bits_touched(f, chunk) && is_cold(f, harvest, chunk))
            chunk++;
        if (chunk > start)
            harvest_range(f, harvest, start << CHUNK_ORDER, (chunk - start) << CHUNK_ORDER);
        else
            chunk++;
    }
}

/* Takes the blocks of at least 2^least frames within a chunk; `backed`: those that the host backs in part. */
static void harvest_part(struct weir_frames *f, struct harvest *harvest, size_t c, unsigned least, bool backed)
{
    for (unsigned order = CHUNK_ORDER; order-- > least && !is_full(harvest);) {
        int at;
        while (f->chunk[c].count[order] > 0 && !is_full(harvest) && (at = chunk_find(f, c, order, backed)) >= 0)
            harvest_range(f, harvest, (c << CHUNK_ORDER) + (unsigned)at, (size_t)1 << order);
    }
}

/* Takes from the backed blocks of at least 2^least frames, those that have been on their list for longest first. */
static void harvest_backed(struct weir_frames *f, struct harvest *harvest, unsigned least)
{
    for (unsigned order = f->order_max + 1; order-- > least && !is_full(harvest);) {
        size_t head = list_head(f, LIST_BACKED, order);
        size_t c = f->chunk[head].previous;
        while (c != head && !is_full(harvest)) {
            /* what is left of c goes to other lists, or to the front of this one: its neighbour stays */
            size_t previous = f->chunk[c].previous;
            if (order >= CHUNK_ORDER)
                harvest_chunks(f, harvest, c << CHUNK_ORDER, order);
            else if (is_cold(f, harvest, c))
                harvest_part(f, harvest, c, least, true);
            c = previous;
        }
    }
}

static void harvest_unbacked(struct weir_frames *f, struct harvest *harvest)
{
    for (unsigned order = f->order_max + 1; order-- > 0 && !is_full(harvest);) {
        size_t head = list_head(f, LIST_UNBACKED, order);
        size_t c;
        while ((c = f->chunk[head].previous) != head && !is_full(harvest)) {
            if (order >= CHUNK_ORDER)
                harvest_range(f, harvest, c << CHUNK_ORDER, (size_t)1 << order);
            else
                harvest_part(f, harvest, c, 0, false);
        }
    }
}

size_t weir_frames_isolate(struct weir_frames *f, unsigned order, size_t limit, uint64_t cold_before,
                           struct weir_range *ranges, size_t max)
{
    struct harvest harvest = {
        .kind = KIND_ISOLATED, .limit = limit, .cold_before = cold_before, .ranges = ranges, .max = max};
    cache_flush(f);
    frames_lock(f);
    if (cold_before != 0 && order < f->stamp_order)
        f->stamp_order = order;
    harvest_backed(f, &harvest, order);
    frames_unlock(f);
    return harvest.count;
}

size_t weir_frames_balloon(struct weir_frames *f, size_t limit, bool backed_only, struct weir_range *ranges, size_t max)
{
    struct harvest harvest = {.kind = KIND_BALLOONED, .limit = limit, .ranges = ranges, .max = max};
    cache_flush(f);
    frames_lock(f);
    harvest_backed(f, &harvest, 0);
    if (!backed_only)
        harvest_unbacked(f, &harvest);
    frames_unlock(f);
    return harvest.count;
}

/* What became of a range on its way. */
enum fate {
    UNTAKEN,
    GONE,   /* unbacked, contents undefined */
    ZEROED, /* unbacked, and zero when it is backed again */
};

/* Gives a range of `kind` back to the free blocks, lock held. */
static enum weir_status give_back(struct weir_frames *f, size_t n, size_t count, enum block_kind kind, enum fate fate)
{
    bool gone = fate != UNTAKEN;
    enum weir_status status = run_detach(f, n, count, kind);
    if (status != WEIR_OK)
        return status;
    size_t backed = bits_count_backed(f, n, count);
    if (gone) {
        bits_set_gone(f, n, count, kind == KIND_ISOLATED);
        if (fate == ZEROED)
            bits_set_zero(f, n, count);
        f->backed -= backed;
    } else {
        f->free_backed += backed;
    }
    if (kind == KIND_ISOLATED) {
        f->isolated -= count;
        f->reported += gone ? count : 0;
    } else {
        f->ballooned -= count;
        f->balloon_backed -= backed;
    }
    buddy_give(f, n, count, false);
    return WEIR_OK;
}

static enum weir_status give_back_all(struct weir_frames *f, const struct weir_range *ranges, size_t count,
                                      enum block_kind kind, enum fate fate, const char *operation)
{
    enum weir_status worst = WEIR_OK;
    for (size_t i = 0; i < count; i++) {
        enum weir_status status = frames_range(f, ranges[i].start, ranges[i].frames);
        if (status == WEIR_OK) {
            frames_lock(f);
            status = give_back(f, number_of(f, ranges[i].start), ranges[i].frames, kind, fate);
            frames_unlock(f);
        }
        if (status != WEIR_OK)
            worst = frames_misuse(f, status, operation, ranges[i].start, ranges[i].frames);
    }
    return worst;
}

void weir_frames_unisolate(struct weir_frames *f, const struct weir_range *ranges, size_t n, bool reported)
{
    give_back_all(f, ranges, n, KIND_ISOLATED, reported ? GONE : UNTAKEN, __func__);
}

void weir_frames_unisolate_zeroed(struct weir_frames *f, const struct weir_range *ranges, size_t n)
{
    give_back_all(f, ranges, n, KIND_ISOLATED, ZEROED, __func__);
}

enum weir_status weir_frames_unballoon(struct weir_frames *f, const struct weir_range *ranges, size_t n,
                                       bool reached_host)
{
    return give_back_all(f, ranges, n, KIND_BALLOONED, reached_host ? GONE : UNTAKEN, __func__);
}

size_t weir_frames_ballooned(const struct weir_frames *frames, size_t limit, struct weir_range *ranges, size_t max)
{
    /* balloon_top is only a memory of where the last search ended */
    struct weir_frames *f = (struct weir_frames *)frames;
    size_t found = 0, total = 0;
    frames_lock(f);
    for (size_t n = f->balloon_top; n > f->first && found < max && total < limit && f->ballooned > total;) {
        if (buddy_is_free(f, n - 1)) {
            n = buddy_free_start(f, n);
            continue;
        }
        struct cover head = run_head(f, n - 1);
        if (word_kind(head.word) == KIND_BALLOONED) {
            size_t length = word_value(head.word) < limit - total ? word_value(head.word) : limit - total;
            ranges[found++] = (struct weir_range){address_of(f, head.start + word_value(head.word) - length), length};
            if (total == 0)
                f->balloon_top = n;
            total += length;
            n = head.start;
        } else if (head.word == 0 && f->added[(n - 1) >> CHUNK_ORDER] == 0) {
            n = round_down(n - 1, CHUNK_FRAMES);
        } else {
            /* a hole, a slab's frame or a cached one: one step; else over the whole run */
            n = head.start < n ? head.start : n - 1;
        }
    }
    if (found == 0)
        f->balloon_top = f->first;
    frames_unlock(f);
    return found;
}
