/*
 * espresso: minimises a two-level logic function (after Brayton and others, "Logic Minimization Algorithms for VLSI
 * Synthesis", 1984), with every cube an object of a few words and every cover an array that grows by realloc.
 *
 * A cube is a product of literals: two bits for each input, 01 for the negated one, 10 for the plain one, 11 for
 * neither; 00 makes the product void. A cover is a sum of cubes. For the ON-set F and its complement R:
 *
 *     expand       drops literals from each cube of F while it meets no cube of R
 *     irredundant  drops cubes that the rest of F contains
 *     reduce       shrinks each cube to what the rest of F leaves to it, so that the next expand may go another way
 *
 * until a round removes nothing. Complement and containment recurse on one input at a time (the unate recursive
 * paradigm) and leave thousands of cubes behind that live for microseconds.
 */

#include "support.h"

static long inputs = 20, cubes = 60, rounds = 4, functions = 7, seed = 1;

enum {
    WORDS = 2,
    INPUTS_IN_WORD = 32,
    INPUTS_MOST = WORDS * INPUTS_IN_WORD,
    NEGATED = 1,
    PLAIN = 2,
    ANY = 3
};

struct cube {
    uint64_t words[WORDS];
};

struct cover {
    struct cube **cubes;
    size_t count, room;
};

static const uint64_t low_bits = 0x5555555555555555u;

/* The bits of word i that belong to inputs. */
static uint64_t word_mask(size_t i)
{
    const long left = inputs - (long)i * INPUTS_IN_WORD;
    if (left <= 0)
        return 0;
    return left >= INPUTS_IN_WORD ? ~UINT64_C(0) : (UINT64_C(1) << (2 * left)) - 1;
}

static struct cube *cube_new(void)
{
    struct cube *cube = malloc(sizeof *cube);
    if (!cube)
        die(EXIT_MEMORY, "no memory for a cube");
    return cube;
}

static struct cube *cube_copy(const struct cube *from)
{
    struct cube *cube = cube_new();
    memcpy(cube->words, from->words, sizeof cube->words);
    return cube;
}

/* The cube without literals: true everywhere. */
static struct cube *cube_universe(void)
{
    struct cube *cube = cube_new();
    for (size_t i = 0; i < WORDS; i++)
        cube->words[i] = word_mask(i);
    return cube;
}

static unsigned cube_get(const struct cube *cube, size_t input)
{
    return cube->words[input / INPUTS_IN_WORD] >> (2 * (input % INPUTS_IN_WORD)) & ANY;
}

static void cube_set(struct cube *cube, size_t input, unsigned literal)
{
    uint64_t *word = &cube->words[input / INPUTS_IN_WORD];
    const unsigned shift = 2 * (input % INPUTS_IN_WORD);
    *word = (*word & ~((uint64_t)ANY << shift)) | (uint64_t)literal << shift;
}

static bool cube_is_universe(const struct cube *cube)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (cube->words[i] != word_mask(i))
            return false;
    }
    return true;
}

/* No point lies in both. */
static bool cubes_disjoint(const struct cube *a, const struct cube *b)
{
    for (size_t i = 0; i < WORDS; i++) {
        const uint64_t both = a->words[i] & b->words[i];
        if (((both | both >> 1) & low_bits) != (word_mask(i) & low_bits))
            return true;
    }
    return false;
}

static bool cube_contains(const struct cube *outer, const struct cube *inner)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (inner->words[i] & ~outer->words[i])
            return false;
    }
    return true;
}

static void cover_add(struct cover *cover, struct cube *cube)
{
    if (cover->count == cover->room) {
        cover->room = cover->room ? cover->room * 2 : 4;
        cover->cubes = realloc(cover->cubes, cover->room * sizeof(struct cube *));
        if (!cover->cubes)
            die(EXIT_MEMORY, "no memory for %zu pointers", cover->room);
    }
    cover->cubes[cover->count++] = cube;
}

static void cover_release(struct cover *cover)
{
    for (size_t i = 0; i < cover->count; i++)
        free(cover->cubes[i]);
    free(cover->cubes);
    *cover = (struct cover){0};
}

static struct cover cover_copy(const struct cover *from)
{
    struct cover cover = {0};
    for (size_t i = 0; i < from->count; i++)
        cover_add(&cover, cube_copy(from->cubes[i]));
    return cover;
}

