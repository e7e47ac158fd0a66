/* The memory calls, and one object of 3 GiB if the argument says that the guest has 3.5. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "tests/kernel/guest/require.h"

#define PAGE  4096ul
#define BLOCK ((1ul << 20) - 8192)

static unsigned char *map(size_t bytes, int rights)
{
    return mmap(NULL, bytes, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int is_zero(const unsigned char *p, size_t n)
{
    while (n > 0 && *p == 0)
        p++, n--;
    return n == 0;
}

static void parts(void)
{
    unsigned char *p = map(16 * PAGE, PROT_READ | PROT_WRITE);
    REQUIRE(p != MAP_FAILED && is_zero(p, 16 * PAGE));
    memset(p, 1, 16 * PAGE);
    REQUIRE(munmap(p + 4 * PAGE, 4 * PAGE) == 0); /* the middle */
    REQUIRE(munmap(p, PAGE) == 0);                /* the head */
    REQUIRE(munmap(p + 15 * PAGE, PAGE) == 0);    /* the tail */
    REQUIRE(p[PAGE] == 1 && p[8 * PAGE] == 1 && p[15 * PAGE - 1] == 1);
    REQUIRE(munmap(p, 16 * PAGE) == 0); /* runs and holes */
    for (int i = 0; i < 100; i++) {     /* what was dirty comes back clean */
        unsigned char *q = map(7 * PAGE, PROT_READ | PROT_WRITE);
        REQUIRE(q != MAP_FAILED && is_zero(q, 7 * PAGE));
        memset(q, 255, 7 * PAGE);
        REQUIRE(munmap(q, 7 * PAGE) == 0);
    }
}

static void advice(void)
{
    unsigned char *p = map(8 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 3, 8 * PAGE);
    REQUIRE(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
    REQUIRE(p[0] == 3 && is_zero(p + PAGE, 2 * PAGE) && p[3 * PAGE] == 3);
    REQUIRE(mmap(p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
    REQUIRE(is_zero(p, PAGE));
    REQUIRE(mprotect(p, 2 * PAGE, PROT_READ) == 0 && p[0] == 0);
    REQUIRE(mprotect(p, 2 * PAGE, PROT_NONE) == 0);
    REQUIRE(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0);
    p[0] = 9;
    REQUIRE(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == -1 && errno == EACCES);
    REQUIRE(munmap(p, 8 * PAGE) == 0); /* a page without rights in it: it comes back with all */
    p = map(8 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 4, 8 * PAGE);
    munmap(p, 8 * PAGE);
}

static void moves(void)
{
    unsigned char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 5, 4 * PAGE);
    p = mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    REQUIRE(p != MAP_FAILED && p[4 * PAGE - 1] == 5 && is_zero(p + 4 * PAGE, 60 * PAGE));
    memset(p, 6, 64 * PAGE);
    unsigned char *wall = map(PAGE, PROT_READ | PROT_WRITE);
    unsigned char *q = mremap(p, 64 * PAGE, 4096 * PAGE, MREMAP_MAYMOVE);
    REQUIRE(q != MAP_FAILED && q[64 * PAGE - 1] == 6 && is_zero(q + 64 * PAGE, 4032 * PAGE));
    REQUIRE(mremap(q, 4096 * PAGE, 2 * PAGE, 0) == q && q[2 * PAGE - 1] == 6);
    REQUIRE(munmap(q, 2 * PAGE) == 0 && munmap(wall, PAGE) == 0);
    REQUIRE(mremap(q, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
}

static void refusals(void)
{
    REQUIRE(map((size_t)1 << 46, PROT_READ | PROT_WRITE) == MAP_FAILED && errno == ENOMEM);
    REQUIRE(map(0, PROT_READ) == MAP_FAILED && errno == EINVAL);
    REQUIRE(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 5, 0) == MAP_FAILED && errno == ENODEV);
    REQUIRE(munmap((void *)1, PAGE) == -1 && errno == EINVAL);
    REQUIRE(malloc(SIZE_MAX / 2) == NULL);
}

static void everything(void)
{
    static void *blocks[1 << 16];
    struct sysinfo info;
    REQUIRE(sysinfo(&info) == 0 && info.totalram > 0);
    for (int round = 0; round < 2; round++) {
        size_t n = 0;
        while (n < 1 << 16 && (blocks[n] = malloc(BLOCK)))
            memset(blocks[n++], 1, BLOCK);
        REQUIRE(n > (info.totalram >> 20) * 9 / 10 - 4);
        while (n > 0)
            free(blocks[--n]);
    }
}

int main(int argc, char **argv)
{
    parts();
    advice();
    moves();
    refusals();
    if (argc > 1 && strcmp(argv[1], "big") == 0) {
        size_t size = (size_t)3 << 30;
        unsigned char *p = malloc(size);
        REQUIRE(p);
        for (size_t i = 0; i < size; i += (size_t)16 << 20)
            p[i] = (unsigned char)(i >> 24);
        p[size - 1] = 77;
        for (size_t i = 0; i < size; i += (size_t)16 << 20)
            REQUIRE(p[i] == (unsigned char)(i >> 24));
        free(p);
    } else {
        everything();
    }
    printf("memory\n");
    return 0;
}
