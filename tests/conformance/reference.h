/*
 * An allocator that is simple enough to be right, and can be made wrong in a known way.
 *
 * First fit over a list of blocks in address order, one lock, nothing clever. The suite must find nothing in it; with
 * any of the flaws planted it must find something. That is the test of the suite.
 */
#ifndef TESTS_CONFORMANCE_REFERENCE_H
#define TESTS_CONFORMANCE_REFERENCE_H

#include "tests/conformance/conformance.h"

enum flaw {
    FLAW_NONE,
    FLAW_MISALIGNED,        /* malloc is aligned to 8 only */
    FLAW_OVERLAP,           /* objects above 1000 bytes are 16 bytes short */
    FLAW_OUTSIDE,           /* now and then an object from elsewhere */
    FLAW_ZERO_SHARED,       /* all objects of no bytes are one */
    FLAW_CALLOC_DIRTY,      /* calloc zeroes all but the last 8 bytes */
    FLAW_CALLOC_OVERFLOW,   /* calloc multiplies without a look */
    FLAW_HUGE_WRAPS,        /* sizes near SIZE_MAX wrap around */
    FLAW_USABLE_TOO_MUCH,   /* usable_size is one byte too much */
    FLAW_ALIGN_IGNORED,     /* memalign above a frame aligns to a frame */
    FLAW_ALIGN_ANY,         /* memalign accepts what is no power of two */
    FLAW_POSIX_WRITES,      /* posix_memalign that fails stores null */
    FLAW_REALLOC_LOSES,     /* realloc copies only 4 KiB */
    FLAW_REALLOC_FREES,     /* realloc that fails frees */
    FLAW_FREE_LEAKS,        /* free of objects above 50,000 bytes forgets them */
    FLAW_NO_COALESCING,     /* free neighbours are not joined */
    FLAW_DOUBLE_FREE_QUIET, /* a double free is not reported */
    FLAW_DOUBLE_FREE_HARM,  /* a double free is reported, and frees twice */
    FLAW_PAGES_UNALIGNED,   /* palloc aligns to 2 KiB */
    FLAW_PFREE_PART,        /* pfree leaves the last page of long runs */
    FLAW_MAXALLOC_OPTIMIST, /* maxalloc tells all that is free */
    FLAW_AVAILMEM_CONSTANT,
    FLAW_ADDMEM_TWICE,  /* the same memory is added again */
    FLAW_ADDMEM_FORGET, /* added memory is not used */
    FLAW_STATS_DRIFT,   /* realloc counts a malloc but no free */
    FLAW_STATS_LIVE,    /* live counts objects, not bytes */
    FLAW_PEAK_LOST,
    FLAW_REFUSAL_UNCOUNTED,
    FLAW_WALK_TWICE, /* large objects are visited twice */
    FLAW_WALK_SKIPS, /* the last object is not visited */
    FLAW_WALK_RUNS_ON,
    FLAW_REFUSES_GOOD,     /* now and then a refusal for nothing */
    FLAW_EXHAUSTED_BREAKS, /* the check fails after memory ran out */
    FLAW_ABILITY_MISSING,  /* declares an ability and has no operation for it */
    FLAW_ABILITY_EXTRA,    /* has an operation for an ability that it does not declare */
    FLAWS
};

extern const char *const flaw_names[FLAWS];

/* What the next allocator of reference_maker gets. */
extern enum flaw reference_flaw;

extern const struct maker reference_maker;

#endif
