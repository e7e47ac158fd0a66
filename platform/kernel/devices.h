/* The devices that the unikernel drives: the balloon. */
#ifndef WEIR_KERNEL_DEVICES_H
#define WEIR_KERNEL_DEVICES_H

#include "weir/reclaim.h"

/* The instance that connects all RAM with the host's balloon; null if the machine has none, and for the
 * first milliseconds of a program: devices start behind it. */
struct weir_reclaim *weir_kernel_reclaim(void);

#endif
