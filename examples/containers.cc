/*
 * The C++ standard library at work: containers, threads, exceptions, streams, regular expressions.
 *
 *     containers [SCALE]
 *
 * A small document store. Lines of a made-up log are formatted with iostream, parsed with <regex> and formatted input,
 * and kept in a vector, indexed by a map, an unordered_map and a multimap; lines that do not parse leave by an
 * exception. Then threads each build, sort, merge and throw away containers of their own. Everything is counted and
 * summed, and the sums depend on SCALE alone.
 *
 * Live bytes are counted exactly, in an allocator that all containers use.
 */
#include <algorithm>
#include <atomic>
#include <functional>
#include <iomanip>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "phases.h"

namespace
{

/* --- an allocator that counts: per thread, folded into the total when a thread has moved it by 64 KiB or ends --- */

std::atomic<long long> live_total{0}, live_most{0};

struct thread_count {
    long long pending = 0;

    void add(long long bytes)
    {
        pending += bytes;
        if (pending > 65536 || pending < -65536)
            fold();
    }

    void fold()
    {
        long long now = live_total.fetch_add(pending) + pending;
        pending = 0;
        for (long long most = live_most; now > most && !live_most.compare_exchange_weak(most, now);)
            ;
    }

    ~thread_count()
    {
        fold();
    }
};

thread_local thread_count counted_here;

template <class T> struct counted {
    using value_type = T;

    counted() = default;
    template <class U> counted(const counted<U> &)
    {
    }

    T *allocate(std::size_t n)
    {
        T *result = std::allocator<T>().allocate(n);
        counted_here.add(static_cast<long long>(n * sizeof(T)));
        return result;
    }

    void deallocate(T *object, std::size_t n)
    {
        counted_here.add(-static_cast<long long>(n * sizeof(T)));
        std::allocator<T>().deallocate(object, n);
    }

    template <class U> bool operator==(const counted<U> &) const
    {
        return true;
    }

    template <class U> bool operator!=(const counted<U> &) const
    {
        return false;
    }
};

template <class T> using vector = std::vector<T, counted<T>>;
template <class T> using list = std::list<T, counted<T>>;
template <class K, class V> using map = std::map<K, V, std::less<K>, counted<std::pair<const K, V>>>;
template <class K, class V> using multimap = std::multimap<K, V, std::less<K>, counted<std::pair<const K, V>>>;
using string = std::basic_string<char, std::char_traits<char>, counted<char>>;
using ostringstream = std::basic_ostringstream<char, std::char_traits<char>, counted<char>>;
using istringstream = std::basic_istringstream<char, std::char_traits<char>, counted<char>>;

struct string_hash {
    std::size_t operator()(const string &text) const
    {
        std::size_t h = 14695981039346656037u;
        for (char c : text)
            h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
        return h;
    }
};

template <class V>
using dictionary =
    std::unordered_map<string, V, string_hash, std::equal_to<string>, counted<std::pair<const string, V>>>;

/* A sequence that is the same everywhere (the standard's distributions are not). */
class sequence
{
  public:
    explicit sequence(std::uint64_t seed) : state(seed * 2 + 1)
    {
    }

    std::uint64_t below(std::uint64_t bound)
    {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return (state >> 33) % bound;
    }

  private:
    std::uint64_t state;
};

/* --- the document store --- */

struct malformed : std::runtime_error {
    explicit malformed(const char *what) : std::runtime_error(what)
    {
    }
};

struct entry {
    unsigned id, milliseconds;
    double load;
    string user, path;
    vector<string> words;
};

string make_line(unsigned id, sequence &random)
{
    static const char *const users[] = {"ada", "barbara", "christopher", "donald", "edsger", "frances", "grace"};
    ostringstream line;
    if (random.below(50) == 0)
        line << "garbage " << id;
    else
        line << '#' << std::setw(7) << std::setfill('0') << id << " [" << users[random.below(7)] << random.below(100)
             << "] /" << std::hex << random.below(4096) << std::dec << "/page" << random.below(1000) << ".html "
             << random.below(100000) << "ms " << std::fixed << std::setprecision(3)
             << static_cast<double>(random.below(1000000)) / 1000 << " :";
    for (std::uint64_t i = random.below(24); i > 0; i--)
        line << ' ' << "word" << random.below(5000);
    return line.str();
}

entry parse(const string &line)
{
    /* The head by hand-written matching would be faster; the point is what <regex> asks of malloc. */
    static const std::regex head(R"(^#(\d+) \[([a-z]+\d*)\] (/\S+) (\d+)ms ([0-9.]+) :)");
    using iterator = string::const_iterator;
    std::match_results<iterator, counted<std::sub_match<iterator>>> match;
    if (!std::regex_search(line, match, head))
        throw malformed("no head");

    entry result;
    result.id = static_cast<unsigned>(std::stoul(match[1].str().c_str()));
    result.user.assign(match[2].first, match[2].second);
    result.path.assign(match[3].first, match[3].second);
    istringstream numbers(string(match[4].first, match[4].second) + ' ' + string(match[5].first, match[5].second));
    if (!(numbers >> result.milliseconds >> result.load))
        throw malformed("no numbers");

    istringstream rest(string(match.suffix().first, match.suffix().second));
    for (string word; rest >> word;)
        result.words.push_back(std::move(word));
    return result;
}

class store
{
  public:
    void add(const string &line)
    {
        entries.push_back(std::allocate_shared<entry>(counted<entry>(), parse(line)));
        const auto &added = entries.back();
        by_user[added->user].push_back(added);
        by_time.emplace(added->milliseconds, added);
        for (const string &word : added->words)
            by_word[word].push_back(added->id);
    }

