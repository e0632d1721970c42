#include "node/core/rate_history.h"

namespace shoal {

void RateHistory::add(const RateSample& sample) {
  constexpr std::int64_t kMinuteMs = 60'000;
  if (count_ > 0 && sample.at.ms / kMinuteMs != sum_.at.ms / kMinuteMs) {
    minutes_.push_back({{sum_.at.ms / kMinuteMs * kMinuteMs},
                        sum_.origin_bytes_per_s / count_,
                        sum_.download_bytes_per_s / count_,
                        sum_.upload_bytes_per_s / count_});
    if (minutes_.size() > kMinutes) minutes_.pop_front();
    sum_ = {};
    count_ = 0;
  }
  sum_.at = sample.at;
  sum_.origin_bytes_per_s += sample.origin_bytes_per_s;
  sum_.download_bytes_per_s += sample.download_bytes_per_s;
  sum_.upload_bytes_per_s += sample.upload_bytes_per_s;
  ++count_;
  seconds_.push_back(sample);
  if (seconds_.size() > kSeconds) seconds_.pop_front();
}

}  // namespace shoal
