// A device's load as it tells its neighbours.
#pragma once

#include <cstdint>

namespace shoal {

struct DeviceLoad {
  // Each 0 (idle) to 1000 (no capacity left).
  std::uint16_t cpu_permille = 0;
  std::uint16_t memory_permille = 0;
  std::uint16_t io_permille = 0;
  std::uint16_t nic_permille = 0;
  std::uint16_t gpu_permille = 0;
  bool busy = false;  // marked by a person or an inference server (`shoal busy`)

  // Measured over the last seconds, bytes per second.
  std::uint64_t origin_bytes_per_s = 0;
  std::uint64_t upload_bytes_per_s = 0;
  std::uint64_t download_bytes_per_s = 0;

  bool operator==(const DeviceLoad&) const = default;
};

// Share of a device's capacity that may be given new work: 1 minus its worst pressure, never below 0.10 so
// that nobody starves (design section 5).
[[nodiscard]] double free_capacity(const DeviceLoad& load);

}  // namespace shoal
