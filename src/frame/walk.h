/* Steps through the span piece by piece, all locks held: a free block, or the adjacent free frames of a PART chunk; an
 * allocation; a cached run; a part of a hole. Start with n = first and all else zero. */
#ifndef WEIR_FRAME_WALK_H
#define WEIR_FRAME_WALK_H

#include "src/frame/table.h"

struct walk {
    size_t n, count;
    uint64_t word;
    enum weir_frame_kind kind;
};

/* Goes to the next piece; false at the end of the span. */
bool walk_next(const struct weir_frames *f, struct walk *walk);

/* What frame n is, lock held. */
enum weir_frame_kind frame_kind(const struct weir_frames *f, size_t n);

#endif
