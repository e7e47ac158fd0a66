/* A library that frees what it has when its destructors run. */
#include <stdlib.h>

static void *held[1000];

__attribute__((constructor)) static void take(void)
{
    for (size_t i = 0; i < 1000; i++)
        held[i] = malloc(500);
}

__attribute__((destructor)) static void give(void)
{
    for (size_t i = 0; i < 1000; i++)
        free(held[i]);
}
