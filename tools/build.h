/*
 * From sources, objects and archives to a bootable image.
 *
 *     SOURCE.c, .cc ──compile──► objects ─┐
 *     OBJECT.o, ARCHIVE.a, -l ────────────┼─link─► pass 1 ──its functions──► .weir.symbols ──link again──► IMAGE
 *     weir's kernel, malloc, musl ────────┘
 *
 * (1) every address of pass 1 is that of the image: link.ld puts .weir.symbols where its size moves nothing.
 */
#ifndef WEIR_TOOLS_BUILD_H
#define WEIR_TOOLS_BUILD_H

#include "tools/interrupt.h"
#include "tools/toolchain.h"
#include "tools/words.h"

#include <argp.h>
#include <stdbool.h>

struct build_request {
    struct words inputs;       /* files, and -lNAME, in the order given */
    struct words library_dirs; /* -L */
    struct words cflags;       /* for C and C++ */
    const char *output;
    const char *malloc_name; /* null: weir's */
    bool debug;              /* -g */
    bool verbose;
};

#define DEFAULT_MALLOC "weir"

/* Options common to all that builds, with a struct build_request as input: --malloc, -O, -g, -I, -D, -l, -L, --cflags.
 */
extern const struct argp build_argp;

void build_request_free(struct build_request *request);

/* Whether a file of this name is something to build from, not an image. */
bool is_build_input(const char *path);

/* Compiles what is source; `objects` receives everything to link, in order. Intermediate files go to `directory`. */
int build_compile(struct interrupts *interrupts, const struct toolchain *tools, const struct build_request *request,
                  const char *directory, struct words *objects);

/* Links `objects` into request->output. */
int build_link(struct interrupts *interrupts, const struct toolchain *tools, const struct build_request *request,
               const char *directory, const struct words *objects);

/* Both. Returns 0, or an exit code after a line that says what failed. */
int build_image(struct interrupts *interrupts, const struct build_request *request, const char *directory);

#endif
