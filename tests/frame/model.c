#include "tests/frame/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/frame/fixture.h"

static const char *const op_names[] = {"alloc",   "alloc within", "free",      "free part", "free zeroed",
                                       "grow",    "slab",         "free slab", "isolate",   "unisolate",
                                       "balloon", "unballoon",    "add",       "wrong free"};

enum state {
    HOLE,
    FREE,
    RUN,
    SLAB,
    ISOLATED,
    BALLOONED
};

struct frame {
    uint8_t state;
    bool backed, zero;
    uint32_t owner; /* number of the first frame of the run, slab or range, plus one */
};

struct model {
    size_t count;
    uintptr_t base;
    unsigned order_max, slots;
    struct frame *frame;
    struct fixture fixture;
    struct weir_frames *f;
};

#define REQUIRE(condition, text)                                                                                       \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return (text);                                                                                             \
    } while (0)

static void set(struct model *m, size_t n, size_t count, enum state state, size_t owner)
{
    for (size_t i = n; i < n + count; i++) {
        m->frame[i].state = (uint8_t)state;
        m->frame[i].owner = (uint32_t)owner + 1;
    }
}

static bool all_free(const struct model *m, size_t n, size_t count)
{
    for (size_t i = n; i < n + count; i++) {
        if (i >= m->count || m->frame[i].state != FREE)
            return false;
    }
    return true;
}

static size_t total(const struct model *m, enum state state)
{
    size_t sum = 0;
    for (size_t i = 0; i < m->count; i++)
        sum += m->frame[i].state == state;
    return sum;
}

/* The k-th (modulo their number) allocation of a state: its first frame; count if there is none. */
static size_t pick(const struct model *m, enum state state, uint32_t k)
{
    size_t heads = 0;
    for (int pass = 0; pass < 2; pass++) {
        size_t seen = 0;
        for (size_t i = 0; i < m->count; i++) {
            if (m->frame[i].state != state || m->frame[i].owner != i + 1)
                continue;
            if (pass == 1 && seen == k % heads)
                return i;
            seen++;
        }
        heads = seen;
        if (heads == 0)
            break;
    }
    return m->count;
}

static size_t length(const struct model *m, size_t n)
{
    size_t end = n;
    while (end < m->count && m->frame[end].owner == m->frame[n].owner && m->frame[end].state == m->frame[n].state)
        end++;
    return end - n;
}

static uintptr_t address(const struct model *m, size_t n)
{
    return m->base + FRAME(n);
}

/* Whether the model has room for a run within [low, high). */
static bool has_room(const struct model *m, size_t count, size_t align, size_t low, size_t high)
{
    size_t run = 0;
    for (size_t i = low; i < high; i++) {
        run = m->frame[i].state == FREE ? run + 1 : 0;
        if (run < count)
            continue;
        uintptr_t last_start = (address(m, i + 1 - count) >> WEIR_FRAME_SHIFT) & ~(align - 1);
        if (last_start >= address(m, i + 1 - run) >> WEIR_FRAME_SHIFT)
            return true;
    }
    return false;
}

/* Enters an allocation that the table made into the model. */
static const char *enter(struct model *m, uintptr_t start, size_t count, enum state state, bool zero)
{
    REQUIRE(start >= m->base && start % WEIR_FRAME_SIZE == 0, "a run at a strange address");
    size_t n = (start - m->base) >> WEIR_FRAME_SHIFT;
    REQUIRE(all_free(m, n, count), "a run over memory that is not free");
    bool known = true;
    for (size_t i = n; i < n + count; i++) {
        known = known && m->frame[i].zero;
        m->frame[i].zero = false;
        m->frame[i].backed = true;
    }
    REQUIRE(known || !zero, "memory said to be zero that is not");
    REQUIRE(m->slots > 0 || known == zero, "known-zero memory not recognised");
    set(m, n, count, state, n);
    return NULL;
}

