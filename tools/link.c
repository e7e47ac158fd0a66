/*
 * Linking: twice, because the table of functions is part of the image and needs the addresses of all functions.
 */
#include "tools/build.h"
#include "tools/image.h"
#include "tools/message.h"
#include "tools/process.h"
#include "tools/symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void add_weir_file(struct words *words, const struct toolchain *tools, const char *prefix, const char *file)
{
    char *path = toolchain_weir_file(tools, file);
    words_addf(words, "%s%s", prefix, path);
    free(path);
}

/*
 * The malloc: weir's comes whole, so that no name of the family is left to libc.a; its mi_* come if the program uses
 * them. Others come as the linker needs them, but before libc.a, which has the same names.
 */
static int add_malloc(struct words *words, const struct toolchain *tools, const struct build_request *request)
{
    const char *name = request->malloc_name != NULL ? request->malloc_name : DEFAULT_MALLOC;
    if (strcmp(name, "musl") == 0)
        return 0;
    if (strcmp(name, "weir") == 0) {
        words_add(words, "-Wl,--whole-archive");
        add_weir_file(words, tools, "", "platform/kernel/libweir-malloc.a");
        words_add(words, "-Wl,--no-whole-archive");
        add_weir_file(words, tools, "", "platform/kernel/libweir-mimalloc.a");
        return 0;
    }
    char *path = toolchain_library(&request->library_dirs, name);
    if (path == NULL)
        return fail(EXIT_NOT_FOUND, "--malloc=%s: there is no lib%s.a: install it (Debian: apt install lib%s-dev)",
                    name, name, name);
    words_add(words, path);
    free(path);
    return 0;
}

static int link_words(struct words *words, const struct toolchain *tools, const struct build_request *request,
                      const struct words *objects, const char *notes, const char *output)
{
    words_add_all(words, &tools->cc);
    /* The first pass needs its symbols; in the image the table of functions is enough, unless a debugger is to read it.
     */
    if (output == request->output && !request->debug)
        words_add(words, "-s");
    words_add_split(words,
                    "-static -nostdlib -no-pie -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--build-id=none");
    add_weir_file(words, tools, "-Wl,-T,", "platform/kernel/link.ld");
    words_add(words, "-Wl,--whole-archive");
    add_weir_file(words, tools, "", "platform/kernel/libweir-kernel.a");
    words_add_split(words, "-Wl,--no-whole-archive " MUSL_LIB "/crt1.o");
    words_add(words, notes);
    words_add(words, "-Wl,--start-group");
    words_add_all(words, objects);
    const int code = add_malloc(words, tools, request);
    add_weir_file(words, tools, "", "platform/musl/libweir-compat.a");
    words_add(words, MUSL_LIB "/libc.a");
    words_add_all(words, &tools->runtime);
    words_add(words, "-Wl,--end-group");
    words_add(words, "-o");
    words_add(words, output);
    return code;
}

static int run_linker(struct interrupts *interrupts, const struct toolchain *tools, const struct build_request *request,
                      const struct words *objects, const char *notes, const char *output)
{
    struct words words = {0};
    int code = link_words(&words, tools, request, objects, notes, output);
    if (code == 0) {
        code = command_run(interrupts, &words, request->verbose, NULL);
        if (code != 0 && code != EXIT_NOT_FOUND && interrupts->caught == 0)
            code =
                fail(EXIT_TOOL,
                     "%s does not link: see the linker's words above; what is undefined may be in a library (-l NAME)",
                     request->output);
    }
    words_free(&words);
    return code;
}

/* Assembles the object with section .weir.info and, if `symbols` is a file, .weir.symbols. */
static int make_notes(struct interrupts *interrupts, const struct toolchain *tools, const struct build_request *request,
                      const char *directory, const char *symbols, const char *object)
{
    char *source = must_format("%s/notes.S", directory);
    FILE *file = fopen(source, "we");
    if (file == NULL) {
        const int code = fail(EXIT_TOOL, "%s: %s", source, strerror(errno));
        free(source);
        return code;
    }
    fprintf(file, ".section .weir.info, \"a\", @progbits\n.asciz \"malloc=%s\"\n.asciz \"weir=" WEIR_VERSION "\"\n",
            request->malloc_name != NULL ? request->malloc_name : DEFAULT_MALLOC);
    if (symbols != NULL)
        fprintf(file, ".section .weir.symbols, \"a\", @progbits\n.incbin \"%s\"\n", symbols);
    fprintf(file, ".section .note.GNU-stack, \"\", @progbits\n");
    fclose(file);
    struct words words = {0};
    words_add_all(&words, &tools->cc);
    words_add(&words, "-c");
    words_add(&words, source);
    words_add(&words, "-o");
    words_add(&words, object);
    const int code = command_run(interrupts, &words, request->verbose, NULL);
    words_free(&words);
    free(source);
    return code;
}

static int write_symbols(const char *path, const char *linked)
{
    struct image image;
    const int error = image_open(&image, linked);
    FILE *file = error == 0 ? fopen(path, "we") : NULL;
    if (file == NULL) {
        const int code = fail(EXIT_TOOL, "%s: %s", error != 0 ? linked : path, strerror(error != 0 ? error : errno));
        image_close(&image);
        return code;
    }
    struct image_function *functions;
    const size_t count = image_functions(&image, &functions);
    symbols_write(file, functions, count);
    free(functions);
    image_close(&image);
    return fclose(file) == 0 ? 0 : fail(EXIT_TOOL, "%s: %s", path, strerror(errno));
}

int build_link(struct interrupts *interrupts, const struct toolchain *tools, const struct build_request *request,
               const char *directory, const struct words *objects)
{
    char *notes = must_format("%s/notes.o", directory);
    char *linked = must_format("%s/pass1", directory);
    char *symbols = must_format("%s/symbols", directory);
    int code = make_notes(interrupts, tools, request, directory, NULL, notes);
    if (code == 0)
        code = run_linker(interrupts, tools, request, objects, notes, linked);
    if (code == 0)
        code = write_symbols(symbols, linked);
    if (code == 0)
        code = make_notes(interrupts, tools, request, directory, symbols, notes);
    if (code == 0)
        code = run_linker(interrupts, tools, request, objects, notes, request->output);
    /* It is for a bare machine: nobody should start it by mistake. */
    if (code == 0)
        chmod(request->output, 0644);
    free(notes);
    free(linked);
    free(symbols);
    return code;
}

int build_image(struct interrupts *interrupts, const struct build_request *request, const char *directory)
{
    struct toolchain tools;
    struct words objects = {0};
    int code = toolchain_find(&tools, interrupts, request->verbose);
    if (code == 0)
        code = build_compile(interrupts, &tools, request, directory, &objects);
    if (code == 0)
        code = build_link(interrupts, &tools, request, directory, &objects);
    words_free(&objects);
    toolchain_free(&tools);
    return code;
}
