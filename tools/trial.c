#include "tools/trial.h"

#include <math.h>
#include <string.h>

#define IDLE_TIME      0.25
#define REST_TIME      2.0
#define SQUEEZE_HEARD  3.0 /* a balloon that has not moved in this time will not */
#define SQUEEZE_STILL  0.5 /* so long nothing changes when it is at its limit */
#define SQUEEZE_MOST   20.0
#define NOTICEABLE_RSS (1u << 20)

struct trial trial_new(const char *program, const char *allocator)
{
    struct trial trial = {.program = program, .allocator = allocator};
    for (size_t i = 0; i < FIGURE_COUNT; i++)
        trial.figures[i] = NAN;
    return trial;
}

static void enter(struct trial *trial, enum trial_state state)
{
    trial->state = state;
    trial->since = clock_now();
}

static void on_output(struct session *session, const char *data, size_t length)
{
    struct trial *trial = session->hooks.context;
    if (trial->log != NULL)
        fwrite(data, 1, length, trial->log);
    const size_t room = sizeof trial->tail - 1;
    if (length > room) {
        data += length - room;
        length = room;
    }
    if (trial->tail_length + length > room) {
        const size_t drop = trial->tail_length + length - room;
        memmove(trial->tail, trial->tail + drop, trial->tail_length - drop);
        trial->tail_length -= drop;
    }
    memcpy(trial->tail + trial->tail_length, data, length);
    trial->tail_length += length;
    trial->tail[trial->tail_length] = '\0';
}

static void on_freed(struct trial *trial, const struct session *session, const char *rest)
{
    frame_number(rest, "seconds", &trial->figures[FIGURE_SECONDS]);
    frame_number(rest, "live", &trial->figures[FIGURE_LIVE]);
    trial->figures[FIGURE_RSS_PEAK] = (double)session->rss_peak;
    enter(trial, TRIAL_REST);
}

static void on_frame(struct session *session, const struct frame *frame)
{
    struct trial *trial = session->hooks.context;
    if (strcmp(frame->word, "memory") == 0)
        frame_number(frame->rest, "peak", &trial->figures[FIGURE_PEAK]);
    if (strcmp(frame->word, "phase") != 0)
        return;
    if (strncmp(frame->rest, "before", 6) == 0 && trial->state == TRIAL_BOOT)
        enter(trial, TRIAL_IDLE);
    else if (strncmp(frame->rest, "freed", 5) == 0 && trial->state == TRIAL_WORK)
        on_freed(trial, session, frame->rest);
}

static bool is_settled(struct trial *trial, const struct session *session, uint64_t rss, double now)
{
    const uint64_t difference = rss > trial->last_rss ? rss - trial->last_rss : trial->last_rss - rss;
    if (difference >= NOTICEABLE_RSS || session->vmm->balloon != trial->last_balloon) {
        trial->last_rss = rss;
        trial->last_balloon = session->vmm->balloon;
        trial->changed = now;
    }
    const double spent = now - trial->since;
    const bool heard = trial->last_balloon > 0 || spent >= SQUEEZE_HEARD;
    return spent >= SQUEEZE_MOST || (heard && now - trial->changed >= SQUEEZE_STILL);
}

static void move_on(struct session *session, struct trial *trial, uint64_t rss)
{
    const double now = clock_now();
    switch (trial->state) {
    case TRIAL_IDLE:
        if (now - trial->since < IDLE_TIME)
            return;
        trial->figures[FIGURE_RSS_BEFORE] = (double)rss;
        enter(trial, TRIAL_WORK);
        return;
    case TRIAL_REST:
        if (now - trial->since < REST_TIME)
            return;
        trial->figures[FIGURE_RSS_FREED] = (double)rss;
        trial->last_rss = rss;
        trial->changed = now;
        session_inflate(session, BALLOON_MAX);
        enter(trial, TRIAL_SQUEEZE);
        return;
    case TRIAL_SQUEEZE:
        if (!is_settled(trial, session, rss, now))
            return;
        trial->figures[FIGURE_RSS_BALLOONED] = (double)rss;
        session_type(session, "\n");
        enter(trial, TRIAL_LEAVE);
        return;
    case TRIAL_BOOT:
    case TRIAL_WORK:
    case TRIAL_LEAVE:
        return;
    }
}

static void on_tick(struct session *session)
{
    struct trial *trial = session->hooks.context;
    const uint64_t rss = session->series.samples[session->series.count - 1].rss;
    move_on(session, trial, rss);
    if (trial->progress != NULL)
        trial->progress(trial->progress_context, trial, rss);
}

void trial_hook(struct session *session, struct trial *trial)
{
    session->hooks = (struct session_hooks){.output = on_output, .frame = on_frame, .tick = on_tick, .context = trial};
}

const char *trial_state_text(const struct trial *trial)
{
    static const char *const texts[] = {"boots", "is idle", "works", "has freed all", "gets the balloon", "ends"};
    return texts[trial->state];
}

bool trial_succeeded(const struct trial *trial)
{
    return trial->code == 0 && trial->state == TRIAL_LEAVE;
}
