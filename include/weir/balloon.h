/*
 * The driver of the virtio balloon device: the mechanism, not the policy (that is weir/reclaim.h).
 *
 * Three roads lead through it: page numbers that the balloon takes (inflate) and gives back (deflate), free ranges that
 * are reported to the host and stay the guest's, and statistics that the host asks for. Everything is submitted and
 * later collected, nothing waits. The device is not trusted: an answer that cannot be true resets the device, is
 * reported once through platform->error (WEIR_DEVICE), and leaves the balloon failed: it accepts nothing any more.
 *
 * Not thread safe: the caller (weir/reclaim.h) serialises. OASIS, VIRTIO 1.2, 5.5.
 */
#ifndef WEIR_BALLOON_H
#define WEIR_BALLOON_H

#include "weir/platform.h"
#include "weir/virtio.h"

/* Feature bits of the device. */
enum weir_balloon_features {
    WEIR_BALLOON_MUST_TELL_HOST = 1 << 0, /* a page may be used again only when the host has confirmed its deflation */
    WEIR_BALLOON_STATISTICS = 1 << 1,
    WEIR_BALLOON_DEFLATE_ON_OOM = 1 << 2, /* the guest may take pages back while it has no other memory */
    WEIR_BALLOON_HINTING = 1 << 3,        /* counted, not used */
    WEIR_BALLOON_POISON = 1 << 4,         /* not used: free memory here holds anything */
    WEIR_BALLOON_REPORTING = 1 << 5,
};

#define WEIR_BALLOON_MEMORY          (5 * (size_t)4096) /* rings, buffers and state of one driver */
#define WEIR_BALLOON_ELEMENTS        128                /* most requests in flight on a queue */
#define WEIR_BALLOON_REPORT_SEGMENTS 32                 /* most ranges of one report */
#define WEIR_BALLOON_SPARE           4096               /* bytes of page numbers that need no allocation */

struct weir_balloon;

struct weir_balloon_config {
    struct weir_virtio *device; /* opened, not negotiated; outlives the driver */
    void *memory;               /* WEIR_BALLOON_MEMORY bytes, page aligned, zero-filled, contiguous on the bus */
    uint64_t bus;               /* bus address of `memory` */
    const struct weir_platform *platform; /* outlives the driver */
};

/* Negotiates with the device and starts its queues. Null if it refuses or lacks what every balloon has. */
struct weir_balloon *weir_balloon_init(const struct weir_balloon_config *config);

/* The features in use (enum weir_balloon_features). */
unsigned weir_balloon_features(const struct weir_balloon *balloon);

/* Page numbers that one inflate or deflate request may hold on this host: 256 anywhere, 512 where the device reads
 * whole requests (then 2 MiB in one request let QEMU free a huge page). */
unsigned weir_balloon_numbers_max(const struct weir_balloon *balloon);

/* The number of 4 KiB pages that the host wants in the balloon. A register access: tens of microseconds on some hosts.
 */
uint32_t weir_balloon_target(struct weir_balloon *balloon);

/* Tells the host how many pages are in the balloon. A register access. */
void weir_balloon_set_actual(struct weir_balloon *balloon, uint32_t pages);

enum weir_balloon_queue {
    WEIR_BALLOON_INFLATE,
    WEIR_BALLOON_DEFLATE,
    WEIR_BALLOON_REPORT,
    WEIR_BALLOON_STATS, /* internal: served by weir_balloon_answer */
    WEIR_BALLOON_QUEUES,
};

/* A piece of bus-contiguous memory. */
struct weir_segment {
    uint64_t bus;
    uint32_t bytes;
};

/* How many more requests of `segments` segments the queue takes now; 0 for a queue that is not there, or a failed one.
 */
unsigned weir_balloon_room(const struct weir_balloon *balloon, enum weir_balloon_queue queue, unsigned segments);

/* Submits one request: for INFLATE and DEFLATE a single segment that holds little-endian 32-bit page numbers, at most
 * weir_balloon_numbers_max; for REPORT up to WEIR_BALLOON_REPORT_SEGMENTS free ranges. The host sees it at the next
 * doorbell. False without room. `cookie` comes back from weir_balloon_collect. */
bool weir_balloon_submit(struct weir_balloon *balloon, enum weir_balloon_queue queue,
                         const struct weir_segment *segments, unsigned count, uint32_t cookie);

/* Shows the host what was submitted since the last doorbell. Nothing submitted: no register access. */
void weir_balloon_doorbell(struct weir_balloon *balloon, enum weir_balloon_queue queue);

/* Takes one answered request. False if there is none (yet). */
bool weir_balloon_collect(struct weir_balloon *balloon, enum weir_balloon_queue queue, uint32_t *cookie);

/* A buffer of WEIR_BALLOON_SPARE bytes for page numbers, and its bus address: deflation works without free memory. */
uint32_t *weir_balloon_spare(struct weir_balloon *balloon, uint64_t *bus);

/* One statistic: tags of VIRTIO 1.2, 5.5.6.3. */
enum weir_balloon_tag {
    WEIR_STATISTIC_SWAP_IN = 0,
    WEIR_STATISTIC_SWAP_OUT = 1,
    WEIR_STATISTIC_MAJOR_FAULTS = 2,
    WEIR_STATISTIC_MINOR_FAULTS = 3,
    WEIR_STATISTIC_FREE = 4,
    WEIR_STATISTIC_TOTAL = 5,
    WEIR_STATISTIC_AVAILABLE = 6,
    WEIR_STATISTIC_CACHES = 7,
};

#define WEIR_STATISTICS 16 /* most statistics of one answer */

struct weir_statistic {
    enum weir_balloon_tag tag;
    uint64_t value;
};

/* Whether the host waits for statistics. Once true, stays so until weir_balloon_answer. */
bool weir_balloon_asked(struct weir_balloon *balloon);

/* Gives the host its statistics, at most WEIR_STATISTICS. */
void weir_balloon_answer(struct weir_balloon *balloon, const struct weir_statistic *statistics, unsigned count);

enum weir_balloon_health {
    WEIR_BALLOON_WELL,
    WEIR_BALLOON_RESET, /* failed, and the device confirmed the reset: it holds no memory any more */
    WEIR_BALLOON_LOST,  /* failed, and nobody knows what the device does with the requests in flight */
};

enum weir_balloon_health weir_balloon_health(const struct weir_balloon *balloon);

/* Declares the device failed (it did not answer for too long): reset, reported, as for any breach of protocol. */
void weir_balloon_fail(struct weir_balloon *balloon);

#endif
