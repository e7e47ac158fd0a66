/*
 * The policy's constants, each with what set it. docs/reclaim.md tells the measurements in full.
 */
#ifndef WEIR_RECLAIM_POLICY_H
#define WEIR_RECLAIM_POLICY_H

#include <stdint.h>

#define MICROSECONDS ((uint64_t)1000)
#define MILLISECONDS ((uint64_t)1000000)
#define SECONDS      ((uint64_t)1000000000)

/* --- reporting --- */

/* How long memory stays free before it is reported, at first and at most. 100 ms: a program that reuses within that
 * time never notices; with LOOK it bounds the first report to 150 ms after the free. 1.6 s: with LOOK and the transfer
 * itself still well under 3 s. */
#define HOLD_OFF_FIRST (100 * MILLISECONDS)
#define HOLD_OFF_MOST  (1600 * MILLISECONDS)

/* Blocks of this order and more (2 MiB, a huge page of the host) go after the hold-off; smaller ones after the longer
 * of it and HOLD_OFF_FINE: with 262 MiB of 1000-byte objects freed, 12 MiB stayed behind in pieces below 2 MiB. */
#define COARSE_ORDER  9
#define HOLD_OFF_FINE (1 * SECONDS)

/* How often the free lists are looked at. A look costs 0.2 us when nothing changed. */
#define LOOK (50 * MILLISECONDS)

/* The part of the program's time that bouncing may cost: 1/64, well within the 5 % that were promised. What a bounce
 * costs is measured (fault.c), but taken for no less than 2 us a frame: Firecracker with 4 KiB pages and no hardware to
 * help KVM takes 17; QEMU with transparent huge pages on the same machine 0.2 in a probe, 3 when 256 MiB come back
 * under load. */
#define FAULT_COST_LEAST (2 * MICROSECONDS)
#define FAULT_PROBES     4
#define BOUNCE_RAISE     4 /* doubling took a program whose memory rests 0.5 s four bounces to learn from */
#define BOUNCE_SHARE     64
#define BOUNCE_WINDOW    (2 * SECONDS) /* frames taken again later than this were not bouncing */
#define BOUNCE_LEAST     256           /* frames: fewer are noise, not a reason to hold back */

/* Frames isolated at once: half of what is free, so that allocations go on meanwhile, but not less than this. */
#define ISOLATE_LEAST 2048

/* --- the balloon --- */

/* Reading the target costs a register access: 74 us on KVM without hardware virtualization. */
#define TARGET_INTERVAL      (100 * MILLISECONDS)
#define TARGET_INTERVAL_BUSY (10 * MILLISECONDS) /* while inflating or deflating */
#define ACTUAL_INTERVAL      (20 * MILLISECONDS) /* least time between two writes of `actual` */

/* How long inflation lets reports go first: at 12 GiB/s, the slowest host seen, enough for 12 GiB. */
#define REPORT_PATIENCE (1 * SECONDS)

/* What inflation leaves free: a 64th of memory, at least 1 MiB. */
#define RESERVE_SHARE 64
#define RESERVE_LEAST 256 /* frames */

/* After relief from the balloon, inflation rests: a guest and a host that both want the same page must not spin. */
#define REST_FIRST (1 * SECONDS)
#define REST_MOST  (16 * SECONDS)

/* The least that relief takes back, in frames: one exchange with the host for 1 MiB. */
#define RELIEF_LEAST 256

/* --- the device --- */

/* How soon to come back while requests are in flight. A guest that spins slows the device down to a quarter. */
#define POLL_IN_FLIGHT (200 * MICROSECONDS)

/* A device that answers nothing for so long AND in so many polls is broken; a guest that was paused is not. */
#define SILENCE_TIME  (10 * SECONDS)
#define SILENCE_POLLS 1000

/* How long relief waits for an answer. */
#define RELIEF_WAIT (2 * SECONDS)

#endif
