/*
 * The instance: who may work (one caller at a time; the others go on with what they were doing), in which order, and
 * what happens when the device fails.
 */
#include "src/reclaim/reclaim.h"

static bool can_report(const struct weir_reclaim *reclaim)
{
    return (weir_balloon_features(reclaim->device) & WEIR_BALLOON_REPORTING) != 0;
}

struct weir_reclaim *weir_reclaim_init(const struct weir_reclaim_config *config)
{
    if (config->memory == NULL || (uintptr_t)config->memory % 64 != 0 || config->frames == NULL ||
        config->balloon == NULL || config->platform == NULL || config->bus_range == NULL ||
        config->report_order > WEIR_ORDER_MAX)
        return NULL;
    struct weir_reclaim *reclaim = config->memory;
    reclaim->frames = config->frames;
    reclaim->device = config->balloon;
    reclaim->platform = config->platform;
    reclaim->bus_range = config->bus_range;
    reclaim->bus_context = config->bus_context;
    reclaim->reporting.fine.order = config->report_order;
    reclaim->reporting.coarse.order = config->report_order > COARSE_ORDER ? config->report_order : COARSE_ORDER;

    struct weir_frames_stats stats;
    weir_frames_stats(reclaim->frames, &stats);
    uint64_t now = now_of(reclaim);
    reclaim->reporting.hold_off = HOLD_OFF_FIRST;
    reclaim->reporting.accounted = now;
    reclaim->reporting.window = now;
    reclaim->reporting.freed = now;
    reclaim->reporting.frees = stats.frees;
    reclaim->reporting.retaken = stats.retaken;
    reclaim->reporting.on = !config->no_reporting && can_report(reclaim);
    reclaim->balloon.reserve = config->reserve >> WEIR_FRAME_SHIFT;
    if (reclaim->balloon.reserve == 0)
        reclaim->balloon.reserve =
            stats.managed / RESERVE_SHARE > RESERVE_LEAST ? stats.managed / RESERVE_SHARE : RESERVE_LEAST;
    reclaim->balloon.rest_length = REST_FIRST;
    numbers_init(reclaim);
    return reclaim;
}

/* --- statistics for the host --- */

static void answer_statistics(struct weir_reclaim *reclaim)
{
    if (!weir_balloon_asked(reclaim->device))
        return;
    struct weir_frames_stats stats;
    weir_frames_stats(reclaim->frames, &stats);
    /* As Linux does: memory in the balloon counts as the guest's only if the guest may take it back. */
    bool own = (weir_balloon_features(reclaim->device) & WEIR_BALLOON_DEFLATE_ON_OOM) != 0;
    size_t total = own ? stats.managed : stats.managed - stats.ballooned;
    size_t free = stats.free + stats.isolated;
    const struct weir_statistic statistics[] = {
        {WEIR_STATISTIC_SWAP_IN, 0},
        {WEIR_STATISTIC_SWAP_OUT, 0},
        {WEIR_STATISTIC_MAJOR_FAULTS, 0},
        {WEIR_STATISTIC_MINOR_FAULTS, 0},
        {WEIR_STATISTIC_FREE, (uint64_t)free << WEIR_FRAME_SHIFT},
        {WEIR_STATISTIC_TOTAL, (uint64_t)total << WEIR_FRAME_SHIFT},
        {WEIR_STATISTIC_AVAILABLE, (uint64_t)free << WEIR_FRAME_SHIFT},
        {WEIR_STATISTIC_CACHES, 0},
    };
    weir_balloon_answer(reclaim->device, statistics, sizeof(statistics) / sizeof(statistics[0]));
}

/* --- failure --- */

/* Everything that is in the balloon goes back to the guest. */
static void release_balloon(struct weir_reclaim *reclaim)
{
    struct balloon *balloon = &reclaim->balloon;
    size_t n;
    while ((n = weir_frames_ballooned(reclaim->frames, SIZE_MAX, balloon->deflation, DEFLATION_RANGES)) != 0)
        if (weir_frames_unballoon(reclaim->frames, balloon->deflation, n, true) != WEIR_OK)
            break;
    balloon->held = 0;
}

/* The device is gone. If it confirmed the reset, it holds nothing: all memory is the guest's again. If not, what it was
 * asked to discard may vanish at any time and is never used again. */
