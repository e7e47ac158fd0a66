/*
 * The process's arena, and what fork means for it.
 *
 * The child has only the thread that called fork: no lock of the allocator may be held by another one at that moment.
 * So fork takes all of them first. The heaps of threads that do not live in the child are left as they are: what they
 * held stays allocated there. They cannot be released: their owners use them without locks, and fork copies memory page
 * by page while they run on, so that the copy of a heap and that of its slabs may be of different moments.
 */
#include <pthread.h>

#include "api/options.h"
#include "api/platform.h"
#include "api/thread.h"
#include "platform/linux/linux.h"
#include "src/heap/fork.h"

/* With the background thread less may lie unused in slabs: it cannot look into the heaps of others. */
#define IDLE_PART_IN_BACKGROUND 64

struct weir_arena *platform_arena(void)
{
    struct weir_frames *frames = space_create();
    if (!frames)
        return NULL;
    const struct weir_arena_config config = {
        .frames = frames,
        .platform = &linux_platform,
        .limit = option(OPTION_LIMIT),
        .grow = space_grow,
        .discard = give_back_part,
        .move = space_move,
        .idle_part = option(OPTION_BACKGROUND) ? IDLE_PART_IN_BACKGROUND : 0,
    };
    return weir_arena_create(&config);
}

bool platform_give_back(size_t keep)
{
    struct weir_arena *arena = process_arena();
    struct weir_heap *heap = thread_enter();
    weir_arena_discard(arena, heap);
    thread_leave(heap);
    return give_back(keep, 0);
}

static void before_fork(void)
{
    thread_lock_all();
    give_back_lock();
    if (process_arena())
        arena_lock_all(process_arena());
}

static void after_fork(void)
{
    if (process_arena())
        arena_unlock_all(process_arena());
    give_back_unlock();
    thread_unlock_all();
}

static void after_fork_in_child(void)
{
    background_forked();
    after_fork();
}

/* Not when the arena is made: registering may allocate. Before all other constructors (in the archive by the section's
 * name, in the library by the linker's -z initfirst): what others register later is called outside of the locks, and
 * may allocate. */
static void register_fork(void)
{
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

__attribute__((used, section(".init_array.00000"))) static void (*const at_first)(void) = register_fork;
