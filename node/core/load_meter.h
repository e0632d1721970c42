// What other programs leave of a machine, from what the kernel counts and what this node counts of itself.
//
// A node's own work is no load: one that slowed down because it is fast would never be fast. What can be
// divided is divided; pressure (PSI) cannot, so for each part there is a rule for how much is the others':
//
// - Processor: time used by others, as a share of all time. Waiting for it (PSI) is blamed on the others in
//   proportion to their part of the time used: a burst of theirs hurts more than its mean.
// - Memory: PSI, but only while less than a fifth of the memory is available. Why: the kernel also counts
//   what it does to drop old pages from its cache, which every download makes it do.
// - Disk: PSI beyond the time in which this node itself waited for the disk; of the time in which both may
//   have waited, the others' part of the bytes moved.
// - Network: bytes beyond the own ones, as a share of the link's speed, for the busier direction. A link
//   that does not tell its speed (most virtual machines) counts for nothing.
// - GPU: what the driver says; this node uses none.
//
// Without PSI (kernels without it, or where it is switched off): the processor's time alone; memory by what
// is available; the disk by how much of the time it was busy, in the proportion of the bytes.
//
// Pure: readings in, loads out, no I/O and no clock. Owned by the loop thread.
#pragma once

#include "node/core/load.h"
#include "node/core/time.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

// Counters at one moment; those that grow do so since some moment in the past. What could not be read is
// missing.
struct LoadReading {
  struct Cpu {
    std::uint64_t total = 0;  // clock ticks of all cores
    std::uint64_t idle = 0;   // of these, waiting for I/O included
    std::uint64_t own = 0;    // used by this process
  };
  struct Memory {
    std::uint64_t total_kib = 0;
    std::uint64_t available_kib = 0;  // without swapping, as the kernel estimates it
  };
  struct Disk {  // a whole one
    std::string name;
    std::uint64_t busy_ms = 0;
    std::uint64_t bytes = 0;  // read and written
  };
  struct Link {
    std::string name;
    std::uint64_t received = 0;  // bytes
    std::uint64_t sent = 0;
    std::uint64_t bytes_per_s = 0;  // what it can carry in each direction; 0: not known
  };

  Time at;
  std::optional<Cpu> cpu;
  std::optional<Memory> memory;
  // PSI: microseconds in which some task waited.
  std::optional<std::uint64_t> cpu_wait_us;
  std::optional<std::uint64_t> memory_wait_us;
  std::optional<std::uint64_t> io_wait_us;
  std::uint64_t own_io_wait_us = 0;  // in which some thread of this process waited for the disk
  std::vector<Disk> disks;
  std::uint64_t own_disk_bytes = 0;
  std::vector<Link> links;
  std::uint64_t own_received = 0;  // payload from neighbours and the origin
  std::uint64_t own_sent = 0;
  std::optional<std::uint16_t> gpu_permille;  // of the busiest
};

class LoadMeter {
 public:
  // The load between the last reading and this one; nothing for the first. Only the five parts are filled in.
  [[nodiscard]] DeviceLoad add(LoadReading reading);

 private:
  // Own bytes that are with the kernel and have not been seen at a disk yet. It writes them some seconds
  // later.
  double unwritten_ = 0;
  std::optional<LoadReading> last_;

  [[nodiscard]] double disk_share_of_others(const LoadReading& before, const LoadReading& after,
                                            double seconds);
};

}  // namespace shoal