static void bury(struct weir_reclaim *reclaim)
{
    struct reporting *reporting = &reclaim->reporting;
    struct balloon *balloon = &reclaim->balloon;
    bool confirmed = weir_balloon_health(reclaim->device) == WEIR_BALLOON_RESET;
    bool told = (weir_balloon_features(reclaim->device) & WEIR_BALLOON_MUST_TELL_HOST) == 0;

    for (unsigned i = 0; i < REPORTS && confirmed; i++) {
        weir_frames_unisolate(reclaim->frames, reporting->reports[i].ranges, reporting->reports[i].count, false);
        reporting->reports[i].count = 0;
    }
    reclaim->stats.lost = confirmed ? 0 : reporting->in_flight;
    if (told && (confirmed || balloon->inflating == 0))
        release_balloon(reclaim);
    reclaim->stats.lost += balloon->held;
    reporting->on = false;
    reporting->in_flight = 0;
    balloon->inflating = balloon->deflating = balloon->deflation_count = 0;
    balloon->target = balloon->wanted = 0;
    if (confirmed)
        numbers_shrink(reclaim);
    reclaim->failed = true;
}

static bool in_flight(const struct weir_reclaim *reclaim)
{
    return reclaim->reporting.in_flight != 0 || reclaim->balloon.inflating != 0 || reclaim->balloon.deflating != 0;
}

/* Notices a device that does not answer any more. */
static void watch(struct weir_reclaim *reclaim, uint64_t now)
{
    if (!in_flight(reclaim)) {
        reclaim->progress = now;
        reclaim->polls = 0;
    } else if (++reclaim->polls >= SILENCE_POLLS && now - reclaim->progress >= SILENCE_TIME) {
        weir_balloon_fail(reclaim->device);
    }
}

/* Takes all answers. False if the device has failed. Under the lock. */
static bool collect(struct weir_reclaim *reclaim, uint64_t now)
{
    if (reclaim->failed)
        return false;
    report_collect(reclaim);
    balloon_collect(reclaim);
    watch(reclaim, now);
    if (weir_balloon_health(reclaim->device) == WEIR_BALLOON_WELL)
        return true;
    bury(reclaim);
    return false;
}

/* --- the calls --- */

static void set_due(struct weir_reclaim *reclaim, uint64_t due)
{
    atomic_store_explicit(&reclaim->due, due, memory_order_relaxed);
}

uint64_t weir_reclaim_due(const struct weir_reclaim *reclaim)
{
    return atomic_load_explicit(&reclaim->due, memory_order_relaxed);
}

uint64_t weir_reclaim_poll(struct weir_reclaim *reclaim)
{
    uint64_t now = now_of(reclaim);
    uint64_t due = weir_reclaim_due(reclaim);
    if (now < due || !lock_try(&reclaim->lock))
        return due;
    if (collect(reclaim, now)) {
        answer_statistics(reclaim);
        uint64_t balloon_due = balloon_step(reclaim, now);
        uint64_t report_due = report_step(reclaim, now);
        due = balloon_due < report_due ? balloon_due : report_due;
    } else {
        due = UINT64_MAX;
    }
    set_due(reclaim, due);
    lock_drop(&reclaim->lock);
    return due;
}

/* How much relief may take out of the balloon. */
static size_t relievable(const struct weir_reclaim *reclaim)
{
    const struct balloon *balloon = &reclaim->balloon;
    if ((weir_balloon_features(reclaim->device) & WEIR_BALLOON_DEFLATE_ON_OOM) != 0)
        return balloon->held;
    return balloon->held > balloon->target ? balloon->held - balloon->target : 0;
}

/* No inflation for a while; for twice as long if the last rest was not long ago. */
static void rest(struct balloon *balloon, uint64_t now)
{
    if (now >= balloon->rest) {
        bool again = balloon->rest != 0 && now - balloon->rest <= balloon->rest_length;
        uint64_t doubled = 2 * balloon->rest_length < REST_MOST ? 2 * balloon->rest_length : REST_MOST;
        balloon->rest_length = again ? doubled : REST_FIRST;
    }
    balloon->rest = now + balloon->rest_length;
}

/* Starts taking `frames` out of the balloon. False if there is nothing to take. Under the lock. */
static bool begin_relief(struct weir_reclaim *reclaim, size_t frames, uint64_t now)
{
    size_t most = relievable(reclaim);
    if (most == 0)
        return false;
    if (frames < RELIEF_LEAST)
        frames = RELIEF_LEAST;
    if (frames > most)
        frames = most;
    rest(&reclaim->balloon, now);
    numbers_grow(reclaim, frames);
    size_t begun = balloon_deflate(reclaim, frames);
    reclaim->stats.relieved += begun;
    return begun != 0;
}

