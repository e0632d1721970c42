// How many of so many threads work while the device has this free capacity: at least one.
#pragma once

#include <algorithm>
#include <cmath>

namespace shoal {

[[nodiscard]] inline int thread_share(int threads, double free_capacity) {
  return std::clamp(static_cast<int>(std::lround(threads * free_capacity)), 1, std::max(threads, 1));
}

}  // namespace shoal
