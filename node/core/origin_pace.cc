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
    if (try_) {
      judge_try(now);
    } else if (rate_ < 0.35 * best_) {
      target_ = std::max(least_, target_ - std::max(1, target_ / 4));
    } else if (full_s_ > 0.7 * seconds && now >= no_growth_until_) {
      try_more(now);
    }
  }
  connection_s_ = full_s_ = 0;
  bytes_ = 0;
  period_began_ = now;
}

Duration OriginPace::try_time() const {
  return sharers_ > 1 || others_ > 0 ? limits_.try_shared : limits_.try_alone;
}

void OriginPace::try_more(Time now) {
  if (target_ >= limits_.most) return;
  try_ = {target_, sum_ + others_, now};
  target_ = std::min(limits_.most, target_ + std::max(1, target_ / 2));
}

void OriginPace::judge_try(Time now) {
  if (now - try_->since < try_time()) return;
  // A third of what the connections alone would bring: well above what a full line's rate wavers by.
  const double more = static_cast<double>(target_) / std::max(1, try_->before) - 1;
  if (sum_ + others_ < (1 + more / 3) * try_->site_before) {
    target_ = std::min(target_, try_->before);
    no_growth_until_ = std::max(no_growth_until_, now + limits_.full_rest);
  }
  try_.reset();
}

void OriginPace::on_sharers(int nodes) {
  sharers_ = nodes;
  if (rate_ > 0) return;
  const int each = (limits_.site + std::max(nodes, 1) - 1) / std::max(nodes, 1);
  least_ = std::min(limits_.least, each);
  target_ = std::min(each, limits_.start);
}

void OriginPace::on_active(int requests, Time now) {
  // The first request opens the first period.
  if (active_ == 0 && requests > 0 && connection_s_ == 0) {
    if (!begun_) no_growth_until_ = now + try_time();
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
  try_.reset();
  target_ = std::max(1, target_ / 2);
  no_growth_until_ = now + limits_.refused_rest;
}

}  // namespace shoal
