/* The map of all frames, piece by piece. */
#include "src/frame/walk.h"

#include "src/frame/bitmaps.h"

static enum weir_frame_kind kind_of(uint64_t word)
{
    static const uint8_t kinds[] = {
        [KIND_NONE] = WEIR_FRAME_HOLE,         [KIND_RUN] = WEIR_FRAME_RUN,
        [KIND_METADATA] = WEIR_FRAME_METADATA, [KIND_BALLOONED] = WEIR_FRAME_BALLOONED,
        [KIND_ISOLATED] = WEIR_FRAME_ISOLATED, [KIND_CACHED] = WEIR_FRAME_CACHED,
        [KIND_BODY] = WEIR_FRAME_HOLE, /* a body without its head: broken, and check says so */
    };
    if (word & WORD_SLAB)
        return WEIR_FRAME_SLAB;
    enum block_kind kind = word_kind(word);
    return kind <= KIND_BODY ? (enum weir_frame_kind)kinds[kind] : WEIR_FRAME_HOLE;
}

/* A piece whose first word is not zero. */
static size_t length_at(const struct weir_frames *f, size_t n, uint64_t word)
{
    if (word & WORD_SLAB) {
        size_t end = n + 1;
        while (end < f->end && word_load(f, end) == word)
            end++;
        return end - n;
    }
    return word_kind(word) == KIND_CACHED ? word_cached_length(word) : word_value(word);
}

static void classify(const struct weir_frames *f, struct walk *walk)
{
    size_t n = walk->n, c = n >> CHUNK_ORDER;
    walk->word = word_load(f, n);
    if (walk->word != 0) {
        walk->kind = kind_of(walk->word);
        walk->count = length_at(f, n, walk->word);
        return;
    }
    walk->count = 1;
    if (f->chunk[c].state == CHUNK_FREE) {
        walk->kind = WEIR_FRAME_FREE;
        walk->count = (size_t)1 << f->chunk[c].order;
    } else if (f->chunk[c].state == CHUNK_PART && buddy_is_free(f, n)) {
        size_t chunk_end = (c + 1) << CHUNK_ORDER;
        walk->kind = WEIR_FRAME_FREE;
        walk->count = buddy_free_end(f, n, chunk_end < f->end ? chunk_end : f->end) - n;
    } else if (single_is(f, n)) {
        walk->kind = WEIR_FRAME_RUN;
    } else if (f->added[c] == 0) {
        walk->kind = WEIR_FRAME_HOLE;
        walk->count = CHUNK_FRAMES - (n & (CHUNK_FRAMES - 1));
    } else {
        walk->kind = bits_any_managed(f, n, 1) ? WEIR_FRAME_CACHED : WEIR_FRAME_HOLE;
    }
}

bool walk_next(const struct weir_frames *f, struct walk *walk)
{
    walk->n += walk->count;
    if (walk->n >= f->end)
        return false;
    classify(f, walk);
    /* a broken length must not lead out of the span, nor round in a circle */
    if (walk->count == 0 || walk->count > f->end - walk->n)
        walk->count = f->end - walk->n;
    return true;
}

enum weir_frame_kind frame_kind(const struct weir_frames *f, size_t n)
{
    if (buddy_is_free(f, n))
        return WEIR_FRAME_FREE;
    uint64_t word = run_head(f, n).word;
    /* added, not free, and nobody's: a single frame in a cache */
    return word == 0 && bits_any_managed(f, n, 1) ? WEIR_FRAME_CACHED : kind_of(word);
}

enum weir_frame_kind weir_frames_kind(struct weir_frames *f, uintptr_t address)
{
    size_t n = number_of(f, address);
    if (!in_span(f, n))
        return WEIR_FRAME_HOLE;
    frames_lock(f);
    enum weir_frame_kind kind = frame_kind(f, n);
    frames_unlock(f);
    return kind;
}

void weir_frames_walk(struct weir_frames *f, bool (*visit)(void *context, const struct weir_frames_piece *piece),
                      void *context)
{
    cache_lock_all(f);
    frames_lock(f);
    struct walk walk = {.n = f->first};
    struct weir_frames_piece hole = {.kind = WEIR_FRAME_HOLE};
    bool on = true, seen = false;
    while (on && walk_next(f, &walk)) {
        if (walk.kind == WEIR_FRAME_HOLE) {
            hole.range.start = hole.range.frames == 0 ? address_of(f, walk.n) : hole.range.start;
            hole.range.frames += walk.count;
            continue;
        }
        if (hole.range.frames > 0 && seen)
            on = visit(context, &hole);
        hole.range.frames = 0;
        seen = true;
        struct weir_frames_piece piece = {
            .range = {address_of(f, walk.n), walk.count},
            .kind = walk.kind,
            .backed = walk.kind == WEIR_FRAME_BALLOONED ? 0 : bits_count_backed(f, walk.n, walk.count),
        };
        on = on && visit(context, &piece);
    }
    frames_unlock(f);
    cache_unlock_all(f);
}
