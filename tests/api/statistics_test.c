/*
 * Statistics of programs that run on weir: WEIR_STATS, malloc_stats, malloc_info. argv[1]: libweir.so, argv[2]: holder,
 * which see, argv[3]: the library late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

static const char *library, *holder, *late;
static char output[1 << 16], directory[] = "/tmp/weir-statistics-XXXXXX";

/* Runs a shell command; returns its exit code, puts its stdout into `output`. */
static int shell(const char *command)
{
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs holder with these variables and arguments; both outputs are in `output`. */
static void hold(const char *variables, const char *arguments)
{
    char line[4096];
    snprintf(line, sizeof line, "env %s LD_PRELOAD='%s' '%s' %s 2>&1", variables, library, holder, arguments);
    assert_int_equal(shell(line), 0);
}

static size_t count(const char *text)
{
    size_t n = 0;
    for (const char *found = output; (found = strstr(found, text)); found++)
        n++;
    return n;
}

static int64_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("no number %s", key);
    return json_integer_value(value);
}

static json_t *parse(void)
{
    json_error_t error;
    json_t *root = json_loads(output, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s: %s", error.text, output);
    return root;
}

static const json_t *row_of(const json_t *root, int64_t size)
{
    size_t i;
    const json_t *row, *sizes = json_object_get(root, "sizes");
    assert_true(json_is_array(sizes));
    json_array_foreach(sizes, i, row) if (number(row, "size") >= size) return row;
    fail_msg("no row for %ld", (long)size);
    return NULL;
}

static void json_says_what_the_program_holds(void **state)
{
    (void)state;
    hold("WEIR_STATS=json", "return");
    assert_null(strchr(strchr(output, '\n') + 1, '\n'));
    json_t *root = parse();
    const json_t *small = row_of(root, 100), *large = row_of(root, 1 << 20);
    assert_int_equal(number(small, "size"), 112);
    assert_in_range(number(small, "live"), 3000, 3010);
    assert_int_equal(number(small, "live_bytes"), number(small, "live") * 112);
    assert_true(number(small, "held_bytes") >= number(small, "live_bytes"));
    assert_true(number(small, "room") >= number(small, "live"));
    assert_int_equal(number(large, "live"), 5);
    assert_int_equal(number(large, "live_bytes"), 5 << 20);
    assert_int_equal(number(root, "large"), 5);
    assert_int_equal(number(root, "large_bytes"), 5 << 20);
    assert_in_range(number(root, "mallocs"), 5005, 5200);
    assert_in_range(number(root, "frees"), 2000, 2100);
    assert_in_range(number(root, "remote_frees"), 2000, 2100);
    assert_int_equal(number(root, "failed"), 0);
    assert_true(number(root, "live_bytes") >= (5 << 20) + 3000 * 112);
    assert_true(number(root, "peak_live_bytes") >= number(root, "live_bytes"));
    assert_true(number(root, "peak_held_bytes") >= number(root, "held_bytes"));
    assert_true(number(root, "resident_bytes") > 0);
    assert_true(number(root, "peak_resident_bytes") >= number(root, "resident_bytes"));
    assert_true(number(root, "page_faults") > 0);
    assert_int_equal(number(root, "limit_bytes"), 0);
    assert_true(number(root, "heaps") > number(root, "idle_heaps"));
    assert_int_equal(number(root, "idle_heaps"), 1);
    json_decref(root);
}

/* live = the sum of live, held = the sum of held and the tables. */
static void json_adds_up(void **state)
{
    (void)state;
    hold("WEIR_STATS=json", "return");
    json_t *root = parse();
    int64_t live = 0, held = 0, objects = 0;
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(root, "sizes"), i, row)
    {
        live += number(row, "live_bytes");
        held += number(row, "held_bytes");
        objects += number(row, "live");
    }
    assert_int_equal(held + number(root, "metadata_bytes"), number(root, "held_bytes"));
    assert_true(live <= number(root, "live_bytes"));
    assert_true(live >= number(root, "live_bytes") - 16384);
    assert_true(number(root, "mallocs") - number(root, "frees") >= objects);
    json_decref(root);
}

static void people_get_a_table(void **state)
{
    (void)state;
    hold("WEIR_STATS=1", "return");
    assert_int_equal(count("weir: statistics of process "), 1);
    assert_non_null(strstr(output, "(holder)") ? output : strstr(output, "(api-holder)"));
    assert_int_equal(count("\n  <= 1.0 MiB           5     5.0 MiB     5.0 MiB        5   100 %\n"), 1);
    assert_int_equal(count("\n  <= 112 B "), 1);
    /* what holds most comes first */
    assert_true(strstr(output, "<= 1.0 MiB") < strstr(output, "<= 112 B "));
}

static void it_is_printed_however_the_program_ends(void **state)
{
    (void)state;
    hold("WEIR_STATS=1", "thread");
    assert_int_equal(count("weir: statistics of process "), 1);
    hold("WEIR_STATS=1", "closed");
    assert_int_equal(count("weir: statistics of process "), 1);
    hold("WEIR_STATS=1", "fork");
    assert_int_equal(count("weir: statistics of process "), 2);
    hold("WEIR_STATS=0", "return");
    assert_string_equal(output, "");
}

