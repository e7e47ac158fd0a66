/*
 * Free page reporting: what is free and stays free goes to the host and remains the guest's.
 *
 * The hold-off. Memory that is taken again soon after it was reported costs a page fault of the host for each frame;
 * memory that is never reported costs the host its size. Three rules weigh the two:
 *
 *  - Only what was freed at least `hold_off` ago is reported (the frame table knows the times of its blocks). A program
 *    that frees and allocates in a circle faster than that never meets this file.
 *  - A bounce, memory taken again within BOUNCE_WINDOW of its report, raises the hold-off fourfold, or to what the
 *    bounce's faults cost if that is longer (who pays at most as much for waiting as for not waiting pays at most twice
 *    what was necessary: Karlin et al. 1988). Once per report, so that growing is not held to be bouncing many times.
 *  - A bounce runs up a debt, what its faults cost, that the program's time works off at a rate of 1/BOUNCE_SHARE. Only
 *    without debt does the hold-off halve again. So bouncing costs 1/BOUNCE_SHARE of the time in the long run, however
 *    the program's period lies to the hold-off; with a longest hold-off, periods beyond it excepted.
 *
 * Two sieves. Blocks of 2 MiB and more go first and early: one call of the host for each, and no huge page of it is
 * split. Programs that spread over small objects leave free pieces between what lives on: what is smaller, down to the
 * order that was configured, goes when its 2 MiB were quiet for longer.
 *
 * A host that asks for memory (a target above what the balloon holds) and a program that says it is done (hasten) are
 * served without hold-off: reporting is the fastest road, and inflation of what was reported costs the host little.
 */
#include "src/base/bits.h"
#include "src/reclaim/reclaim.h"

static size_t sum(const struct weir_range *ranges, size_t n)
{
    size_t frames = 0;
    for (size_t i = 0; i < n; i++)
        frames += ranges[i].frames;
    return frames;
}

/* --- the hold-off --- */

/* Frames that bounced since the last call. */
static size_t bounced(struct reporting *reporting, uint64_t now, uint64_t retaken)
{
    uint64_t taken = retaken - reporting->retaken;
    reporting->retaken = retaken;
    if (now - reporting->window >= BOUNCE_WINDOW) {
        reporting->recent_before = now - reporting->window < 2 * BOUNCE_WINDOW ? reporting->recent : 0;
        reporting->recent = 0;
        reporting->window = now;
    }
    uint64_t from_recent = taken < reporting->recent ? taken : reporting->recent;
    uint64_t from_before = taken - from_recent;
    if (from_before > reporting->recent_before)
        from_before = reporting->recent_before;
    reporting->recent -= from_recent;
    reporting->recent_before -= from_before;
    return from_recent + from_before;
}

static void adapt_hold_off(struct weir_reclaim *reclaim, uint64_t now, uint64_t retaken)
{
    struct reporting *reporting = &reclaim->reporting;
    uint64_t worked_off = (now - reporting->accounted) / BOUNCE_SHARE;
    reporting->debt -= worked_off < reporting->debt ? worked_off : reporting->debt;
    reporting->accounted = now;

    size_t frames = bounced(reporting, now, retaken);
    reclaim->stats.bounced += frames;
    uint64_t fault = reporting->fault_cost > FAULT_COST_LEAST ? reporting->fault_cost : FAULT_COST_LEAST;
    uint64_t cost = frames * fault;
    reporting->debt += cost;
    if (frames >= BOUNCE_LEAST && reporting->unpunished) {
        reporting->unpunished = false;
        uint64_t raised = BOUNCE_RAISE * reporting->hold_off;
        uint64_t longer = raised > cost ? raised : cost;
        reporting->hold_off = longer < HOLD_OFF_MOST ? longer : HOLD_OFF_MOST;
        reporting->halve = now + 4 * reporting->hold_off;
    } else if (reporting->debt == 0 && now >= reporting->halve && reporting->hold_off > HOLD_OFF_FIRST) {
        reporting->hold_off = reporting->hold_off / 2 > HOLD_OFF_FIRST ? reporting->hold_off / 2 : HOLD_OFF_FIRST;
        reporting->halve = now + 4 * reporting->hold_off;
    }
}

