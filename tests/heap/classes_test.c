#include "src/heap/classes.h"

#include "tests/heap/fixture.h"

static void every_size_has_the_smallest_class_that_holds_it(void **state)
{
    (void)state;
    for (size_t size = 0; size <= SMALL_MAX; size++) {
        unsigned class = class_of(size);
        assert_true(class < CLASSES);
        assert_true(class_size(class) >= size);
        assert_true(class == 0 || class_size(class - 1) < size);
    }
    assert_int_equal(class_size(CLASSES - 1), SMALL_MAX);
}

static void loss_is_bounded(void **state)
{
    (void)state;
    for (size_t size = 129; size <= SMALL_MAX; size++)
        assert_true((class_size(class_of(size)) - size) * 8 <= size);
}

static void aligned_classes_are_multiples(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= WEIR_FRAME_SIZE; alignment *= 2)
        for (size_t size = 0; size <= SMALL_MAX; size += 13) {
            unsigned class = class_of_aligned(size, alignment);
            if (round_up(size, alignment) > SMALL_MAX) {
                assert_int_equal(class, CLASSES);
                continue;
            }
            assert_true(class < CLASSES);
            assert_int_equal(class_size(class) % alignment, 0);
            assert_true(class_size(class) >= size);
        }
}

static void slabs_waste_little_and_grow(void **state)
{
    (void)state;
    for (unsigned class = 0; class < CLASSES; class ++) {
        unsigned order = class_slab_order(class, 0);
        assert_true(order >= class_order_min(class));
        assert_true(order <= SLAB_ORDER_MAX);
        assert_true(WEIR_FRAME_SIZE << class_order_min(class) >= class_size(class));
        /* 22528 alone fits badly into everything up to 64 KiB. */
        size_t slab = WEIR_FRAME_SIZE << order;
        assert_true(slab % class_size(class) * 4 <= slab || class_size(class) == 22528);
        for (size_t frames = 1; frames < 100; frames++)
            assert_true(class_slab_order(class, frames) >= class_slab_order(class, frames - 1));
        size_t longest = WEIR_FRAME_SIZE << class_slab_order(class, 1000);
        assert_true(longest >= 65536);
        assert_true(longest == 65536 || longest / class_size(class) >= 8);
        assert_true(longest / 2 < 32 * class_size(class) || longest == 65536);
    }
    assert_int_equal(class_slab_order(class_of(16), 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_has_the_smallest_class_that_holds_it),
        cmocka_unit_test(loss_is_bounded),
        cmocka_unit_test(aligned_classes_are_multiples),
        cmocka_unit_test(slabs_waste_little_and_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
