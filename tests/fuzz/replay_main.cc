// Replays a target's corpus and a fixed number of mutations of it, the same in every run, so that ctest
// covers every parser of outside bytes with any compiler.
//
//     fuzz_replay TARGET CORPUS_DIR [--case N]     --case: only this one, as a failure names it
//     fuzz_replay --list
#include "tests/fuzz/fuzz_target.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include <unistd.h>

// Of the address sanitizer, where that is linked in.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace shoal::fuzz {
namespace {

constexpr int kCases = 20'000;                     // of a target of cost 1: some 0.2 s
constexpr std::size_t kInputBytesMax = 96 * 1024;  // long enough for nesting that a stack does not survive

struct Target {
  const char* name;
  int cost;
  Run run;
};

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

using Input = std::vector<std::uint8_t>;

// The case that runs, for the handler.
volatile int current_case = 0;
const char* current_target = "";

void tell_case() {
  std::array<char, 200> text{};
  const int length = std::snprintf(text.data(), text.size(), "fuzz_replay: %s failed at --case %d\n",
                                   current_target, current_case);
  if (length > 0 && ::write(STDERR_FILENO, text.data(), static_cast<std::size_t>(length)) < 0) return;
}

void on_signal(int number) {
  tell_case();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

std::vector<Input> read_corpus(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::ranges::sort(paths);  // so that a case is the same one everywhere
  std::vector<Input> corpus;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return corpus;
}

class Mutator {
 public:
  Mutator(const std::vector<Input>& corpus, unsigned rng_seed) : corpus_(corpus), random_(rng_seed) {}

  Input make() {
    Input input = corpus_[below(corpus_.size())];
    for (std::size_t steps = 1 + below(6); steps > 0; --steps) change(input);
    if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
    return input;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  void change(Input& input) {
    const std::size_t at = below(input.size() + 1);
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t length = std::min(1 + below(16), input.size() - at);
    const auto end = place + static_cast<std::ptrdiff_t>(length);
    switch (below(9)) {
      case 0:
        if (at < input.size()) *place ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        if (at < input.size()) *place = interesting();
        break;
      case 2:
        input.insert(place, interesting());
        break;
      case 3:
        input.erase(place, end);
        break;
      case 4:
        input.resize(at);
        break;
      case 5: {  // doubled
        const Input part(place, end);
        input.insert(place, part.begin(), part.end());
        break;
      }
      case 6: {  // a part of another one
        const Input& other = corpus_[below(corpus_.size())];
        const std::size_t from = below(other.size() + 1);
        const std::size_t count = std::min(1 + below(64), other.size() - from);
        const auto begin = other.begin() + static_cast<std::ptrdiff_t>(from);
        input.insert(place, begin, begin + static_cast<std::ptrdiff_t>(count));
        break;
      }
      case 7:  // a number at its bounds
        for (std::size_t i = at; i < std::min(at + 8, input.size()); ++i) input[i] = 0xff;
        break;
      default:  // seldom: very much of one thing
        if (below(16) != 0 || length == 0) break;
        {
          const Input part(place, end);
          Input many;
          while (many.size() < kInputBytesMax / 2) many.insert(many.end(), part.begin(), part.end());
          input.insert(place, many.begin(), many.end());
        }
    }
  }

  std::uint8_t interesting() {
    constexpr std::string_view kBytes("\0\x01\x7f\x80\xff \t\r\n\"'\\/<>[]{}:;,=&%?#+-.09aZ*", 35);
    return below(3) == 0 ? static_cast<std::uint8_t>(random_())
                         : static_cast<std::uint8_t>(kBytes[below(kBytes.size())]);
  }

  const std::vector<Input>& corpus_;
  std::mt19937 random_;
};

int replay(const Target& target, const char* folder, std::optional<int> only) {
  const auto corpus = read_corpus(folder);
  if (corpus.empty()) {
    std::fprintf(stderr, "fuzz_replay: no corpus in %s\n", folder);
    return 2;
  }
  current_target = target.name;
  for (const int number : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS}) std::signal(number, on_signal);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell_case);
  const auto begin = std::chrono::steady_clock::now();
  const int count = static_cast<int>(corpus.size()) + kCases / target.cost;
  for (int i = 0; i < count; ++i) {
    if (only && *only != i) continue;
    current_case = i;
    const auto n = static_cast<std::size_t>(i);
    // A copy of exactly that size, so that the address sanitizer sees a read past the end.
    const Input input = n < corpus.size() ? corpus[n] : Mutator(corpus, static_cast<unsigned>(i)).make();
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[input.size()]);
    if (!input.empty()) std::memcpy(copy.get(), input.data(), input.size());
    target.run({copy.get(), input.size()});
  }
  const auto spent = std::chrono::steady_clock::now() - begin;
  std::printf("%s: %zu of the corpus, %d mutations, %lld ms\n", target.name, corpus.size(),
              count - static_cast<int>(corpus.size()),
              static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(spent).count()));
  return 0;
}

int main_of(std::span<char*> arguments) {
  if (arguments.size() == 2 && std::string_view(arguments[1]) == "--list") {
    for (const Target& target : targets()) std::printf("%s\n", target.name);
    return 0;
  }
  std::optional<int> only;
  if (arguments.size() == 5 && std::string_view(arguments[3]) == "--case") only = std::atoi(arguments[4]);
  if (arguments.size() != 3 && !only) {
    std::fprintf(stderr, "usage: fuzz_replay TARGET CORPUS_DIR [--case N] | --list\n");
    return 2;
  }
  for (const Target& target : targets()) {
    if (std::string_view(arguments[1]) == target.name) return replay(target, arguments[2], only);
  }
  std::fprintf(stderr, "fuzz_replay: no target %s (--list)\n", arguments[1]);
  return 2;
}

}  // namespace

Registered::Registered(const char* name, int cost, Run run) {
  targets().push_back({name, cost, run});
}

}  // namespace shoal::fuzz

int main(int argc, char** argv) {
  return shoal::fuzz::main_of({argv, static_cast<std::size_t>(argc)});
}
