#include "node/core/load.h"

#include <algorithm>

namespace shoal {

double free_capacity(const DeviceLoad& load) {
  constexpr double kFloor = 0.10;
  if (load.busy) return kFloor;
  const int worst = std::max(
      {load.cpu_permille, load.memory_permille, load.io_permille, load.nic_permille, load.gpu_permille});
  return std::clamp(1.0 - worst / 1000.0, kFloor, 1.0);
}

}  // namespace shoal
