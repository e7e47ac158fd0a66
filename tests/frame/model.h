/*
 * The frame layer against a plain model: an array with one element per frame.
 *
 * The model knows of every frame whether it was added, whose it is, whether the host backs it and whether it is known
 * to be zero. After each operation the table must agree with it, answer for answer and count for count. Operations mean
 * something in any state: "free the a-th run, modulo their number".
 */
#ifndef TESTS_FRAME_MODEL_H
#define TESTS_FRAME_MODEL_H

#include <stddef.h>
#include <stdint.h>

enum op_kind {
    OP_ALLOC,
    OP_ALLOC_WITHIN,
    OP_FREE,
    OP_FREE_PART,
    OP_FREE_ZEROED,
    OP_GROW,
    OP_SLAB,
    OP_FREE_SLAB,
    OP_ISOLATE,
    OP_UNISOLATE,
    OP_BALLOON,
    OP_UNBALLOON,
    OP_ADD,
    OP_WRONG_FREE,
    OP_KINDS
};

struct op {
    uint32_t kind, a, b, c;
};

/* The table to run on. */
struct setup {
    uintptr_t base;
    size_t frames;
    unsigned order_max, slots;
};

/* Runs operations on a fresh table. Null if table and model agree, else what they disagree about. */
const char *model_run(const struct setup *setup, const struct op *ops, size_t count);

void model_print(const struct op *op);

#endif
