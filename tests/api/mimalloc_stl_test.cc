// mimalloc's interface in C++: allocators for containers; new and delete by its names.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include <mimalloc.h>

namespace
{

template <class T> using from_heap = mi_heap_stl_allocator<T>;

struct alignas(64) wide {
    char bytes[100];
};

void containers(void **)
{
    std::vector<int, mi_stl_allocator<int>> vector;
    std::map<int, int, std::less<int>, mi_stl_allocator<std::pair<const int, int>>> map;
    std::list<std::string, mi_stl_allocator<std::string>> list;
    for (int i = 0; i < 10000; i++) {
        vector.push_back(i);
        map[i] = i;
        list.push_back(std::to_string(i));
    }
    assert_int_equal(vector[9999] + map[9999], 2 * 9999);
    assert_string_equal(list.back().c_str(), "9999");
    auto copy = vector;
    assert_true(copy == vector);
    assert_true((mi_stl_allocator<int>() == mi_stl_allocator<char>()));
}

void containers_in_a_heap(void **)
{
    mi_heap_t *heap = mi_heap_new();
    {
        from_heap<int> allocator(heap);
        std::vector<int, from_heap<int>> vector(allocator);
        std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, from_heap<std::pair<const int, int>>> map(
            allocator);
        std::vector<wide, from_heap<wide>> wides((from_heap<wide>(allocator)));
        for (int i = 0; i < 1000; i++) {
            vector.push_back(i);
            map[i] = i;
            wides.emplace_back();
        }
        assert_true(mi_heap_contains(heap, vector.data()));
        assert_true(mi_heap_contains(heap, &map[500]));
        assert_true(mi_heap_contains(heap, wides.data()));
        assert_int_equal(reinterpret_cast<std::uintptr_t>(wides.data()) % 64, 0);
        assert_true(vector.get_allocator() == allocator);
        assert_true(vector.get_allocator() != from_heap<int>());
        auto moved = std::move(vector);
        assert_int_equal(moved[999], 999);
    }
    mi_heap_destroy(heap);
}

void a_heap_of_its_own(void **)
{
    std::vector<int, mi_heap_stl_allocator<int>> vector;
    std::vector<std::string, mi_heap_destroy_stl_allocator<std::string>> strings;
    for (int i = 0; i < 1000; i++) {
        vector.push_back(i);
        strings.push_back(std::to_string(i));
    }
    assert_true(mi_heap_of(vector.data()) != mi_heap_main());
    assert_true(mi_heap_of(strings.data()) != mi_heap_of(vector.data()));
    auto second = strings; // has the same heap, which lives as long as one of them
    strings.clear();
    assert_string_equal(second[999].c_str(), "999");
}

void memory_is_out(void **)
{
    volatile std::size_t much = SIZE_MAX / 2;
    int caught = 0;
    std::vector<char, mi_stl_allocator<char>> vector;
    std::vector<wide, mi_heap_stl_allocator<wide>> wides;
    try {
        vector.get_allocator().allocate(much + 1);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    try {
        wides.get_allocator().allocate(much / 4);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    try {
        mi_new_n(much, 4);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    try {
        mi_new_realloc(nullptr, much + 1);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    assert_int_equal(caught, 4);
    assert_null(mi_new_nothrow(much + 1));
    assert_null(mi_new_aligned_nothrow(much + 1, 64));
}

void new_by_name(void **)
{
    auto *object = mi_new(100);
    mi_free(mi_new_realloc(object, 200));
    object = mi_new_aligned(100, 4096);
    assert_int_equal(reinterpret_cast<std::uintptr_t>(object) % 4096, 0);
    mi_free(object);
    mi_free(mi_new_reallocn(mi_new_n(10, 10), 20, 20));
}

} // namespace

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(containers),    cmocka_unit_test(containers_in_a_heap), cmocka_unit_test(a_heap_of_its_own),
        cmocka_unit_test(memory_is_out), cmocka_unit_test(new_by_name),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
