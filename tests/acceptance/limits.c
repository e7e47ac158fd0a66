/*
 * Little memory: the program starts itself again under a limit, and is held to it.
 *
 *     limits                             all tests; each runs this program anew as
 *     limits only=under_X limit=MEGABYTES *
 * A malloc that reserves more addresses than it may does not even start here.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/acceptance/check.h"

#define MIB ((size_t)1 << 20)

/* Fills memory with objects of the size until there is no more; a list through the objects. Returns the bytes. */
static size_t fill(size_t size, void ***list)
{
    size_t n = 0;
    for (void **object; (object = malloc(size)) != NULL; n++) {
        memset(object, 1, size);
        *object = *list;
        *list = object;
    }
    CHECK(errno == ENOMEM);
    return n * size;
}

static void empty(void ***list)
{
    while (*list) {
        void **next = **list;
        free(*list);
        *list = next;
    }
}

static void *live_in_thread(void *unused)
{
    void *object = calloc(1000, 100);
    free(object);
    return object ? object : unused;
}

/* All refusals are null and ENOMEM, nothing is lost by them, and `share` of what the limit allows can be had: again and
 * again, with objects of one size and then of another. */
static void live_under_limit(size_t limit, size_t share, bool with_threads)
{
    static const size_t sizes[] = {64, 50000, 1000, 1 << 20, 24, 8192, 300000, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void **list = NULL;
        size_t had = fill(sizes[i], &list);
        CHECK_AT_MOST(share, had + sizes[i]);
        errno = 0;
        CHECK(plain(calloc(limit, 1)) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(plain(aligned_alloc(MIB, limit)) == NULL && errno == ENOMEM);
        list = realloc(list, sizes[i]);
        CHECK(list != NULL);
        empty(&list);
        if (!with_threads)
            continue;
        pthread_t thread;
        pthread_attr_t attributes;
        void *worked = NULL;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 65536);
        if (CHECK(pthread_create(&thread, &attributes, live_in_thread, NULL) == 0))
            pthread_join(thread, &worked);
        CHECK(worked != NULL);
    }
}

/* 30 sizes, of which each has objects: by how much do they enlarge the process? */
static void under_measure(void)
{
    enum {
        CLASSES = 30,
        EACH = 12
    };
    void *objects[CLASSES][EACH];
    free(malloc(1));
    resident(); /* the pages of the program itself */
    size_t before = resident(), live = 0, size = 16;
    for (size_t c = 0; c < CLASSES; c++, size += size / 4 + 4)
        for (size_t i = 0; i < EACH; i++) {
            objects[c][i] = malloc(size);
            if (!CHECK(objects[c][i] != NULL))
                return;
            memset(objects[c][i], 1, size);
            live += size;
        }
    size_t grown = resident() - before;
    note("%zu KiB in %d objects of %d sizes up to %zu: %zu KiB", live >> 10, CLASSES * EACH, CLASSES, size,
         grown >> 10);
    CHECK_AT_MOST(size, 32768);
    CHECK_AT_MOST(grown, 2 * MIB);
    for (size_t c = 0; c < CLASSES; c++)
        for (size_t i = 0; i < EACH; i++)
            free(objects[c][i]);
}

static void under_addresses(void)
{
    size_t limit = parameter("limit", 64) * MIB;
    live_under_limit(limit, limit / 5 * 2, true);
}

static void under_data(void)
{
    size_t limit = parameter("limit", 64) * MIB;
    live_under_limit(limit, limit / 3 * 2, false);
}

enum limited {
    NOTHING,
    ADDRESSES,
    DATA,
};

static int set_limit(enum limited what, const struct rlimit *bytes)
{
    if (what == NOTHING)
        return 0;
    return what == ADDRESSES ? setrlimit(RLIMIT_AS, bytes) : setrlimit(RLIMIT_DATA, bytes);
}

/* Runs the test of the second list in this program anew, under a limit. What it prints goes to stderr. */
static void run_anew(enum limited what, const char *megabytes, const char *only)
{
    char limit[32] = "limit=";
    struct rlimit bytes = {strtoul(megabytes, NULL, 10) * MIB, strtoul(megabytes, NULL, 10) * MIB};
    strcat(limit, megabytes);
    pid_t child = fork();
    if (child == 0) {
        if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0 || set_limit(what, &bytes) != 0)
            _exit(4);
        execl("/proc/self/exe", "limits", only, limit, (char *)NULL);
        _exit(5);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        note("ended by signal %d", WTERMSIG(status));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* (g) */
static void it_lives_with_64_mib_of_addresses(void)
{
    run_anew(ADDRESSES, "64", "only=under_addresses");
}

static void it_lives_with_32_mib_of_addresses(void)
{
    run_anew(ADDRESSES, "32", "only=under_addresses");
}

static void it_lives_with_300_mib_of_addresses(void)
{
    run_anew(ADDRESSES, "300", "only=under_addresses");
}

static void it_lives_with_64_mib_of_data(void)
{
    run_anew(DATA, "64", "only=under_data");
}

/* (c) */
static void thirty_classes_take_2_mib(void)
{
    run_anew(NOTHING, "0", "only=under_measure");
}

int main(int argc, char **argv)
{
#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    static const struct test limited[] = {TEST(under_addresses), TEST(under_data), TEST(under_measure)};
    static const struct test tests[] = {
        TEST(it_lives_with_64_mib_of_addresses),  TEST(it_lives_with_32_mib_of_addresses),
        TEST(it_lives_with_300_mib_of_addresses), TEST(it_lives_with_64_mib_of_data),
        TEST(thirty_classes_take_2_mib),
    };
    if (argc > 1 && strncmp(argv[1], "only=under", 10) == 0)
        return run_tests(argc, argv, limited, sizeof limited / sizeof *limited);
    return run_tests(argc, argv, tests, sizeof tests / sizeof *tests);
}
