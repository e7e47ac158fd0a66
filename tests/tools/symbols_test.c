/* The table of functions, read back as the kernel reads it. */
#include "tests/tools/harness.h"
#include "tools/symbols.h"

#include <stdlib.h>
#include <string.h>

static uint32_t word_at(const char *data, size_t index)
{
    const unsigned char *bytes = (const unsigned char *)data + 4 * index;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static char *write_table(struct image_function *functions, size_t count, size_t *size)
{
    char *data;
    FILE *file = open_memstream(&data, size);
    symbols_write(file, functions, count);
    fclose(file);
    return data;
}

static void test_an_empty_table(void **state)
{
    (void)state;
    size_t size;
    char *data = write_table(NULL, 0, &size);
    assert_int_equal(size, 4);
    assert_int_equal(word_at(data, 0), 0);
    free(data);
}

static void test_sorted_once_each_best_name(void **state)
{
    (void)state;
    struct image_function functions[] = {
        {0x3000, 8, "last", true},    {0x1000, 8, "first", true}, {0x2000, 8, "local_twin", false},
        {0x2000, 8, "twin", true},    {0x2000, 0, "x", true},     {0x2000, 8, "longer_twin", true},
        {1ull << 40, 8, "far", true},
    };
    static const char *const names[] = {"first", "twin", "last"};
    static const uint32_t addresses[] = {0x1000, 0x2000, 0x3000};
    size_t size;
    char *data = write_table(functions, sizeof functions / sizeof *functions, &size);
    assert_int_equal(word_at(data, 0), 3);
    const char *text = data + 28;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(word_at(data, 1 + 2 * i), addresses[i]);
        assert_string_equal(text + word_at(data, 2 + 2 * i), names[i]);
    }
    assert_int_equal(size, 4 + 3 * 8 + strlen("first") + strlen("twin") + strlen("last") + 3);
    free(data);
}

static void test_names_of_cpp_are_readable(void **state)
{
    (void)state;
    char longest[400] = "_ZN";
    for (size_t i = 0; i < 90; i++)
        memcpy(longest + 3 + 4 * i, "3abc", 5);
    memcpy(longest + 3 + 4 * 90, "Ev", 3);
    struct image_function functions[] = {{0x1000, 8, "_ZN5outer5innerEPKcRSt6vectorIiSaIiEE", true},
                                         {0x2000, 8, "_Znonsense", true},
                                         {0x3000, 8, longest, true}};
    size_t size;
    char *data = write_table(functions, 3, &size);
    const char *text = data + 28;
    assert_string_equal(text + word_at(data, 2), "outer::inner(char const*, std::vector<int, std::allocator<int> >&)");
    assert_string_equal(text + word_at(data, 4), "_Znonsense");
    assert_int_equal(strlen(text + word_at(data, 6)), SYMBOLS_NAME_LIMIT);
    assert_memory_equal(text + word_at(data, 6), "abc::abc::", 10);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_table),
        cmocka_unit_test(test_sorted_once_each_best_name),
        cmocka_unit_test(test_names_of_cpp_are_readable),
    };
    return cmocka_run_group_tests_name("tools/symbols", tests, NULL, NULL);
}
