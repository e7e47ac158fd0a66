/* The faces of malloc that some headers lack, and the groups of tests that make the program `faces`. */
#ifndef TESTS_ACCEPTANCE_FACES_H
#define TESTS_ACCEPTANCE_FACES_H

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/acceptance/check.h"

/* C23's, which not every malloc has. */
void free_sized(void *object, size_t size) __attribute__((weak));
void free_aligned_sized(void *object, size_t alignment, size_t size) __attribute__((weak));

static inline void release_sized(void *object, size_t size)
{
    if (free_sized)
        free_sized(object, size);
    else
        free(object);
}

static inline void release_aligned_sized(void *object, size_t alignment, size_t size)
{
    if (free_aligned_sized)
        free_aligned_sized(object, alignment, size);
    else
        free(object);
}

void *reallocarray(void *ptr, size_t nmemb, size_t size);
void *valloc(size_t size);
void *pvalloc(size_t size);
int malloc_trim(size_t pad);

/* sizes.c */
void zero_sizes_are_objects(void);
void null_is_nothing(void);
void what_is_too_large_is_refused(void);
void products_that_overflow_are_refused(void);
void a_refused_realloc_leaves_the_object(void);
void realloc_to_nothing_is_an_object(void);

/* alignments.c */
void every_object_is_aligned_to_16(void);
void every_alignment_is_kept(void);
void every_size_is_aligned(void);
void aligned_objects_live_side_by_side(void);
void alignments_that_are_none_are_invalid(void);
void alignments_beyond_memory_are_refused(void);
void pages_are_pages(void);

/* contents.c */
void all_that_is_usable_can_be_written(void);
void calloc_is_zero_after_reuse(void);
void calloc_is_zero_in_locked_memory(void);
void realloc_keeps_what_was_there(void);
void realloc_keeps_what_was_there_at_random(void);
void sized_frees_take_the_size_that_was_asked_for(void);
void trim_takes_nothing_that_is_in_use(void);

/* errors.c */
void free_preserves_errno_of_small_objects(void);
void free_preserves_errno_of_large_objects(void);
void free_preserves_errno_of_other_threads_objects(void);
void free_preserves_errno_as_a_threads_first_act(void);
void free_preserves_errno_when_memory_is_given_back(void);
void free_preserves_errno_of_locked_memory(void);

#endif
