// What a loaded device leaves to freer ones.
#include "node/core/scheduler.h"
#include "node/core/slice_choice.h"

#include <algorithm>
#include <cmath>

namespace shoal {

// Requests to the origin that this device has capacity for; less than one means one with rests between.
double Scheduler::origin_share() const {
  return pace_.connections() * free_capacity(own_load_);
}

int Scheduler::slice_limit() const {
  return std::max(limits_.slices_least, static_cast<int>(std::lround(origin_share())));
}

// What of the segment this node claims before all others: nothing while it has hardly any capacity and
// another has more; the parts are then cut for those.
PieceMask Scheduler::own_part(const Wanted& w, SegmentIndex index) const {
  std::vector<NodeId> takers = claimants(w);
  const auto has_little = [this](NodeId node) {
    const Neighbour* neighbour = neighbours_.find(node);
    return neighbour != nullptr && neighbour->free_capacity < limits_.part_capacity;
  };
  const bool own_little = free_capacity(own_load_) < limits_.part_capacity;
  if (!own_little || !std::ranges::all_of(takers, has_little)) {
    if (own_little) return 0;
    std::erase_if(takers, has_little);
  }
  return claim_part(self_, takers, w.geometry.piece_count(index));
}

// A slice has ended: with capacity for a fifth of a request the next one begins after four times as long, if
// somebody freer can use the line meanwhile. A reader's blob is fetched without rests.
void Scheduler::rest_after(const Slice& slice, Time now) {
  const double share = origin_share();
  const Wanted* w = find(slice.key.blob);
  if (share >= 1 || w == nullptr || !w->readers.empty()) return;
  const double own = free_capacity(own_load_);
  const auto others = claimants(*w);
  const bool freer = std::ranges::any_of(others, [&](NodeId node) {
    const Neighbour* neighbour = neighbours_.find(node);
    return neighbour != nullptr && neighbour->free_capacity > 1.5 * own;
  });
  if (!freer) return;
  const auto rest = std::chrono::duration_cast<Duration>((now - slice.started) * (1 / share - 1));
  rest_until_ = now + std::min(rest, limits_.rest_most);
}

bool Scheduler::rests(Time now) {
  if (now >= rest_until_ || origin_share() >= 1) return false;
  wake(rest_until_);
  return true;
}

}  // namespace shoal
