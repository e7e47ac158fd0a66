/* One object of 1 GiB, in a guest that has little more. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define GIB ((size_t)1 << 30)

enum {
    STEP = 1 << 16
};

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);                                   \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static int is_zero(const volatile unsigned char *object)
{
    for (size_t i = 0; i < GIB; i += STEP)
        if (object[i] != 0)
            return 0;
    return object[GIB - 1] == 0;
}

static void fill(volatile uint64_t *object)
{
    for (size_t i = 0; i < GIB / 8; i += STEP / 8)
        object[i] = i;
    object[GIB / 8 - 1] = 7;
}

static int is_filled(const volatile uint64_t *object, size_t bytes)
{
    for (size_t i = 0; i < bytes / 8; i += STEP / 8)
        if (object[i] != i)
            return 0;
    return 1;
}

int main(void)
{
    void *small = malloc(1000), *object = calloc(1, GIB);
    REQUIRE(small && object && is_zero(object));
    fill(object);
    REQUIRE(is_filled(object, GIB) && malloc_usable_size(object) >= GIB);
    errno = 0;
    REQUIRE(malloc(GIB) == NULL && errno == ENOMEM); /* there is no second one */
    object = realloc(object, GIB / 2);
    REQUIRE(object && is_filled(object, GIB / 2));
    object = realloc(object, GIB); /* nowhere but in place */
    REQUIRE(object && is_filled(object, GIB / 2));
    free(object);
    for (int i = 0; i < 3; i++) {
        object = malloc(GIB - (size_t)i * 4096);
        REQUIRE(object != NULL);
        free(object);
    }
    object = calloc(GIB / 16, 16);
    REQUIRE(object && is_zero(object));
    free(object);
    free(small);
    puts("fits");
    return 0;
}
