/* What guest programs require: else they say what does not hold, and end with 1. */
#ifndef TESTS_KERNEL_GUEST_REQUIRE_H
#define TESTS_KERNEL_GUEST_REQUIRE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);                                   \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
