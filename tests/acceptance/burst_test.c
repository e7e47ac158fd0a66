/*
 * A burst, then silence: 512 MiB of small objects are freed but for every thousandth, and the process does nothing
 * more. What of that is still resident, beside the pages that hold a live object?
 *
 *     WEIR_BACKGROUND=1   two seconds later, at most a tenth of these pages
 *     otherwise           at once: no more than a quarter of the burst in all; where the pages in use are more than
 * half of that already, no more than a quarter beside them malloc_trim(0)      at most a tenth
 *
 * A tenth, but at least READY: what one heap has at hand, which matters where hardly anything is in use. Which of these
 * is asked for stands in the first argument. Runs with libweir.so preloaded or linked; WEIR_LONG=1: with more sizes.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    STAYS = 1000, /* every so manyth object */
};

#define BURST ((size_t)512 << 20)
#define READY ((size_t)5 << 20)

struct burst {
    char **objects;
    size_t count, used_pages;
};

static size_t resident(void)
{
    char text[128] = "";
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fgets(text, sizeof text, file))
        sscanf(text, "%lu %lu", &size, &pages);
    if (file)
        fclose(file);
    return pages * PAGE;
}

/* Memory of the test's own, resident from the start. */
static void *own_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void allocate(struct burst *burst, size_t least, size_t most)
{
    uint64_t state = 88172645463325252;
    for (size_t bytes = 0; bytes < BURST;) {
        size_t size = least + next(&state) % (most - least + 1);
        char *object = malloc(size);
        memset(object, 1, size);
        burst->objects[burst->count++] = object;
        bytes += size;
    }
}

static void shuffle(struct burst *burst)
{
    uint64_t state = 2463534242;
    for (size_t i = burst->count - 1; i > 0; i--) {
        size_t k = next(&state) % (i + 1);
        char *object = burst->objects[i];
        burst->objects[i] = burst->objects[k];
        burst->objects[k] = object;
    }
}

static int by_address(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left, b = *(const uintptr_t *)right;
    return a < b ? -1 : a > b;
}

/* Frees all but the objects that stay; counts the pages in which one of these lies. */
static void free_most(struct burst *burst)
{
    size_t kept = 0;
    for (size_t i = 0; i < burst->count; i++) {
        if (i % STAYS == 0)
            burst->objects[kept++] = burst->objects[i];
        else
            free(burst->objects[i]);
    }
    burst->count = kept;
}

static void count_pages(struct burst *burst, size_t size)
{
    static uintptr_t pages[BURST / 16 / STAYS * 2 + 16];
    size_t count = 0;
    for (size_t i = 0; i < burst->count; i++) {
        uintptr_t first = (uintptr_t)burst->objects[i] / PAGE, last = ((uintptr_t)burst->objects[i] + size - 1) / PAGE;
        for (uintptr_t page = first; page <= last; page++)
            pages[count++] = page;
    }
    qsort(pages, count, sizeof *pages, by_address);
    for (size_t i = 0; i < count; i++)
        burst->used_pages += i == 0 || pages[i] != pages[i - 1];
}

static bool holds(const char *what, size_t bytes, size_t most)
{
    printf("%s %s: %zu KiB, at most %zu\n", bytes <= most ? "ok -" : "not ok -", what, bytes >> 10, most >> 10);
    return bytes <= most;
}

static bool test(const char *mode, size_t least, size_t most, bool in_random_order)
{
    char **objects = own_memory((BURST / least + 1) * sizeof *objects);
    struct burst burst = {.objects = objects};
    size_t before = resident();
    allocate(&burst, least, most);
    size_t peak = resident() - before;
    if (in_random_order)
        shuffle(&burst);
    free_most(&burst);
    size_t freed = resident() - before;
    bool good;
    if (strcmp(mode, "silent") == 0) {
        nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
        freed = resident() - before;
    } else if (strcmp(mode, "trim") == 0) {
        malloc_trim(0);
        freed = resident() - before;
    }
    count_pages(&burst, least);
    size_t used = burst.used_pages * PAGE;
    char what[96];
    snprintf(what, sizeof what, "%s, objects of %zu to %zu bytes, %s; %zu MiB, %zu KiB in use", mode, least, most,
             in_random_order ? "in random order" : "in order", peak >> 20, used >> 10);
    if (strcmp(mode, "held") == 0)
        good = holds(what, freed, used + BURST / 4 - (used < BURST / 8 ? used : 0));
    else
        good = holds(what, freed, used + (used / 10 > READY ? used / 10 : READY));
    for (size_t i = 0; i < burst.count; i++)
        free(burst.objects[i]);
    munmap(objects, (BURST / least + 1) * sizeof *objects);
    malloc_trim(0);
    return good;
}

int main(int argc, char **argv)
{
    static const size_t sizes[][2] = {{24, 200}, {64, 64}, {16, 3000}};
    const char *wanted = getenv("WEIR_LONG");
    size_t count = wanted && strcmp(wanted, "1") == 0 ? sizeof sizes / sizeof *sizes : 1;
    bool good = true;
    if (argc != 2)
        return 2;
    printf("1..%zu\n", count * 2);
    for (size_t i = 0; i < count; i++)
        for (int in_random_order = 0; in_random_order < 2; in_random_order++)
            good = test(argv[1], sizes[i][0], sizes[i][1], in_random_order) && good;
    return good ? 0 : 1;
}