static void cover_drop(struct cover *cover, size_t i)
{
    free(cover->cubes[i]);
    cover->cubes[i] = cover->cubes[--cover->count];
}

/* Frees cubes that another one contains. */
static void cover_absorb(struct cover *cover)
{
    for (size_t i = 0; i < cover->count;) {
        bool absorbed = false;
        for (size_t j = 0; j < cover->count && !absorbed; j++)
            absorbed = i != j && cube_contains(cover->cubes[j], cover->cubes[i]);
        if (absorbed)
            cover_drop(cover, i);
        else
            i++;
    }
}

/* What the cover is where `by` is true, in terms of the inputs that `by` leaves free; `but` is left out. */
static struct cover cofactor(const struct cover *cover, const struct cube *by, const struct cube *but)
{
    struct cover result = {0};
    for (size_t i = 0; i < cover->count; i++) {
        if (cover->cubes[i] == but || cubes_disjoint(cover->cubes[i], by))
            continue;
        struct cube *cube = cube_copy(cover->cubes[i]);
        for (size_t w = 0; w < WORDS; w++)
            cube->words[w] |= ~by->words[w] & word_mask(w);
        /* an input with a literal in `by` is decided: both bits */
        for (size_t input = 0; input < (size_t)inputs; input++) {
            if (cube_get(by, input) != ANY)
                cube_set(cube, input, ANY);
        }
        cover_add(&result, cube);
    }
    return result;
}

/* The input to recurse on: with literals of both kinds if there is such a one, of the greatest number; or `inputs` if
 * no cube has literals. */
static size_t split_input(const struct cover *cover, bool *binate)
{
    size_t best = (size_t)inputs, best_count = 0;
    *binate = false;
    for (size_t input = 0; input < (size_t)inputs; input++) {
        size_t count[ANY + 1] = {0};
        for (size_t i = 0; i < cover->count; i++)
            count[cube_get(cover->cubes[i], input)]++;
        const bool both = count[NEGATED] > 0 && count[PLAIN] > 0;
        const size_t literals = count[NEGATED] + count[PLAIN];
        if (literals > 0 && (both > *binate || (both == *binate && literals > best_count))) {
            best = input;
            best_count = literals;
            *binate = both;
        }
    }
    return best;
}

static bool has_universe(const struct cover *cover)
{
    for (size_t i = 0; i < cover->count; i++) {
        if (cube_is_universe(cover->cubes[i]))
            return true;
    }
    return false;
}

/* Is the cover true everywhere? */
static bool tautology(const struct cover *cover)
{
    if (has_universe(cover))
        return true;
    bool binate;
    const size_t input = split_input(cover, &binate);
    if (!binate)
        return false; /* a unate cover is a tautology only with a universal cube */
    bool result = true;
    for (unsigned literal = NEGATED; result && literal <= PLAIN; literal++) {
        struct cube *half = cube_universe();
        cube_set(half, input, literal);
        struct cover branch = cofactor(cover, half, NULL);
        result = tautology(&branch);
        cover_release(&branch);
        free(half);
    }
    return result;
}

/* De Morgan: one cube for each literal. */
static struct cover complement_of_cube(const struct cube *cube)
{
    struct cover result = {0};
    for (size_t input = 0; input < (size_t)inputs; input++) {
        const unsigned literal = cube_get(cube, input);
        if (literal == ANY)
            continue;
        struct cube *piece = cube_universe();
        cube_set(piece, input, literal ^ ANY);
        cover_add(&result, piece);
    }
    return result;
}

static struct cover complement(const struct cover *cover)
{
    struct cover result = {0};
    if (cover->count == 0) {
        cover_add(&result, cube_universe());
        return result;
    }
    if (has_universe(cover))
        return result;
    if (cover->count == 1)
        return complement_of_cube(cover->cubes[0]);
    bool binate;
    const size_t input = split_input(cover, &binate);
    struct cover branches[ANY];
    for (unsigned literal = NEGATED; literal <= PLAIN; literal++) {
        struct cube *half = cube_universe();
        cube_set(half, input, literal);
        struct cover branch = cofactor(cover, half, NULL);
        branches[literal] = complement(&branch);
        cover_release(&branch);
        free(half);
    }
    /* A cube in both branches needs no literal. */
    for (unsigned literal = NEGATED; literal <= PLAIN; literal++) {
        struct cover *mine = &branches[literal], *other = &branches[literal ^ ANY];
        for (size_t i = 0; i < mine->count; i++) {
            bool lifted = false;
            for (size_t j = 0; j < other->count && !lifted; j++)
                lifted = cube_contains(other->cubes[j], mine->cubes[i]);
            struct cube *cube = cube_copy(mine->cubes[i]);
            if (!lifted)
                cube_set(cube, input, literal);
            cover_add(&result, cube);
        }
    }
    cover_release(&branches[NEGATED]);
    cover_release(&branches[PLAIN]);
    cover_absorb(&result);
    return result;
}

