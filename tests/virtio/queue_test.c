/* What a driver relies on: chains come back once, in any order, and nothing that the device does breaks the queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/virtio/queue.h"
#include "tests/support/random.h"

enum {
    SIZE = 16
};

struct fixture {
    struct virtqueue queue;
    _Alignas(16) struct virtq_descriptor descriptors[SIZE];
    _Alignas(4) uint8_t available[VIRTQ_AVAILABLE_BYTES(SIZE)];
    _Alignas(4) uint8_t used[VIRTQ_USED_BYTES(SIZE)];
    struct virtqueue_slot slots[SIZE];
};

static struct virtq_available *available_of(struct fixture *fixture)
{
    return (struct virtq_available *)fixture->available;
}

static struct virtq_used *used_of(struct fixture *fixture)
{
    return (struct virtq_used *)fixture->used;
}

static void start(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    virtqueue_init(&fixture->queue, SIZE, fixture->descriptors, available_of(fixture), used_of(fixture),
                   fixture->slots);
}

static bool add(struct fixture *fixture, unsigned pieces, uint32_t cookie)
{
    struct virtqueue_piece chain[SIZE + 1];
    for (unsigned i = 0; i < pieces; i++)
        chain[i] = (struct virtqueue_piece){UINT64_C(0x1000) * (cookie + i), 100, i > 0};
    return virtqueue_add(&fixture->queue, chain, pieces, cookie);
}

/* The device returns `id`. */
static void give_back(struct fixture *fixture, uint32_t id, uint32_t length)
{
    struct virtq_used *used = used_of(fixture);
    used->ring[used->index % SIZE] = (struct virtq_used_element){id, length};
    used->index++;
}

static uint16_t head_of(struct fixture *fixture, unsigned n)
{
    return available_of(fixture)->ring[n % SIZE];
}

static void device_sees_chain(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture);
    assert_int_equal(available_of(&fixture)->flags, VIRTQ_NO_INTERRUPT);
    assert_true(add(&fixture, 3, 7));
    assert_int_equal(available_of(&fixture)->index, 0);
    assert_true(virtqueue_show(&fixture.queue));
    assert_int_equal(available_of(&fixture)->index, 1);
    const struct virtq_descriptor *first = &fixture.descriptors[head_of(&fixture, 0)];
    assert_int_equal(first->address, 0x7000);
    assert_int_equal(first->length, 100);
    assert_int_equal(first->flags, VIRTQ_NEXT);
    const struct virtq_descriptor *second = &fixture.descriptors[first->next];
    assert_int_equal(second->flags, VIRTQ_NEXT | VIRTQ_WRITE);
    const struct virtq_descriptor *third = &fixture.descriptors[second->next];
    assert_int_equal(third->address, 0x9000);
    assert_int_equal(third->flags, VIRTQ_WRITE);
}

static void no_notification_when_not_wanted_or_nothing_new(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture);
    assert_false(virtqueue_show(&fixture.queue));
    used_of(&fixture)->flags = VIRTQ_NO_NOTIFY;
    assert_true(add(&fixture, 1, 1));
    assert_false(virtqueue_show(&fixture.queue));
    assert_int_equal(available_of(&fixture)->index, 1);
    used_of(&fixture)->flags = 0;
    assert_false(virtqueue_show(&fixture.queue));
}

static void full_queue_refuses(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture);
    assert_false(add(&fixture, SIZE + 1, 0));
    assert_false(add(&fixture, 0, 0));
    for (unsigned i = 0; i < SIZE / 4; i++)
        assert_true(add(&fixture, 4, i));
    assert_false(add(&fixture, 1, 0));
    assert_true(virtqueue_check(&fixture.queue));
}

static void chains_come_back_in_any_order(void **state)
{
    struct fixture fixture;
    uint32_t cookie = 0, length = 0;
    (void)state;
    start(&fixture);
    for (unsigned i = 0; i < 4; i++)
        assert_true(add(&fixture, 4, 10 + i));
    virtqueue_show(&fixture.queue);
    assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_NONE);
    for (unsigned i = 4; i-- > 0;)
        give_back(&fixture, head_of(&fixture, i), 300);
    for (unsigned i = 4; i-- > 0;) {
        assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_TAKEN);
        assert_int_equal(cookie, 10 + i);
        assert_int_equal(length, 300);
        assert_true(virtqueue_check(&fixture.queue));
    }
    assert_int_equal(virtqueue_in_flight(&fixture.queue), 0);
    assert_int_equal(fixture.queue.free, SIZE);
}

