/* Allocates; for every way of linking libweir.a. */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    for (size_t i = 0; i < 1000; i++) {
        void *volatile object = malloc(i * 10 + 1);
        if (i % 2)
            free(object);
    }
    puts("done");
    return 0;
}
