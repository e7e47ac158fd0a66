/* weir under Linux: what the files of this folder share. */
#ifndef WEIR_PLATFORM_LINUX_H
#define WEIR_PLATFORM_LINUX_H

#include "weir/heap.h"

extern const struct weir_platform linux_platform;

uint64_t linux_now(void *context);

/* --- space.c --- */

/* Reserves the range of addresses that plays physical memory, and its frame table. Null without memory. */
struct weir_frames *space_create(void);

/* The same table later; null before. */
struct weir_frames *space_frames(void);

/* Makes at least `bytes` more of the range usable. */
bool space_grow(void *context, size_t bytes);

/* The arena's config.move. */
void space_move(void *context, uintptr_t from, uintptr_t to, size_t bytes);

/* Whether the kernel may use huge pages for what the process touches next, where it may at all (OPTION_HUGE). */
void space_allow_huge(bool allowed);

/* Whether the kernel may have used them for this address. */
bool space_may_be_huge(uintptr_t address);

/* --- give_back.c --- */

/* Hands free memory to the kernel until at most `keep` bytes of it are left; only what was freed before `cold_before`
 * (0: any). True if there was some. */
bool give_back(size_t keep, uint64_t cold_before);

/* Called from the heap's slow paths: keeps free memory within its bounds. */
void give_back_heartbeat(void *context);

/* The arena's config.discard. */
void give_back_part(void *context, uintptr_t start, size_t bytes);

/* One look of the background thread. True if there may be something to do at the next. */
bool give_back_in_background(void);

/* For fork: nothing is on its way to the kernel between these. */
void give_back_lock(void);
void give_back_unlock(void);

/* --- background.c --- */

/* Wakes the thread, or makes it, if the user wants one. */
void background_wake(void);

/* In the child of a fork the thread does not live: it is made again when it is wanted. */
void background_forked(void);

#endif