/* --- reports --- */

/* Isolated ranges become those of `report`, cut where the bus is; what does not fit goes back unreported. */
static void fill(struct weir_reclaim *reclaim, struct report *report, const struct weir_range *ranges, size_t n,
                 unsigned most)
{
    for (size_t i = 0; i < n; i++) {
        struct weir_range range = ranges[i];
        while (range.frames != 0 && report->count < most) {
            uint64_t bus;
            size_t frames =
                reclaim->bus_range(reclaim->bus_context, range.start, range.frames << WEIR_FRAME_SHIFT, &bus) >>
                WEIR_FRAME_SHIFT;
            report->ranges[report->count++] = (struct weir_range){range.start, frames};
            range.start += frames << WEIR_FRAME_SHIFT;
            range.frames -= frames;
        }
        if (range.frames != 0)
            weir_frames_unisolate(reclaim->frames, &range, 1, false);
    }
    reclaim->reporting.in_flight += sum(report->ranges, report->count);
}

/* S1 → S0. */
static void end(struct weir_reclaim *reclaim, struct report *report, bool reported)
{
    reclaim->reporting.in_flight -= sum(report->ranges, report->count);
    weir_frames_unisolate(reclaim->frames, report->ranges, report->count, reported);
    report->count = 0;
}

/* Submits a filled report. Without room it ends. */
static bool submit(struct weir_reclaim *reclaim, struct report *report)
{
    struct weir_segment segments[WEIR_BALLOON_REPORT_SEGMENTS];
    for (unsigned i = 0; i < report->count; i++) {
        size_t bytes = report->ranges[i].frames << WEIR_FRAME_SHIFT;
        segments[i].bytes = (uint32_t)bytes;
        reclaim->bus_range(reclaim->bus_context, report->ranges[i].start, bytes, &segments[i].bus);
    }
    uint32_t cookie = (uint32_t)(report - reclaim->reporting.reports);
    if (!weir_balloon_submit(reclaim->device, WEIR_BALLOON_REPORT, segments, report->count, cookie)) {
        end(reclaim, report, false);
        return false;
    }
    weir_balloon_doorbell(reclaim->device, WEIR_BALLOON_REPORT);
    return true;
}

/* Isolates up to `limit` frames in blocks of 2^order and reports them. False if there was nothing. */
static bool send(struct weir_reclaim *reclaim, struct report *report, unsigned order, size_t limit,
                 uint64_t cold_before)
{
    struct weir_range ranges[WEIR_BALLOON_REPORT_SEGMENTS];
    unsigned most = weir_balloon_room(reclaim->device, WEIR_BALLOON_REPORT, 1);
    if (most > WEIR_BALLOON_REPORT_SEGMENTS)
        most = WEIR_BALLOON_REPORT_SEGMENTS;
    /* Whole blocks: a host with huge pages cannot take parts of them. */
    limit = round_up(limit, (size_t)1 << order);
    size_t n = weir_frames_isolate(reclaim->frames, order, limit, cold_before, ranges, most);
    if (n == 0)
        return false;
    fill(reclaim, report, ranges, n, most);
    return submit(reclaim, report);
}

/* The first reports that come back tell what a fault of the host costs: memory of theirs, still isolated, is touched,
 * and they are sent again. The least of a few times counts: a busy host makes some of them too long. True if the report
 * is under way again. */
static bool probe(struct weir_reclaim *reclaim, struct report *report)
{
    struct reporting *reporting = &reclaim->reporting;
    for (unsigned i = 0; i < report->count && reporting->probes < FAULT_PROBES; i++) {
        uint64_t cost = fault_cost(reclaim->platform, &report->ranges[i]);
        if (cost == 0)
            continue;
        if (reporting->probes++ == 0 || cost < reporting->fault_cost)
            reporting->fault_cost = cost;
        return submit(reclaim, report);
    }
    return false;
}

