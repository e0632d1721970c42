#include "tests/sim/large_origin.h"

#include "tests/sim/large_swarm.h"

#include <algorithm>
#include <limits>

namespace shoal::sim {

LargeOrigin::LargeOrigin(const Options& options, std::uint64_t rng_seed)
    : options_(options), random_(rng_seed) {}

double LargeOrigin::left(const Fetch& fetch) {
  return static_cast<double>(
             fetch.geometry.bytes_in(fetch.key.index, mask_of_run(fetch.next, fetch.end - fetch.next))) -
         fetch.arrived;
}

void LargeOrigin::fetch(int node, const act::FetchSlice& slice, const Geometry& geometry, double now_s) {
  Fetch fetch{slice.key, geometry};
  fetch.first = fetch.next = to_int(slice.first);
  fetch.end = fetch.next + slice.count;
  fetch.began_s = now_s;
  fetch.wait_s = random_.between(options_.request_min_s, options_.request_max_s);
  auto& idle = idle_[node];
  if (!idle.empty()) {
    fetch.cap = idle.back();
    idle.pop_back();
  } else {
    fetch.cap = random_.log_between(options_.connection_min_bytes_per_s, options_.connection_max_bytes_per_s);
    fetch.wait_s += 2 * random_.between(options_.request_min_s, options_.request_max_s);
  }
  fetches_.emplace(std::pair(node, slice.id), fetch);
}

void LargeOrigin::trim(FetchId id, int node, int count) {
  const auto it = fetches_.find({node, id});
  if (it == fetches_.end()) return;
  it->second.end = std::max(it->second.next + 1, it->second.first + count);
  it->second.keep_connection = false;
}

double LargeOrigin::cancel(FetchId id, int node) {
  const auto it = fetches_.find({node, id});
  if (it == fetches_.end()) return 0;
  const double arrived = it->second.arrived;
  fetches_.erase(it);
  return arrived;
}

double LargeOrigin::drop_node(int node) {
  double cut = 0;
  for (auto it = fetches_.begin(); it != fetches_.end();) {
    if (it->first.first == node) cut += it->second.arrived;
    it = it->first.first == node ? fetches_.erase(it) : std::next(it);
  }
  idle_.erase(node);
  return cut;
}

const std::vector<LargeOrigin::Event>& LargeOrigin::advance(double seconds, LargeSwarm& swarm) {
  events_.clear();
  // Max-min fair: everybody gets the same level, or its demand where that is less.
  std::vector<Fetch*> by_demand;
  for (auto& [id, fetch] : fetches_) {
    const double waited = std::min(fetch.wait_s, seconds);
    fetch.wait_s -= waited;
    fetch.demand =
        std::min({left(fetch), fetch.cap * (seconds - waited), std::max(0.0, swarm.down_left(id.first))});
    by_demand.push_back(&fetch);
  }
  std::ranges::sort(by_demand, {}, &Fetch::demand);
  double line = options_.wan_bytes_per_s * seconds;
  for (std::size_t i = 0; i < by_demand.size(); ++i) {
    by_demand[i]->got = std::min(by_demand[i]->demand, line / static_cast<double>(by_demand.size() - i));
    line -= by_demand[i]->got;
  }
  for (auto it = fetches_.begin(); it != fetches_.end();) {
    const auto& [node, id] = it->first;
    Fetch& fetch = it->second;
    swarm.charge_down(node, fetch.got);
    Event event{node, id, fetch.key, static_cast<std::uint64_t>(fetch.got), 0, false};
    fetch.arrived += fetch.got;
    while (fetch.next < fetch.end) {
      const auto piece = static_cast<PieceIndex>(fetch.next);
      const double length = fetch.geometry.piece_length(fetch.key.index, piece);
      if (fetch.arrived < length - 1) break;
      fetch.arrived = std::max(0.0, fetch.arrived - length);
      event.pieces |= mask_of(piece);
      ++fetch.next;
    }
    event.done = fetch.next == fetch.end;
    if (event.done && fetch.keep_connection) idle_[node].push_back(fetch.cap);
    if (event.done || fetch.got > 0) events_.push_back(event);
    it = event.done ? fetches_.erase(it) : std::next(it);
  }
  return events_;
}

}  // namespace shoal::sim
