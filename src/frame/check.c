/* Tests the invariants of word.h, table.h, chunk.h, run.c and cache.c. */
#include "src/frame/bitmaps.h"
#include "src/frame/chunk.h"
#include "src/frame/walk.h"

/* What the frames add up to. */
struct sums {
    size_t managed, free, free_backed, backed, isolated, ballooned, balloon_backed, cached;
    size_t blocks[WEIR_ORDERS], listed;
};

static bool is_free_block(const struct weir_frames *f, size_t n, unsigned order)
{
    for (size_t at = n; at < n + ((size_t)1 << order); at++) {
        if (!buddy_is_free(f, at))
            return false;
    }
    return true;
}

static const char *check_part(const struct weir_frames *f, size_t c)
{
    const struct chunk *chunk = &f->chunk[c];
    unsigned count[CHUNK_ORDER] = {0}, free = 0, free_backed = 0;
    for (unsigned g = 0; g < CHUNK_GROUPS; g++) {
        free += count_ones(f->bits[c].free[g]);
        free_backed += count_ones(f->bits[c].free[g] & f->bits[c].backed[g]);
    }
    for (size_t n = c << CHUNK_ORDER; n < (c + 1) << CHUNK_ORDER;) {
        unsigned order = 0;
        if (!buddy_is_free(f, n)) {
            n++;
            continue;
        }
        while (order < part_order_max(f) && (n & ((size_t)1 << order)) == 0 && is_free_block(f, n, order + 1))
            order++;
        count[order]++;
        n += (size_t)1 << order;
    }
    for (unsigned order = 0; order < CHUNK_ORDER; order++) {
        if (count[order] != chunk->count[order])
            return "a chunk's count of free blocks is wrong";
    }
    if (free == 0 || (free == CHUNK_FRAMES && f->order_max >= CHUNK_ORDER))
        return "a chunk is said to be free in part, and is not";
    if (free != chunk->free || free_backed != chunk->free_backed)
        return "a chunk's count of free frames is wrong";
    if (chunk->order != chunk_largest(chunk))
        return "a chunk is on the list of the wrong order";
    return chunk->list == (free_backed > 0 ? LIST_BACKED : LIST_UNBACKED)
               ? NULL
               : "a chunk is on the wrong list for its backing";
}

static const char *check_large(const struct weir_frames *f, size_t c)
{
    const struct chunk *chunk = &f->chunk[c];
    if (chunk->order < CHUNK_ORDER || chunk->order > f->order_max)
        return "a free block has an impossible order";
    size_t length = (size_t)1 << (chunk->order - CHUNK_ORDER), buddy = c ^ length;
    if ((c & (length - 1)) != 0 || c << CHUNK_ORDER < f->first || (c + length) << CHUNK_ORDER > f->end)
        return "a free block is misaligned or leaves the span";
    for (size_t k = c + 1; k < c + length; k++) {
        if (f->chunk[k].state != CHUNK_NONE)
            return "free blocks overlap";
    }
    if (chunk->order < f->order_max && buddy >= f->first >> CHUNK_ORDER && buddy <= (f->end - 1) >> CHUNK_ORDER &&
        f->chunk[buddy].state == CHUNK_FREE && f->chunk[buddy].order == chunk->order)
        return "two free buddies were not merged";
    return chunk->list == (bits_any_touched(f, c, length) ? LIST_BACKED : LIST_UNBACKED)
               ? NULL
               : "a free block is on the wrong list for its backing";
}

static const char *check_chunks(const struct weir_frames *f, struct sums *sums)
{
    const char *what = NULL;
    for (size_t c = f->first >> CHUNK_ORDER; what == NULL && c <= (f->end - 1) >> CHUNK_ORDER; c++) {
        const struct chunk *chunk = &f->chunk[c];
        if (chunk->state == CHUNK_PART) {
            what = check_part(f, c);
        } else {
            uint64_t rest = chunk->free | chunk->free_backed;
            for (unsigned g = 0; g < CHUNK_GROUPS; g++)
                rest |= f->bits[c].free[g];
            for (unsigned order = 0; order < CHUNK_ORDER; order++)
                rest |= chunk->count[order];
            if (rest != 0)
                what = "a chunk that is not free in part has free frames";
        }
        if (what == NULL && chunk->state == CHUNK_FREE)
            what = check_large(f, c);
        if (what == NULL && chunk->home != 0 &&
            (chunk->state != CHUNK_PART || chunk->home > f->slot_count || f->slots[chunk->home - 1].home != c))
            what = "a chunk is the home of a cache that does not know it";
        uint64_t backed = 0;
        for (unsigned g = 0; g < CHUNK_GROUPS; g++)
            backed |= f->bits[c].backed[g];
        if (what == NULL && backed == 0 && bits_touched(f, c))
            what = "a chunk is touched, and nothing of it is backed";
        for (unsigned order = 0; order < CHUNK_ORDER; order++)
            sums->blocks[order] += chunk->count[order];
        if (chunk->state == CHUNK_FREE)
            sums->blocks[chunk->order < WEIR_ORDERS ? chunk->order : 0]++;
        sums->listed += chunk->state != CHUNK_NONE;
    }
    return what;
}

