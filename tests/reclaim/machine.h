/*
 * A guest and its host, for tests: a frame table over a window of memory with a seam on the bus, a fake balloon device,
 * and a model of what the host backs. Time stands still unless a test moves it.
 */
#ifndef TESTS_RECLAIM_MACHINE_H
#define TESTS_RECLAIM_MACHINE_H

#include "tests/virtio/fake.h"
#include "weir/reclaim.h"

#define MIB    ((size_t)1 << 20)
#define MIB_OF (MIB / WEIR_FRAME_SIZE) /* frames in a MiB */
#define MS     ((uint64_t)1000000)
#define WINDOW (256 * MIB)
#define FRAMES (WINDOW / WEIR_FRAME_SIZE)
#define SEAM   (100 * MIB + (size_t)12 * 4096) /* window offset at which bus addresses jump; not even 2 MiB-aligned */

struct machine {
    struct fake fake;
    struct weir_virtio device;
    struct weir_platform platform;
    struct weir_frames *frames;
    struct weir_balloon *balloon;
    struct weir_reclaim *reclaim;
    uint64_t now;
    uint8_t *window; /* WINDOW bytes, 2 MiB-aligned */
    void *metadata, *balloon_memory, *reclaim_memory;
    uint8_t backed[FRAMES]; /* what the host holds */
    uint8_t owned[FRAMES];  /* what machine_alloc gave out: the host must not be given it */
    size_t rss;             /* frames backed */
    size_t taken[3];        /* frames that came by each queue */
    const char *complaint;
};

struct machine_options {
    uint64_t without;    /* features that are not offered */
    uint64_t with;       /* features that are offered in addition */
    uint64_t fault_cost; /* nanoseconds; 0: the least */
    size_t reserve;
    unsigned order; /* 0: the default; UINT_MAX: order 0 */
    bool firecracker;
    bool no_reporting;
    bool measure; /* the fault cost is measured instead (and is next to nothing, since time stands still) */
    bool threads; /* real time, real waiting, no model of the host: for several threads */
};

/* Ready to use; its memory is allocated at the first start and kept until machine_end. A program has one machine. */
void machine_start(struct machine *machine, const struct machine_options *options);

/* Ends the machine: for cmocka, after a group of tests. */
int machine_end(void **state);

/* Allocates (with relief, if it has to be) and touches; frees. */
uintptr_t machine_alloc(struct machine *machine, size_t frames);
void machine_free(struct machine *machine, uintptr_t start, size_t frames);
void machine_touch(struct machine *machine, uintptr_t start, size_t frames);

/* Lets `duration` pass, polling whenever the instance wants to be called, but at least every `step`. */
void machine_pass(struct machine *machine, uint64_t duration, uint64_t step);

/* What is wrong with tables, instance or device; null if nothing is. */
const char *machine_check(struct machine *machine);

struct weir_frames_stats machine_frames(struct machine *machine);
struct weir_reclaim_stats machine_stats(struct machine *machine);

#endif
