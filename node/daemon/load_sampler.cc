#include "node/daemon/load_sampler.h"

#include <algorithm>
#include <utility>

namespace shoal {

LoadSampler::LoadSampler(std::filesystem::path proc, std::filesystem::path sys)
    : reader_(std::move(proc), sys), probe_({.sys = std::move(sys)}) {}

void LoadSampler::set_busy(bool busy, std::optional<std::chrono::seconds> duration, Time now) {
  busy_ = busy;
  busy_until_ = busy && duration ? std::optional(now + *duration) : std::nullopt;
}

bool LoadSampler::busy(Time now) const {
  return busy_ && (!busy_until_ || now < *busy_until_);
}

DeviceLoad LoadSampler::sample(const OwnWork& own, Time now) {
  LoadReading reading = reader_.read(now);
  const DeviceProbe::Found found = probe_.found();
  reading.gpu_permille = found.gpu_permille;
  link_bytes_per_s_ = 0;
  for (auto& link : reading.links) {
    const auto speed = found.link_bytes_per_s.find(link.name);
    if (speed == found.link_bytes_per_s.end()) continue;
    link.bytes_per_s = speed->second;
    link_bytes_per_s_ = std::max(link_bytes_per_s_, link.bytes_per_s);
  }
  reading.own_received = own.received;
  reading.own_sent = own.sent;
  // The kernel's own figure where there is one: it also knows of waits inside SQLite and for program pages.
  reading.own_io_wait_us = reader_.own_io_wait_us().value_or(own.disk_wait_us);
  DeviceLoad load = filter_.add(meter_.add(std::move(reading)), now);
  load.busy = busy(now);
  return load;
}

}  // namespace shoal
