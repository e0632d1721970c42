#include "node/core/upload_pace.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace shoal {
namespace {

// With so much left nothing competes, and measured loads move by a few percent without meaning anything.
constexpr double kFree = 0.9;
// Every machine of a site can serve that much: 100 Mbit/s.
constexpr double kLeastCapacity = 12.5e6;
// A request of 16 KiB is answered in time (15 s, then the neighbour asks another) also behind 500 others.
constexpr double kLeastRate = 1 << 20;
// The most that was served is forgotten by half in so long: the site may have become slower.
constexpr double kForgetS = 600;

}  // namespace

void UploadPace::on_own_state(const DeviceLoad& load, std::uint64_t link_bytes_per_s, Time now) {
  const double seconds = last_ == Time{} ? 0 : std::chrono::duration<double>(now - last_).count();
  last_ = now;
  most_served_ =
      std::max(most_served_ * std::exp2(-seconds / kForgetS), static_cast<double>(load.upload_bytes_per_s));
  const double free = free_capacity(load);
  if (free >= kFree) {
    limit_ = 0;
    return;
  }
  const double capacity =
      link_bytes_per_s > 0 ? static_cast<double>(link_bytes_per_s) : std::max(most_served_, kLeastCapacity);
  limit_ = static_cast<std::uint64_t>(std::max(kLeastRate, free * capacity));
}

}  // namespace shoal
