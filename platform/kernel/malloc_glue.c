/*
 * weir's malloc in the unikernel: the process's arena stands directly on the frame table of all RAM.
 *
 * Empty slabs and runs go back at once (prompt): what keeps frames warm here is the frame table's own caches, and what
 * is free must be seen free, so that it can flow on to the host.
 */
#include "api/platform.h"
#include "platform/kernel/kernel.h"

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
        .reclaim = relieve,
        .prompt = true,
    };
    return weir_arena_create(&config);
}

/* Nothing to do: the frame table has it, and reporting takes it from there. */
bool platform_give_back(size_t keep)
{
    (void)keep;
    return false;
}
