// Bytes per second over the last few seconds.
#pragma once

#include "node/core/time.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace shoal {

// Eight slots of half a second: smooth enough to read, short enough to show a stall within 4 s.
class RateMeter {
 public:
  void add(std::uint64_t bytes, Time now) {
    roll(now);
    slots_[index_] += bytes;
  }

  [[nodiscard]] std::uint64_t bytes_per_s(Time now) {
    roll(now);
    std::uint64_t sum = 0;
    for (const std::uint64_t slot : slots_) sum += slot;
    const double covered =
        std::chrono::duration<double>(std::min<Duration>(now - started_, kSlot * kSlots)).count();
    return covered < 0.25 ? 0 : static_cast<std::uint64_t>(static_cast<double>(sum) / covered);
  }

 private:
  static constexpr int kSlots = 8;
  static constexpr std::chrono::milliseconds kSlot{500};

  void roll(Time now) {
    if (started_ == Time{}) started_ = slot_start_ = now;
    if (now - slot_start_ >= kSlot * kSlots) {  // nothing for a whole window
      slots_.fill(0);
      started_ = slot_start_ = now;
    }
    while (now - slot_start_ >= kSlot) {
      index_ = (index_ + 1) % kSlots;
      slots_[index_] = 0;
      slot_start_ += kSlot;
    }
  }

  std::array<std::uint64_t, kSlots> slots_{};
  std::size_t index_ = 0;
  Time slot_start_{};
  Time started_{};
};

}  // namespace shoal
