/*
 * 30 sizes in use in a guest whose heap has about 2 MiB, then all that is left, again and again.
 *
 *     little CLASSES
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EACH = 8
};

static void *make(size_t size, int fill)
{
    unsigned char *object = malloc(size);
    if (object)
        memset(object, fill, size);
    return object;
}

static int is_whole(const unsigned char *object, size_t size, int fill)
{
    for (size_t i = 0; i < size; i++)
        if (object[i] != fill)
            return 0;
    return 1;
}

/* Takes objects of the size until there are no more; returns the bytes, and gives them back. */
static size_t all_that_is_left(size_t size)
{
    void **list = NULL, **object;
    size_t bytes = 0;
    while ((object = make(size, 0)) != NULL) {
        *object = list;
        list = object;
        bytes += size;
    }
    if (errno != ENOMEM)
        return 0;
    for (; list; list = object) {
        object = *list;
        free(list);
    }
    return bytes;
}

int main(int argc, char **argv)
{
    size_t classes = argc > 1 ? strtoul(argv[1], NULL, 10) : 30, live = 0, size = 16;
    unsigned char *objects[64][EACH];
    for (size_t c = 0; c < classes && c < 64; c++, size += size / 4 + 4)
        for (size_t i = 0; i < EACH; i++) {
            objects[c][i] = make(size, (int)(c + i));
            if (!objects[c][i]) {
                printf("no memory for %zu bytes when %zu were in use\n", size, live);
                return 1;
            }
            live += size;
        }
    static const size_t sizes[] = {1000, 50, 20000, 64, 100000, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        printf("left %zu\n", all_that_is_left(sizes[i]));
    size = 16;
    for (size_t c = 0; c < classes && c < 64; c++, size += size / 4 + 4)
        for (size_t i = 0; i < EACH; i++) {
            if (!is_whole(objects[c][i], size, (int)(c + i))) {
                printf("an object of %zu bytes changed\n", size);
                return 1;
            }
            free(objects[c][i]);
        }
    printf("live %zu\nleft %zu\n", live, all_that_is_left(1000));
    return 0;
}
