/*
 * What an operation answers, and how misuse is reported.
 *
 * Every fallible function returns an `enum weir_status` or a null pointer. Misuse (a double free, an overlap of
 * regions, a foreign pointer) is in addition reported once through `weir_platform.error` before the function returns;
 * the state is unharmed and the caller may go on. Running out of memory is a normal answer and is not reported.
 */
#ifndef WEIR_STATUS_H
#define WEIR_STATUS_H

#include <stddef.h>
#include <stdint.h>

enum weir_status {
    WEIR_OK = 0,
    WEIR_NO_MEMORY,     /* nothing free that serves; try again after something was freed */
    WEIR_INVALID,       /* an argument outside what the function accepts */
    WEIR_OVERLAP,       /* a region that overlaps one already added */
    WEIR_DOUBLE_FREE,   /* freed already */
    WEIR_NOT_ALLOCATED, /* never allocated, or not by this allocator: stack, global, foreign heap, hole */
    WEIR_NOT_START,     /* inside an object or run, not at its start */
    WEIR_WRONG_SIZE,    /* a size that does not belong to what is freed */
    WEIR_CORRUPTED,     /* metadata does not hold its invariants: somebody overwrote it */
    WEIR_LIMIT,         /* a budget set by the user is exhausted */
    WEIR_DEVICE,        /* a device broke its protocol */
    WEIR_STATUS_COUNT
};

/* One reported misuse. `operation` is the public function at fault ("weir_frames_free"), a static string. */
struct weir_error {
    enum weir_status status;
    const char *operation;
    uintptr_t address; /* the pointer in question, 0 if none */
    size_t size;       /* bytes in question, 0 if none */
};

/* A stable one-line description of `status`, for people: "double free". Never null. */
const char *weir_status_text(enum weir_status status);

#endif
