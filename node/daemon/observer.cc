#include "node/daemon/observer.h"

#include "node/daemon/event_log.h"

#include <utility>

namespace shoal {

Observer::Observer(std::uint64_t wan_rate_limit, WallTime started_at) {
  counters_.wan_rate_limit = wan_rate_limit;
  counters_.started_at = started_at;
}

void Observer::on_traffic(NodeId from, std::uint64_t received, std::uint64_t sent, Time now) {
  counters_.received_bytes += received;
  counters_.sent_bytes += sent;
  if (received > 0) received_[from].add(received, now);
}

void Observer::on_limited(Time until, std::string reason, Time now) {
  ++counters_.limited;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - now).count();
  limited_until_ = {wall_clock_now().ms + left};
  limited_reason_ = std::move(reason);
}

void Observer::on_disk(std::uint64_t size, std::uint64_t free) {
  counters_.disk_size = size;
  counters_.disk_free = free;
}

Fetcher::Surroundings Observer::tick(const DeviceLoad& load, const std::vector<PeerStatus>& peers,
                                     WriteTimes& write_times, std::size_t origin_requests, Time now) {
  const WallTime at = wall_clock_now();
  rates_.add({at, load.origin_bytes_per_s, load.download_bytes_per_s, load.upload_bytes_per_s});
  counters_.origin_requests = origin_requests;
  const auto shares = write_times.sample(now);
  Fetcher::Surroundings out;
  out.node.now = at;
  out.node.origin_bytes_per_s = load.origin_bytes_per_s;
  out.node.wan_rate_limit = counters_.wan_rate_limit;
  out.node.origin_requests = origin_requests;
  out.node.limited_until = limited_until_;
  out.node.limited_reason = limited_reason_;
  out.node.own = load;
  out.node.disk_wait_permille = shares.disk_wait_permille;
  out.node.hashing_permille = shares.hashing_permille;
  for (const PeerStatus& peer : peers) {
    if (!peer.alive) continue;
    const auto rate = received_.find(peer.node);
    out.neighbours[peer.node] = {peer.name.empty() ? peer.node.short_hex() : peer.name, peer.load,
                                 rate == received_.end() ? 0 : rate->second.bytes_per_s(now)};
  }
  std::erase_if(received_, [&](const auto& entry) { return !out.neighbours.contains(entry.first); });
  return out;
}

void Observer::fill(StatusSnapshot& snapshot) const {
  snapshot.counters = counters_;
  snapshot.rates = std::make_shared<RateHistory>(rates_);
}

}  // namespace shoal
