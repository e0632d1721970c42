#include "tests/sim/flow_network.h"

#include <algorithm>
#include <cmath>
#include <queue>

namespace shoal::sim {
namespace {

constexpr double kNothing = 1e-3;  // bytes
// With very many flows the shares are renewed this often instead of at every change.
constexpr std::size_t kManyFlows = 600;
constexpr Duration kCoarse = std::chrono::milliseconds(2);

}  // namespace

LinkId FlowNetwork::add_link(double bytes_per_s) {
  links_.push_back({bytes_per_s, 0, 0, {}});
  return static_cast<LinkId>(links_.size() - 1);
}

void FlowNetwork::set_capacity(LinkId link, double bytes_per_s) {
  links_[static_cast<std::size_t>(link)].capacity = bytes_per_s;
  changed();
}

FlowId FlowNetwork::start(std::vector<LinkId> links, double cap_bytes_per_s, double amount,
                          OnArrived on_arrived) {
  const auto id = static_cast<FlowId>(next_++);
  flows_[id] = {std::move(links), cap_bytes_per_s, amount, amount, 0, std::move(on_arrived), false};
  changed();
  return id;
}

void FlowNetwork::stop(FlowId flow) {
  if (flows_.contains(flow)) advance();
  if (flows_.erase(flow) > 0) changed();
}

void FlowNetwork::stall(FlowId flow) {
  if (const auto it = flows_.find(flow); it != flows_.end()) {
    it->second.cap = 0;
    changed();
  }
}

double FlowNetwork::arrived(FlowId flow) const {
  const auto it = flows_.find(flow);
  if (it == flows_.end()) return 0;
  const double since = std::chrono::duration<double>(events_.now() - at_).count();
  return std::min(it->second.amount, it->second.amount - it->second.left + it->second.rate * since);
}

double FlowNetwork::rate(FlowId flow) const {
  const auto it = flows_.find(flow);
  return it == flows_.end() ? 0 : it->second.rate;
}

void FlowNetwork::advance() {
  const double seconds = std::chrono::duration<double>(events_.now() - at_).count();
  at_ = events_.now();
  if (seconds <= 0) return;
  for (auto& [id, flow] : flows_) flow.left -= flow.rate * seconds;
}

// Progressive filling: the tightest link (or cap) sets the rate of its flows, then the rest share what is
// left.
void FlowNetwork::share() {
  for (Link& link : links_) {
    link.left = link.capacity;
    link.flows.clear();
  }
  std::vector<Flow*> by_cap;
  for (auto& [id, flow] : flows_) {
    flow.frozen = false;
    by_cap.push_back(&flow);
    for (const LinkId link : flow.links) links_[static_cast<std::size_t>(link)].flows.push_back(&flow);
  }
  std::ranges::stable_sort(by_cap, {}, &Flow::cap);
  using Entry = std::pair<double, std::size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> tightest;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    links_[i].unfrozen = static_cast<int>(links_[i].flows.size());
    if (links_[i].unfrozen > 0) tightest.push({links_[i].left / links_[i].unfrozen, i});
  }
  const auto freeze = [&](Flow& flow, double rate) {
    flow.frozen = true;
    flow.rate = rate;
    for (const LinkId id : flow.links) {
      Link& link = links_[static_cast<std::size_t>(id)];
      link.left = std::max(0.0, link.left - rate);
      --link.unfrozen;
    }
  };
  std::size_t next_cap = 0;
  while (true) {
    while (next_cap < by_cap.size() && by_cap[next_cap]->frozen) ++next_cap;
    if (next_cap == by_cap.size()) return;
    // A link's share only grows while others are filled, so a stale entry is simply put back.
    while (!tightest.empty()) {
      const auto [share, i] = tightest.top();
      if (links_[i].unfrozen == 0) {
        tightest.pop();
        continue;
      }
      const double fresh = links_[i].left / links_[i].unfrozen;
      if (fresh <= share * (1 + 1e-9)) break;
      tightest.pop();
      tightest.push({fresh, i});
    }
    Flow& capped = *by_cap[next_cap];
    if (tightest.empty() || capped.cap <= tightest.top().first) {
      freeze(capped, capped.cap);
      continue;
    }
    const auto [share, i] = tightest.top();
    tightest.pop();
    for (Flow* flow : links_[i].flows) {
      if (!flow->frozen) freeze(*flow, share);
    }
  }
}

void FlowNetwork::changed() {
  if (turn_due_) return;
  turn_due_ = true;
  const auto run = [this] {
    turn_due_ = false;
    turn();
  };
  if (flows_.size() > kManyFlows) {
    events_.after(kCoarse, run);
  } else {
    events_.after(Duration{0}, run);
  }
}

void FlowNetwork::turn() {
  turn_due_ = true;  // flows that the callbacks start are shared out at the end of this turn
  advance();
  std::vector<FlowId> done;
  for (const auto& [id, flow] : flows_) {
    if (flow.left <= kNothing) done.push_back(id);
  }
  for (const FlowId id : done) {
    const auto it = flows_.find(id);
    if (it == flows_.end()) continue;
    const double next = it->second.on_arrived();
    const auto again = flows_.find(id);  // the callback may have stopped it
    if (again == flows_.end()) continue;
    if (next <= 0) {
      flows_.erase(again);
    } else {
      again->second.amount = next;
      again->second.left += next;
    }
  }
  share();
  turn_due_ = false;
  arm();
}

void FlowNetwork::arm() {
  double soonest = 1e9;
  for (const auto& [id, flow] : flows_) {
    if (flow.rate > 0) soonest = std::min(soonest, std::max(0.0, flow.left) / flow.rate);
  }
  const std::uint64_t number = ++armed_;
  if (soonest >= 1e9) return;
  Duration delay = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(soonest)) +
                   std::chrono::nanoseconds(100);
  if (flows_.size() > kManyFlows) delay = std::max(delay, kCoarse);
  events_.after(delay, [this, number] {
    if (number == armed_) turn();
  });
}

}  // namespace shoal::sim
