#include "node/core/origin_pace.h"

#include <algorithm>

namespace shoal {

void OriginPace::advance(Time now) {
  if (!begun_) {
    begun_ = true;
    at_ = period_began_ = now;
    return;
  }
  if (now <= at_) return;
  const double seconds = std::chrono::duration<double>(now - at_).count();
  connection_s_ += active_ * seconds;
  if (active_ >= target_) full_s_ += seconds;
  at_ = now;
  if (now - period_began_ >= limits_.period) judge(now);
}

void OriginPace::judge(Time now) {
  const double seconds = std::chrono::duration<double>(now - period_began_).count();
  // A period in which hardly anything was asked for says nothing.
  if (connection_s_ > 0.25 * seconds) {
    const double rate = static_cast<double>(bytes_) / connection_s_;
    rate_ = rate_ > 0 ? 0.5 * rate_ + 0.5 * rate : rate;
    const double sum = static_cast<double>(bytes_) / seconds;
    sum_ = sum_ > 0 ? 0.5 * sum_ + 0.5 * sum : sum;
    // The best is forgotten slowly: a line that became slower for good is measured anew within some minutes.
    best_ = std::max(best_ * 0.998, rate_);
    if (full_s_ > 0.7 * seconds && rate_ >= 0.75 * best_ && now >= no_growth_until_) {
      target_ = std::min(limits_.most, target_ + std::max(1, target_ / 2));
    } else if (rate_ < 0.35 * best_) {
      target_ = std::max(limits_.least, target_ - std::max(1, target_ / 4));
    }
  }
  connection_s_ = full_s_ = 0;
  bytes_ = 0;
  period_began_ = now;
}

void OriginPace::on_sharers(int nodes) {
  if (rate_ > 0) return;
  const int most = std::max(limits_.least, limits_.start);
  target_ = std::clamp(2 * limits_.start / std::max(nodes, 1), limits_.least, most);
}

void OriginPace::on_active(int requests, Time now) {
  // The first request opens the first period.
  if (active_ == 0 && requests > 0 && connection_s_ == 0) {
    begun_ = true;
    at_ = period_began_ = now;
    bytes_ = 0;
  }
  advance(now);
  active_ = requests;
}

void OriginPace::on_bytes(std::uint64_t bytes, Time now) {
  bytes_ += bytes;
  advance(now);
}

void OriginPace::on_refused(Time now) {
  target_ = std::max(1, target_ / 2);
  no_growth_until_ = now + limits_.refused_rest;
}

}  // namespace shoal