/* Frames that came back from the device, ever. */
static uint64_t returned(const struct weir_reclaim *reclaim)
{
    return reclaim->stats.reported + reclaim->stats.deflated;
}

bool weir_reclaim_relieve(struct weir_reclaim *reclaim, size_t bytes)
{
    const uint64_t end = now_of(reclaim) + RELIEF_WAIT;
    const size_t wanted = (bytes >> WEIR_FRAME_SHIFT) + 1;
    lock_take(&reclaim->lock, reclaim->platform);
    const uint64_t before = returned(reclaim);
    for (unsigned round = 0;; round++) {
        uint64_t now = now_of(reclaim);
        bool well = collect(reclaim, now);
        uint64_t came = returned(reclaim) - before;
        bool more = well && now < end && came < wanted;
        if (!more || (!in_flight(reclaim) && !begin_relief(reclaim, wanted - (size_t)came, now)))
            break;
        /* Others may poll, and this thread may lose its CPU, while the device works. */
        lock_drop(&reclaim->lock);
        reclaim->platform->relax(reclaim->platform->context, round);
        lock_take(&reclaim->lock, reclaim->platform);
    }
    /* What came back since the last relief may have come between the refusal and this call: worth a try, once. */
    bool any = returned(reclaim) != reclaim->relief_seen;
    reclaim->relief_seen = returned(reclaim);
    set_due(reclaim, 0);
    lock_drop(&reclaim->lock);
    return any;
}

void weir_reclaim_hasten(struct weir_reclaim *reclaim)
{
    lock_take(&reclaim->lock, reclaim->platform);
    reclaim->reporting.hasten = true;
    reclaim->reporting.freed = now_of(reclaim);
    reclaim->reporting.coarse.exhausted = reclaim->reporting.fine.exhausted = false;
    set_due(reclaim, 0);
    lock_drop(&reclaim->lock);
}

void weir_reclaim_set_reporting(struct weir_reclaim *reclaim, bool on)
{
    lock_take(&reclaim->lock, reclaim->platform);
    reclaim->reporting.on = on && !reclaim->failed && can_report(reclaim);
    set_due(reclaim, 0);
    lock_drop(&reclaim->lock);
}

void weir_reclaim_stats(struct weir_reclaim *reclaim, struct weir_reclaim_stats *stats)
{
    lock_take(&reclaim->lock, reclaim->platform);
    *stats = reclaim->stats;
    stats->reporting = reclaim->reporting.on;
    stats->failed = reclaim->failed;
    stats->hold_off = reclaim->reporting.hold_off;
    stats->target = reclaim->balloon.target;
    stats->ballooned = reclaim->balloon.held;
    stats->in_flight = reclaim->reporting.in_flight;
    lock_drop(&reclaim->lock);
}

enum weir_status weir_reclaim_check(struct weir_reclaim *reclaim, const char **what)
{
    const struct balloon *balloon = &reclaim->balloon;
    const struct numbers *numbers = &reclaim->numbers;
    struct weir_frames_stats stats;
    weir_frames_stats(reclaim->frames, &stats);
    size_t reported = 0;
    for (unsigned i = 0; i < REPORTS; i++)
        for (unsigned k = 0; k < reclaim->reporting.reports[i].count; k++)
            reported += reclaim->reporting.reports[i].ranges[k].frames;
    const char *broken = NULL;
    if (stats.isolated != reported || (!reclaim->failed && reported != reclaim->reporting.in_flight))
        broken = "isolated frames are not those of the reports in flight";
    else if (stats.ballooned != balloon->held)
        broken = "ballooned frames are not those that the balloon holds";
    else if (!reclaim->failed &&
             numbers->free_count + balloon->inflating + balloon->deflating != numbers->frames * numbers->per_frame)
        broken = "an element of page numbers is lost";
    else if (balloon->inflating != 0 && balloon->deflating != 0)
        broken = "inflation and deflation are in flight together";
    else if (reclaim->failed && in_flight(reclaim))
        broken = "a failed device has requests in flight";
    if (broken != NULL && what != NULL)
        *what = broken;
    return broken == NULL ? WEIR_OK : WEIR_CORRUPTED;
}
