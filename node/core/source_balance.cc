#include "node/core/source_balance.h"

#include <algorithm>

namespace shoal {

void SourceBalance::advance(Time now) {
  if (!begun_) {
    begun_ = true;
    period_began_ = now;
    return;
  }
  if (now - period_began_ < limits_.period) return;
  judge(std::chrono::duration<double>(now - period_began_).count(), now);
  swarm_bytes_ = origin_bytes_ = 0;
  loading_throughout_ = loading_;
  fetching_throughout_ = fetching_;
  period_began_ = now;
}

void SourceBalance::judge(double seconds, Time now) {
  if (fetching_throughout_) {
    const double rate = static_cast<double>(origin_bytes_) / seconds + neighbours_rate_;
    origin_rate_ = origin_rate_ > 0 ? (origin_rate_ + rate) / 2 : rate;
    origin_seen_ = now;
  } else if (now - origin_seen_ > limits_.known_for) {
    origin_rate_ = 0;
  }
  if (!loading_throughout_) {
    slow_ = 0;
    swarm_rate_ = 0;
    // What was moved is still being fetched, and nothing says that neighbours became faster.
    if (!fetching_throughout_) moving_ = false;
    return;
  }
  const double rate = static_cast<double>(swarm_bytes_) / seconds;
  const double own_origin_rate = static_cast<double>(origin_bytes_) / seconds;
  swarm_rate_ = swarm_rate_ > 0 ? (swarm_rate_ + rate) / 2 : rate;
  if (origin_bytes_ == 0) {
    alone_rate_ = swarm_rate_;
  } else if (own_origin_rate > (rate + own_origin_rate) / 10) {
    both_rate_ = std::max(both_rate_, rate + own_origin_rate);
  }
  const bool full_link = both_rate_ > 0 && alone_rate_ >= limits_.full_link * both_rate_;
  const bool slow = origin_rate_ > 0 ? swarm_rate_ * limits_.start_factor < origin_rate_
                                     : swarm_rate_ < limits_.slow_lan_bytes_per_s;
  if (origin_bytes_ == 0) slow_ = slow && !full_link ? slow_ + 1 : 0;
  if (slow_ >= limits_.slow_periods && origin_rate_ > 0) moving_ = true;
  if (full_link) slow_ = 0;
  if (full_link || swarm_rate_ * limits_.stop_factor > origin_rate_) moving_ = false;
}

void SourceBalance::on_swarm_bytes(std::uint64_t bytes, Time now) {
  advance(now);
  swarm_bytes_ += bytes;
}

void SourceBalance::on_origin_bytes(std::uint64_t bytes, Time now) {
  advance(now);
  origin_bytes_ += bytes;
}

void SourceBalance::on_turn(bool loading, bool fetching, double neighbours_origin_bytes_per_s, Time now) {
  advance(now);
  neighbours_rate_ = neighbours_origin_bytes_per_s;
  loading_ = loading;
  fetching_ = fetching;
  loading_throughout_ = loading_throughout_ && loading;
  fetching_throughout_ = fetching_throughout_ && fetching;
}

void SourceBalance::on_attempt(Time now) {
  attempt_until_ = now + limits_.attempt;
  no_attempt_before_ = now + limits_.try_again;
}

SourceBalance::Advice SourceBalance::advice(Time now) const {
  if (moving_) return Advice::origin;
  if (origin_rate_ > 0) return Advice::neighbours;
  const bool begin = slow_ >= limits_.slow_periods && now >= no_attempt_before_;
  return begin || now < attempt_until_ ? Advice::attempt : Advice::neighbours;
}

}  // namespace shoal
