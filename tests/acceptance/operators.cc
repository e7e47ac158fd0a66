/*
 * C++: operator new and delete in all their forms, the new handler, containers, exceptions, thread_local objects, and
 * objects that live before main and after it.
 */
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/acceptance/check.h"

extern "C" size_t malloc_usable_size(void *object);

static constexpr size_t huge[] = {SIZE_MAX,    SIZE_MAX - 16,   size_t(PTRDIFF_MAX) + 1,
                                  PTRDIFF_MAX, size_t(1) << 62, size_t(1) << 48};

static bool is_aligned(void *object, size_t alignment)
{
    return reinterpret_cast<uintptr_t>(plain(object)) % alignment == 0;
}

static void use(void *object, size_t alignment, size_t size)
{
    CHECK(plain(object) != nullptr && is_aligned(object, alignment));
    CHECK(malloc_usable_size(object) >= size);
    if (object)
        stamp_write(object, size, alignment);
}

static void every_new_has_its_deletes()
{
    for (size_t size = 0; size < 200000; size = size * 2 + 1) {
        void *objects[] = {operator new(size),
                           operator new[](size),
                           operator new(size, std::nothrow),
                           operator new[](size, std::nothrow),
                           operator new(size),
                           operator new[](size)};
        for (void *object : objects)
            use(object, 16, size);
        operator delete(objects[0]);
        operator delete[](objects[1]);
        operator delete(objects[2], std::nothrow);
        operator delete[](objects[3], std::nothrow);
        operator delete(objects[4], size);
        operator delete[](objects[5], size);
    }
    operator delete(nullptr);
    operator delete[](nullptr);
    operator delete(nullptr, std::nothrow);
    operator delete(nullptr, size_t(8));
    operator delete(nullptr, std::align_val_t(64));
    operator delete(nullptr, size_t(8), std::align_val_t(64));
}

static void every_alignment_is_kept()
{
    size_t most = parameter("alignment", size_t(1) << 30);
    for (size_t alignment = 1; alignment <= most; alignment *= 2)
        for (size_t size : {size_t(0), size_t(1), size_t(24), size_t(500), size_t(5000), size_t(70000)}) {
            auto align = std::align_val_t(alignment);
            void *objects[] = {operator new(size, align),
                               operator new[](size, align),
                               operator new(size, align, std::nothrow),
                               operator new[](size, align, std::nothrow),
                               operator new(size, align),
                               operator new[](size, align)};
            for (void *object : objects)
                use(object, alignment, size);
            operator delete(objects[0], align);
            operator delete[](objects[1], align);
            operator delete(objects[2], align, std::nothrow);
            operator delete[](objects[3], align, std::nothrow);
            operator delete(objects[4], size, align);
            operator delete[](objects[5], size, align);
        }
    struct alignas(512) wide {
        char bytes[700];
    };
    auto many = std::make_unique<wide[]>(9);
    CHECK(is_aligned(many.get(), 512));
    std::vector<wide> vector(17);
    CHECK(is_aligned(vector.data(), 512));
}

template <typename call> static bool throws(call allocate)
{
    try {
        return plain(allocate()) == nullptr;
    } catch (const std::bad_alloc &) {
        return true;
    }
}

static void what_is_too_large_throws()
{
    for (size_t size : huge) {
        CHECK(throws([=] { return operator new(size); }));
        CHECK(throws([=] { return operator new[](size); }));
        CHECK(throws([=] { return operator new(size, std::align_val_t(64)); }));
        CHECK(throws([=] { return operator new[](size, std::align_val_t(1 << 20)); }));
        CHECK(plain(operator new(size, std::nothrow)) == nullptr);
        CHECK(plain(operator new[](size, std::nothrow)) == nullptr);
        CHECK(plain(operator new(size, std::align_val_t(64), std::nothrow)) == nullptr);
        CHECK(plain(operator new[](size, std::align_val_t(1 << 20), std::nothrow)) == nullptr);
    }
    bool thrown = false;
    try {
        std::string text(1000, 'x');
        text.reserve(size_t(1) << 61);
    } catch (const std::exception &) {
        thrown = true;
    }
    CHECK(thrown);
}

static int handler_calls;

static void gives_up_the_third_time()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

static void throws_another_way()
{
    throw std::runtime_error("the handler's own");
}

static void the_new_handler_is_asked_until_it_gives_up()
{
    for (int form = 0; form < 6; form++) {
        handler_calls = 0;
        std::set_new_handler(gives_up_the_third_time);
        bool refused = throws([form]() -> void * {
            switch (form) {
            case 0:
                return operator new(huge[2]);
            case 1:
                return operator new[](huge[2]);
            case 2:
                return operator new(huge[2], std::nothrow);
            case 3:
                return operator new[](huge[2], std::nothrow);
            case 4:
                return operator new(huge[2], std::align_val_t(256));
            default:
                return operator new(huge[2], std::align_val_t(256), std::nothrow);
            }
        });
        CHECK(refused && handler_calls == 3);
    }
}

