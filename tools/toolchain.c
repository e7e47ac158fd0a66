#include "tools/toolchain.h"

#include "tools/message.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/process.h"

static void from_environment(struct words *words, const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    words_add_split(words, value != NULL ? value : "");
    if (words->count == 0)
        words_add(words, otherwise);
}

/* Asks the C compiler for one of its files. A file that it has not got it answers with the bare name. */
static int ask_compiler(struct toolchain *tools, struct interrupts *interrupts, bool verbose, const char *file,
                        char **path)
{
    struct words words = {0};
    words_add_all(&words, &tools->cc);
    words_addf(&words, "-print-file-name=%s", file);
    *path = NULL;
    const int code = command_run(interrupts, &words, verbose, path);
    words_free(&words);
    if (code == 0)
        (*path)[strcspn(*path, "\n")] = '\0';
    if (code == 0 && (*path)[0] == '/' && access(*path, R_OK) == 0)
        return 0;
    free(*path);
    *path = NULL;
    return code;
}

static int find_runtime(struct toolchain *tools, struct interrupts *interrupts, bool verbose)
{
    static const char *const archives[] = {"libgcc.a", "libgcc_eh.a", "libstdc++.a"};
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++) {
        char *path;
        const int code = ask_compiler(tools, interrupts, verbose, archives[i], &path);
        if (code != 0)
            return code;
        if (path == NULL && i == 0)
            return fail(EXIT_NOT_FOUND, "%s has no libgcc.a: install gcc, or set CC to a compiler that has it",
                        tools->cc.items[0]);
        if (path != NULL)
            words_add(&tools->runtime, path);
        tools->has_libstdcxx = path != NULL && i == 2;
        free(path);
    }
    return 0;
}

static char *own_directory(void)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return must_duplicate(".");
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    return must_duplicate(path);
}

static int find_weir(struct toolchain *tools)
{
    static const char *const files[] = {"platform/kernel/link.ld", "platform/kernel/libweir-kernel.a",
                                        "platform/musl/libweir-compat.a"};
    const char *named = getenv("WEIR_LIB");
    tools->weir = named != NULL && *named != '\0' ? must_duplicate(named) : own_directory();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = toolchain_weir_file(tools, files[i]);
        const bool there = access(path, R_OK) == 0;
        if (!there)
            say("weir's own %s is missing: build weir (make), or set WEIR_LIB to its build directory", path);
        free(path);
        if (!there)
            return EXIT_NOT_FOUND;
    }
    return 0;
}

int toolchain_find(struct toolchain *tools, struct interrupts *interrupts, bool verbose)
{
    *tools = (struct toolchain){0};
    from_environment(&tools->cc, "CC", "gcc");
    from_environment(&tools->cxx, "CXX", "g++");
    if (access(MUSL_LIB "/libc.a", R_OK) != 0 || access(MUSL_INCLUDE "/stdio.h", R_OK) != 0)
        return fail(EXIT_NOT_FOUND, "musl is not in " MUSL_LIB ": install it (Debian: apt install musl-dev)");
    int code = find_weir(tools);
    if (code == 0)
        code = ask_compiler(tools, interrupts, verbose, "include", &tools->gcc_include);
    if (code == 0 && tools->gcc_include == NULL)
        code = fail(EXIT_TOOL, "%s does not say where its headers are (-print-file-name=include)", tools->cc.items[0]);
    return code == 0 ? find_runtime(tools, interrupts, verbose) : code;
}

char *toolchain_weir_file(const struct toolchain *tools, const char *file)
{
    return must_format("%s/%s", tools->weir, file);
}

static char *library_in(const char *directory, const char *name)
{
    char *path = must_format("%s/lib%s.a", directory, name);
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *toolchain_library(const struct words *dirs, const char *name)
{
    /* musl's come first: -lm and -lpthread are its own, not glibc's. */
    static const char *const system[] = {MUSL_LIB, "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64",
                                         "/usr/lib"};
    char *path = NULL;
    for (size_t i = 0; i < dirs->count && path == NULL; i++)
        path = library_in(dirs->items[i], name);
    for (size_t i = 0; i < sizeof system / sizeof *system && path == NULL; i++)
        path = library_in(system[i], name);
    return path;
}

void toolchain_free(struct toolchain *tools)
{
    words_free(&tools->cc);
    words_free(&tools->cxx);
    words_free(&tools->runtime);
    free(tools->gcc_include);
    free(tools->weir);
    *tools = (struct toolchain){0};
}
