#include "node/daemon/proc_reader.h"

#include "storage/file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace shoal {
namespace {

// Bounds what a machine with very many virtual disks or links makes us read and remember.
constexpr std::size_t kDevicesMax = 64;
constexpr std::size_t kListBytesMax = 1024 * 1024;
constexpr std::uint64_t kSectorBytes = 512;  // of /proc/diskstats, whatever the disk's own

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = text.find_first_not_of(" \t\n", at);
    if (begin == std::string_view::npos) break;
    const auto end = std::min(text.find_first_of(" \t\n", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    at = end;
  }
  return words;
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return number;
}

template <typename F>
void for_each_line(std::string_view text, F f) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    f(text.substr(at, end - at));
    at = end + 1;
  }
}

// The number after `name` in a text of "name: 123" lines.
std::optional<std::uint64_t> value_of(std::string_view text, std::string_view name) {
  std::optional<std::uint64_t> found;
  for_each_line(text, [&](std::string_view line) {
    if (!line.starts_with(name) || found) return;
    line.remove_prefix(name.size());
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    found = number_of(line);
  });
  return found;
}

// user nice system idle iowait irq softirq steal (proc(5)); the rest is contained in these.
std::optional<LoadReading::Cpu> cpu_of(const std::string& stat, const std::string& self_stat) {
  const auto first = words_of(std::string_view(stat).substr(0, stat.find('\n')));
  if (first.size() < 6 || first[0] != "cpu") return std::nullopt;
  LoadReading::Cpu cpu;
  for (std::size_t i = 1; i < std::min<std::size_t>(first.size(), 9); ++i) {
    const auto ticks = number_of(first[i]);
    if (!ticks) return std::nullopt;
    cpu.total += *ticks;
    if (i == 4 || i == 5) cpu.idle += *ticks;
  }
  // The second field is the program's name in parentheses and may hold blanks; utime and stime are fields 14
  // and 15.
  const auto close = self_stat.rfind(')');
  if (close == std::string::npos) return std::nullopt;
  const auto fields = words_of(std::string_view(self_stat).substr(close + 1));
  if (fields.size() < 13) return std::nullopt;
  const auto user = number_of(fields[11]);
  const auto system = number_of(fields[12]);
  if (!user || !system) return std::nullopt;
  cpu.own = *user + *system;
  return cpu;
}

std::optional<LoadReading::Memory> memory_of(const std::string& meminfo) {
  const auto total = value_of(meminfo, "MemTotal:");
  const auto available = value_of(meminfo, "MemAvailable:");
  if (!total || !available) return std::nullopt;
  return LoadReading::Memory{*total, *available};
}

// Whole disks: partitions, and devices made of others, would count the same bytes twice.
std::vector<LoadReading::Disk> disks_of(const std::string& diskstats, const std::filesystem::path& sys) {
  std::vector<LoadReading::Disk> disks;
  for_each_line(diskstats, [&](std::string_view line) {
    const auto fields = words_of(line);
    if (fields.size() < 13 || disks.size() >= kDevicesMax) return;
    const std::string name(fields[2]);
    for (const char* made : {"loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"}) {
      if (name.starts_with(made)) return;
    }
    // Only whole disks stand directly in /sys/block; where it cannot be read all count.
    std::error_code ec;
    if (std::filesystem::exists(sys / "block", ec) && !std::filesystem::exists(sys / "block" / name, ec))
      return;
    const auto read = number_of(fields[5]);
    const auto written = number_of(fields[9]);
    const auto busy_ms = number_of(fields[12]);
    if (!read || !written || !busy_ms || *read + *written == 0) return;
    disks.push_back({name, *busy_ms, (*read + *written) * kSectorBytes});
  });
  return disks;
}

// Links with hardware behind them: bridges, tunnels and the like carry bytes that another link carries, too.
std::vector<LoadReading::Link> links_of(const std::string& net_dev, const std::filesystem::path& sys) {
  std::vector<LoadReading::Link> links;
  for_each_line(net_dev, [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || links.size() >= kDevicesMax) return;
    const auto names = words_of(line.substr(0, colon));
    const auto fields = words_of(line.substr(colon + 1));
    if (names.size() != 1 || fields.size() < 9) return;
    const std::string name(names[0]);
    std::error_code ec;
    if (!std::filesystem::exists(sys / "class/net" / name / "device", ec)) return;
    const auto received = number_of(fields[0]);
    const auto sent = number_of(fields[8]);
    if (received && sent) links.push_back({name, *received, *sent, 0});
  });
  return links;
}

}  // namespace

std::string read_small(const std::filesystem::path& path, std::size_t at_most) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text;
  if (!fd.valid()) return text;
  std::array<char, 16 * 1024> part{};
  while (text.size() < at_most) {
    const ssize_t got = ::read(fd.get(), part.data(), part.size());
    if (got <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  return text;
}

ProcReader::ProcReader(std::filesystem::path proc, std::filesystem::path sys)
    : proc_(std::move(proc)), sys_(std::move(sys)) {}

// Of this process. A host's /proc that a container sees may not know it by "self".
std::string ProcReader::own_file(const char* name) const {
  std::string text = read_small(proc_ / "self" / name);
  return text.empty() ? read_small(std::filesystem::path("/proc/self") / name) : text;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345" (Documentation/accounting/psi.rst)
std::optional<std::uint64_t> ProcReader::pressure_us(const std::string& file) const {
  const std::string text = read_small(file);
  if (!text.starts_with("some ")) return std::nullopt;
  const auto at = text.find("total=");
  return at == std::string::npos ? std::nullopt : number_of(std::string_view(text).substr(at + 6));
}

LoadReading ProcReader::read(Time now) {
  LoadReading reading;
  reading.at = now;
  reading.cpu = cpu_of(read_small(proc_ / "stat", 4096), own_file("stat"));
  reading.memory = memory_of(read_small(proc_ / "meminfo"));
  reading.cpu_wait_us = pressure_us(proc_ / "pressure/cpu");
  reading.memory_wait_us = pressure_us(proc_ / "pressure/memory");
  reading.io_wait_us = pressure_us(proc_ / "pressure/io");
  reading.disks = disks_of(read_small(proc_ / "diskstats", kListBytesMax), sys_);
  const std::string own = own_file("io");
  reading.own_disk_bytes =
      value_of(own, "read_bytes:").value_or(0) + value_of(own, "write_bytes:").value_or(0);
  reading.links = links_of(read_small(proc_ / "net/dev", kListBytesMax), sys_);
  return reading;
}

void ProcReader::find_own_group() {
  group_looked_for_ = true;
  std::string group;
  for_each_line(own_file("cgroup"), [&](std::string_view line) {
    if (line.starts_with("0::/")) group = std::string(line.substr(4));
  });
  if (group.find("..") != std::string::npos) return;
  for (const char* mount : {"fs/cgroup", "fs/cgroup/unified"}) {
    const auto folder = sys_ / mount / group;
    const auto inside = words_of(read_small(folder / "cgroup.procs"));
    if (inside.size() == 1 && number_of(inside.front()) == static_cast<std::uint64_t>(::getpid()))
      own_group_ = folder;
  }
}

std::optional<std::uint64_t> ProcReader::own_io_wait_us() {
  if (!group_looked_for_) find_own_group();
  if (own_group_.empty()) return std::nullopt;
  return pressure_us(own_group_ / "io.pressure");
}

}  // namespace shoal
