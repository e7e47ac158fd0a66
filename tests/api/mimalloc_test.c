/* mimalloc's interface: objects, options, statistics, callbacks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>

#include <cmocka.h>

#include <mimalloc-stats.h>
#include <mimalloc.h>

static bool is_zero(const void *object, size_t size)
{
    const char *bytes = object;
    return size == 0 || (*bytes == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static bool is_aligned(const void *object, size_t alignment)
{
    return object && (uintptr_t)object % alignment == 0;
}

/* Makes the next objects of many sizes dirty. */
static void dirty(void)
{
    static void *objects[400];
    for (size_t i = 0; i < 400; i++) {
        size_t size = 16 + i * 97;
        objects[i] = mi_malloc(size);
        memset(objects[i], 0xee, size);
    }
    for (size_t i = 0; i < 400; i++)
        mi_free(objects[i]);
}

static void its_names_are_the_familys(void **state)
{
    (void)state;
    /* One function, one allocator: what one allocates the other frees. */
    assert_ptr_equal((void *)mi_malloc, (void *)mi_malloc_small);
    void *p = mi_malloc(100);
    free(p);
    p = malloc(100);
    assert_true(mi_is_in_heap_region(p));
    assert_int_equal(mi_usable_size(p), mi_good_size(100));
    mi_free(p);
    mi_free(NULL);
    p = mi_realloc(NULL, 0);
    assert_non_null(p);
    p = mi_realloc(p, 50000);
    p = mi_realloc(p, 0);
    assert_non_null(p);
    mi_free_small(p);
    assert_int_equal(mi_usable_size(NULL), 0);
    assert_true(mi_good_size(SIZE_MAX) >= PTRDIFF_MAX);
}

static void what_cannot_be_is_null(void **state)
{
    (void)state;
    void *kept = mi_malloc(10);
    volatile size_t much = SIZE_MAX / 2, count = SIZE_MAX / 4, three = 3, none = 0;
    errno = 0;
    assert_null(mi_malloc(much + 1));
    assert_int_equal(errno, ENOMEM);
    assert_null(mi_zalloc(much + 1));
    assert_null(mi_calloc(count, 8));
    assert_int_equal(errno, ENOMEM);
    assert_null(mi_mallocn(count, 8));
    assert_null(mi_reallocn(kept, count, 8));
    assert_null(mi_recalloc(kept, count, 8));
    assert_null(mi_malloc_aligned(100, 16 * three));
    assert_int_equal(errno, EINVAL);
    assert_null(mi_malloc_aligned(100, none));
    assert_null(mi_malloc_aligned_at(100, 8 * three, 8));
    assert_null(mi_malloc_aligned_at(much, 64, 8));
    assert_null(mi_realloc_aligned(kept, 100, three));
    void *p = &p;
    assert_int_equal(mi_posix_memalign(&p, 3, 32), EINVAL);
    assert_int_equal(mi_posix_memalign(&p, 8, much + 1), ENOMEM);
    assert_ptr_equal(p, &p);
    assert_null(mi_new_nothrow(much + 1));
    assert_null(mi_reallocf(mi_malloc(10), much + 1));
    assert_int_equal(mi_reallocarr(&kept, count, 8), ENOMEM);
    mi_free(kept);
}

static void zero_all_the_way(void **state)
{
    (void)state;
    for (size_t size = 1; size < 200000; size += 1 + size / 3) {
        dirty();
        char *p = mi_zalloc(size);
        for (size_t grown = size; grown < size * 5; grown += 1 + size / 2) {
            assert_true(is_zero(p, grown));
            p = mi_rezalloc(p, grown + 1 + size / 2);
        }
        memset(p, 1, size);
        p = mi_rezalloc(p, size / 2);
        p = mi_rezalloc(p, size * 2);
        assert_true(is_zero(p + size / 2, size * 2 - size / 2));
        mi_free(p);
        p = mi_calloc_aligned(size, 3, 64);
        assert_true(is_aligned(p, 64) && is_zero(p, size * 3));
        p = mi_recalloc_aligned(p, size, 7, 64);
        assert_true(is_aligned(p, 64) && is_zero(p, size * 7));
        p = mi_recalloc_aligned_at(p, size, 9, 64, 24);
        assert_true(is_aligned(p + 24, 64) && is_zero(p, size * 9));
        mi_free(p);
    }
}