void report_collect(struct weir_reclaim *reclaim)
{
    struct reporting *reporting = &reclaim->reporting;
    uint32_t cookie;
    while (weir_balloon_collect(reclaim->device, WEIR_BALLOON_REPORT, &cookie)) {
        struct report *report = &reporting->reports[cookie];
        reclaim->progress = now_of(reclaim);
        reclaim->polls = 0;
        if (probe(reclaim, report))
            continue;
        size_t frames = sum(report->ranges, report->count);
        end(reclaim, report, true);
        reporting->recent += frames;
        reporting->unpunished = true;
        reclaim->stats.reported += frames;
        reclaim->stats.reports++;
    }
}

/* A report that can be sent now; null if there is none. */
static struct report *idle_report(struct weir_reclaim *reclaim)
{
    for (unsigned i = 0; i < REPORTS && weir_balloon_room(reclaim->device, WEIR_BALLOON_REPORT, 1) != 0; i++)
        if (reclaim->reporting.reports[i].count == 0)
            return &reclaim->reporting.reports[i];
    return NULL;
}

/* Whether the sieve has seen all that was freed until now, what its looks flushed from caches included. */
static bool has_seen_all(const struct sieve *sieve, uint64_t freed)
{
    return sieve->exhausted && sieve->looked > freed + LOOK;
}

/* Sends what remains in one sieve after `hold_off`. False if there is nothing. */
static bool sift(struct weir_reclaim *reclaim, struct sieve *sieve, const struct weir_frames_stats *stats,
                 struct report *report, uint64_t now, uint64_t hold_off)
{
    if (stats->free_backed >> sieve->order == 0 || has_seen_all(sieve, reclaim->reporting.freed)) {
        sieve->exhausted = true;
        return false;
    }
    size_t limit = stats->free / 2 > ISOLATE_LEAST ? stats->free / 2 : ISOLATE_LEAST;
    if (now <= hold_off)
        return false;
    sieve->looked = now - hold_off;
    bool sent = send(reclaim, report, sieve->order, limit, hold_off != 0 ? sieve->looked : 0);
    /* What is in flight splits the blocks that remain: while it is, nothing found does not mean nothing there. */
    sieve->exhausted = !sent && reclaim->reporting.in_flight == 0;
    return sent;
}

uint64_t report_step(struct weir_reclaim *reclaim, uint64_t now)
{
    struct reporting *reporting = &reclaim->reporting;
    if (!reporting->on)
        return UINT64_MAX;
    bool wanted = reporting->hasten || (reclaim->balloon.wanted != 0 && !reporting->coarse.exhausted);
    if (now < reporting->look && !wanted)
        return reporting->look;

    struct weir_frames_stats stats;
    weir_frames_stats(reclaim->frames, &stats);
    adapt_hold_off(reclaim, now, stats.retaken);
    if (stats.frees != reporting->frees) {
        reporting->frees = stats.frees;
        reporting->freed = now;
        reporting->coarse.exhausted = reporting->fine.exhausted = false;
    }
    uint64_t pause = reporting->hold_off / 4 > LOOK ? reporting->hold_off / 4 : LOOK;
    reporting->look = now + pause;

    struct report *report = idle_report(reclaim);
    if (report == NULL) {
        reporting->look = now;
        return now + POLL_IN_FLIGHT;
    }
    uint64_t coarse = wanted ? 0 : reporting->hold_off;
    uint64_t fine = reporting->hasten ? 0 : reporting->hold_off > HOLD_OFF_FINE ? reporting->hold_off : HOLD_OFF_FINE;
    if (sift(reclaim, &reporting->coarse, &stats, report, now, coarse) ||
        sift(reclaim, &reporting->fine, &stats, report, now, fine)) {
        reporting->look = now;
        return now + POLL_IN_FLIGHT;
    }
    if (reporting->coarse.exhausted && reporting->fine.exhausted)
        reporting->hasten = false;
    return reporting->look;
}

bool report_pending(struct weir_reclaim *reclaim)
{
    return reclaim->reporting.on && (reclaim->reporting.in_flight != 0 || !reclaim->reporting.coarse.exhausted);
}
