// Neighbours that are too slow: segments they have, moved to the origin.
#include "node/core/scheduler.h"

#include <utility>

namespace shoal {

void Scheduler::plan_hybrid(Time now) {
  balance_.on_turn(!loaded_.empty(), active_slices() > 0, static_cast<double>(neighbours_origin_bytes_per_s_),
                   now);
  const SourceBalance::Advice advice = balance_.advice(now);
  if (advice == SourceBalance::Advice::neighbours) {
    give_back_moved();
    return;
  }
  for (const SegmentKey& key : moved_) {
    if (std::exchange(find(key)->going_back, false)) touch(*find(key.blob), key.index);
  }
  const std::size_t at_once = advice == SourceBalance::Advice::attempt ? 1 : limits_.moved_segments;
  if (!hungry_.empty() || free_slots() <= 0 || moved_.size() >= at_once) return;
  const auto key = last_from_neighbours(now);
  if (!key) return;
  if (advice == SourceBalance::Advice::attempt) balance_.on_attempt(now);
  Wanted& w = *find(key->blob);
  Segment& segment = *find(*key);
  if (segment.phase == Phase::loaded) unload(w, key->index);
  segment.from_origin = true;
  moved_.insert(*key);
  touch(w, key->index);
  plan_claims(now);
}

// The last segment in the line that waits for neighbours only.
std::optional<SegmentKey> Scheduler::last_from_neighbours(Time now) const {
  std::optional<std::pair<OrderKey, SegmentKey>> last;
  for (const auto& [blob, w] : wanted_) {
    // In a circle nobody knows of all who have a segment.
    if (w.failed || w.finishing || !w.started || !w.shared || is_small(w) || w.circle.on() ||
        w.policy != SourcePolicy::automatic || now < w.origin_after) {
      continue;
    }
    for (std::uint32_t i = static_cast<std::uint32_t>(w.segments.size()); i-- > 0;) {
      const Segment& segment = w.segments[i];
      if (segment.from_origin || (segment.phase != Phase::open && segment.phase != Phase::loaded)) continue;
      const auto index = static_cast<SegmentIndex>(i);
      const PieceMask missing = w.geometry.all_pieces(index) & ~segment.have;
      if ((missing & ~from_neighbours(w, index, now)) != 0) continue;
      // Nodes that fetch it, too, have all that is missing: that is no slow source.
      if ((missing & ~w.catalogue.available_from_wanters(index)) == 0) continue;
      const OrderKey place = place_of(w, i);
      if (!last || last->first < place) last = {place, SegmentKey{blob, index}};
      break;
    }
  }
  if (!last) return std::nullopt;
  return last->second;
}

// Neighbours have become fast enough: what was moved goes back to them, with the pieces it got.
void Scheduler::give_back_moved() {
  for (auto it = moved_.begin(); it != moved_.end();) {
    Segment& segment = *find(*it);
    segment.going_back = true;
    if (segment.fetching != 0) {
      ++it;
      continue;
    }
    segment.from_origin = segment.going_back = false;
    touch(*find(it->blob), it->index);
    it = moved_.erase(it);
  }
}

}  // namespace shoal