/* The destructors of other libraries still free. */
static void it_is_printed_last_of_all(void **state)
{
    (void)state;
    char line[4096];
    snprintf(line, sizeof line, "env WEIR_STATS=json LD_PRELOAD='%s %s' '%s' 2>&1", library, late, holder);
    assert_int_equal(shell(line), 0);
    json_t *root = parse();
    assert_true(number(root, "mallocs") > 6000);
    assert_true(number(row_of(root, 500), "live") < 100);
    json_decref(root);
}

static void files_of_the_program_are_left_alone(void **state)
{
    (void)state;
    char arguments[200];
    snprintf(arguments, sizeof arguments, "taken %s/mine; wc -c <%s/mine", directory, directory);
    hold("WEIR_STATS=1", arguments);
    assert_int_equal(atoi(output), 0);
    assert_int_equal(count("weir:"), 0);
}

static void a_file_for_each_process_or_one_for_all(void **state)
{
    (void)state;
    char variables[200], command[300];
    snprintf(variables, sizeof variables, "WEIR_STATS=json WEIR_STATS_FILE=%s/each.%%p", directory);
    hold(variables, "fork");
    assert_string_equal(output, "");
    snprintf(command, sizeof command, "cat %s/each.*", directory);
    assert_int_equal(shell(command), 0);
    assert_int_equal(count("{\"process\": "), 2);
    snprintf(variables, sizeof variables, "WEIR_STATS=1 WEIR_STATS_FILE=%s/all", directory);
    hold(variables, "return");
    hold(variables, "thread");
    snprintf(command, sizeof command, "cat %s/all", directory);
    assert_int_equal(shell(command), 0);
    assert_int_equal(count("weir: statistics of process "), 2);
    snprintf(variables, sizeof variables, "WEIR_STATS=1 WEIR_STATS_FILE=%s/nowhere/%%p", directory);
    hold(variables, "return");
    assert_int_equal(count("weir: cannot write statistics to "), 1);
}

static void a_limit_is_told(void **state)
{
    (void)state;
    hold("WEIR_STATS=json WEIR_LIMIT=64M", "return");
    json_t *root = parse();
    assert_int_equal(number(root, "limit_bytes"), 64 << 20);
    json_decref(root);
}

/* What python's parser accepts is XML; what it finds is what glibc's malloc_info has. */
static void malloc_info_is_xml(void **state)
{
    (void)state;
    static const char script[] =
        "import sys, xml.etree.ElementTree as tree; root = tree.parse(sys.stdin).getroot(); "
        "n = lambda e, a: int(e.get(a)); "
        "sizes = root.findall(\"heap/sizes/size\"); "
        "assert root.tag == \"malloc\" and root.get(\"version\") == \"1\" and len(root.findall(\"heap\")) == 1; "
        "assert all(0 < n(s, \"from\") <= n(s, \"to\") and n(s, \"total\") >= n(s, \"count\") for s in sizes); "
        "rest = root.find(\"total[@type=\\\"rest\\\"]\"); "
        "assert n(rest, \"count\") == sum(n(s, \"count\") for s in sizes); "
        "assert n(rest, \"size\") == sum(n(s, \"total\") for s in sizes); "
        "assert n(root.find(\"total[@type=\\\"mmap\\\"]\"), \"count\") == 5; "
        "assert n(root.find(\"total[@type=\\\"mmap\\\"]\"), \"size\") == 5 << 20; "
        "assert n(root.find(\"system[@type=\\\"current\\\"]\"), \"size\") > 5 << 20; "
        "assert root.find(\"heap/aspace[@type=\\\"total\\\"]\") is not None; print(\"fine\")";
    char line[4096];
    snprintf(line, sizeof line, "LD_PRELOAD='%s' '%s' xml | python3 -c '%s' 2>&1", library, holder, script);
    shell(line);
    assert_string_equal(output, "fine\n");
}

static void malloc_stats_prints_the_table_at_any_time(void **state)
{
    (void)state;
    hold("WEIR_STATS=0", "print");
    assert_int_equal(count("weir: statistics of process "), 1);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 1;
    library = argv[1];
    holder = argv[2];
    late = argv[3];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_says_what_the_program_holds),
        cmocka_unit_test(json_adds_up),
        cmocka_unit_test(people_get_a_table),
        cmocka_unit_test(it_is_printed_however_the_program_ends),
        cmocka_unit_test(it_is_printed_last_of_all),
        cmocka_unit_test(files_of_the_program_are_left_alone),
        cmocka_unit_test(a_file_for_each_process_or_one_for_all),
        cmocka_unit_test(a_limit_is_told),
        cmocka_unit_test(malloc_info_is_xml),
        cmocka_unit_test(malloc_stats_prints_the_table_at_any_time),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
