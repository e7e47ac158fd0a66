/* Steps through the frame words piece by piece, both locks held. Start with n = first and all else zero. */
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

#endif
