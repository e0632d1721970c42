// Numbers drawn from one rng_seed, the same on every platform (std::uniform_* are not).
#pragma once

#include <cmath>
#include <cstdint>

namespace shoal::sim {

class Random {
 public:
  explicit Random(std::uint64_t rng_seed) : state_(rng_seed) {}
  // splitmix64.
  std::uint64_t next() {
    std::uint64_t x = (state_ += 0x9e3779b97f4a7c15U);
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31U);
  }
  // 0 <= x < 1
  double unit() { return static_cast<double>(next() >> 11U) / 9007199254740992.0; }
  double between(double low, double high) { return low + (high - low) * unit(); }
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  bool chance(double probability) { return unit() < probability; }
  // Between low and high, each factor as likely as the other.
  double log_between(double low, double high) { return low * std::pow(high / low, unit()); }

 private:
  std::uint64_t state_;
};

}  // namespace shoal::sim
