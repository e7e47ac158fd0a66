/*
 * Making a frame table and adding memory to it.
 *
 * The metadata, in this order: the structure, the per-CPU caches, the words, the bitmaps, the list heads and chunks,
 * how much of each chunk was added, the summary of the bitmaps. All of it is right when zero-filled but for the
 * structure and the list heads, so that making a table writes three pages, and adding memory writes two bytes per 2 MiB
 * and one chunk per gigabyte.
 */
#include "src/frame/bitmaps.h"

#define SLOTS_MAX 64

/* Frame numbers of a span, before there is a table. */
struct span {
    size_t first, end;
};

static bool span_of(uintptr_t base, size_t frames, struct span *span)
{
    if (frames == 0 || frames > WEIR_FRAMES_SPAN_MAX || base % WEIR_FRAME_SIZE != 0)
        return false;
    /* the span may end where the address space does, not wrap around */
    if (((UINTPTR_MAX - base) >> WEIR_FRAME_SHIFT) + 1 < frames)
        return false;
    size_t largest = (size_t)1 << WEIR_ORDER_MAX;
    span->first = ((base >> WEIR_FRAME_SHIFT) & (largest - 1)) + largest;
    span->end = span->first + frames;
    return true;
}

/* Offsets of the parts. */
struct layout {
    size_t slots, words, bits, chunks, added, summary, end;
};

/* How many groups of 2^shift numbers a span touches. */
static size_t groups(const struct span *span, unsigned shift)
{
    return ((span->end - 1) >> shift) - (span->first >> shift) + 1;
}

/* No more caches than there are chunks for them to fill. */
static size_t slots_of(const struct span *span)
{
    size_t chunks = groups(span, CHUNK_ORDER);
    return chunks < SLOTS_MAX ? chunks : SLOTS_MAX;
}

static struct layout layout_of(const struct span *span)
{
    struct layout layout;
    size_t chunks = groups(span, CHUNK_ORDER);
    layout.slots = round_up(sizeof(struct weir_frames), 64);
    layout.words = layout.slots + slots_of(span) * sizeof(struct slot);
    layout.bits = round_up(layout.words + (span->end - span->first) * sizeof(uint64_t), 64);
    layout.chunks = layout.bits + chunks * sizeof(struct frame_bits);
    layout.added = layout.chunks + (LIST_HEADS + chunks) * sizeof(struct chunk);
    layout.summary = round_up(layout.added + chunks * sizeof(uint16_t), 64);
    layout.end = round_up(layout.summary + groups(span, CHUNK_ORDER + 6) * sizeof(struct summary), 64);
    return layout;
}

size_t weir_frames_metadata_size(uintptr_t base, size_t frames)
{
    struct span span;
    return span_of(base, frames, &span) ? layout_of(&span).end : 0;
}

/* The part at `offset`, so shifted that its first element has the index `index`. */
static void *part(const struct weir_frames_config *config, size_t offset, size_t index, size_t size)
{
    return (void *)((uintptr_t)config->metadata + offset - index * size);
}

struct weir_frames *weir_frames_init(const struct weir_frames_config *config)
{
    struct span span;
    if (!span_of(config->base, config->frames, &span) || config->metadata == NULL ||
        (uintptr_t)config->metadata % 64 != 0 || config->order_max > WEIR_ORDER_MAX || config->slots > SLOTS_MAX ||
        config->platform == NULL)
        return NULL;
    struct layout layout = layout_of(&span);
    struct weir_frames *f = config->metadata;
    f->map.base = config->base;
    f->map.count = config->frames;
    f->platform = config->platform;
    f->first = span.first;
    f->end = span.end;
    f->origin = config->base - (span.first << WEIR_FRAME_SHIFT);
    f->order_max = config->order_max ? config->order_max : WEIR_ORDER_MAX;
    f->slots = part(config, layout.slots, 0, 0);
    f->slot_count = config->slots < slots_of(&span) ? config->slots : (unsigned)slots_of(&span);
    f->word = part(config, layout.words, span.first, sizeof(uint64_t));
    f->map.words = f->word + span.first;
    size_t chunk = span.first >> CHUNK_ORDER;
    f->bits = part(config, layout.bits, chunk, sizeof(struct frame_bits));
    f->chunk = part(config, layout.chunks, chunk - LIST_HEADS, sizeof(struct chunk));
    f->added = part(config, layout.added, chunk, sizeof(uint16_t));
    f->summary = part(config, layout.summary, chunk >> 6, sizeof(struct summary));
    f->stamp_order = CHUNK_ORDER;
    f->balloon_top = f->end;
    buddy_init(f);
    return f;
}

enum weir_status frames_misuse(const struct weir_frames *f, enum weir_status status, const char *operation,
                               uintptr_t address, size_t count)
{
    struct weir_error error = {
        .status = status,
        .operation = operation,
        .address = address,
        .size = count > SIZE_MAX >> WEIR_FRAME_SHIFT ? SIZE_MAX : count << WEIR_FRAME_SHIFT,
    };
    f->platform->error(f->platform->context, &error);
    return status;
}

enum weir_status frames_range(const struct weir_frames *f, uintptr_t start, size_t count)
{
    if (start % WEIR_FRAME_SIZE != 0 || count == 0)
        return WEIR_INVALID;
    size_t index = (start - f->map.base) >> WEIR_FRAME_SHIFT;
    if (start < f->map.base || index >= f->map.count)
        return WEIR_NOT_ALLOCATED;
    return count <= f->map.count - index ? WEIR_OK : WEIR_WRONG_SIZE;
}

enum weir_status weir_frames_add(struct weir_frames *f, uintptr_t start, size_t count, unsigned flags)
{
    if (frames_range(f, start, count) != WEIR_OK)
        return frames_misuse(f, WEIR_INVALID, __func__, start, count);
    size_t n = number_of(f, start);
    frames_lock(f);
    if (bits_any_managed(f, n, count)) {
        frames_unlock(f);
        return frames_misuse(f, WEIR_OVERLAP, __func__, start, count);
    }
    bits_set_managed(f, n, count);
    if (!(flags & WEIR_REGION_ZERO))
        bits_set_dirty(f, n, count);
    if (flags & WEIR_REGION_BACKED) {
        bits_set_backed(f, n, count);
        f->backed += count;
        f->free_backed += count;
    }
    f->managed += count;
    buddy_give(f, n, count, false);
    frames_unlock(f);
    return WEIR_OK;
}
