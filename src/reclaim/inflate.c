/*
 * The balloon: its size follows the host's target.
 *
 * Inflation takes free frames, backed ones first and biggest runs first, down to a reserve that stays the guest's. If
 * the host takes reports, they go first: to give 2 MiB to QEMU takes one call of it when reported and 512 when
 * inflated, and inflating what was reported before costs less than half of inflating what was not. Then all elements
 * are filled, the doorbell rings once, and the next step waits until answers are there.
 *
 * Deflation sends the numbers of ballooned ranges and frees them when ALL its requests came back. MUST_TELL_HOST
 * demands that; without it the wait does no harm, because only one exchange (at most 256 MiB) is under way at a time.
 *
 * A guest that ran out of memory and was relieved rests from inflating, longer each time that it happens again soon.
 */
#include "src/reclaim/reclaim.h"

static void note_progress(struct weir_reclaim *reclaim)
{
    reclaim->progress = now_of(reclaim);
    reclaim->polls = 0;
}

/* S4 → S0 for the whole deflation. */
static void finish_deflation(struct weir_reclaim *reclaim)
{
    struct balloon *balloon = &reclaim->balloon;
    for (unsigned i = 0; i < balloon->deflation_count; i++) {
        balloon->held -= balloon->deflation[i].frames;
        reclaim->stats.deflated += balloon->deflation[i].frames;
    }
    weir_frames_unballoon(reclaim->frames, balloon->deflation, balloon->deflation_count, true);
    balloon->deflation_count = 0;
}

void balloon_collect(struct weir_reclaim *reclaim)
{
    struct balloon *balloon = &reclaim->balloon;
    uint32_t element;
    while (weir_balloon_collect(reclaim->device, WEIR_BALLOON_INFLATE, &element)) {
        numbers_returned(reclaim, element);
        balloon->inflating--;
        note_progress(reclaim);
    }
    while (weir_balloon_collect(reclaim->device, WEIR_BALLOON_DEFLATE, &element)) {
        numbers_returned(reclaim, element);
        note_progress(reclaim);
        if (--balloon->deflating == 0)
            finish_deflation(reclaim);
    }
}

/* The first `frames` of `ranges`: returns how many ranges that are, the last one cut. */
static unsigned prefix(struct weir_range *ranges, unsigned count, size_t frames)
{
    for (unsigned i = 0; i < count; i++) {
        if (frames == 0)
            return i;
        if (ranges[i].frames > frames)
            ranges[i].frames = frames;
        frames -= ranges[i].frames;
    }
    return count;
}

size_t balloon_deflate(struct weir_reclaim *reclaim, size_t frames)
{
    struct balloon *balloon = &reclaim->balloon;
    if (balloon->inflating != 0 || balloon->deflating != 0)
        return 0;
    size_t capacity = (size_t)reclaim->numbers.free_count * weir_balloon_numbers_max(reclaim->device);
    unsigned count = (unsigned)weir_frames_ballooned(reclaim->frames, frames < capacity ? frames : capacity,
                                                     balloon->deflation, DEFLATION_RANGES);
    size_t sent = numbers_send(reclaim, WEIR_BALLOON_DEFLATE, balloon->deflation, count, &balloon->deflating);
    balloon->deflation_count = prefix(balloon->deflation, count, sent);
    weir_balloon_doorbell(reclaim->device, WEIR_BALLOON_DEFLATE);
    return sent;
}

/* Takes up to `wanted` free frames and sends them. False if none could be taken. */
static bool inflate(struct weir_reclaim *reclaim, size_t wanted)
{
    struct balloon *balloon = &reclaim->balloon;
    struct weir_range ranges[BALLOON_RANGES];
    size_t taken = 0;
    while (reclaim->numbers.free_count != 0 && taken < wanted) {
        size_t capacity = (size_t)reclaim->numbers.free_count * weir_balloon_numbers_max(reclaim->device);
        size_t limit = wanted - taken < capacity ? wanted - taken : capacity;
        unsigned count = (unsigned)weir_frames_balloon(reclaim->frames, limit, false, ranges, BALLOON_RANGES);
        size_t sent = numbers_send(reclaim, WEIR_BALLOON_INFLATE, ranges, count, &balloon->inflating);
        taken += sent;
        for (unsigned i = 0; i < count; i++) {
            size_t here = ranges[i].frames < sent ? ranges[i].frames : sent;
            struct weir_range rest = {ranges[i].start + (here << WEIR_FRAME_SHIFT), ranges[i].frames - here};
            sent -= here;
            if (rest.frames != 0)
                weir_frames_unballoon(reclaim->frames, &rest, 1, false);
        }
        if (count == 0)
            break;
    }
    balloon->held += taken;
    reclaim->stats.inflated += taken;
    weir_balloon_doorbell(reclaim->device, WEIR_BALLOON_INFLATE);
    return taken != 0;
}

/* How many more frames inflation may take now. */
static size_t inflatable(struct weir_reclaim *reclaim, uint64_t now)
{
    const struct balloon *balloon = &reclaim->balloon;
    if (balloon->target <= balloon->held || now < balloon->rest)
        return 0;
    struct weir_frames_stats stats;
    weir_frames_stats(reclaim->frames, &stats);
    size_t wanted = balloon->target - balloon->held;
    size_t spare = stats.free > balloon->reserve ? stats.free - balloon->reserve : 0;
    return wanted < spare ? wanted : spare;
}

/* Tells the host the balloon's size: when all is done, and now and then on the way. */
static void tell_actual(struct weir_reclaim *reclaim, uint64_t now, bool done)
{
    struct balloon *balloon = &reclaim->balloon;
    if (balloon->held == balloon->actual || (!done && now < balloon->actual_due))
        return;
    balloon->actual = balloon->held;
    balloon->actual_due = now + ACTUAL_INTERVAL;
    weir_balloon_set_actual(reclaim->device, (uint32_t)balloon->held);
}

/* One exchange towards the target. True if one is under way. */
static bool exchange(struct weir_reclaim *reclaim, uint64_t now)
{
    struct balloon *balloon = &reclaim->balloon;
    if (balloon->deflating != 0)
        return true;
    if (balloon->held > balloon->target) {
        if (balloon->inflating != 0)
            return true;
        numbers_grow(reclaim, balloon->held - balloon->target);
        return balloon_deflate(reclaim, balloon->held - balloon->target) != 0;
    }
    size_t wanted = inflatable(reclaim, now);
    if (balloon->wanted == 0)
        balloon->patience = now + REPORT_PATIENCE;
    balloon->wanted = wanted;
    if (wanted == 0)
        return balloon->inflating != 0;
    if (now < balloon->patience && report_pending(reclaim))
        return true;
    numbers_grow(reclaim, wanted);
    return (reclaim->numbers.free_count != 0 && inflate(reclaim, wanted)) || balloon->inflating != 0;
}

uint64_t balloon_step(struct weir_reclaim *reclaim, uint64_t now)
{
    struct balloon *balloon = &reclaim->balloon;
    bool busy = balloon->inflating != 0 || balloon->deflating != 0;
    if (now >= balloon->target_due) {
        balloon->target = weir_balloon_target(reclaim->device);
        balloon->target_due = now + (busy ? TARGET_INTERVAL_BUSY : TARGET_INTERVAL);
    }
    busy = exchange(reclaim, now);
    tell_actual(reclaim, now, !busy);
    if (!busy) {
        numbers_shrink(reclaim);
        return balloon->target_due;
    }
    return now + POLL_IN_FLIGHT;
}
