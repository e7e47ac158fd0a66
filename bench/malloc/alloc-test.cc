/*
 * alloc-test: what many programs do most of the time, as a Pareto distribution sees it (after the description of
 * OLogN's alloc-test).
 *
 * A thread visits random places of a table: an empty one gets an object, from an occupied one it is freed. Four of five
 * visits go to one fifth of the table, four of five of these to a fifth of that, and so on six times: few places
 * live fast, most for long. Sizes are log-uniform in powers of two, halved in number with each power above 64 bytes.
 * Objects are written when they are allocated and read when they are freed, whole.
 */
#include "support.h"

static long threads = 1, visits = 5000000, places = 1 << 18, largest_power = 10, seed = 1;

struct place {
    unsigned char *address;
    unsigned size;
    unsigned char value; /* of every byte */
};

static size_t pareto_index(uint64_t *state, size_t count)
{
    size_t start = 0;
    for (int level = 0; level < 6 && count >= 5; level++) {
        const size_t fifth = count / 5;
        if (chance_below(state, 5) != 0) {
            count = fifth;
        } else {
            start += fifth;
            count -= fifth;
            break;
        }
    }
    return start + chance_below(state, count);
}

static size_t object_size(uint64_t *state)
{
    const long power = __builtin_ctzll(chance(state) | uint64_t(1) << (largest_power > 6 ? largest_power - 6 : 0));
    const long bits = power > 0 ? power + 6 : 4 + long(chance_below(state, 3));
    const size_t top = size_t(1) << (bits < largest_power ? bits : largest_power);
    return chance_between(state, top / 2, top);
}

static void visit(place &place, uint64_t *state)
{
    if (place.address) {
        uint64_t sum = 0;
        for (size_t i = 0; i < place.size; i++)
            sum += place.address[i];
        if (sum != uint64_t(place.size) * place.value)
            die(EXIT_WRONG, "the object of %u bytes at %p was overwritten", place.size,
                static_cast<void *>(place.address));
        delete[] place.address;
        place.address = nullptr;
    } else {
        place.size = static_cast<unsigned>(object_size(state));
        place.value = static_cast<unsigned char>(chance(state));
        place.address = new unsigned char[place.size];
        memset(place.address, place.value, place.size);
    }
}

static void body(void *, long index)
{
    uint64_t state = chance_of_thread(seed, index);
    const size_t count = static_cast<size_t>(places / threads) + 1;
    place *const table = new place[count]();
    for (long i = 0; i < visits / threads; i++)
        visit(table[pareto_index(&state, count)], &state);
    for (size_t i = 0; i < count; i++) {
        if (table[i].address)
            visit(table[i], &state);
    }
    delete[] table;
}

int main(int argc, char **argv)
{
    const parameter parameters[] = {
        {"threads", &threads, 1, "which share visits and places"},
        {"visits", &visits, 1, "to places, in all"},
        {"places", &places, 1, "in all"},
        {"power", &largest_power, 4, "the largest size is 2 to this"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("Pareto-distributed lifetimes, log-uniform sizes", parameters,
                    sizeof parameters / sizeof *parameters, argc, argv);
    threads_run(threads, body, nullptr);
    return 0;
}
