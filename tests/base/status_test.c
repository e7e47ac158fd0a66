#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "weir/status.h"

/* Every status has a text of its own; nonsense has one too. */
static void test_texts(void **state)
{
    (void)state;
    for (int status = 0; status < WEIR_STATUS_COUNT; status++) {
        const char *text = weir_status_text((enum weir_status)status);
        assert_non_null(text);
        assert_true(strlen(text) > 3);
        for (int other = 0; other < status; other++)
            assert_string_not_equal(text, weir_status_text((enum weir_status)other));
    }
    assert_string_equal(weir_status_text(WEIR_DOUBLE_FREE), "double free");
    assert_string_equal(weir_status_text(WEIR_STATUS_COUNT), "unknown status");
    assert_string_equal(weir_status_text((enum weir_status) - 1), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
