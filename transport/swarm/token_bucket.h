// A rate limit with a burst: tokens come back at `rate` per second up to `burst`.
#pragma once

#include "node/core/time.h"

#include <algorithm>
#include <chrono>

namespace shoal {

class TokenBucket {
 public:
  TokenBucket(double rate, double burst, Time now)
      : rate_(rate), burst_(burst), tokens_(burst), filled_at_(now) {}

  // False when there are not enough tokens; then none is taken.
  [[nodiscard]] bool take(double tokens, Time now) {
    const std::chrono::duration<double> passed = now - filled_at_;
    filled_at_ = now;
    tokens_ = std::min(burst_, tokens_ + rate_ * passed.count());
    if (tokens_ < tokens) return false;
    tokens_ -= tokens;
    return true;
  }

 private:
  double rate_;
  double burst_;
  double tokens_;
  Time filled_at_;
};

}  // namespace shoal