    std::uint64_t sum() const
    {
        std::uint64_t result = entries.size();
        for (const auto &user : by_user)
            for (const auto &entry : user.second)
                result = result * 31 + entry->id + user.first.size();
        for (const auto &slot : by_time)
            result = result * 31 + slot.first + slot.second->path.size();
        for (const auto &word : by_word) /* in no order: a sum without order */
            result += string_hash()(word.first) * std::accumulate(word.second.begin(), word.second.end(), 1ull);
        for (const auto &entry : entries)
            result += static_cast<std::uint64_t>(entry->load * 1000 + 0.5);
        return result;
    }

    std::size_t size() const
    {
        return entries.size();
    }

    /* Forgets the slower half. */
    std::size_t thin_out()
    {
        auto middle = by_time.begin();
        std::advance(middle, by_time.size() / 2);
        unsigned limit = middle->first;
        by_time.erase(middle, by_time.end());
        for (auto &user : by_user)
            user.second.remove_if([&](const auto &entry) { return entry->milliseconds >= limit; });
        auto slow = [&](const auto &entry) { return entry->milliseconds >= limit; };
        entries.erase(std::remove_if(entries.begin(), entries.end(), slow), entries.end());
        return entries.size();
    }

  private:
    vector<std::shared_ptr<entry>> entries;
    map<string, list<std::shared_ptr<entry>>> by_user;
    multimap<unsigned, std::shared_ptr<entry>> by_time;
    dictionary<vector<unsigned>> by_word;
};

/* --- what each thread does on its own --- */

std::uint64_t work(unsigned seed, unsigned n)
{
    sequence random(seed);
    std::uint64_t sum = 0;
    for (unsigned round = 0; round < 4; round++) {
        vector<string> names;
        for (unsigned i = 0; i < n; i++)
            names.push_back(string(random.below(40), static_cast<char>('a' + i % 26)) +
                            std::to_string(random.below(n)).c_str());
        std::sort(names.begin(), names.end());
        names.erase(std::unique(names.begin(), names.end()), names.end());
        map<string, vector<unsigned>> groups;
        for (unsigned i = 0; i < names.size(); i++)
            groups[names[i].substr(0, 3)].push_back(i);
        dictionary<unsigned> lengths;
        for (string &name : names)
            lengths[std::move(name)]++;
        for (const auto &group : groups)
            sum = sum * 31 + group.first.size() + group.second.size();
        for (unsigned i = 0; i < n / 8; i++) {
            try {
                sum += lengths.at(string("no such name") + std::to_string(i).c_str());
            } catch (const std::out_of_range &) {
                sum += i;
            }
        }
        sum += lengths.size();
    }
    return sum;
}

int run(double scale)
{
    unsigned lines = static_cast<unsigned>(70000 * scale), refused = 0;
    sequence random(2);
    store documents;
    for (unsigned id = 0; id < lines; id++) {
        try {
            documents.add(make_line(id, random));
        } catch (const malformed &) {
            refused++;
        }
    }
    counted_here.fold();
    std::cout << "store: " << documents.size() << " lines kept, " << refused << " refused, sum " << std::hex
              << documents.sum() << std::dec << std::endl;
    phases_peak(static_cast<std::size_t>(live_total.load()));
    std::cout << "half of it: " << documents.thin_out() << " lines, sum " << std::hex << documents.sum() << std::dec
              << std::endl;

    vector<std::thread> threads;
    vector<std::uint64_t> sums(4);
    for (unsigned i = 0; i < sums.size(); i++)
        threads.emplace_back([&, i] { sums[i] = work(i, static_cast<unsigned>(24000 * scale)); });
    for (std::thread &thread : threads)
        thread.join();
    std::uint64_t total = 0;
    for (std::uint64_t sum : sums)
        total = total * 31 + sum;
    std::cout << "threads: " << threads.size() << ", sum " << std::hex << total << std::dec << std::endl;
    return 0;
}

} // namespace

int main(int argc, char **argv)
try {
    double scale = argc > 1 ? std::stod(argv[1]) : 1;
    if (!(scale >= 0.01 && scale <= 1000))
        throw std::invalid_argument("SCALE");
    phases_before();
    run(scale);
    counted_here.fold();
    if (live_total != 0) {
        std::cout << live_total << " bytes were not freed" << std::endl;
        return 1;
    }
    phases_freed(static_cast<std::size_t>(live_most.load()));
    return 0;
} catch (const std::invalid_argument &) {
    std::cerr << "usage: containers [SCALE]   SCALE: 0.01 to 1000" << std::endl;
    return 2;
}
