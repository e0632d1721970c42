// What the node counts about itself for people and monitoring: totals, rates over time, and the facts that
// explain what a file waits for (node/core/bottleneck.h).
//
// It watches and decides nothing. Owned by the loop thread.
#pragma once

#include "node/core/rate_history.h"
#include "node/core/status.h"
#include "node/core/time.h"
#include "node/daemon/fetcher.h"
#include "node/daemon/rate_meter.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace shoal {

class Observer {
 public:
  Observer(std::uint64_t wan_rate_limit, WallTime started_at);

  void on_origin_bytes(std::uint64_t bytes) { counters_.origin_bytes += bytes; }
  void on_traffic(NodeId from, std::uint64_t received, std::uint64_t sent, Time now);
  void on_limited(Time until, std::string reason, Time now);
  void on_mismatch() { ++counters_.mismatches; }
  void on_bad_piece() { ++counters_.bad_pieces; }
  void on_disk(std::uint64_t size, std::uint64_t free);

  // Once a second: adds to the history, and says what surrounds the node's downloads.
  [[nodiscard]] Fetcher::Surroundings tick(const DeviceLoad& load, const std::vector<PeerStatus>& peers,
                                           WriteTimes& write_times, std::size_t origin_requests, Time now);
  // What the snapshot shows of it.
  void fill(StatusSnapshot& snapshot) const;

 private:
  NodeCounters counters_;
  RateHistory rates_;
  std::map<NodeId, RateMeter> received_;  // neighbours that sent something; at most as many as connect
  WallTime limited_until_;
  std::string limited_reason_;
};

}  // namespace shoal