/* From nothrow forms, too, only null may come. */
static void a_handler_may_throw()
{
    std::set_new_handler(throws_another_way);
    bool own = false;
    try {
        plain(operator new(huge[2]));
    } catch (const std::runtime_error &) {
        own = true;
    }
    CHECK(own);
    std::set_new_handler([] { throw std::bad_alloc(); });
    CHECK(plain(operator new(huge[2], std::nothrow)) == nullptr);
    CHECK(plain(operator new[](huge[2], std::nothrow)) == nullptr);
    CHECK(plain(operator new(huge[2], std::align_val_t(64), std::nothrow)) == nullptr);
    std::set_new_handler(nullptr);
}

static void *spare;

static void gives_memory()
{
    handler_calls++;
    free(spare);
    spare = nullptr;
    std::set_new_handler(nullptr);
}

static void a_successful_new_asks_nobody()
{
    handler_calls = 0;
    spare = malloc(100);
    std::set_new_handler(gives_memory);
    delete[] static_cast<char *>(plain(new char[100000]));
    CHECK(handler_calls == 0 && spare != nullptr);
    CHECK(throws([] { return operator new(huge[0]); }));
    CHECK(handler_calls == 1 && spare == nullptr);
}

static void delete_preserves_errno()
{
    for (size_t size : {size_t(8), size_t(3000), size_t(32768), size_t(40000), size_t(1) << 20}) {
        void *object = operator new(size), *array = operator new[](size), *sized = operator new(size);
        void *aligned = operator new(size, std::align_val_t(8192));
        errno = 1234;
        operator delete(object);
        operator delete[](array);
        operator delete(sized, size);
        operator delete(aligned, size, std::align_val_t(8192));
        CHECK(errno == 1234);
    }
}

/* An exception's object comes from malloc, too, in whatever thread. */
static void exceptions_and_containers_in_threads()
{
    std::atomic<size_t> caught{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; t++)
        threads.emplace_back([&caught, t] {
            std::map<std::string, std::vector<int>> map;
            for (int i = 0; i < 3000; i++) {
                map[std::to_string(i * 7919 % 1000) + std::string(i % 60, 'k')].push_back(i);
                try {
                    if (i % 3 == 0)
                        throw std::out_of_range(std::string(i % 500, 'e') + std::to_string(t));
                } catch (const std::out_of_range &e) {
                    caught += e.what()[i % 500] == char('0' + t);
                }
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    CHECK(caught == 4000);
}

/* Made at its first use in a thread, and gone after the thread's function has returned. */
struct left_behind {
    std::vector<std::string> lines;
    std::unique_ptr<int[]> numbers{new int[1000]};

    ~left_behind()
    {
        gone += lines.size();
        std::string late(5000, 'z');
        for (char c : late)
            gone += c != 'z';
        free(malloc(70000));
    }

    static std::atomic<size_t> gone;
};

std::atomic<size_t> left_behind::gone{0};
static thread_local left_behind mine;

static void threads_leave_objects_to_their_destructors()
{
    for (unsigned i = 0; i < 200; i++)
        std::thread([] {
            for (int k = 0; k < 10; k++)
                mine.lines.emplace_back(100 * k, 'x');
        }).join();
    CHECK(left_behind::gone == 2000);
}

/* Constructed before main, in whatever order; destroyed after it, when this prints what would be wrong. */
struct before_main {
    std::map<int, std::string> words;
    void *object = malloc(1000);

    before_main()
    {
        for (int i = 0; i < 500; i++)
            words[i] = std::string(i % 100, 'w');
    }

    ~before_main()
    {
        free(object);
        size_t length = 0;
        for (const auto &word : words)
            length += word.second.size();
        delete[] new char[length];
        if (length != 24750)
            _Exit(3);
    }
};

static before_main early;

static void objects_made_before_main_are_whole()
{
    CHECK(early.words.size() == 500 && early.words[99].size() == 99);
    CHECK(early.object != nullptr && malloc_usable_size(early.object) >= 1000);
}

int main(int argc, char **argv)
{
#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    static const struct test tests[] = {
        TEST(every_new_has_its_deletes),
        TEST(every_alignment_is_kept),
        TEST(what_is_too_large_throws),
        TEST(the_new_handler_is_asked_until_it_gives_up),
        TEST(a_handler_may_throw),
        TEST(a_successful_new_asks_nobody),
        TEST(delete_preserves_errno),
        TEST(exceptions_and_containers_in_threads),
        TEST(threads_leave_objects_to_their_destructors),
        TEST(objects_made_before_main_are_whole),
    };
    return run_tests(argc, argv, tests, sizeof tests / sizeof *tests);
}
