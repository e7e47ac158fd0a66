/*
 * libFuzzer's way into the frame layer: bytes become operations, which run against the model of the tests.
 *
 * The first byte picks a table, each seven bytes after it are an operation: kind, a, b (16 bits each), c (16 bits).
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/frame/fixture.h"
#include "tests/frame/model.h"

enum {
    OPS_MAX = 600,
    OP_BYTES = 7
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t word_at(const uint8_t *data)
{
    return data[0] | (uint32_t)data[1] << 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct setup setups[] = {
        {FRAME(0x12345), 300, 4, 0},
        {FRAME(0x40000 - 700), 1500, WEIR_ORDER_MAX, 0},
        {FRAME(0x1000), 1200, 9, 2},
        {UINTPTR_MAX - FRAME(201) + 1, 200, 6, 1},
    };
    static struct op ops[OPS_MAX];
    if (size == 0)
        return 0;
    const struct setup *setup = &setups[data[0] % 4];
    size_t count = 0;
    for (size_t at = 1; at + OP_BYTES <= size && count < OPS_MAX; at += OP_BYTES) {
        ops[count++] =
            (struct op){data[at] % OP_KINDS, word_at(data + at + 1), word_at(data + at + 3), word_at(data + at + 5)};
    }
    const char *wrong = model_run(setup, ops, count);
    if (wrong != NULL) {
        for (size_t i = 0; i < count; i++)
            model_print(&ops[i]);
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
    return 0;
}
