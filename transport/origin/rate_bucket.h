// A token bucket over bytes. Pure; `now` comes in.
//
// Bytes are spent after they came, so it may go into debt by one read of libcurl (16 KiB); the next one waits
// until the debt is paid, which keeps the average exact.
#pragma once

#include "node/core/time.h"

#include <cstdint>

namespace shoal {

class RateBucket {
 public:
  // 0: no limit.
  void set_rate(std::uint64_t bytes_per_s, Time now);
  [[nodiscard]] bool limited() const { return rate_ > 0; }
  [[nodiscard]] bool may_spend(Time now);
  void spend(std::uint64_t bytes);
  // When may_spend() becomes true, if nothing is spent before.
  [[nodiscard]] Time ready_at(Time now);

 private:
  void refill(Time now);

  double rate_ = 0;    // bytes per second
  double tokens_ = 0;  // bytes; negative: debt
  Time filled_at_{};
};

}  // namespace shoal