static const char *op_alloc(struct model *m, const struct op *op)
{
    size_t count = op->a != 0 ? op->a : 1, align = (size_t)1 << (op->b % 8), low = 0, high = m->count;
    bool zero;
    uintptr_t start;
    if (op->b % 3 != 0)
        align = 1;
    if (op->kind == OP_ALLOC_WITHIN) {
        low = op->c % m->count;
        high = low + 1 + op->b % (m->count - low);
        start = weir_frames_alloc_within(m->f, count, align, address(m, low), address(m, high), 0, &zero);
    } else {
        start = weir_frames_alloc(m->f, count, align, op->c % 8 == 0 ? WEIR_FRAMES_METADATA : 0, &zero);
    }
    if (start == 0) {
        REQUIRE(!has_room(m, count, align, low, high), "refused although there is room");
        return NULL;
    }
    REQUIRE((start >> WEIR_FRAME_SHIFT) % align == 0, "a misaligned run");
    REQUIRE(start >= address(m, low) && start + FRAME(count) <= address(m, high), "a run outside the range asked for");
    return enter(m, start, count, RUN, zero);
}

static const char *op_free(struct model *m, const struct op *op)
{
    size_t n = pick(m, RUN, op->a);
    if (n == m->count)
        return NULL;
    size_t count = length(m, n), from = n, part = count;
    if (op->kind == OP_FREE_PART) {
        from = n + op->b % count;
        part = 1 + op->c % (n + count - from);
    }
    enum weir_status status = op->kind == OP_FREE_ZEROED ? weir_frames_free_zeroed(m->f, address(m, from), part)
                                                         : weir_frames_free(m->f, address(m, from), part);
    REQUIRE(status == WEIR_OK, "a right free refused");
    set(m, from, part, FREE, m->count);
    for (size_t i = from; i < from + part; i++)
        m->frame[i].zero = op->kind == OP_FREE_ZEROED;
    if (from > n)
        set(m, n, from - n, RUN, n);
    if (from + part < n + count)
        set(m, from + part, n + count - from - part, RUN, from + part);
    return NULL;
}

static const char *op_grow(struct model *m, const struct op *op)
{
    size_t n = pick(m, RUN, op->a);
    if (n == m->count)
        return NULL;
    size_t count = length(m, n), wanted = count + op->b;
    /* metadata runs do not grow */
    if (weir_frames_run_length(m->f, address(m, n)) == 0)
        return NULL;
    bool zero;
    bool grown = weir_frames_grow(m->f, address(m, n), count, wanted, &zero);
    bool expected = all_free(m, n + count, wanted - count);
    REQUIRE(grown == expected || (m->slots > 0 && !grown), "grown into what is not free, or not grown into what is");
    if (!grown || wanted == count)
        return NULL;
    const char *wrong = enter(m, address(m, n + count), wanted - count, RUN, zero);
    set(m, n, wanted, RUN, n);
    return wrong;
}

static const char *op_slab(struct model *m, const struct op *op)
{
    unsigned order = op->a % 6 < m->order_max ? op->a % 6 : m->order_max;
    size_t count = (size_t)1 << order;
    bool zero;
    void *descriptor = (void *)(uintptr_t)(16 * (1 + (uintptr_t)op->b));
    /* a descriptor belongs to one slab: take the next that is not in use */
    for (size_t i = 0; i < m->count; i++) {
        if (m->frame[i].state == SLAB && weir_frames_slab(m->f, address(m, i)) == descriptor)
            return NULL;
    }
    uintptr_t start = weir_frames_alloc_slab(m->f, order, descriptor, &zero);
    if (start == 0) {
        REQUIRE(!has_room(m, count, count, 0, m->count), "slab refused although there is room");
        return NULL;
    }
    REQUIRE((start >> WEIR_FRAME_SHIFT) % count == 0, "a misaligned slab");
    for (size_t i = 0; i < FRAME(count); i += 1000)
        REQUIRE(weir_frames_slab(m->f, start + i) == descriptor, "a frame of a slab has another descriptor");
    return enter(m, start, count, SLAB, zero);
}

static const char *op_free_slab(struct model *m, const struct op *op)
{
    size_t n = pick(m, SLAB, op->a);
    if (n == m->count)
        return NULL;
    size_t count = length(m, n);
    unsigned order = (unsigned)__builtin_ctzll(count);
    REQUIRE(weir_frames_free_slab(m->f, address(m, n), order) == WEIR_OK, "a right slab free refused");
    set(m, n, count, FREE, m->count);
    return NULL;
}

