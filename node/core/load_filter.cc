#include "node/core/load_filter.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace shoal {
namespace {

constexpr std::array kParts{&DeviceLoad::cpu_permille, &DeviceLoad::memory_permille, &DeviceLoad::io_permille,
                            &DeviceLoad::nic_permille, &DeviceLoad::gpu_permille};
// What is left of a difference after a second.
constexpr double kLeftUp = 0.30;
constexpr double kLeftDown = 0.25;
// Below it a load has no effect and only moves the figures that people see.
constexpr double kNothing = 5;

}  // namespace

DeviceLoad LoadFilter::add(const DeviceLoad& sample, Time now) {
  DeviceLoad out = sample;
  // A clock that stood still (a suspended machine wakes) must not freeze the filter.
  const double seconds =
      last_ == Time{} ? 1 : std::max(0.0, std::chrono::duration<double>(now - last_).count());
  last_ = now;
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    const double there = sample.*kParts[i];
    double& shown = shown_[i];
    shown = there + (shown - there) * std::pow(there > shown ? kLeftUp : kLeftDown, seconds);
    if (there < kNothing && shown < kNothing) shown = 0;
    out.*kParts[i] = static_cast<std::uint16_t>(std::lround(std::clamp(shown, 0.0, 1000.0)));
  }
  return out;
}

}  // namespace shoal
