/*
 * Every face of the malloc family, against its standard: ISO C and C23, POSIX, and what GNU and BSD promise.
 *
 *     faces [alignment=MOST] [object=MOST] [burst=BYTES]
 *
 * Each of eight mallocs in use falls down somewhere here.
 */
#include "tests/acceptance/faces.h"

int main(int argc, char **argv)
{
#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    static const struct test tests[] = {
        TEST(zero_sizes_are_objects),
        TEST(null_is_nothing),
        TEST(what_is_too_large_is_refused),
        TEST(products_that_overflow_are_refused),
        TEST(a_refused_realloc_leaves_the_object),
        TEST(realloc_to_nothing_is_an_object),
        TEST(every_object_is_aligned_to_16),
        TEST(every_alignment_is_kept),
        TEST(every_size_is_aligned),
        TEST(aligned_objects_live_side_by_side),
        TEST(alignments_that_are_none_are_invalid),
        TEST(alignments_beyond_memory_are_refused),
        TEST(pages_are_pages),
        TEST(all_that_is_usable_can_be_written),
        TEST(calloc_is_zero_after_reuse),
        TEST(calloc_is_zero_in_locked_memory),
        TEST(realloc_keeps_what_was_there),
        TEST(realloc_keeps_what_was_there_at_random),
        TEST(sized_frees_take_the_size_that_was_asked_for),
        TEST(trim_takes_nothing_that_is_in_use),
        TEST(free_preserves_errno_of_small_objects),
        TEST(free_preserves_errno_of_large_objects),
        TEST(free_preserves_errno_of_other_threads_objects),
        TEST(free_preserves_errno_as_a_threads_first_act),
        TEST(free_preserves_errno_when_memory_is_given_back),
        TEST(free_preserves_errno_of_locked_memory),
    };
    return run_tests(argc, argv, tests, sizeof tests / sizeof *tests);
}
