// operator new and delete in all their forms; what new does when memory is out.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

extern "C" {
#include <cmocka.h>
}

namespace
{

volatile std::size_t absurd = std::size_t(1) << 61;

struct alignas(256) Wide {
    char bytes[600];
};

void every_form_works(void **)
{
    auto *one = ::operator new(40);
    ::operator delete(one);
    one = ::operator new(40);
    ::operator delete(one, std::size_t(40));
    one = ::operator new[](100000);
    ::operator delete[](one, std::size_t(100000));
    one = ::operator new[](40, std::nothrow);
    ::operator delete[](one, std::nothrow);
    for (std::size_t alignment = 32; alignment <= 65536; alignment *= 2) {
        auto align = std::align_val_t(alignment);
        one = ::operator new(100, align);
        assert_int_equal(reinterpret_cast<std::uintptr_t>(one) % alignment, 0);
        ::operator delete(one, std::size_t(100), align);
        one = ::operator new[](5000, align, std::nothrow);
        assert_int_equal(reinterpret_cast<std::uintptr_t>(one) % alignment, 0);
        ::operator delete[](one, align, std::nothrow);
        one = ::operator new(5000, align);
        ::operator delete(one, align);
    }
    ::operator delete(nullptr);
    ::operator delete(nullptr, std::size_t(3));
}

void containers_work(void **)
{
    std::vector<Wide *> wides;
    for (int i = 0; i < 500; i++) {
        wides.push_back(new Wide);
        assert_int_equal(reinterpret_cast<std::uintptr_t>(wides.back()) % 256, 0);
        std::memset(wides.back(), i, sizeof(Wide));
    }
    for (int i = 0; i < 500; i++)
        assert_int_equal(wides[i]->bytes[599], static_cast<char>(i));
    for (auto *wide : wides)
        delete wide;
}

template <typename F> bool throws_bad_alloc(F f)
{
    try {
        f();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void new_throws_when_memory_is_out(void **)
{
    assert_true(throws_bad_alloc([] { ::operator delete(::operator new(absurd)); }));
    assert_true(throws_bad_alloc([] { ::operator delete[](::operator new[](absurd)); }));
    assert_true(throws_bad_alloc([] { ::operator delete(::operator new(absurd, std::align_val_t(64))); }));
    assert_null(::operator new(absurd, std::nothrow));
    assert_null(::operator new[](absurd, std::align_val_t(128), std::nothrow));
}

int handled;

void handler()
{
    if (++handled == 3)
        std::set_new_handler(nullptr);
}

void the_handler_runs_until_it_gives_up(void **)
{
    std::set_new_handler(handler);
    assert_true(throws_bad_alloc([] { ::operator delete(::operator new(absurd)); }));
    assert_int_equal(handled, 3);
}

} // namespace

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_form_works),
        cmocka_unit_test(containers_work),
        cmocka_unit_test(new_throws_when_memory_is_out),
        cmocka_unit_test(the_handler_runs_until_it_gives_up),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
