/* The host's memory for allocators under test: one mapping, aligned so that every alignment up to its size occurs. */
#ifndef TESTS_CONFORMANCE_MEMORY_H
#define TESTS_CONFORMANCE_MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/conformance/conformance.h"

static inline struct memory memory_map(size_t bytes)
{
    char *start = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        fprintf(stderr, "# no memory for the test\n");
        exit(1);
    }
    uintptr_t aligned = ((uintptr_t)start + bytes - 1) & ~(bytes - 1);
    return (struct memory){.start = aligned, .bytes = bytes, .zero = true};
}

/* The same memory, zero again. */
static inline void memory_renew(struct memory *memory)
{
    madvise((void *)memory->start, memory->bytes, MADV_DONTNEED);
    memory->zero = true;
}

static inline void memory_unmap(struct memory *memory)
{
    munmap((void *)memory->start, memory->bytes);
}

#endif
