// What this node moved, over the last ten minutes and the last day: the plots of the page.
//
// Pure bookkeeping; `at` is passed in. Lost at a restart: totals are in shoal.db, these are for looking.
#pragma once

#include "node/core/time.h"

#include <cstdint>
#include <deque>

namespace shoal {

struct RateSample {
  WallTime at;
  std::uint64_t origin_bytes_per_s = 0;    // from the Hub
  std::uint64_t download_bytes_per_s = 0;  // from neighbours
  std::uint64_t upload_bytes_per_s = 0;    // to neighbours
  bool operator==(const RateSample&) const = default;
};

class RateHistory {
 public:
  static constexpr std::size_t kSeconds = 600;   // as many samples of the fine series, one per add()
  static constexpr std::size_t kMinutes = 1440;  // of the coarse one, each the mean of a minute

  void add(const RateSample& sample);
  [[nodiscard]] const std::deque<RateSample>& seconds() const { return seconds_; }
  [[nodiscard]] const std::deque<RateSample>& minutes() const { return minutes_; }

 private:
  std::deque<RateSample> seconds_;
  std::deque<RateSample> minutes_;
  RateSample sum_;  // of the minute that is not over
  std::uint64_t count_ = 0;
};

}  // namespace shoal
