/* weir under Linux: what the files of this folder share. */
#ifndef WEIR_PLATFORM_LINUX_H
#define WEIR_PLATFORM_LINUX_H

#include "weir/heap.h"

extern const struct weir_platform linux_platform;

/* Reserves the range of addresses that plays physical memory, and its frame table. Null without memory. */
struct weir_frames *space_create(void);

/* Makes at least `bytes` more of the range usable. */
bool space_grow(void *context, size_t bytes);

/* Hands free memory to the kernel until at most `keep` bytes of it are left; only what was freed before `cold_before`
 * (0: any). True if there was some. */
bool space_give_back(size_t keep, uint64_t cold_before);

/* Called from the heap's slow paths: gives back what has not been used for a while. */
void space_heartbeat(void *context);

uint64_t linux_now(void *context);

#endif
