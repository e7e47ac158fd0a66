#include "weir/status.h"

static const char *const texts[WEIR_STATUS_COUNT] = {
    [WEIR_OK] = "no error",
    [WEIR_NO_MEMORY] = "out of memory",
    [WEIR_INVALID] = "invalid argument",
    [WEIR_OVERLAP] = "overlap of regions",
    [WEIR_DOUBLE_FREE] = "double free",
    [WEIR_NOT_ALLOCATED] = "not allocated here",
    [WEIR_NOT_START] = "not the start of an object",
    [WEIR_WRONG_SIZE] = "wrong size",
    [WEIR_CORRUPTED] = "corrupted metadata",
    [WEIR_LIMIT] = "limit reached",
    [WEIR_DEVICE] = "device broke its protocol",
};

const char *weir_status_text(enum weir_status status)
{
    return (unsigned)status < WEIR_STATUS_COUNT ? texts[status] : "unknown status";
}
