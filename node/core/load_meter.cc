#include "node/core/load_meter.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace shoal {
namespace {

// Payload that a program counts and bytes that a network card counts: with full Ethernet frames 1514 for
// 1448, and an acknowledgement of 66 bytes for every other frame of the opposite direction.
constexpr double kFrameOverhead = 1.05;
constexpr double kAcknowledged = 0.03;
// Below this share of available memory PSI is believed (see the header); without PSI memory becomes short
// between the other two.
constexpr double kAmple = 0.20;
constexpr double kShort = 0.10;
constexpr double kGone = 0.02;
// Own bytes that no disk has shown after so long were never to be written (a file that was removed) or went
// to a disk that is not counted. The kernel waits up to 30 s.
constexpr double kForgetUnwrittenS = 30;

std::uint16_t permille(double share) {
  return static_cast<std::uint16_t>(std::lround(std::clamp(share, 0.0, 1.0) * 1000.0));
}

// Counters begin anew when a device is replaced; that second tells nothing.
double grown(std::uint64_t before, std::uint64_t after) {
  return after > before ? static_cast<double>(after - before) : 0.0;
}

// Share of the time that passed.
std::optional<double> waited(std::optional<std::uint64_t> before, std::optional<std::uint64_t> after,
                             double seconds) {
  if (!before || !after) return std::nullopt;
  return std::min(1.0, grown(*before, *after) / (seconds * 1e6));
}

double cpu_load(const LoadReading& before, const LoadReading& after, double seconds) {
  if (!before.cpu || !after.cpu) return 0;
  const double total = grown(before.cpu->total, after.cpu->total);
  if (total <= 0) return 0;
  const double used = std::max(0.0, total - grown(before.cpu->idle, after.cpu->idle));
  const double others = std::max(0.0, used - grown(before.cpu->own, after.cpu->own));
  const double wait = waited(before.cpu_wait_us, after.cpu_wait_us, seconds).value_or(0);
  return std::max(others / total, used > 0 ? wait * others / used : 0);
}

double memory_load(const LoadReading& before, const LoadReading& after, double seconds) {
  const bool known = after.memory && after.memory->total_kib > 0;
  const double available =
      known ? static_cast<double>(after.memory->available_kib) / static_cast<double>(after.memory->total_kib)
            : 0;
  if (const auto wait = waited(before.memory_wait_us, after.memory_wait_us, seconds)) {
    return !known || available < kAmple ? *wait : 0;
  }
  return known ? (kShort - available) / (kShort - kGone) : 0;
}

double network_load(const LoadReading& before, const LoadReading& after, double seconds) {
  struct Moved {
    double received = 0;
    double sent = 0;
    double can_move = 0;
  };
  std::vector<Moved> links;
  double received = 0;
  double sent = 0;
  for (const auto& link : after.links) {
    const auto old = std::ranges::find(before.links, link.name, &LoadReading::Link::name);
    if (old == before.links.end()) continue;
    links.push_back({grown(old->received, link.received), grown(old->sent, link.sent),
                     static_cast<double>(link.bytes_per_s) * seconds});
    received += links.back().received;
    sent += links.back().sent;
  }
  const double own_received = grown(before.own_received, after.own_received);
  const double own_sent = grown(before.own_sent, after.own_sent);
  const auto others_share = [](double all, double own) { return all > own ? (all - own) / all : 0.0; };
  // Which of several links carried the own bytes is not known: each in proportion.
  const double in = others_share(received, kFrameOverhead * own_received + kAcknowledged * own_sent);
  const double out = others_share(sent, kFrameOverhead * own_sent + kAcknowledged * own_received);
  double load = 0;
  for (const Moved& link : links) {
    if (link.can_move > 0)
      load = std::max({load, link.received * in / link.can_move, link.sent * out / link.can_move});
  }
  return load;
}

}  // namespace

// Of the bytes that the disks moved. Own ones are written some time after they were counted as own, so they
// are remembered until a disk moves as many.
double LoadMeter::disk_share_of_others(const LoadReading& before, const LoadReading& after, double seconds) {
  double moved = 0;
  for (const auto& disk : after.disks) {
    const auto old = std::ranges::find(before.disks, disk.name, &LoadReading::Disk::name);
    if (old != before.disks.end()) moved += grown(old->bytes, disk.bytes);
  }
  unwritten_ = unwritten_ * std::exp(-seconds / kForgetUnwrittenS) +
               grown(before.own_disk_bytes, after.own_disk_bytes);
  if (moved <= 0) return 0;
  const double own = std::min(moved, unwritten_);
  unwritten_ -= own;
  return 1 - own / moved;
}

DeviceLoad LoadMeter::add(LoadReading reading) {
  DeviceLoad load;
  load.gpu_permille = std::min<std::uint16_t>(reading.gpu_permille.value_or(0), 1000);
  const auto last = std::exchange(last_, std::move(reading));
  if (!last || last_->at <= last->at) return load;
  const LoadReading& now = *last_;
  const double seconds = std::chrono::duration<double>(now.at - last->at).count();
  load.cpu_permille = permille(cpu_load(*last, now, seconds));
  load.memory_permille = permille(memory_load(*last, now, seconds));
  load.nic_permille = permille(network_load(*last, now, seconds));

  const double others = disk_share_of_others(*last, now, seconds);
  if (const auto wait = waited(last->io_wait_us, now.io_wait_us, seconds)) {
    const double own = std::min(*wait, grown(last->own_io_wait_us, now.own_io_wait_us) / (seconds * 1e6));
    load.io_permille = permille(*wait - own + own * others);
  } else {
    double busy = 0;
    for (const auto& disk : now.disks) {
      const auto old = std::ranges::find(last->disks, disk.name, &LoadReading::Disk::name);
      if (old != last->disks.end())
        busy = std::max(busy, grown(old->busy_ms, disk.busy_ms) / (seconds * 1e3));
    }
    load.io_permille = permille(std::min(1.0, busy) * others);
  }
  return load;
}

}  // namespace shoal
