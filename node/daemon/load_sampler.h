// What else this machine is doing: CPU used by other programs, memory pressure, the busy mark.
//
// Read from /proc once a second by the loop (three small files that never block). What this process itself
// uses is not counted: a node that slowed down because it is fast would never be fast.
#pragma once

#include "node/core/load.h"
#include "node/core/time.h"

#include <chrono>
#include <cstdint>
#include <optional>

namespace shoal {

class LoadSampler {
 public:
  void set_busy(bool busy, std::optional<std::chrono::seconds> duration, Time now);
  [[nodiscard]] bool busy(Time now) const;

  // Call about once a second; rates are filled in by the caller.
  [[nodiscard]] DeviceLoad sample(Time now);

 private:
  struct CpuTimes {
    std::uint64_t total = 0;  // clock ticks of all cores
    std::uint64_t idle = 0;
    std::uint64_t own = 0;
  };
  [[nodiscard]] static std::optional<CpuTimes> read_cpu();
  // Microseconds for which some task waited for memory, since boot (PSI, Documentation/accounting/psi.rst).
  [[nodiscard]] static std::optional<std::uint64_t> read_memory_stall_us();

  bool busy_ = false;
  std::optional<Time> busy_until_;
  std::optional<CpuTimes> last_cpu_;
  std::optional<std::uint64_t> last_memory_us_;
  Time last_;
};

}  // namespace shoal