static const char *check_lists(const struct weir_frames *f, struct sums *sums)
{
    size_t first = f->first >> CHUNK_ORDER, last = (f->end - 1) >> CHUNK_ORDER;
    for (int list = LIST_BACKED; list <= LIST_UNBACKED; list++) {
        for (unsigned order = 0; order < WEIR_ORDERS; order++) {
            size_t head = list_head(f, list, order), previous = head;
            for (size_t c = f->chunk[head].next; c != head; c = f->chunk[c].next) {
                const struct chunk *chunk = &f->chunk[c];
                if (c < first || c > last)
                    return "a list leads out of the table";
                if (chunk->state != (order < CHUNK_ORDER ? CHUNK_PART : CHUNK_FREE) || chunk->order != order ||
                    chunk->list != list)
                    return "a list holds something else than free blocks of its order";
                if (chunk->previous != previous || sums->listed-- == 0)
                    return "a list is not linked back, or a circle";
                previous = c;
            }
            if ((f->present[list] >> order & 1) != (f->chunk[head].next != head) || f->chunk[head].previous != previous)
                return "the map of lists that are not empty is wrong";
        }
    }
    return sums->listed == 0 ? NULL : "a free block is on no list";
}

/* Free frames have no words and are no runs. */
static const char *check_free(const struct weir_frames *f, const struct walk *walk)
{
    for (size_t n = walk->n; n < walk->n + walk->count; n++) {
        if (word_load(f, n) != 0 || single_is(f, n))
            return "a frame is free and in use";
    }
    return NULL;
}

/* The bodies of an allocation, whose head's order and length are known. */
static const char *check_bodies(const struct weir_frames *f, const struct walk *walk)
{
    size_t end = walk->n + walk->count;
    if (walk->word == 0)
        return NULL; /* a single frame */
    if (walk->word & ((1 << WORD_ORDER_SHIFT) - 1))
        return "the head of a run has a bit that no word has";
    if (word_order(walk->word) != order_up(f, walk->n, end))
        return "the head of a run has the wrong order";
    for (size_t n = walk->n; n < end;) {
        unsigned order = order_up(f, n, end);
        if (n != walk->n && word_load(f, n) != word_block(order, KIND_BODY, n - walk->n))
            return "a body of a run does not lead to its head";
        n += (size_t)1 << order;
    }
    return NULL;
}

/* A slab's frames have its descriptor and are no runs. */
static const char *check_slab(const struct weir_frames *f, const struct walk *walk)
{
    uintptr_t descriptor = (uintptr_t)word_slab(walk->word);
    if (descriptor == 0 || descriptor % 16 != 0)
        return "a slab's descriptor is null or misaligned";
    for (size_t n = walk->n; n < walk->n + walk->count; n++) {
        if (single_is(f, n))
            return "a frame is a slab's and a run";
    }
    return NULL;
}

/* Words inside the blocks of a piece are zero. */
static const char *check_inside(const struct weir_frames *f, const struct walk *walk)
{
    size_t end = walk->n + walk->count;
    for (size_t n = walk->n; n < end;) {
        size_t block = (size_t)1 << order_up(f, n, end);
        for (size_t at = n + 1; at < n + block; at++) {
            if (word_load(f, at) != 0 || single_is(f, at))
                return "a word inside a block is not zero";
        }
        n += block;
    }
    return NULL;
}

static const char *check_bits(const struct weir_frames *f, const struct walk *walk)
{
    bool out = walk->kind == WEIR_FRAME_RUN || walk->kind == WEIR_FRAME_SLAB || walk->kind == WEIR_FRAME_METADATA ||
               walk->kind == WEIR_FRAME_CACHED;
    for (size_t n = walk->n; n < walk->n + walk->count; n++) {
        const struct frame_bits *bits = &f->bits[n >> CHUNK_ORDER];
        size_t g = n >> 6 & (CHUNK_GROUPS - 1);
        uint64_t mask = ones(n & 63, 1);
        if (out && !(bits->backed[g] & bits->dirty[g] & mask))
            return "a frame in use is not backed and dirty";
        if (bits->reported[g] & bits->backed[g] & mask)
            return "a frame is reported and backed";
        if (bits->backed[g] & mask && !bits_touched(f, n >> CHUNK_ORDER))
            return "a backed frame lies in an untouched chunk";
        if (!(bits->backed[g] & bits->dirty[g] & mask) && bits_full(f, n >> CHUNK_ORDER))
            return "a chunk is not as full as it is said to be";
        if (bits_any_managed(f, n, 1) != (walk->kind != WEIR_FRAME_HOLE))
            return "a frame that was added is covered by nothing, or one that was not is covered";
    }
    return NULL;
}

