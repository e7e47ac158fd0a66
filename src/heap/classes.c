#include "src/heap/classes.h"

enum policy {
    SLAB_ORDER_SMALL = 4, /* slabs grow to 64 KiB … */
    SLAB_OBJECTS = 32,    /* … or for so many objects */
};

#define FOUR(c) (c), (c), (c), (c)

const uint8_t class_of_granules[TABLED_SIZE_MAX / GRANULE + 1] = {
    0,        0,        1,        2,        3,        4,        5,        6,        7,
    8,        9,        10,       11,       12,       13,       14,       15, /* to 256, by 16 */
    16,       16,       17,       17,       18,       18,       19,       19,       20,
    20,       21,       21,       22,       22,       23,       23,                 /* to 512, by 32 */
    FOUR(24), FOUR(25), FOUR(26), FOUR(27), FOUR(28), FOUR(29), FOUR(30), FOUR(31), /* to 1024, by 64 */
};

#define INVERSE(size) ((uint32_t)((UINT64_C(1) << 32) / (size)) + 1)
#define EIGHT(first, step)                                                                                             \
    INVERSE((first) + (step)), INVERSE((first) + 2 * (step)), INVERSE((first) + 3 * (step)),                           \
        INVERSE((first) + 4 * (step)), INVERSE((first) + 5 * (step)), INVERSE((first) + 6 * (step)),                   \
        INVERSE((first) + 7 * (step)), INVERSE((first) + 8 * (step))

const uint32_t class_inverse[CLASSES] = {
    EIGHT(0, 16),     EIGHT(128, 16),   EIGHT(256, 32),    EIGHT(512, 64),     EIGHT(1024, 128),
    EIGHT(2048, 256), EIGHT(4096, 512), EIGHT(8192, 1024), EIGHT(16384, 2048),
};

/* The order at which slabs stop growing. */
static unsigned most_order(unsigned class)
{
    unsigned order = log2_ceil(class_size(class) * SLAB_OBJECTS >> WEIR_FRAME_SHIFT);
    return order < SLAB_ORDER_SMALL ? SLAB_ORDER_SMALL : order < SLAB_ORDER_MAX ? order : SLAB_ORDER_MAX;
}

/* The least order: the first that wastes at most a quarter, else the one that wastes the smallest part. */
static unsigned least_order(unsigned class)
{
    size_t size = class_size(class);
    unsigned best = SLAB_ORDER_SMALL;
    size_t best_waste = (WEIR_FRAME_SIZE << SLAB_ORDER_SMALL) % size;
    for (unsigned order = class_order_min(class); order <= SLAB_ORDER_SMALL; order++) {
        size_t waste = (WEIR_FRAME_SIZE << order) % size << (SLAB_ORDER_SMALL - order);
        if (waste <= (WEIR_FRAME_SIZE << SLAB_ORDER_SMALL) / 4)
            return order;
        if (waste <= best_waste && order < best) {
            best = order;
            best_waste = waste;
        }
    }
    return best;
}

unsigned class_slab_order(unsigned class, size_t frames)
{
    unsigned order = frames ? log2_floor(frames) + 1 : 0, least = least_order(class), most = most_order(class);
    return order < least ? least : order < most ? order : most;
}
