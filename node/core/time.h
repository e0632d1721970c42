// Time as the pure code sees it: a value that is passed in, never read.
#pragma once

#include <chrono>
#include <cstdint>

namespace shoal {

// Monotonic; for durations, deadlines and expiry.
using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

// Wall clock, milliseconds since the Unix epoch; for people, the database and HTTP dates only.
struct WallTime {
  std::int64_t ms = 0;
  auto operator<=>(const WallTime&) const = default;
};

}  // namespace shoal