static const char *op_take(struct model *m, const struct op *op)
{
    struct weir_range ranges[5];
    size_t limit = op->b, max = op->c % 5 + 1, got;
    enum state state = op->kind == OP_ISOLATE ? ISOLATED : BALLOONED;
    size_t backed = 0;
    for (size_t i = 0; i < m->count; i++)
        backed += m->frame[i].state == FREE && m->frame[i].backed;
    if (op->kind == OP_ISOLATE)
        got = weir_frames_isolate(m->f, op->a % (m->order_max + 1), limit, 0, ranges, max);
    else
        got = weir_frames_balloon(m->f, limit, op->a % 2, ranges, max);
    REQUIRE(got <= max, "more ranges than asked for");
    bool any = op->kind == OP_BALLOON && op->a % 2 == 0 ? total(m, FREE) > 0 : backed > 0;
    bool must = op->kind == OP_BALLOON || op->a % (m->order_max + 1) == 0;
    REQUIRE(got > 0 || limit == 0 || !must || !any || m->slots > 0, "nothing taken although there is something");
    size_t taken = 0;
    for (size_t i = 0; i < got; i++) {
        size_t n = (ranges[i].start - m->base) >> WEIR_FRAME_SHIFT, count = ranges[i].frames;
        REQUIRE(count > 0 && all_free(m, n, count), "a range that is not free");
        if (op->kind == OP_ISOLATE || op->a % 2) {
            bool some = m->slots > 0;
            for (size_t k = n; k < n + count; k++)
                some = some || m->frame[k].backed;
            REQUIRE(some || taken + count == limit, "a range of which the host backs nothing");
        }
        set(m, n, count, state, n);
        taken += count;
    }
    REQUIRE(taken <= limit, "more frames than asked for");
    return NULL;
}

static const char *op_give(struct model *m, const struct op *op)
{
    enum state state = op->kind == OP_UNISOLATE ? ISOLATED : BALLOONED;
    size_t n = pick(m, state, op->a);
    if (n == m->count)
        return NULL;
    size_t count = length(m, n), from = n, part = count;
    bool gone = op->b % 2;
    if (state == BALLOONED) {
        struct weir_range top;
        REQUIRE(weir_frames_ballooned(m->f, 1, &top, 1) == 1, "ballooned frames are not found");
        size_t highest = m->count;
        while (m->frame[highest - 1].state != BALLOONED)
            highest--;
        REQUIRE(top.start == address(m, highest - 1) && top.frames == 1, "another than the highest ballooned frame");
        from = n + op->b / 2 % count;
        part = 1 + op->c % (n + count - from);
    }
    struct weir_range range = {address(m, from), part};
    if (state == ISOLATED)
        weir_frames_unisolate(m->f, &range, 1, gone);
    else
        REQUIRE(weir_frames_unballoon(m->f, &range, 1, gone) == WEIR_OK, "a right unballoon refused");
    set(m, from, part, FREE, m->count);
    for (size_t i = from; i < from + part && gone; i++)
        m->frame[i].backed = m->frame[i].zero = false;
    if (from > n)
        set(m, n, from - n, state, n);
    if (from + part < n + count)
        set(m, from + part, n + count - from - part, state, from + part);
    return NULL;
}

static const char *op_add(struct model *m, const struct op *op)
{
    size_t n = op->a % m->count, count = 1 + op->b % (m->count - n);
    bool fresh = true;
    for (size_t i = n; i < n + count; i++)
        fresh = fresh && m->frame[i].state == HOLE;
    unsigned errors = atomic_load(&test_errors);
    enum weir_status status = weir_frames_add(m->f, address(m, n), count, op->c % 4);
    REQUIRE(status == (fresh ? WEIR_OK : WEIR_OVERLAP), "a region added over another, or refused without reason");
    REQUIRE(atomic_load(&test_errors) == errors + !fresh, "an overlap not reported, or something else reported");
    if (!fresh)
        return NULL;
    set(m, n, count, FREE, m->count);
    for (size_t i = n; i < n + count; i++) {
        m->frame[i].zero = op->c & WEIR_REGION_ZERO;
        m->frame[i].backed = op->c & WEIR_REGION_BACKED;
    }
    return NULL;
}

