/*
 * What every cmocka test includes, in the order cmocka wants.
 */
#ifndef TESTS_TOOLS_HARNESS_H
#define TESTS_TOOLS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