static const char *check_pieces(const struct weir_frames *f, struct sums *sums)
{
    const char *what = NULL;
    struct walk walk = {.n = f->first};
    while (what == NULL && walk_next(f, &walk)) {
        size_t backed = walk.kind == WEIR_FRAME_HOLE ? 0 : bits_count_backed(f, walk.n, walk.count);
        sums->backed += backed;
        sums->managed += walk.kind == WEIR_FRAME_HOLE ? 0 : walk.count;
        switch (walk.kind) {
        case WEIR_FRAME_HOLE:
            if (walk.word != 0)
                what = "a word of no known kind, or a body without a head";
            break;
        case WEIR_FRAME_FREE:
            what = check_free(f, &walk);
            sums->free += walk.count;
            sums->free_backed += backed;
            break;
        case WEIR_FRAME_SLAB:
            what = check_slab(f, &walk);
            break;
        case WEIR_FRAME_CACHED:
            sums->cached += walk.count;
            what = check_bodies(f, &walk);
            break;
        case WEIR_FRAME_ISOLATED:
            sums->isolated += walk.count;
            what = check_bodies(f, &walk);
            break;
        case WEIR_FRAME_BALLOONED:
            sums->ballooned += walk.count;
            sums->balloon_backed += backed;
            if (walk.n + walk.count > f->balloon_top)
                what = "a ballooned frame lies above the balloon's top";
            else
                what = check_bodies(f, &walk);
            break;
        default:
            what = check_bodies(f, &walk);
        }
        if (what == NULL && walk.kind != WEIR_FRAME_SLAB && walk.kind != WEIR_FRAME_HOLE)
            what = check_inside(f, &walk);
        if (what == NULL)
            what = check_bits(f, &walk);
    }
    return what;
}

static const char *check_slots(const struct weir_frames *f)
{
    for (unsigned i = 0; i < f->slot_count; i++) {
        const struct slot *slot = &f->slots[i];
        size_t longer = 0;
        for (uint32_t k = 0; k < atomic_load_explicit(&slot->singles, memory_order_relaxed); k++) {
            size_t n = slot->single[k] / 2;
            if (!in_span(f, n) || word_load(f, n) != 0 || single_is(f, n) || buddy_is_free(f, n))
                return "a cached frame is in use or free";
        }
        for (size_t count = 2; count <= CACHE_LENGTH; count++) {
            size_t n = slot->top[count];
            for (unsigned depth = slot->depth[count]; depth > 0; depth--) {
                if (!in_span(f, n) || word_kind(word_load(f, n)) != KIND_CACHED ||
                    word_cached_length(word_load(f, n)) != count)
                    return "a cache holds something else than cached runs of its length";
                n = word_cached_next(word_load(f, n));
            }
            if (n != 0)
                return "a cache is longer than its depth";
            longer += slot->depth[count] * count;
        }
        if (longer != atomic_load_explicit(&slot->longer, memory_order_relaxed))
            return "the number of frames in a cache is wrong";
    }
    return NULL;
}

static const char *check_sums(const struct weir_frames *f, const struct sums *sums)
{
    for (unsigned order = 0; order < WEIR_ORDERS; order++) {
        if (sums->blocks[order] != f->blocks[order])
            return "the count of free blocks of an order is wrong";
    }
    if (sums->managed != f->managed)
        return "the count of managed frames is wrong";
    if (sums->free != f->free)
        return "the count of free frames is wrong";
    if (sums->backed != f->backed)
        return "the count of backed frames is wrong";
    if (sums->free_backed != f->free_backed)
        return "the count of free backed frames is wrong";
    if (sums->isolated != f->isolated)
        return "the count of isolated frames is wrong";
    if (sums->ballooned != f->ballooned || sums->balloon_backed != f->balloon_backed)
        return "the count of ballooned frames is wrong";
    if (sums->cached != cache_count(f))
        return "the count of cached frames is wrong";
    return NULL;
}

enum weir_status weir_frames_check(struct weir_frames *f, const char **what)
{
    struct sums sums = {0};
    cache_lock_all(f);
    frames_lock(f);
    const char *broken = check_chunks(f, &sums);
    if (broken == NULL)
        broken = check_lists(f, &sums);
    if (broken == NULL)
        broken = check_pieces(f, &sums);
    if (broken == NULL)
        broken = check_slots(f);
    if (broken == NULL)
        broken = check_sums(f, &sums);
    frames_unlock(f);
    cache_unlock_all(f);
    if (what != NULL)
        *what = broken;
    return broken == NULL ? WEIR_OK : WEIR_CORRUPTED;
}
