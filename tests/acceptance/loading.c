/*
 * Libraries that come late: 40 of them at once, over and over, and malloc itself as one of them.
 *
 *     loading LIBRARY MALLOC    LIBRARY: a shared library made of library.c, with which this program is linked, too;
 *                               MALLOC: a shared library with malloc in it
 *
 * dlopen has little room for thread-local storage of libraries that are not there from the start: what takes much of
 * it cannot be loaded late, or keeps others out.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/acceptance/check.h"
#include "tests/acceptance/library.h"

enum {
    LIBRARIES = 40
};

static const char *library_file, *malloc_file;
static char folder[] = "/tmp/weir-loading-XXXXXX";

/* The path of the n-th copy of a file. */
static const char *path_of(size_t n)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/%zu.so", folder, n);
    return path;
}

static bool copy(const char *from, const char *to)
{
    static char bytes[1 << 16];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ssize_t length = -1;
    while (in >= 0 && out >= 0 && (length = read(in, bytes, sizeof bytes)) > 0)
        if (write(out, bytes, (size_t)length) != length)
            break;
    close(in);
    close(out);
    return length == 0;
}

static bool make_copies(const char *of)
{
    for (size_t i = 0; i < LIBRARIES; i++)
        if (!CHECK(copy(of, path_of(i))))
            return false;
    return true;
}

static void remove_copies(void)
{
    for (size_t i = 0; i < LIBRARIES; i++)
        unlink(path_of(i));
}

static void *open_library(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!CHECK(handle != NULL))
        note("%s", dlerror());
    return handle;
}

typedef char *text_function(size_t length);
typedef void take_function(char *text);

struct loaded {
    void *handle;
    text_function *text;
    take_function *take;
};

static struct loaded libraries[LIBRARIES];

/* Every library makes texts; another one takes them. */
static void *use_libraries(void *result)
{
    char *texts[LIBRARIES];
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < LIBRARIES; i++)
            texts[i] = libraries[i].text(i * 10 + round * 200);
        for (size_t i = 0; i < LIBRARIES; i++) {
            if (!CHECK(texts[i] && strlen(texts[i]) == i * 10 + round * 200))
                return NULL;
            libraries[(i + round) % LIBRARIES].take(texts[i]);
        }
    }
    return result;
}

static void load_all(void)
{
    for (size_t i = 0; i < LIBRARIES; i++) {
        struct loaded *library = &libraries[i];
        library->handle = open_library(path_of(i));
        if (!library->handle)
            return;
        library->text = (text_function *)(uintptr_t)dlsym(library->handle, "library_text");
        library->take = (take_function *)(uintptr_t)dlsym(library->handle, "library_take");
    }
}

static void forty_libraries_come_and_go(void)
{
    if (!make_copies(library_file))
        return;
    size_t after_sixth = 0;
    for (size_t round = 0; round < 20; round++) {
        load_all();
        pthread_t threads[4];
        for (size_t i = 0; i < 4; i++)
            CHECK(pthread_create(&threads[i], NULL, use_libraries, libraries) == 0);
        use_libraries(NULL);
        for (size_t i = 0; i < 4; i++) {
            void *used = NULL;
            pthread_join(threads[i], &used);
            CHECK(used == libraries);
        }
        for (size_t i = 0; i < LIBRARIES; i++)
            CHECK(dlclose(libraries[i].handle) == 0);
        if (round == 5)
            after_sixth = resident();
    }
    CHECK_AT_MOST(resident(), after_sixth + (4 << 20));
    remove_copies();
}

static bool malloc_works(void *handle)
{
    void *(*allocate)(size_t) = (void *(*)(size_t))(uintptr_t)dlsym(handle, "malloc");
    void (*release)(void *) = (void (*)(void *))(uintptr_t)dlsym(handle, "free");
    if (!CHECK(allocate && release))
        return false;
    void *objects[60];
    for (size_t i = 0; i < 60; i++) {
        objects[i] = allocate(i * i * 20);
        if (!CHECK(objects[i] != NULL))
            return false;
        stamp_write(objects[i], i * i * 20, i);
    }
    bool well = true;
    for (size_t i = 0; i < 60; i++) {
        well &= stamp_holds(objects[i], i * i * 20, i);
        release(objects[i]);
    }
    return CHECK(well);
}

/* As a plug-in that brings its own malloc does. */
static void malloc_is_loaded_forty_times(void)
{
    for (size_t i = 0; i < LIBRARIES; i++) {
        void *handle = open_library(malloc_file);
        if (!handle || !malloc_works(handle))
            return;
        CHECK(dlclose(handle) == 0);
    }
}

static void *use_mallocs(void *result)
{
    for (size_t i = 0; i < LIBRARIES; i++)
        if (!libraries[i].handle || !malloc_works(libraries[i].handle))
            return NULL;
    return result;
}

/* 40 mallocs in one process, each with its thread-local pointer, its range of addresses, its handlers of fork. */
static void forty_mallocs_live_side_by_side(void)
{
    if (!make_copies(malloc_file))
        return;
    for (size_t i = 0; i < LIBRARIES; i++) {
        libraries[i].handle = open_library(path_of(i));
        if (!libraries[i].handle)
            return;
    }
    remove_copies();
    for (size_t round = 0; round < 3; round++) {
        pthread_t thread;
        void *used = NULL;
        CHECK(pthread_create(&thread, NULL, use_mallocs, libraries) == 0);
        use_mallocs(NULL);
        pthread_join(thread, &used);
        CHECK(used == libraries);
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        _exit(use_mallocs(libraries) ? 42 : 1);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* The library that this program is linked with was constructed before a preloaded malloc would be by itself. */
static void handlers_of_libraries_may_allocate(void)
{
    alarm(30);
    unsigned before = library_forks();
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        _exit(library_forks() == before + 2 && malloc_usable_size(malloc(100)) >= 100 ? 42 : 1);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK(library_forks() == before + 2);
    alarm(0);
}

int main(int argc, char **argv)
{
#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    static const struct test tests[] = {
        TEST(handlers_of_libraries_may_allocate),
        TEST(forty_libraries_come_and_go),
        TEST(malloc_is_loaded_forty_times),
        TEST(forty_mallocs_live_side_by_side),
    };
    if (argc < 3 || !mkdtemp(folder))
        return 2;
    library_file = argv[1];
    malloc_file = argv[2];
    int result = run_tests(argc, argv, tests, sizeof tests / sizeof *tests);
    rmdir(folder);
    return result;
}
