/* A program for version 2 of mimalloc's interface, which overrides malloc by its header. */
#define WEIR_MIMALLOC 2

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mimalloc-override.h>

static void version_2(void **state)
{
    (void)state;
    mi_heap_t *heap = mi_heap_new();
    int *numbers = mi_heap_mallocn_tp(heap, int, 10);
    numbers = mi_heap_reallocn_tp(heap, numbers, int, 100);
    assert_true(mi_heap_contains_block(heap, numbers));
    mi_theap_t *same = heap;
    assert_ptr_equal(mi_theap_set_default(same), mi_heap_get_backing());
    mi_heap_set_default(mi_heap_get_backing());
    mi_subproc_id_t process = mi_subproc_main();
    assert_non_null(process);
    mi_subproc_delete(process);
    mi_heap_destroy(heap);
}

static void by_the_header(void **state)
{
    (void)state;
    char *p = malloc(10);
    p = realloc(p, 100);
    free(p);
    p = strdup("text");
    assert_true(malloc_usable_size(p) >= 5);
    cfree(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_2),
        cmocka_unit_test(by_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
