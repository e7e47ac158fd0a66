/*
 * A balloon device in memory, for tests: its registers behind MMIO or PCI, its queues walked as a host walks them, and
 * the ways in which a host can misbehave.
 *
 * As strict as Firecracker where that is asked for: status values in the one order it accepts, at most 256 page numbers
 * in one descriptor, and never more requests than the queue is long. A breach by the DRIVER sets `complaint`.
 */
#ifndef TESTS_VIRTIO_FAKE_H
#define TESTS_VIRTIO_FAKE_H

#include "weir/balloon.h"

enum {
    FAKE_QUEUES = 5,
    FAKE_LOG = 64
};

enum fake_misdeed {
    FAKE_HONEST,
    FAKE_ID_BEYOND,   /* an id beyond the queue */
    FAKE_ID_IDLE,     /* the id of a descriptor that is not in flight */
    FAKE_ID_TWICE,    /* every answer twice */
    FAKE_LENGTH,      /* more bytes than the chain has */
    FAKE_INDEX_AHEAD, /* an index far beyond what was submitted */
    FAKE_SILENT,      /* no answer */
    FAKE_MISDEEDS,
};

struct fake_queue {
    uint32_t size_max, size;
    bool ready;
    uint64_t descriptors, available, used;
    uint16_t seen;   /* of the available ring */
    uint16_t posted; /* index of the used ring */
    unsigned doorbells, served;
};

struct fake {
    /* set by the test */
    uint64_t offered;
    bool strict;       /* as Firecracker */
    bool at_once;      /* serve at the doorbell */
    bool cannot_reset; /* a live device answers FAILED */
    bool no_features_ok;
    bool wild_target; /* another target at every read */
    enum fake_misdeed misdeed;
    uint32_t target;
    uint64_t bus_offset;                         /* bus address - host address, unless there is `reach` */
    void *(*reach)(void *context, uint64_t bus); /* the host address of a bus address, null for a foreign one */
    /* What the device was given. `queue` as in the driver; null: ignored. */
    void (*take)(void *context, enum weir_balloon_queue queue, uint64_t bus, uint64_t bytes);
    void *context;

    /* seen by the test */
    const char *complaint;
    uint8_t status, status_log[FAKE_LOG];
    unsigned status_writes, target_reads, register_accesses;
    uint64_t accepted;
    uint32_t actual;
    struct fake_queue queues[FAKE_QUEUES];
    uint8_t statistics[256]; /* the last answer */
    unsigned statistics_bytes;
    unsigned largest_request; /* most page numbers in one inflate or deflate request */
    unsigned huge_requests;   /* of exactly the 512 of an aligned 2 MiB */

    /* its own */
    unsigned queue_select, feature_select, driver_select;
    int stats_head; /* the statistics buffer it holds, -1: none */
    uint8_t pci[256];
    unsigned bars_mapped;
};

/* A device as QEMU offers it (queues of 128, 128, 128, 1024 and 32, statistics, reporting) or as Firecracker does. */
void fake_init_qemu(struct fake *fake);
void fake_init_firecracker(struct fake *fake);

/* Register access for weir_virtio_open_mmio at window FAKE_WINDOW, for weir_virtio_open_pci behind BAR 4. */
#define FAKE_WINDOW ((uintptr_t)0x1000)
struct weir_registers fake_registers(struct fake *fake);
struct weir_pci fake_pci(struct fake *fake);
#define FAKE_FUNCTION (3u << 3)

/* Works on up to `most` requests of a queue (the driver's name for it). Returns how many it answered. */
unsigned fake_serve(struct fake *fake, enum weir_balloon_queue queue_name, unsigned most);

/* Asks for statistics: returns the buffer. False if it holds none. */
bool fake_ask(struct fake *fake);

#endif
