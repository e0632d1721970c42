// How many bytes may be read for neighbours at this moment, when uploads are limited.
//
// Why here and not by libtorrent's rate limits: those hold back all that a connection sends, in steps of its
// half-second tick, and its peer classes go by address: heartbeats and claims to the same neighbour would
// wait behind the payload (decision 0010). What is not read is not sent.
//
// Pure; the caller's lock guards it.
#pragma once

#include "node/core/time.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace shoal {

class ReadPace {
 public:
  // 0: no limit.
  void set_rate(std::uint64_t bytes_per_s, Time now) {
    refill(now);
    rate_ = static_cast<double>(bytes_per_s);
    // Enough to read in batches, little enough that the limit holds within any tenth of a second.
    burst_ = std::max(kLeastBurst, rate_ * 0.02);
    room_ = std::min(room_, burst_);
  }
  [[nodiscard]] bool limited() const { return rate_ > 0; }

  // Bytes that may be read; as many as one likes without a limit.
  [[nodiscard]] std::size_t allowed(Time now) {
    if (!limited()) return std::numeric_limits<std::size_t>::max();
    refill(now);
    return static_cast<std::size_t>(std::max(0.0, room_));
  }
  void took(std::size_t bytes) {
    if (limited()) room_ -= static_cast<double>(bytes);
  }
  // When the whole burst is there again.
  [[nodiscard]] Time full_at() const {
    return filled_at_ + std::chrono::duration_cast<Duration>(
                            std::chrono::duration<double>(limited() ? (burst_ - room_) / rate_ : 0));
  }

 private:
  static constexpr double kLeastBurst = 64 * 1024;

  void refill(Time now) {
    if (now > filled_at_) {
      const double seconds = std::chrono::duration<double>(now - filled_at_).count();
      room_ = std::min(burst_, room_ + rate_ * seconds);
    }
    filled_at_ = now;
  }

  double rate_ = 0;
  double burst_ = 0;
  double room_ = 0;
  Time filled_at_;
};

}  // namespace shoal
