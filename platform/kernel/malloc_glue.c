/*
 * weir's malloc in the unikernel: the process's arena stands directly on the frame table of all RAM.
 *
 * Empty slabs and runs go back at once (prompt): what keeps frames warm here is the frame table's own caches, and what
 * is free must be seen free, so that it can flow on to the host.
 */
#include <pthread.h>

#include "api/options.h"
#include "api/statistics.h"
#include "platform/kernel/devices.h"
#include "platform/kernel/kernel.h"

/* libgcc and libstdc++ refer to pthread functions weakly and take the presence of pthread_key_create for a sign that
 * all of them are there. */
typedef void function(void);
__attribute__((used)) static function *const taken_for_granted[] = {
    (function *)pthread_key_create,
    (function *)pthread_once,
    (function *)pthread_getspecific,
    (function *)pthread_setspecific,
    (function *)pthread_key_delete,
    (function *)pthread_mutex_lock,
    (function *)pthread_mutex_trylock,
    (function *)pthread_mutex_unlock,
    (function *)pthread_mutex_init,
    (function *)pthread_mutex_destroy,
    (function *)pthread_cond_wait,
    (function *)pthread_cond_signal,
    (function *)pthread_cond_broadcast,
    (function *)pthread_cond_destroy,
    (function *)pthread_cond_timedwait,
    (function *)pthread_mutexattr_init,
    (function *)pthread_mutexattr_settype,
    (function *)pthread_mutexattr_destroy,
    (function *)pthread_self,
};

static bool relieve(void *context, size_t bytes)
{
    (void)context;
    return devices_relieve(bytes);
}

struct weir_arena *platform_arena(void)
{
    const struct weir_arena_config config = {
        .frames = weir_kernel_frames(),
        .platform = weir_kernel_platform(),
        .limit = option(OPTION_LIMIT),
        .reclaim = relieve,
        .prompt = true,
    };
    return weir_arena_create(&config);
}

/* The frame table has it, and reporting takes it from there: now, not when it has been free for a while. */
bool platform_give_back(size_t keep)
{
    struct weir_reclaim *reclaim = weir_kernel_reclaim();
    struct weir_frames_stats stats;
    weir_frames_stats(weir_kernel_frames(), &stats);
    if (!reclaim || stats.free_backed <= keep >> WEIR_FRAME_SHIFT)
        return false;
    weir_reclaim_hasten(reclaim);
    return true;
}

/* The guest is the process: what the host backs is what is resident. */
void platform_usage(struct platform_usage *usage)
{
    struct weir_frames_stats stats;
    weir_frames_stats(weir_kernel_frames(), &stats);
    *usage = (struct platform_usage){.resident = stats.backed << WEIR_FRAME_SHIFT};
}

/* Statistics go to the console. */
__attribute__((destructor)) static void report(void)
{
    if (option(OPTION_STATS) != STATS_OFF)
        statistics_report(2);
}
