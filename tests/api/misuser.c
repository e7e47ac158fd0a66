/* Frees twice, and what was never allocated. */
#include <stdio.h>
#include <stdlib.h>

static void (*volatile do_free)(void *) = free;

int main(void)
{
    int local = 0;
    void *volatile object = malloc(100);
    do_free(object);
    do_free(object);
    do_free(&local);
    puts("still alive");
    return 0;
}
