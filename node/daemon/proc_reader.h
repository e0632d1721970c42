// Reads what the kernel counts of this machine from /proc and /sys, or from directories that stand in for
// them.
//
// Small files that the kernel makes on the spot: reading them takes some 0.2 ms together and waits for no
// disk. What may take longer (link speeds, GPUs) is device_probe.h's. A file that is missing or not
// understood leaves its figure out. Owned by the loop thread.
#pragma once

#include "node/core/load_meter.h"
#include "node/core/time.h"

#include <filesystem>
#include <optional>
#include <string>

namespace shoal {

class ProcReader {
 public:
  // `proc` and `sys`: "/proc" and "/sys", or where a container sees the host's.
  ProcReader(std::filesystem::path proc, std::filesystem::path sys);

  // Everything but what this process counts of itself (except CPU time and disk bytes), link speeds and the
  // GPU.
  [[nodiscard]] LoadReading read(Time now);

  // PSI of the control group that holds this process and no other (a service has one): microseconds in which
  // some thread of it waited for the disk. nullopt: there is none, or it cannot be read.
  [[nodiscard]] std::optional<std::uint64_t> own_io_wait_us();

 private:
  void find_own_group();
  [[nodiscard]] std::string own_file(const char* name) const;
  [[nodiscard]] std::optional<std::uint64_t> pressure_us(const std::string& file) const;

  const std::filesystem::path proc_;
  const std::filesystem::path sys_;
  bool group_looked_for_ = false;
  std::filesystem::path own_group_;  // empty: none
};

// The whole text of a small file, at most `at_most` bytes; empty: it cannot be read.
[[nodiscard]] std::string read_small(const std::filesystem::path& path, std::size_t at_most = 64 * 1024);

}  // namespace shoal
