/*
 * The table of functions that the kernel names in a backtrace, section .weir.symbols:
 *
 *     u32 count
 *     count × { u32 address; u32 name }     sorted by address, each address once; `name` counts from the start of the
 * names names, each ended by a NUL; those of C++ as they stand in the source
 */
#ifndef WEIR_TOOLS_SYMBOLS_H
#define WEIR_TOOLS_SYMBOLS_H

#include "tools/image.h"

#include <stddef.h>
#include <stdio.h>

#define SYMBOLS_NAME_LIMIT 120

/* Writes the table; sorts `functions` on the way. Of several names at one address a global one stays. */
void symbols_write(FILE *file, struct image_function *functions, size_t count);

#endif
