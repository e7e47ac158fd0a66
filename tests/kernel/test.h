/* cmocka, with what it wants included before it. */
#ifndef WEIR_TESTS_KERNEL_TEST_H
#define WEIR_TESTS_KERNEL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#endif
