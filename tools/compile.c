/*
 * Compiling: C over musl's headers; C++ over the system's libstdc++, whose headers want glibc's beside them.
 */
#include "tools/build.h"
#include "tools/message.h"
#include "tools/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum language {
    LANGUAGE_NONE,
    LANGUAGE_C,
    LANGUAGE_CXX,
    LANGUAGE_ASSEMBLY,
    LANGUAGE_LINKED
};

static enum language language_of(const char *path)
{
    static const struct {
        const char *suffix;
        enum language language;
    } suffixes[] = {{".c", LANGUAGE_C},        {".cc", LANGUAGE_CXX},   {".cpp", LANGUAGE_CXX},
                    {".cxx", LANGUAGE_CXX},    {".C", LANGUAGE_CXX},    {".s", LANGUAGE_ASSEMBLY},
                    {".S", LANGUAGE_ASSEMBLY}, {".o", LANGUAGE_LINKED}, {".a", LANGUAGE_LINKED}};
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof suffixes / sizeof *suffixes; i++)
        if (strcmp(dot, suffixes[i].suffix) == 0)
            return suffixes[i].language;
    return LANGUAGE_NONE;
}

bool is_build_input(const char *path)
{
    return language_of(path) != LANGUAGE_NONE;
}

static void compiler_words(struct words *words, const struct toolchain *tools, enum language language)
{
    words_add_all(words, language == LANGUAGE_CXX ? &tools->cxx : &tools->cc);
    words_add(words, "-O2");
    words_add_split(words, "-fno-pie -fno-stack-protector -fcf-protection=none -fno-omit-frame-pointer "
                           "-ftls-model=local-exec -U_FORTIFY_SOURCE");
    if (language != LANGUAGE_C)
        return;
    words_add_split(words, "-nostdinc -isystem " MUSL_INCLUDE " -isystem");
    words_add(words, tools->gcc_include);
    /* Last, for libraries that Debian brings (sqlite3.h, lua5.4/): where musl has a header of that name, it wins. */
    words_add_split(words,
                    "-idirafter /usr/local/include -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include");
}

static int compile_one(struct interrupts *interrupts, const struct toolchain *tools,
                       const struct build_request *request, const char *source, const char *object)
{
    struct words words = {0};
    compiler_words(&words, tools, language_of(source));
    words_add_all(&words, &request->cflags);
    words_add(&words, "-c");
    words_add(&words, source);
    words_add(&words, "-o");
    words_add(&words, object);
    const int code = command_run(interrupts, &words, request->verbose, NULL);
    words_free(&words);
    if (code == 0 || interrupts->caught != 0 || code == EXIT_NOT_FOUND)
        return code;
    return fail(EXIT_TOOL, "%s does not compile: see the compiler's words above", source);
}

static int check_input(const struct toolchain *tools, const char *path)
{
    const enum language language = language_of(path);
    if (access(path, R_OK) != 0)
        return fail(EXIT_NOT_FOUND, "%s: %s", path, strerror(errno));
    if (language == LANGUAGE_NONE)
        return fail(EXIT_TOOL, "%s is nothing to build from: .c, .cc, .cpp, .S, .o and .a are", path);
    if (language == LANGUAGE_CXX && !tools->has_libstdcxx)
        return fail(EXIT_NOT_FOUND, "%s needs libstdc++.a: install it (Debian: apt install g++)", path);
    return 0;
}

/* What weir's operator new calls where a program has it: to throw, not abort, when memory is out. */
#define NEW_NEEDS "-Wl,--undefined=_ZSt17__throw_bad_allocv,--undefined=_ZSt15get_new_handlerv"

static int resolve_library(const struct build_request *request, const char *name, struct words *objects)
{
    char *path = toolchain_library(&request->library_dirs, name);
    if (path == NULL)
        return fail(EXIT_NOT_FOUND,
                    "there is no lib%s.a: install the library's development package, or say where it is with -L", name);
    words_add(objects, path);
    free(path);
    return 0;
}

int build_compile(struct interrupts *interrupts, const struct toolchain *tools, const struct build_request *request,
                  const char *directory, struct words *objects)
{
    int code = 0;
    for (size_t i = 0; i < request->inputs.count && code == 0; i++)
        if (strncmp(request->inputs.items[i], "-l", 2) != 0)
            code = check_input(tools, request->inputs.items[i]);
    for (size_t i = 0; i < request->inputs.count && code == 0; i++) {
        const char *input = request->inputs.items[i];
        if (strncmp(input, "-l", 2) == 0) {
            code = resolve_library(request, input + 2, objects);
        } else if (language_of(input) == LANGUAGE_LINKED) {
            words_add(objects, input);
        } else {
            words_addf(objects, "%s/%zu.o", directory, i);
            code = compile_one(interrupts, tools, request, input, objects->items[objects->count - 1]);
            if (language_of(input) == LANGUAGE_CXX)
                words_add(objects, NEW_NEEDS);
        }
    }
    return code;
}
