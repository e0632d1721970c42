#include "transport/origin/rate_bucket.h"

#include <algorithm>
#include <chrono>

namespace shoal {

void RateBucket::set_rate(std::uint64_t bytes_per_s, Time now) {
  rate_ = static_cast<double>(bytes_per_s);
  tokens_ = 0;
  filled_at_ = now;
}

bool RateBucket::may_spend(Time now) {
  if (!limited()) return true;
  refill(now);
  return tokens_ > 0;
}

void RateBucket::spend(std::uint64_t bytes) {
  if (limited()) tokens_ -= static_cast<double>(bytes);
}

Time RateBucket::ready_at(Time now) {
  if (may_spend(now)) return now;
  // One byte more than the debt, and a few milliseconds of bytes, so that a wake-up is worth its cost.
  constexpr std::chrono::milliseconds kWorthwhile{5};
  const std::chrono::duration<double> wait(-tokens_ / rate_);
  return now + std::chrono::ceil<Duration>(wait) + kWorthwhile;
}

void RateBucket::refill(Time now) {
  const std::chrono::duration<double> passed = now - filled_at_;
  filled_at_ = now;
  const double burst = rate_ / 10;
  tokens_ = std::min(tokens_ + passed.count() * rate_, burst);
}

}  // namespace shoal
