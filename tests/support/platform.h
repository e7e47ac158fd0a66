/*
 * The platform of host tests: records misuse instead of dying of it.
 *
 * Clock, slot and randomness can be set, so that tests are deterministic where they want to be.
 */
#ifndef TESTS_SUPPORT_PLATFORM_H
#define TESTS_SUPPORT_PLATFORM_H

#include <stdatomic.h>

#include "weir/platform.h"

/* The one test platform. panic() prints and aborts; relax() yields. */
const struct weir_platform *test_platform(void);

/* Forgets the errors seen so far, and goes back to the real clock. */
void test_platform_reset(void);

/* How many errors were reported since the last reset, and the last of them. */
extern atomic_uint test_errors;
extern struct weir_error test_last_error;

/* What now() answers; 0: the real monotonic clock. */
extern _Atomic(uint64_t) test_clock;

/* What slot() answers in this thread; at first a number of its own for each thread. */
void test_set_slot(unsigned slot);

/* What heartbeat() calls; null: nothing. */
extern void (*_Atomic test_heartbeat)(void);

#endif
