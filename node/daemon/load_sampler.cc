#include "node/daemon/load_sampler.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace shoal {
namespace {

std::uint16_t permille(double share) {
  return static_cast<std::uint16_t>(std::clamp(share, 0.0, 1.0) * 1000.0);
}

}  // namespace

void LoadSampler::set_busy(bool busy, std::optional<std::chrono::seconds> duration, Time now) {
  busy_ = busy;
  busy_until_ = busy && duration ? std::optional(now + *duration) : std::nullopt;
}

bool LoadSampler::busy(Time now) const {
  return busy_ && (!busy_until_ || now < *busy_until_);
}

std::optional<LoadSampler::CpuTimes> LoadSampler::read_cpu() {
  CpuTimes times;
  std::ifstream stat("/proc/stat");
  std::string word;
  if (!(stat >> word) || word != "cpu") return std::nullopt;
  // user nice system idle iowait irq softirq steal (proc(5))
  for (int i = 0; i < 8; ++i) {
    std::uint64_t ticks = 0;
    if (!(stat >> ticks)) return std::nullopt;
    times.total += ticks;
    if (i == 3 || i == 4) times.idle += ticks;
  }
  std::ifstream self("/proc/self/stat");
  std::string line;
  std::getline(self, line);
  // The second field is the program's name in parentheses and may hold blanks; utime and stime are fields 14
  // and 15.
  const auto close = line.rfind(')');
  if (close == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(close + 1));
  for (int field = 3; field <= 15; ++field) {
    if (!(fields >> word)) return std::nullopt;
    if (field >= 14) times.own += std::stoull(word);
  }
  return times;
}

std::optional<std::uint64_t> LoadSampler::read_memory_stall_us() {
  std::ifstream file("/proc/pressure/memory");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;  // a kernel without PSI
  const auto at = line.find("total=");
  if (at == std::string::npos) return std::nullopt;
  return std::stoull(line.substr(at + 6));
}

DeviceLoad LoadSampler::sample(Time now) {
  DeviceLoad load;
  load.busy = busy(now);
  const auto cpu = read_cpu();
  if (cpu && last_cpu_ && cpu->total > last_cpu_->total) {
    const auto total = static_cast<double>(cpu->total - last_cpu_->total);
    const auto used = total - static_cast<double>(cpu->idle - std::min(cpu->idle, last_cpu_->idle)) -
                      static_cast<double>(cpu->own - last_cpu_->own);
    load.cpu_permille = permille(used / total);
  }
  last_cpu_ = cpu;
  const auto memory = read_memory_stall_us();
  const double elapsed_us = std::chrono::duration<double, std::micro>(now - last_).count();
  if (memory && last_memory_us_ && elapsed_us > 0) {
    load.memory_permille = permille(static_cast<double>(*memory - *last_memory_us_) / elapsed_us);
  }
  last_memory_us_ = memory;
  last_ = now;
  return load;
}

}  // namespace shoal