/* Each case is one thing that a device may do instead of an honest answer to two chains, the first of 2 pieces. */
static void nonsense_is_refused(void **state)
{
    struct fixture fixture;
    uint32_t cookie, length;
    (void)state;
    for (unsigned misdeed = 0; misdeed < 6; misdeed++) {
        start(&fixture);
        assert_true(add(&fixture, 2, 1));
        assert_true(add(&fixture, 1, 2));
        virtqueue_show(&fixture.queue);
        uint16_t head = head_of(&fixture, 0);
        switch (misdeed) {
        case 0:
            give_back(&fixture, SIZE, 0);
            break;
        case 1:
            give_back(&fixture, UINT32_MAX, 0);
            break;
        case 2: /* the middle of a chain */
            give_back(&fixture, fixture.descriptors[head].next, 0);
            break;
        case 3:
            give_back(&fixture, head, 201);
            break;
        case 4:
            used_of(&fixture)->index = 3;
            break;
        default:
            used_of(&fixture)->index = UINT16_MAX;
        }
        assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_BROKEN);
        assert_true(virtqueue_check(&fixture.queue));
    }
    start(&fixture);
    assert_true(add(&fixture, 2, 1));
    assert_true(add(&fixture, 1, 2));
    virtqueue_show(&fixture.queue);
    give_back(&fixture, head_of(&fixture, 0), 0);
    give_back(&fixture, head_of(&fixture, 0), 0);
    assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_TAKEN);
    assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_BROKEN);
    assert_true(virtqueue_check(&fixture.queue));
}

/* What was added and not shown cannot come back. */
static void answer_before_it_was_shown_is_refused(void **state)
{
    struct fixture fixture;
    uint32_t cookie, length;
    (void)state;
    start(&fixture);
    assert_true(add(&fixture, 1, 1));
    give_back(&fixture, head_of(&fixture, 0), 0);
    assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_BROKEN);
}

/* The device may write to descriptors and rings as it likes. */
static void scribbled_rings_do_no_harm(void **state)
{
    struct fixture fixture;
    uint32_t cookie, length;
    (void)state;
    start(&fixture);
    assert_true(add(&fixture, 4, 5));
    virtqueue_show(&fixture.queue);
    uint16_t head = head_of(&fixture, 0);
    memset(fixture.descriptors, 0xff, sizeof(fixture.descriptors));
    memset(fixture.available, 0xff, sizeof(fixture.available));
    give_back(&fixture, head, 0);
    assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_TAKEN);
    assert_int_equal(cookie, 5);
    assert_true(virtqueue_check(&fixture.queue));
    assert_true(add(&fixture, SIZE, 6));
}

/* 200,000 chains in random shapes: indices wrap around, every cookie comes back exactly once. */
static void indices_wrap(void **state)
{
    struct fixture fixture;
    struct random random = random_start("virtio/queue");
    uint16_t waiting[SIZE];
    unsigned waits = 0, seen = 0;
    uint32_t next = 0, sum = 0;
    (void)state;
    start(&fixture);
    for (unsigned step = 0; step < 400000; step++) {
        if (random_below(&random, 2) != 0) {
            if (add(&fixture, 1 + (unsigned)random_below(&random, 5), next))
                sum += next++;
            virtqueue_show(&fixture.queue);
            for (; (uint16_t)(available_of(&fixture)->index - seen) != 0; seen++)
                waiting[waits++] = head_of(&fixture, seen);
        } else if (waits != 0) {
            unsigned which = (unsigned)random_below(&random, waits);
            uint32_t cookie, length;
            give_back(&fixture, waiting[which], 1);
            waiting[which] = waiting[--waits];
            assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_TAKEN);
            sum -= cookie;
        }
        if (step % 1024 == 0)
            assert_true(virtqueue_check(&fixture.queue));
    }
    while (waits != 0) {
        uint32_t cookie, length;
        give_back(&fixture, waiting[--waits], 1);
        assert_int_equal(virtqueue_take(&fixture.queue, &cookie, &length), VIRTQUEUE_TAKEN);
        sum -= cookie;
    }
    assert_int_equal(sum, 0);
    assert_int_equal(fixture.queue.free, SIZE);
    assert_true(next > UINT16_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_sees_chain),          cmocka_unit_test(no_notification_when_not_wanted_or_nothing_new),
        cmocka_unit_test(full_queue_refuses),         cmocka_unit_test(chains_come_back_in_any_order),
        cmocka_unit_test(nonsense_is_refused),        cmocka_unit_test(answer_before_it_was_shown_is_refused),
        cmocka_unit_test(scribbled_rings_do_no_harm), cmocka_unit_test(indices_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
