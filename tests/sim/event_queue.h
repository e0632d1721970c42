// The simulator's clock: things that will happen, in the order of their virtual time.
//
// Events at the same time happen in the order they were added, so one rng_seed always gives the same run.
#pragma once

#include "node/core/time.h"

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace shoal::sim {

class EventQueue {
 public:
  [[nodiscard]] Time now() const { return now_; }
  void at(Time when, std::function<void()> what) {
    queue_.push({when < now_ ? now_ : when, next_++, std::move(what)});
  }
  void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  // Lets the next event happen; false when there is none.
  bool step() {
    if (queue_.empty()) return false;
    Event event = queue_.top();
    queue_.pop();
    now_ = event.when;
    ++steps_;
    event.what();
    return true;
  }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  struct Event {
    Time when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::pair(when, number) > std::pair(other.when, other.number);  // the queue's top is the largest
    }
  };
  std::priority_queue<Event> queue_;
  Time now_ = Time{} + std::chrono::hours(1);  // far from the epoch: "never" must stay in the past
  std::uint64_t next_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace shoal::sim
