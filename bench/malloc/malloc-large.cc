/*
 * malloc-large: buffers of 5 to 25 MB, twenty alive, replaced at random (after a report to mimalloc).
 *
 * One word of each page is written, so that an allocator that returns such buffers to the system at once pays for every
 * page again.
 */
#include "support.h"

enum {
    PAGE = 4096
};

static long replacements = 2000, live = 20, least = 5, most = 25, seed = 1;

struct buffer {
    char *bytes;
    size_t size;
};

static buffer buffer_new(uint64_t *state)
{
    const size_t size = chance_between(state, static_cast<size_t>(least) << 20, static_cast<size_t>(most) << 20);
    buffer made = {new char[size], size};
    for (size_t at = 0; at + sizeof size <= size; at += PAGE)
        memcpy(made.bytes + at, &size, sizeof size);
    return made;
}

static void buffer_delete(const buffer &old)
{
    for (size_t at = 0; at + sizeof old.size <= old.size; at += size_t(16) * PAGE) {
        if (memcmp(old.bytes + at, &old.size, sizeof old.size) != 0)
            die(EXIT_WRONG, "the buffer at %p was overwritten", static_cast<void *>(old.bytes));
    }
    delete[] old.bytes;
}

int main(int argc, char **argv)
{
    const parameter parameters[] = {
        {"replacements", &replacements, 1, "in all"},
        {"live", &live, 1, "buffers at a time"},
        {"least", &least, 1, "MiB of the smallest"},
        {"most", &most, 1, "MiB of the largest"},
        {"seed", &seed, 0, "of chance"},
    };
    parameters_read("large buffers", parameters, sizeof parameters / sizeof *parameters, argc, argv);
    uint64_t state = chance_of_thread(seed, 0);
    buffer *const buffers = new buffer[static_cast<size_t>(live)];
    for (long i = 0; i < live; i++)
        buffers[i] = buffer_new(&state);
    for (long i = 0; i < replacements; i++) {
        buffer &victim = buffers[chance_below(&state, static_cast<uint64_t>(live))];
        buffer_delete(victim);
        victim = buffer_new(&state);
    }
    for (long i = 0; i < live; i++)
        buffer_delete(buffers[i]);
    delete[] buffers;
    return 0;
}
