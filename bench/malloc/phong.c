/*
 * phong: objects with a random time to live, some of which grow meanwhile (after Vo's benchmark of Vmalloc).
 *
 * Time passes in steps, one object per step and thread. An object is put into the list of the step at which it dies; at
 * each step the thread frees that list. One step in `grow` also reallocates the object that was allocated before.
 */
#include "support.h"

enum {
    HORIZON = 8192 /* a power of two */
};

static long threads = 2, steps = 20000000, least = 16, most = 1024, grow = 16, seed = 1;

struct mortal {
    struct mortal *next;
    size_t size;
};

static void mortal_check(const struct mortal *object)
{
    const unsigned char last = ((const unsigned char *)object)[object->size - 1];
    if (object->size < sizeof *object || last != (unsigned char)object->size)
        die(EXIT_WRONG, "the object of %zu bytes at %p was overwritten", object->size, (const void *)object);
}

static struct mortal *mortal_set(void *address, size_t size)
{
    if (!address)
        die(EXIT_MEMORY, "no memory for %zu bytes", size);
    struct mortal *object = address;
    ((unsigned char *)address)[size - 1] = (unsigned char)size;
    object->size = size;
    return object;
}

static void list_free(struct mortal **list)
{
    struct mortal *object = *list;
    *list = NULL;
    while (object) {
        struct mortal *next = object->next;
        mortal_check(object);
        object->size = 0; /* whoever meets it again knows */
        free(object);
        object = next;
    }
}

static void body(void *context, long index)
{
    (void)context;
    uint64_t state = chance_of_thread(seed, index);
    struct mortal **due = calloc(HORIZON, sizeof(struct mortal *));
    if (!due)
        die(EXIT_MEMORY, "no memory for the lists");
    struct mortal **last = NULL; /* the list whose head was allocated in the step before */
    for (long step = 0; step < steps; step++) {
        struct mortal **now = &due[step % HORIZON];
        if (now == last)
            last = NULL;
        list_free(now);
        const uint64_t number = chance(&state);
        if (last && grow && number % (uint64_t)grow == 0) {
            mortal_check(*last);
            const size_t size = (*last)->size * 2;
            *last = mortal_set(realloc(*last, size), size);
        }
        const size_t size =
            sizeof(struct mortal) + chance_between(&state, (size_t)least, (size_t)most) / (1 + (number >> 20) % 8);
        struct mortal *object = mortal_set(malloc(size), size);
        /* Most die young: the time to live is uniform up to a limit that is itself any power of two. */
        const uint64_t limit = UINT64_C(1) << ((number >> 32) % 13);
        last = &due[(uint64_t)(step + 1 + (long)chance_below(&state, limit)) % HORIZON];
        object->next = *last;
        *last = object;
    }
    for (size_t i = 0; i < HORIZON; i++)
        list_free(&due[i]);
    free(due);
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"threads", &threads, 1, "how many"},
        {"steps", &steps, 1, "of each thread"},
        {"least", &least, 1, "size of the smallest"},
        {"most", &most, 1, "size of the largest"},
        {"grow", &grow, 0, "n: every n-th step doubles an object; 0: none"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("random times to live", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    threads_run(threads, body, NULL);
    return 0;
}
