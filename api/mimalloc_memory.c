/*
 * mimalloc's interface: memory set aside, brought along, or in huge pages.
 *
 * The process's malloc has one range of addresses, reserved from the start: setting memory aside in it means that the
 * range is large enough and, if asked for, ready to be written to. Memory that the program brings becomes an area
 * (areas.h) for heaps that are made in it. weir never takes pages that the system must set aside as huge.
 */
#include <errno.h>

#include "api/areas.h"
#include "api/mimalloc.h"

#define AREA_MIN ((size_t)1 << 16)

/* --- the process's range --- */

static struct weir_arena *made_arena(void)
{
    struct weir_heap *heap = thread_enter();
    thread_leave(heap);
    return process_arena();
}

FACE int mi_reserve_os_memory(size_t size, bool commit, bool allow_large)
{
    (void)allow_large;
    struct weir_arena *arena = made_arena();
    struct weir_frames_stats stats;
    if (!arena)
        return ENOMEM;
    weir_frames_stats(arena->config.frames, &stats);
    size_t ready = stats.free << WEIR_FRAME_SHIFT;
    size_t grows = arena->config.grow ? (arena->map->count - stats.managed) << WEIR_FRAME_SHIFT : 0;
    if (size > ready + grows)
        return ENOMEM;
    if (!commit || size <= ready)
        return 0;
    return arena->config.grow(arena->config.reclaim_context, size - ready) ? 0 : ENOMEM;
}

/* --- areas --- */

/* Whether the memory can be read and written as it is: weir commits nothing that is not its own. */
static bool manage(void *start, size_t size, bool is_committed, bool is_zero, mi_arena_id_t *arena_id)
{
    if (!arena_id || !is_committed || size < AREA_MIN || !made_arena())
        return false;
    *arena_id = area_make(start, size, is_zero);
    return *arena_id != NULL;
}

FACE bool mi_manage_os_memory_ex(void *start, size_t size, bool is_committed, bool is_pinned, bool is_zero,
                                 int numa_node, bool exclusive, mi_arena_id_t *arena_id)
{
    (void)is_pinned, (void)numa_node, (void)exclusive;
    return manage(start, size, is_committed, is_zero, arena_id);
}

/* Nothing could be allocated there: malloc keeps to its range, and without an id no heap can be made in it. */
FACE bool mi_manage_os_memory(void *start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node)
{
    (void)start, (void)size, (void)is_committed, (void)is_pinned, (void)is_zero, (void)numa_node;
    return false;
}

/* The program's function commits all of it, once: an area gives nothing back. */
FACE bool mi_manage_memory(void *start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node,
                           bool exclusive, mi_commit_fun_t *commit_fun, void *commit_fun_arg, mi_arena_id_t *arena_id)
{
    (void)is_pinned, (void)numa_node, (void)exclusive;
    if (!is_committed && commit_fun && arena_id && size >= AREA_MIN) {
        bool zero = false;
        is_committed = commit_fun(true, start, size, &zero, commit_fun_arg);
        is_zero = zero;
    }
    return manage(start, size, is_committed, is_zero, arena_id);
}

FACE int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive, mi_arena_id_t *arena_id)
{
    (void)exclusive;
    if (!arena_id)
        return mi_reserve_os_memory(size, commit, allow_large);
    *arena_id = NULL;
    struct weir_heap *heap = thread_enter();
    size = size < AREA_MIN ? AREA_MIN : size;
    void *memory = weir_heap_aligned(heap, WEIR_FRAME_SIZE, size, false);
    thread_leave(heap);
    if (memory && manage(memory, size, true, false, arena_id))
        return 0;
    mi_free(memory);
    return ENOMEM;
}

FACE void *mi_arena_area(mi_arena_id_t arena_id, size_t *size)
{
    struct area *area = arena_id;
    if (size)
        *size = area ? area_size(area) : 0;
    return area ? (void *)area_start(area) : NULL;
}

FACE bool mi_arena_contains(mi_arena_id_t arena_id, const void *p)
{
    return arena_id && area_of(p) == arena_id;
}

FACE size_t mi_arena_min_alignment(void)
{
    return WEIR_FRAME_SIZE;
}

FACE size_t mi_arena_min_size(void)
{
    return AREA_MIN;
}

static void print(struct text *text, const char *name, struct weir_arena *arena)
{
    struct weir_frames_stats stats;
    char out[NUMBER_MAX];
    weir_frames_stats(arena->config.frames, &stats);
    text_put(text, "weir: ");
    text_put(text, name);
    text_put(text, " at ");
    text_hex(text, arena->map->base);
    text_put(text, ": ");
    text_put(text, size_text(out, stats.managed << WEIR_FRAME_SHIFT));
    text_put(text, ", free ");
    text_put(text, size_text(out, stats.free << WEIR_FRAME_SHIFT));
    text_put(text, ", largest block ");
    text_put(text, size_text(out, stats.largest << WEIR_FRAME_SHIFT));
    text_put(text, "\n");
}

FACE void mi_arenas_print(void)
{
    struct text text;
    mimalloc_text(&text, NULL, NULL);
    if (process_arena())
        print(&text, "the process's memory", process_arena());
    struct area *area;
    for (unsigned i = 0; (area = area_number(i)) != NULL; i++)
        print(&text, "area", area_arena(area));
    text_flush(&text);
}

FACE void mi_debug_show_arenas(void)
{
    mi_arenas_print();
}

/* --- huge pages --- */

FACE int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs, bool exclusive,
                                        mi_arena_id_t *arena_id)
{
    (void)numa_node, (void)timeout_msecs, (void)exclusive;
    if (arena_id)
        *arena_id = NULL;
    return pages == 0 ? 0 : ENOMEM;
}

FACE int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs)
{
    return mi_reserve_huge_os_pages_at_ex(pages, numa_node, timeout_msecs, false, NULL);
}

FACE int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs)
{
    (void)numa_nodes;
    return mi_reserve_huge_os_pages_at_ex(pages, -1, timeout_msecs, false, NULL);
}

#ifndef WEIR_GUEST /* which has no floating-point numbers to pass */
FACE int mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t *pages_reserved)
{
    (void)max_secs;
    if (pages_reserved)
        *pages_reserved = 0;
    return mi_reserve_huge_os_pages_at_ex(pages, -1, 0, false, NULL);
}
#endif
