/*
 * grow: vectors that grow by half through realloc, many at a time, as in programs that collect what they read.
 *
 * A random vector gets a piece of up to 256 numbers; when it has reached a length of its own (log-uniform, up to 4 MiB)
 * it is checked, freed and begun anew.
 */
#include "support.h"

enum {
    VECTORS = 256,
    PIECE = 256
};

static long pieces = 2000000, seed = 1;

struct vector {
    uint64_t *numbers;
    size_t count, room, end;
};

static void vector_end(struct vector *vector)
{
    for (size_t i = 0; i < vector->count; i += 61) {
        if (vector->numbers[i] != i)
            die(EXIT_WRONG, "number %zu of %zu changed when the vector grew", i, vector->count);
    }
    free(vector->numbers);
    *vector = (struct vector){0};
}

static void vector_append(struct vector *vector, size_t piece)
{
    const size_t wanted = vector->count + piece;
    if (wanted > vector->room) {
        const size_t room = vector->room + vector->room / 2;
        vector->room = room > wanted ? room : wanted;
        vector->numbers = realloc(vector->numbers, vector->room * sizeof *vector->numbers);
        if (!vector->numbers)
            die(EXIT_MEMORY, "no memory for %zu numbers", vector->room);
    }
    for (; vector->count < wanted; vector->count++)
        vector->numbers[vector->count] = vector->count;
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"pieces", &pieces, 1, "appended in all"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("vectors that grow by realloc", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    static struct vector vectors[VECTORS];
    uint64_t state = chance_of_thread(seed, 0);
    for (long i = 0; i < pieces; i++) {
        struct vector *vector = &vectors[chance_below(&state, VECTORS)];
        if (vector->end == 0)
            vector->end = chance_between(&state, 1, (size_t)1 << chance_between(&state, 4, 19));
        vector_append(vector, chance_between(&state, 1, PIECE));
        if (vector->count >= vector->end)
            vector_end(vector);
    }
    for (size_t i = 0; i < VECTORS; i++)
        vector_end(&vectors[i]);
    return 0;
}
