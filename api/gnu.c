/*
 * GNU's names for looking at malloc and for setting it: mallinfo, mallinfo2, malloc_info, malloc_stats, mallopt; and
 * cfree. Structures and numbers are those of glibc's malloc.h, which other C libraries lack.
 *
 * Where glibc counts what it takes from brk and what from mmap, weir counts slabs and runs.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/faces.h"
#include "api/options.h"
#include "api/statistics.h"

struct info2 {
    size_t arena;    /* bytes held for small objects, tables included */
    size_t ordblks;  /* free objects */
    size_t smblks;   /* always 0, as are the other unused ones */
    size_t hblks;    /* runs */
    size_t hblkhd;   /* bytes in them */
    size_t usmblks;  /* unused */
    size_t fsmblks;  /* unused */
    size_t uordblks; /* bytes in small objects */
    size_t fordblks; /* arena - uordblks */
    size_t keepcost; /* bytes that malloc_trim(0) could give back at least */
};

struct info {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

FACE struct info2 mallinfo2(void);
FACE struct info mallinfo(void);
FACE int malloc_info(int options, FILE *stream);
FACE void malloc_stats(void);
FACE int mallopt(int parameter, int value);
FACE void cfree(void *object);
void *pvalloc(size_t size);

static size_t less(size_t from, size_t part)
{
    return from > part ? from - part : 0;
}

FACE struct info2 mallinfo2(void)
{
    struct statistics statistics;
    int error = errno;
    statistics_gather(&statistics);
    errno = error;
    const struct weir_arena_stats *arena = &statistics.arena;
    struct info2 info = {
        .arena = less(arena->held, arena->run_bytes),
        .hblks = arena->runs,
        .hblkhd = arena->run_bytes,
        .uordblks = less(arena->live, arena->run_bytes),
        .keepcost = statistics.frames.free_backed << WEIR_FRAME_SHIFT,
    };
    info.fordblks = less(info.arena, info.uordblks);
    for (unsigned i = 0; i < WEIR_SIZES; i++)
        info.ordblks += statistics.sizes[i].room - statistics.sizes[i].live;
    return info;
}

static int at_most(size_t value)
{
    return value < INT_MAX ? (int)value : INT_MAX;
}

/* glibc's numbers wrap around when they do not fit; these stop at the largest. */
FACE struct info mallinfo(void)
{
    struct info2 info = mallinfo2();
    return (struct info){
        .arena = at_most(info.arena),
        .ordblks = at_most(info.ordblks),
        .hblks = at_most(info.hblks),
        .hblkhd = at_most(info.hblkhd),
        .uordblks = at_most(info.uordblks),
        .fordblks = at_most(info.fordblks),
        .keepcost = at_most(info.keepcost),
    };
}

FACE int malloc_info(int options, FILE *stream)
{
    if (options != 0)
        return EINVAL;
    struct statistics statistics;
    struct text text = {.stream = stream};
    statistics_gather(&statistics);
    statistics_xml(&text, &statistics);
    text_flush(&text);
    return 0;
}

FACE void malloc_stats(void)
{
    struct statistics statistics;
    struct text text = {.file = STDERR_FILENO};
    statistics_gather(&statistics);
    statistics_table(&text, &statistics);
    text_flush(&text);
}

/* What mallopt can set, by glibc's numbers. */
enum parameter {
    MXFAST = 1,
    NLBLKS = 2,
    GRAIN = 3,
    KEEP = 4,
    TRIM_THRESHOLD = -1,
    TOP_PAD = -2,
    MMAP_THRESHOLD = -3,
    MMAP_MAX = -4,
    CHECK_ACTION = -5,
    PERTURB = -6,
    ARENA_TEST = -7,
    ARENA_MAX = -8,
};

FACE int mallopt(int parameter, int value)
{
    switch (parameter) {
    case TRIM_THRESHOLD: /* negative: never */
        return option_set(OPTION_KEEP, value < 0 ? SIZE_MAX : (size_t)value);
    case CHECK_ACTION: /* its second bit: abort */
        return option_set(OPTION_ABORT, (unsigned)value >> 1 & 1);
    case MXFAST:
        return value >= 0 && value <= (int)(160 * sizeof(size_t) / 8);
    case ARENA_TEST:
    case ARENA_MAX:
        return value > 0;
    case NLBLKS:
    case GRAIN:
    case KEEP:
    case TOP_PAD:
    case MMAP_THRESHOLD:
    case MMAP_MAX:
    case PERTURB:
        return 1; /* they tune what weir does not have */
    default:
        return 0;
    }
}

FACE void cfree(void *object)
{
    free(object);
}

#ifndef WEIR_GUEST
/* glibc's other names for the family, which allocation hooks of programs call: objects must not come from two
 * allocators. */
FACE void *libc_malloc(size_t size) __asm__("__libc_malloc");
FACE void *libc_calloc(size_t n, size_t size) __asm__("__libc_calloc");
FACE void *libc_realloc(void *object, size_t size) __asm__("__libc_realloc");
FACE void libc_free(void *object) __asm__("__libc_free");
FACE void *libc_memalign(size_t alignment, size_t size) __asm__("__libc_memalign");
FACE void *libc_valloc(size_t size) __asm__("__libc_valloc");
FACE void *libc_pvalloc(size_t size) __asm__("__libc_pvalloc");
FACE struct info libc_mallinfo(void) __asm__("__libc_mallinfo");
FACE int libc_mallopt(int parameter, int value) __asm__("__libc_mallopt");

FACE void *libc_malloc(size_t size)
{
    return malloc(size);
}

FACE void *libc_calloc(size_t n, size_t size)
{
    return calloc(n, size);
}

FACE void *libc_realloc(void *object, size_t size)
{
    return realloc(object, size);
}

FACE void libc_free(void *object)
{
    free(object);
}

FACE void *libc_memalign(size_t alignment, size_t size)
{
    return aligned_alloc(alignment, size);
}

FACE void *libc_valloc(size_t size)
{
    return aligned_alloc(WEIR_FRAME_SIZE, size);
}

FACE void *libc_pvalloc(size_t size)
{
    return pvalloc(size);
}

FACE struct info libc_mallinfo(void)
{
    return mallinfo();
}

FACE int libc_mallopt(int parameter, int value)
{
    return mallopt(parameter, value);
}
#endif