static void every_alignment_and_offset(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 1 << 24; alignment *= 2)
        for (size_t offset = 0; offset < 40; offset += offset < 4 ? 1 : 7) {
            char *p = mi_malloc_aligned_at(100, alignment, offset);
            assert_true(is_aligned(p + offset, alignment));
            memset(p, 7, 100);
            p = mi_realloc_aligned_at(p, 5000, alignment, offset);
            assert_true(is_aligned(p + offset, alignment));
            assert_int_equal(p[99], 7);
            assert_true(mi_usable_size(p) >= 5000);
            /* Any face takes it. */
            p = realloc(p, 70000);
            assert_int_equal(p[99], 7);
            free(p);
        }
    void *p = mi_malloc_aligned(4097, 4096);
    assert_true(is_aligned(p, 4096) && mi_usable_size(p) < 16000);
    mi_free_aligned(p, 4096);
    p = mi_memalign(256, 10);
    assert_true(is_aligned(p, 256));
    mi_free_size_aligned(p, 10, 256);
    p = mi_valloc(10);
    assert_true(is_aligned(p, 4096));
    mi_free_size(p, 10);
    p = mi_pvalloc(10);
    assert_true(is_aligned(p, 4096) && mi_usable_size(p) >= 4096);
    mi_cfree(p);
    int local;
    mi_cfree(&local);
}

static void strings(void **state)
{
    (void)state;
    char *s = mi_strdup("hello");
    assert_string_equal(s, "hello");
    mi_free(s);
    s = mi_strndup("hello", 2);
    assert_string_equal(s, "he");
    mi_free(s);
    assert_null(mi_strdup(NULL));
    wchar_t *w = mi_wcsdup(L"wide");
    assert_int_equal(wcscmp(w, L"wide"), 0);
    mi_free(w);
    s = mi_realpath("/proc/self/..", NULL);
    assert_string_equal(s, "/proc");
    assert_true(mi_is_in_heap_region(s));
    mi_free(s);
    assert_null(mi_realpath("/nowhere/at/all", NULL));
    size_t length;
    setenv("MIMALLOC_TEST", "value", 1);
    assert_int_equal(mi_dupenv_s(&s, &length, "MIMALLOC_TEST"), 0);
    assert_string_equal(s, "value");
    assert_int_equal(length, 6);
    mi_free(s);
    assert_int_equal(mi_dupenv_s(&s, &length, "MIMALLOC_TEST_NOT"), 0);
    assert_null(s);
}

static void rooms_are_told(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 1 << 22; size *= 2) {
        size_t room, before, after;
        void *p = mi_umalloc(size, &room);
        assert_true(room >= size && room == mi_usable_size(p));
        assert_ptr_equal(mi_expand(p, room), p);
        assert_null(mi_expand(p, room + 1));
        p = mi_urealloc(p, size + 1024, &before, &after);
        assert_int_equal(before, room);
        assert_true(after >= size + 1024);
        mi_ufree(p, &room);
        assert_int_equal(room, after);
    }
}

static unsigned long long deferred_beats;
static void *deferred_argument;

static void deferred(bool force, unsigned long long heartbeat, void *argument)
{
    (void)force;
    deferred_beats = heartbeat;
    deferred_argument = argument;
    mi_free(mi_malloc(10)); /* allowed, and does not come back here */
}

static void deferred_free_is_called(void **state)
{
    (void)state;
    int mine;
    mi_register_deferred_free(deferred, &mine);
    void *objects[5000];
    for (unsigned i = 0; i < 5000; i++)
        objects[i] = mi_malloc(1000);
    for (unsigned i = 0; i < 5000; i++)
        mi_free(objects[i]);
    assert_true(deferred_beats > 0);
    assert_ptr_equal(deferred_argument, &mine);
    unsigned long long before = deferred_beats;
    mi_collect(true);
    assert_true(deferred_beats > before);
    mi_register_deferred_free(NULL, NULL);
    before = deferred_beats;
    mi_collect(true);
    assert_int_equal(deferred_beats, before);
}

