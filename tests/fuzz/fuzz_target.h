// One fuzz target per parser of outside bytes. Each file of this folder has one SHOAL_FUZZ_TARGET, which is
// built twice: as a libFuzzer program of its own (preset `fuzz`), and into fuzz_replay, which replays corpus
// and bounded mutations of it within ctest and needs no clang (replay_main.cc).
//
// A target does more than not crash: it holds what the parser's header promises with FUZZ_REQUIRE, which is
// on in every build and ends the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

namespace shoal::fuzz {

using Bytes = std::span<const std::uint8_t>;
using Run = void (*)(Bytes);

[[noreturn]] inline void broken(const char* promise, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, promise);
  std::abort();
}

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Takes numbers and parts off the front of an input; zeros and nothing once it is used up.
class Input {
 public:
  explicit Input(Bytes bytes) : rest_(bytes) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint64_t u64() { return number(8); }
  Bytes take(std::size_t count) {
    const Bytes out = rest_.first(count < rest_.size() ? count : rest_.size());
    rest_ = rest_.subspan(out.size());
    return out;
  }
  Bytes rest() { return take(rest_.size()); }
  // Up to and without the next line feed.
  std::string_view line() {
    const std::string_view all = as_text(rest_);
    const std::size_t end = all.find('\n');
    const Bytes out = take(end == std::string_view::npos ? all.size() : end);
    take(1);
    return as_text(out);
  }

 private:
  std::uint64_t number(std::size_t count) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : take(count)) value = value << 8U | byte;
    return value;
  }
  Bytes rest_;
};

// For fuzz_replay. `cost`: an input of this target takes about as long as so many of others.
struct Registered {
  Registered(const char* name, int cost, Run run);
};

}  // namespace shoal::fuzz

#define FUZZ_REQUIRE(promise)                                            \
  do {                                                                   \
    if (!(promise)) ::shoal::fuzz::broken(#promise, __FILE__, __LINE__); \
  } while (false)

#ifdef SHOAL_LIBFUZZER
#define SHOAL_FUZZ_TARGET(name, cost)                                                 \
  static void run_one(::shoal::fuzz::Bytes);                                          \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    run_one({data, size});                                                            \
    return 0;                                                                         \
  }                                                                                   \
  static void run_one([[maybe_unused]] ::shoal::fuzz::Bytes input)
#else
#define SHOAL_FUZZ_TARGET(name, cost)                                      \
  static void run_one(::shoal::fuzz::Bytes);                               \
  static const ::shoal::fuzz::Registered registered(#name, cost, run_one); \
  static void run_one([[maybe_unused]] ::shoal::fuzz::Bytes input)
#endif