static const char *op_wrong_free(struct model *m, const struct op *op)
{
    size_t n = op->a % m->count, count = 1 + op->b % 40;
    if (n + count > m->count)
        return NULL;
    if (m->frame[n].state == RUN) {
        size_t head = m->frame[n].owner - 1;
        if (n + count <= head + length(m, head))
            return NULL;
    }
    unsigned errors = atomic_load(&test_errors);
    enum weir_status status = weir_frames_free(m->f, address(m, n), count);
    enum weir_status expected = m->frame[n].state == FREE || m->frame[n].state == ISOLATED ? WEIR_DOUBLE_FREE
                                : m->frame[n].state == RUN                                 ? WEIR_WRONG_SIZE
                                                                                           : WEIR_NOT_ALLOCATED;
    REQUIRE(status == expected, "a wrong free got the wrong answer");
    REQUIRE(atomic_load(&test_errors) == errors + 1, "a wrong free was not reported once");
    return NULL;
}

static const char *apply(struct model *m, const struct op *op)
{
    switch (op->kind) {
    case OP_ALLOC:
    case OP_ALLOC_WITHIN:
        return op_alloc(m, op);
    case OP_FREE:
    case OP_FREE_PART:
    case OP_FREE_ZEROED:
        return op_free(m, op);
    case OP_GROW:
        return op_grow(m, op);
    case OP_SLAB:
        return op_slab(m, op);
    case OP_FREE_SLAB:
        return op_free_slab(m, op);
    case OP_ISOLATE:
    case OP_BALLOON:
        return op_take(m, op);
    case OP_UNISOLATE:
    case OP_UNBALLOON:
        return op_give(m, op);
    case OP_ADD:
        return op_add(m, op);
    default:
        return op_wrong_free(m, op);
    }
}

/* The table's counts against the model's. */
static const char *compare(struct model *m)
{
    struct weir_frames_stats stats;
    weir_frames_stats(m->f, &stats);
    size_t backed = 0, free_backed = 0, used = total(m, RUN) + total(m, SLAB);
    for (size_t i = 0; i < m->count; i++) {
        backed += m->frame[i].state != HOLE && m->frame[i].state != BALLOONED && m->frame[i].backed;
        free_backed += m->frame[i].state == FREE && m->frame[i].backed;
    }
    REQUIRE(stats.managed == m->count - total(m, HOLE), "managed frames miscounted");
    REQUIRE(stats.free == total(m, FREE), "free frames miscounted");
    REQUIRE(stats.isolated == total(m, ISOLATED), "isolated frames miscounted");
    REQUIRE(stats.ballooned == total(m, BALLOONED), "ballooned frames miscounted");
    REQUIRE(stats.peak_used >= used, "peak below what is used");
    REQUIRE(m->slots > 0 || stats.backed == backed, "backed frames miscounted");
    REQUIRE(m->slots > 0 || stats.free_backed == free_backed, "free backed frames miscounted");
    const char *what = NULL;
    weir_frames_check(m->f, &what);
    return what;
}

/* Every address of the span belongs to what the model says. */
static const char *compare_owners(struct model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        uintptr_t start = weir_frames_run_start(m->f, address(m, i) + i % WEIR_FRAME_SIZE);
        if (m->frame[i].state != RUN)
            REQUIRE(start == 0, "a run where there is none");
        else if (start != 0)
            REQUIRE(start == address(m, m->frame[i].owner - 1), "an address leads to the wrong run");
        void *slab = weir_frames_slab(m->f, address(m, i) + i % WEIR_FRAME_SIZE);
        REQUIRE((slab != NULL) == (m->frame[i].state == SLAB), "a slab where there is none, or none where there is");
    }
    return NULL;
}

const char *model_run(const struct setup *setup, const struct op *ops, size_t count)
{
    struct model m = {
        .count = setup->frames, .base = setup->base, .order_max = setup->order_max, .slots = setup->slots};
    m.frame = calloc(m.count, sizeof(struct frame));
    m.f = fixture_open(&m.fixture, m.base, m.count, m.order_max, m.slots);
    test_set_slot(0);
    const char *wrong = NULL;
    for (size_t i = 0; i < count && wrong == NULL; i++) {
        wrong = apply(&m, &ops[i]);
        if (wrong == NULL && (i % 8 == 0 || i + 1 == count || count < 100))
            wrong = compare(&m);
        if (wrong == NULL && i % 64 == 0)
            wrong = compare_owners(&m);
    }
    fixture_close(&m.fixture);
    free(m.frame);
    return wrong;
}

void model_print(const struct op *op)
{
    fprintf(stderr, "%s %u %u %u\n", op_names[op->kind], op->a, op->b, op->c);
}
