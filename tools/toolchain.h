/*
 * What an image is made with: compilers, musl, the compiler's runtime libraries, and weir's own files, which lie beside
 * the tool or where $WEIR_LIB says.
 */
#ifndef WEIR_TOOLS_TOOLCHAIN_H
#define WEIR_TOOLS_TOOLCHAIN_H

#include "tools/interrupt.h"
#include "tools/words.h"

#include <stdbool.h>

struct toolchain {
    struct words cc;      /* $CC, else gcc */
    struct words cxx;     /* $CXX, else g++ */
    char *gcc_include;    /* the compiler's own headers: stdatomic.h, immintrin.h */
    char *weir;           /* the directory with platform/kernel and platform/musl */
    struct words runtime; /* libgcc.a, libgcc_eh.a, and libstdc++.a where there is one */
    bool has_libstdcxx;
};

#define MUSL_LIB     "/usr/lib/x86_64-linux-musl"
#define MUSL_INCLUDE "/usr/include/x86_64-linux-musl"

/* Finds all of it. Returns 0, or an exit code after a line that says what to install. */
int toolchain_find(struct toolchain *tools, struct interrupts *interrupts, bool verbose);

/* The path of `file` among weir's own, for free(). */
char *toolchain_weir_file(const struct toolchain *tools, const char *file);

/* The archive lib`name`.a: in `dirs`, in musl's directory, in the system's. For free(); null if it is nowhere. */
char *toolchain_library(const struct words *dirs, const char *name);

void toolchain_free(struct toolchain *tools);

#endif
