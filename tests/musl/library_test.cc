/*
 * libstdc++.a, built for glibc, on musl: what fails in silence when a name or a layout is wrong.
 */
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <memory>
#include <mutex>
#include <random>
#include <regex>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

static int number, failures;

static void ok(bool good, const char *what)
{
    std::printf("%sok %d - %s\n", good ? "" : "not ", ++number, what);
    failures += !good;
}

static void formatted_input()
{
    std::istringstream in("42 -7 3.25 true word 0x1f");
    int a = 0, b = 0, hex = 0;
    double c = 0;
    bool d = false;
    std::string e;
    in >> a >> b >> c >> std::boolalpha >> d >> e >> std::hex >> hex;
    ok(in && a == 42 && b == -7 && c == 3.25 && d && e == "word" && hex == 31, "formatted input");
    std::istringstream bad("x");
    ok(!(bad >> a), "and its refusal");
    std::ostringstream out;
    out << std::setw(6) << std::setfill('*') << 42 << std::fixed << std::setprecision(2) << 1.005 << std::hex << 255;
    ok(out.str() == "****421.00ff", "formatted output");
    std::wostringstream wide;
    wide << L"w" << 12 << L'é';
    ok(wide.str() == L"w12é", "wide output");
}

static void regular_expressions()
{
    std::smatch match;
    std::string text = "key_1 = Value 22;";
    ok(std::regex_match(text, match, std::regex(R"(([a-z_]\w*)\s*=\s*([A-Z]\w+) (\d+);)")) && match[1] == "key_1" &&
           match[3] == "22",
       "regular expressions with classes");
    ok(std::regex_replace(std::string("a1b22"), std::regex("[[:digit:]]+"), "#") == "a#b#", "and replacement");
    ok(std::regex_match("ABC", std::regex("abc", std::regex::icase)), "and without case");
}

static void locales()
{
    ok(std::locale::classic().name() == "C", "the classic locale");
    std::locale named("C.UTF-8");
    ok(std::toupper('q', named) == 'Q' && std::isdigit('7', named) && !std::isalpha('7', named), "a named one");
    std::ostringstream out;
    out.imbue(named);
    out << 1234567 << ' ' << 0.5;
    ok(out.str() == "1234567 0.5", "output in it");
}

struct counted {
    static std::atomic<int> live;
    counted()
    {
        live++;
    }
    counted(const counted &)
    {
        live++;
    }
    ~counted()
    {
        live--;
    }
};
std::atomic<int> counted::live{0};

static int deep(int depth)
{
    counted here;
    if (depth == 0)
        throw std::runtime_error("bottom");
    return deep(depth - 1) + 1;
}

static void exceptions()
{
    std::string what;
    try {
        deep(100);
    } catch (const std::exception &e) {
        what = e.what();
    }
    ok(what == "bottom" && counted::live == 0, "an exception unwinds a hundred frames");
    bool rethrown = false;
    try {
        try {
            std::vector<int>().at(3);
        } catch (...) {
            throw;
        }
    } catch (const std::out_of_range &) {
        rethrown = true;
    }
    ok(rethrown, "one from inside the library, thrown again");
    std::atomic<int> caught{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (int j = 0; j < 500; j++) {
                try {
                    deep(j % 10);
                } catch (const std::runtime_error &) {
                    caught++;
                }
            }
        });
    for (auto &thread : threads)
        thread.join();
    ok(caught == 2000 && counted::live == 0, "in four threads at once");
    auto future = std::async(std::launch::async, []() -> int { throw std::logic_error("elsewhere"); });
    bool carried = false;
    try {
        future.get();
    } catch (const std::logic_error &) {
        carried = true;
    }
    ok(carried, "and from one thread to another");
}

static void threads()
{
    std::mutex mutex;
    std::condition_variable condition;
    bool ready = false;
    std::thread thread([&] {
        std::lock_guard<std::mutex> lock(mutex);
        ready = true;
        condition.notify_one();
    });
    std::unique_lock<std::mutex> lock(mutex);
    ok(condition.wait_for(lock, 10s, [&] { return ready; }), "a condition variable");
    thread.join();
    auto start = std::chrono::steady_clock::now();
    ok(condition.wait_until(lock, start + 20ms) == std::cv_status::timeout &&
           std::chrono::steady_clock::now() >= start + 20ms,
       "its timeout on the steady clock");
    std::timed_mutex timed;
    timed.lock();
    bool had = true;
    std::thread([&] { had = timed.try_lock_for(5ms); }).join();
    ok(!had, "a timed mutex");
    std::shared_timed_mutex shared;
    shared.lock_shared();
    std::thread([&] { had = shared.try_lock_for(5ms); }).join();
    ok(!had, "a shared timed mutex");
    std::once_flag once;
    int calls = 0;
    for (int i = 0; i < 3; i++)
        std::call_once(once, [&] { calls++; });
    ok(calls == 1, "call_once");
}

static std::string destroyed;

struct farewell {
    const char *name;
    ~farewell()
    {
        destroyed += name;
    }
};

static void thread_locals()
{
    std::thread([] {
        static thread_local farewell first{"1"}, second{"2"};
        (void)first.name, (void)second.name;
    }).join();
    ok(destroyed == "21", "thread_local objects are destroyed when their thread ends");
}

static void others()
{
    std::random_device device;
    unsigned bits = 0;
    for (int i = 0; i < 8; i++)
        bits |= device();
    ok(bits != 0, "random_device");
    auto shared = std::make_shared<std::vector<int>>(10);
    std::weak_ptr<std::vector<int>> weak = shared;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([shared] {
            for (int j = 0; j < 20000; j++)
                std::shared_ptr<std::vector<int>>(shared).reset();
        });
    for (auto &thread : threads)
        thread.join();
    threads.clear();
    ok(shared.use_count() == 1, "shared_ptr counts its references right with threads");
    ok(std::stoi("77") == 77 && std::to_string(2.5) == "2.500000", "stoi and to_string");
}

int main()
{
    formatted_input();
    regular_expressions();
    locales();
    exceptions();
    threads();
    thread_locals();
    others();
    std::printf("1..%d\n", number);
    return failures != 0;
}
