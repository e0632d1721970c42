// This machine's load as neighbours hear it: what other programs use of it, smoothed, and the busy mark.
//
// Joins what /proc and /sys say (ProcReader, DeviceProbe), what this process counts of itself, the rules for
// what of it is others' (LoadMeter) and the filter. Owned by the loop thread.
#pragma once

#include "node/core/load.h"
#include "node/core/load_filter.h"
#include "node/core/load_meter.h"
#include "node/core/time.h"
#include "node/daemon/device_probe.h"
#include "node/daemon/proc_reader.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace shoal {

class LoadSampler {
 public:
  // What this process did since its start.
  struct OwnWork {
    std::uint64_t received = 0;  // payload from neighbours and the origin
    std::uint64_t sent = 0;
    std::uint64_t disk_wait_us = 0;  // in which some thread waited for a disk
  };

  LoadSampler(std::filesystem::path proc, std::filesystem::path sys);

  void set_busy(bool busy, std::optional<std::chrono::seconds> duration, Time now);
  [[nodiscard]] bool busy(Time now) const;

  // Call about once a second; rates are filled in by the caller.
  [[nodiscard]] DeviceLoad sample(const OwnWork& own, Time now);

  // What the fastest known link of this machine carries in each direction, bytes per second; 0: not known.
  [[nodiscard]] std::uint64_t link_bytes_per_s() const { return link_bytes_per_s_; }

 private:
  ProcReader reader_;
  DeviceProbe probe_;
  LoadMeter meter_;
  LoadFilter filter_;
  bool busy_ = false;
  std::optional<Time> busy_until_;
  std::uint64_t link_bytes_per_s_ = 0;
};

}  // namespace shoal