static int last_error;

static void on_error(int error, void *argument)
{
    last_error = error;
    *(int *)argument += 1;
}

static void errors_are_told(void **state)
{
    (void)state;
    int errors = 0;
    volatile size_t much = SIZE_MAX / 2, count = SIZE_MAX / 4;
    mi_register_error(on_error, &errors);
    assert_null(mi_malloc(much + 1));
    assert_int_equal(last_error, ENOMEM);
    assert_null(mi_calloc(count, 8));
    assert_int_equal(last_error, EOVERFLOW);
    assert_int_equal(errors, 2);
    mi_register_error(NULL, NULL);
    assert_null(mi_malloc(much + 1));
    assert_int_equal(errors, 2);
}

static size_t told;

static void output(const char *text, void *argument)
{
    told += strlen(text);
    *(int *)argument += 1;
}

static void output_goes_where_it_is_wanted(void **state)
{
    (void)state;
    int calls = 0;
    mi_stats_print_out(output, &calls);
    assert_true(calls > 0 && told > 100);
    mi_options_print_out(output, &calls);
    mi_process_info_print_out(output, &calls);
    mi_register_output(output, &calls);
    int before = calls;
    mi_stats_print(NULL);
    mi_arenas_print();
    assert_true(calls >= before + 2);
    mi_register_output(NULL, NULL);
}

