/* Tests the invariants of word.h, table.h, run.c and cache.c. */
#include "src/frame/bitmaps.h"
#include "src/frame/walk.h"

/* What the frames add up to. */
struct sums {
    size_t managed, free, free_backed, backed, isolated, ballooned, balloon_backed, cached;
    size_t blocks[WEIR_ORDERS];
};

static const char *check_free(const struct weir_frames *f, const struct walk *walk)
{
    unsigned order = word_order(walk->word);
    size_t next = word_next(walk->word), previous = word_previous(walk->word);
    if (order > f->order_max || (walk->n & (walk->count - 1)) != 0)
        return "a free block is misaligned or too large";
    if (next - (f->first - LIST_HEADS) >= f->map.count + LIST_HEADS ||
        previous - (f->first - LIST_HEADS) >= f->map.count + LIST_HEADS)
        return "a link leads out of the table";
    if (word_previous(word_load(f, next)) != walk->n || word_next(word_load(f, previous)) != walk->n)
        return "a free block's neighbours in the list do not know it";
    size_t buddy = walk->n ^ walk->count;
    if (order < f->order_max && in_span(f, buddy) && word_is_free_of(word_load(f, buddy), order))
        return "two free buddies were not merged";
    if (bits_any_backed(f, walk->n, order) != !(walk->word & WORD_UNBACKED))
        return "a free block is on the wrong list for its backing";
    return NULL;
}

/* The bodies of an allocation, whose head's order and length are known. */
static const char *check_bodies(const struct weir_frames *f, const struct walk *walk)
{
    size_t end = walk->n + walk->count;
    if (word_order(walk->word) != order_up(f, walk->n, end))
        return "the head of a run has the wrong order";
    for (size_t n = walk->n; n < end;) {
        unsigned order = order_up(f, n, end);
        if (n != walk->n && word_load(f, n) != word_allocated(order, KIND_BODY, n - walk->n))
            return "a body of a run does not lead to its head";
        n += (size_t)1 << order;
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
            if (word_load(f, at) != 0)
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
        const struct frame_bits *bits = &f->bits[n >> 6];
        uint64_t mask = ones(n & 63, 1);
        if (out && !(bits->backed & bits->dirty & mask))
            return "a frame in use is not backed and dirty";
        if (bits->reported & bits->backed & mask)
            return "a frame is reported and backed";
        if (bits->backed & mask && !bits_touched(f, n >> CHUNK_ORDER))
            return "a backed frame lies in an untouched chunk";
        size_t managed = f->chunk[n >> CHUNK_ORDER].managed;
        bool added = managed == CHUNK_FRAMES || (managed != 0 && (bits->managed & mask));
        if (added != (walk->kind != WEIR_FRAME_HOLE))
            return added ? "a frame that was added is covered by nothing" : "a frame is covered but was never added";
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
            sums->blocks[word_order(walk.word)]++;
            break;
        case WEIR_FRAME_SLAB:
            if ((uintptr_t)word_slab(walk.word) % 16 != 0)
                what = "a slab's descriptor is misaligned";
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

static const char *check_lists(const struct weir_frames *f)
{
    for (unsigned order = 0; order < WEIR_ORDERS; order++) {
        size_t found = 0;
        for (int list = LIST_BACKED; list <= LIST_UNBACKED; list++) {
            size_t head = list_head(f, list, order), before = found;
            for (size_t n = word_next(word_load(f, head)); n != head; n = word_next(word_load(f, n))) {
                if (!in_span(f, n) || !word_is_free_of(word_load(f, n), order) || found++ > f->blocks[order])
                    return "a list holds something else than free blocks of its order";
                if (!(word_load(f, n) & WORD_UNBACKED) != (list == LIST_BACKED))
                    return "a free block does not know its list";
            }
            if ((f->present[list] >> order & 1) != (found > before))
                return "the map of lists that are not empty is wrong";
        }
        if (found != f->blocks[order])
            return "the number of free blocks of an order is wrong";
    }
    return NULL;
}

static const char *check_slots(const struct weir_frames *f)
{
    for (unsigned i = 0; i < f->slot_count; i++) {
        const struct slot *slot = &f->slots[i];
        size_t cached = 0;
        for (size_t count = 1; count <= CACHE_LENGTH; count++) {
            size_t n = slot->top[count - 1];
            for (unsigned depth = slot->depth[count - 1]; depth > 0; depth--) {
                if (!in_span(f, n) || word_kind(word_load(f, n)) != KIND_CACHED ||
                    word_cached_length(word_load(f, n)) != count)
                    return "a cache holds something else than cached runs of its length";
                n = word_cached_next(word_load(f, n));
            }
            if (n != 0)
                return "a cache is longer than its depth";
            cached += slot->depth[count - 1] * count;
        }
        if (cached != atomic_load_explicit(&slot->cached, memory_order_relaxed))
            return "the number of frames in a cache is wrong";
    }
    return NULL;
}

static const char *check_sums(const struct weir_frames *f, const struct sums *sums)
{
    for (unsigned order = 0; order < WEIR_ORDERS; order++) {
        if (sums->blocks[order] != f->blocks[order])
            return "a free block is on no list";
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
    const char *broken = check_lists(f);
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
