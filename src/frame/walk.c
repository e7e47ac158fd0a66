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
    if (word & WORD_FREE)
        return WEIR_FRAME_FREE;
    enum block_kind kind = word_kind(word);
    return kind <= KIND_BODY ? (enum weir_frame_kind)kinds[kind] : WEIR_FRAME_HOLE;
}

static size_t length_at(const struct weir_frames *f, size_t n, uint64_t word)
{
    if (word & WORD_SLAB) {
        size_t end = n + 1;
        while (end < f->end && word_load(f, end) == word)
            end++;
        return end - n;
    }
    if (word == 0) {
        size_t end = n;
        do
            end += f->chunk[end >> CHUNK_ORDER].managed == 0 ? CHUNK_FRAMES - (end & (CHUNK_FRAMES - 1)) : 1;
        while (end < f->end && word_load(f, end) == 0);
        return (end < f->end ? end : f->end) - n;
    }
    if (word & WORD_FREE)
        return (size_t)1 << word_order(word);
    return word_kind(word) == KIND_CACHED ? word_cached_length(word) : word_value(word);
}

bool walk_next(const struct weir_frames *f, struct walk *walk)
{
    walk->n += walk->count;
    if (walk->n >= f->end)
        return false;
    walk->word = word_load(f, walk->n);
    walk->kind = kind_of(walk->word);
    walk->count = length_at(f, walk->n, walk->word);
    /* a broken length must not lead out of the span, nor round in a circle */
    if (walk->count == 0 || walk->count > f->end - walk->n)
        walk->count = f->end - walk->n;
    return true;
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
            hole.range = (struct weir_range){address_of(f, walk.n), walk.count};
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