static void statistics(void **state)
{
    (void)state;
    mi_stats_t_decl(before);
    mi_stats_t_decl(after);
    assert_true(mi_stats_get(&before));
    void *small = mi_malloc(100), *large = mi_malloc(1 << 20);
    assert_true(mi_stats_get(&after));
    assert_int_equal(after.malloc_normal_count.total - before.malloc_normal_count.total, 2);
    assert_true(after.malloc_huge.current >= before.malloc_huge.current + (1 << 20));
    assert_true(after.committed.current >= 1 << 20);
    mi_free(small);
    mi_free(large);
    after.version = 1;
    assert_false(mi_stats_get(&after));
    char *json = mi_stats_get_json(0, NULL), small_buffer[20];
    assert_int_equal(json[0], '{');
    assert_non_null(strchr(json, '}'));
    assert_ptr_equal(mi_stats_get_json(sizeof small_buffer, small_buffer), small_buffer);
    assert_int_equal(strlen(small_buffer), sizeof small_buffer - 1);
    mi_free(json);
    size_t elapsed, user, system, rss, peak_rss, commit, peak_commit, faults;
    mi_process_info(&elapsed, &user, &system, &rss, &peak_rss, &commit, &peak_commit, &faults);
    assert_true(rss > 0 && peak_rss >= rss && commit > 0 && peak_commit >= commit && faults > 0);
    mi_process_info(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
}

static void options_keep_what_they_are_given(void **state)
{
    (void)state;
    for (int i = 0; i < _mi_option_last; i++) {
        mi_option_t option = (mi_option_t)i;
        long before = mi_option_get(option);
        mi_option_set(option, 1);
        assert_int_equal(mi_option_get(option), 1);
        assert_true(mi_option_is_enabled(option));
        mi_option_disable(option);
        assert_int_equal(mi_option_get(option), 0);
        mi_option_set(option, before);
        assert_int_equal(mi_option_get(option), before);
    }
    mi_option_set(mi_option_purge_delay, -1);
    assert_int_equal(mi_option_get(mi_option_purge_delay), -1);
    mi_option_set(mi_option_purge_delay, 250);
    assert_int_equal(mi_option_get(mi_option_purge_delay), 250);
    mi_option_set(mi_option_arena_reserve, 64);
    assert_int_equal(mi_option_get_size(mi_option_arena_reserve), 64 << 10);
    assert_int_equal(mi_option_get_clamp(mi_option_arena_reserve, 100, 200), 100);
    assert_int_equal(mi_option_get((mi_option_t)9999), 0);
    mi_option_set((mi_option_t)9999, 1);
}

static void memory_set_aside(void **state)
{
    (void)state;
    assert_int_equal(mi_reserve_os_memory(1 << 20, false, false), 0);
    assert_int_equal(mi_reserve_os_memory(100 << 20, true, true), 0);
    assert_int_equal(mi_reserve_os_memory(SIZE_MAX / 2, false, false), ENOMEM);
    assert_int_equal(mi_reserve_huge_os_pages_at(1, -1, 10), ENOMEM);
    assert_int_equal(mi_reserve_huge_os_pages_interleave(0, 0, 0), 0);
    size_t pages = 9;
    assert_int_equal(mi_reserve_huge_os_pages(1, 1.0, &pages), ENOMEM);
    assert_int_equal(pages, 0);
}

static void memory_brought_along(void **state)
{
    (void)state;
    const size_t size = 8 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mi_arena_id_t id, other;
    assert_false(mi_manage_os_memory(memory, size, true, false, true, -1));
    assert_false(mi_manage_os_memory_ex(memory, 100, true, false, true, -1, true, &id));
    assert_true(mi_manage_os_memory_ex(memory, size, true, false, true, -1, true, &id));
    assert_int_equal(mi_reserve_os_memory_ex(4 << 20, true, false, true, &other), 0);
    size_t told_size;
    assert_ptr_equal(mi_arena_area(id, &told_size), memory);
    assert_int_equal(told_size, size);
    mi_heap_t *heap = mi_heap_new_in_arena(id), *second = mi_heap_new_in_arena(other);
    static const size_t sizes[] = {1, 100, 3000, 30000, 100000, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *p = mi_heap_malloc(heap, sizes[i]), *q = mi_heap_malloc(second, sizes[i]);
        assert_true(mi_arena_contains(id, p) && mi_arena_contains(other, q));
        assert_ptr_equal(mi_heap_of(p), heap);
        memset(p, 5, sizes[i]);
        assert_true(mi_usable_size(p) >= sizes[i]);
        /* Every face knows what to do with them. */
        q = realloc(q, sizes[i] + 5000);
        assert_false(mi_arena_contains(other, q));
        free(q);
        p = mi_heap_realloc(second, p, sizes[i] * 2);
        assert_true(mi_arena_contains(other, p));
        assert_int_equal(p[sizes[i] - 1], 5);
        i % 2 ? free(p) : mi_free(p);
    }
    /* It ends where it ends. */
    assert_null(mi_heap_malloc(second, 5 << 20));
    assert_ptr_equal(mi_heap_set_default(heap), mi_heap_main());
    assert_ptr_equal(mi_heap_get_default(), mi_heap_main());
    mi_heap_delete(heap);
    mi_heap_destroy(second);
    int calls = 0;
    mi_register_output(output, &calls);
    mi_arenas_print();
    mi_register_output(NULL, NULL);
    assert_true(calls > 0);
}

static void process_and_threads(void **state)
{
    (void)state;
    assert_int_equal(mi_version(), MI_MALLOC_VERSION);
    mi_process_init();
    mi_thread_init();
    mi_thread_done();
    void *p = mi_malloc(10);
    mi_free(p);
    mi_stats_reset();
    mi_subproc_id_t process = mi_subproc_new();
    mi_subproc_add_current_thread(process);
    mi_subproc_destroy(process);
    mi_collect(false);
    mi_collect(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_names_are_the_familys),
        cmocka_unit_test(what_cannot_be_is_null),
        cmocka_unit_test(zero_all_the_way),
        cmocka_unit_test(every_alignment_and_offset),
        cmocka_unit_test(strings),
        cmocka_unit_test(rooms_are_told),
        cmocka_unit_test(deferred_free_is_called),
        cmocka_unit_test(errors_are_told),
        cmocka_unit_test(output_goes_where_it_is_wanted),
        cmocka_unit_test(statistics),
        cmocka_unit_test(options_keep_what_they_are_given),
        cmocka_unit_test(memory_set_aside),
        cmocka_unit_test(memory_brought_along),
        cmocka_unit_test(process_and_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
