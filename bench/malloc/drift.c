/*
 * drift: the mix of sizes changes from phase to phase, and a few objects of each phase survive: what fragments a heap.
 *
 * Each phase prefers sizes around one of its own. It allocates `objects`, frees all but one of `survivors` at random,
 * and a survivor dies some phases later. The peak of memory tells how well an allocator reuses, for another size, what
 * one phase left behind.
 */
#include "support.h"

enum {
    GENERATIONS = 8
};

static long phases = 40, objects = 200000, survivors = 10, seed = 1;

static void object_free(struct object object)
{
    object_check(object);
    free(object.address);
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"phases", &phases, 1, "how many"},
        {"objects", &objects, 1, "in a phase"},
        {"survivors", &survivors, 1, "n: one object in n survives its phase"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("phases of different sizes, with survivors", parameters, sizeof parameters / sizeof *parameters,
                    argc, argv);
    uint64_t state = chance_of_thread(seed, 0);
    struct object *young = calloc((size_t)objects, sizeof *young);
    struct object *old[GENERATIONS] = {0};
    size_t old_count[GENERATIONS] = {0};
    if (!young)
        die(EXIT_MEMORY, "no memory for the table");
    for (long phase = 0; phase < phases + GENERATIONS; phase++) {
        struct object **mine = &old[phase % GENERATIONS];
        size_t *count = &old_count[phase % GENERATIONS];
        while (*count > 0)
            object_free((*mine)[--*count]);
        free(*mine);
        *mine = NULL;
        if (phase >= phases)
            continue;
        *mine = malloc((size_t)objects * sizeof **mine);
        if (!*mine)
            die(EXIT_MEMORY, "no memory for the survivors");
        const size_t favourite = (size_t)16 << chance_below(&state, 7);
        for (long i = 0; i < objects; i++) {
            const size_t size = chance_between(&state, favourite / 2 + 1, favourite + favourite / 4);
            young[i] = object_marked(malloc(size), size, &state);
        }
        for (long i = 0; i < objects; i++) {
            if (chance_below(&state, (uint64_t)survivors) == 0)
                (*mine)[(*count)++] = young[i];
            else
                object_free(young[i]);
        }
    }
    free(young);
    return 0;
}