static void expand(struct cover *on, const struct cover *off)
{
    for (size_t i = 0; i < on->count; i++) {
        struct cube *cube = on->cubes[i];
        for (size_t input = 0; input < (size_t)inputs; input++) {
            const unsigned literal = cube_get(cube, input);
            bool free_to_drop = literal != ANY;
            cube_set(cube, input, ANY);
            for (size_t j = 0; free_to_drop && j < off->count; j++)
                free_to_drop = cubes_disjoint(cube, off->cubes[j]);
            if (!free_to_drop)
                cube_set(cube, input, literal);
        }
    }
    cover_absorb(on);
}

static void irredundant(struct cover *on)
{
    for (size_t i = 0; i < on->count;) {
        struct cover inside = cofactor(on, on->cubes[i], on->cubes[i]);
        if (tautology(&inside))
            cover_drop(on, i);
        else
            i++;
        cover_release(&inside);
    }
}

static void reduce(struct cover *on)
{
    for (size_t i = 0; i < on->count; i++) {
        struct cube *const cube = on->cubes[i];
        struct cover inside = cofactor(on, cube, cube);
        struct cover left = complement(&inside);
        struct cube hull = {{0}}; /* the smallest cube around what is left */
        for (size_t j = 0; j < left.count; j++) {
            for (size_t w = 0; w < WORDS; w++)
                hull.words[w] |= left.cubes[j]->words[w];
        }
        for (size_t w = 0; left.count > 0 && w < WORDS; w++)
            cube->words[w] &= hull.words[w];
        cover_release(&left);
        cover_release(&inside);
    }
}

static struct cover random_cover(uint64_t *state)
{
    struct cover cover = {0};
    for (long i = 0; i < cubes; i++) {
        struct cube *cube = cube_universe();
        for (size_t input = 0; input < (size_t)inputs; input++) {
            const uint64_t kind = chance_below(state, 10);
            if (kind < 4)
                cube_set(cube, input, kind < 2 ? NEGATED : PLAIN);
        }
        cover_add(&cover, cube);
    }
    return cover;
}

/* F is right if it meets no cube of R, and with R makes everything. */
static void verify(const struct cover *on, const struct cover *off)
{
    struct cover all = cover_copy(off);
    for (size_t i = 0; i < on->count; i++) {
        for (size_t j = 0; j < off->count; j++) {
            if (!cubes_disjoint(on->cubes[i], off->cubes[j]))
                die(EXIT_WRONG, "cube %zu of the result lies in the complement", i);
        }
        cover_add(&all, cube_copy(on->cubes[i]));
    }
    if (!tautology(&all))
        die(EXIT_WRONG, "the result does not cover the function");
    cover_release(&all);
}

static void minimise(uint64_t *state)
{
    struct cover on = random_cover(state);
    struct cover off = complement(&on);
    verify(&on, &off);
    for (long round = 0; round < rounds; round++) {
        expand(&on, &off);
        irredundant(&on);
        if (round + 1 < rounds)
            reduce(&on);
    }
    verify(&on, &off);
    cover_release(&on);
    cover_release(&off);
}

int main(int argc, char **argv)
{
    const struct parameter parameters[] = {
        {"inputs", &inputs, 2, "of a function, at most 64"},
        {"cubes", &cubes, 1, "of a function"},
        {"rounds", &rounds, 1, "of expand, irredundant and reduce"},
        {"functions", &functions, 1, "to minimise"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("minimises random logic functions", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    if (inputs > INPUTS_MOST)
        die(EXIT_USAGE, "at most %d inputs", INPUTS_MOST);
    for (long i = 0; i < functions; i++) {
        uint64_t state = chance_of_thread(seed, i);
        minimise(&state);
    }
    return 0;
}
