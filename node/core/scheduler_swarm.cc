// Segments that come from neighbours: asking for hashes, loading torrents, connecting, giving up.
#include "node/core/piece_bits.h"
#include "node/core/scheduler.h"
#include "node/core/slice_choice.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace shoal {

// Pieces that neighbours can be expected to deliver. A piece whose hash is not known counts only while a
// neighbour with the whole segment can be asked for it.
PieceMask Scheduler::from_neighbours(const Wanted& w, SegmentIndex index, Time now) const {
  const Segment& segment = w.segments[to_int(index)];
  if (!w.shared || w.policy == SourcePolicy::origin_only || now < segment.swarm_after) return 0;
  PieceMask there =
      segment.from_origin ? w.catalogue.available_from_wanters(index) : w.catalogue.available(index);
  if (segment.spread) there = w.geometry.all_pieces(index);
  PieceMask pieces = there & ~segment.suspect & ~(segment.doubted & ~segment.known);
  if (!w.catalogue.any_holder(index)) pieces &= segment.known;
  return pieces;
}

bool Scheduler::room_to_load() const {
  if (static_cast<int>(loaded_.size()) >= limits_.loaded_segments) return false;
  if (loaded_.size() < 2) return true;
  if (loaded_.size() < limits_.loaded_in_circle && wanted_.at(loaded_.begin()->blob).circle.on()) return true;
  std::uint64_t bytes = 0;
  for (const SegmentKey& key : loaded_) {
    const Wanted& w = wanted_.at(key.blob);
    bytes += w.geometry.bytes_in(key.index,
                                 w.geometry.all_pieces(key.index) & ~w.segments[to_int(key.index)].have);
  }
  return bytes < limits_.loaded_bytes;
}

// Pieces of it that this node fetched are with no neighbour that has all, and somebody waits.
bool Scheduler::others_need(const Wanted& w, SegmentIndex index) const {
  return w.segments[to_int(index)].have != 0 && !w.catalogue.any_holder(index) &&
         static_cast<int>(loaded_.size()) < limits_.loaded_segments + limits_.loaded_to_serve;
}

bool Scheduler::leaves_holders(const Wanted& w, SegmentIndex index) const {
  const std::size_t holders = w.catalogue.holders(index).size();
  if (holders == 0 || !w.circle.claims()) return true;
  const SegmentKey key{w.id, index};
  std::size_t before = 0;  // fetching nodes that come first
  for (const NodeId node : w.circle.on() ? w.circle.claimants() : w.catalogue.wanters()) {
    if (!w.catalogue.has_segment(node, index) && !claim_beats(self_, node, key)) ++before;
  }
  return before >= static_cast<std::size_t>(limits_.fetchers_per_holder) * holders;
}

std::size_t Scheduler::connected_holders(const Segment& segment) {
  return static_cast<std::size_t>(
      std::ranges::count_if(segment.asked, [&](NodeId n) { return segment.connected.contains(n); }));
}

std::size_t Scheduler::most_holders(const Segment& segment, Time now) const {
  if (segment.leaves_holders) return 0;
  if (segment.nudges > 0)
    return static_cast<std::size_t>(limits_.ask_fanout);  // who is connected sends nothing
  if (now - segment.nudged < limits_.holder_patience) return 1;
  return std::max<std::size_t>(1, limits_.holder_connections / std::max<std::size_t>(1, loaded_.size()));
}

void Scheduler::connect_more_holders(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  const std::size_t connected = connected_holders(segment);
  const std::size_t most = std::min(most_holders(segment, now), segment.asked.size());
  if (connected >= most) return;
  std::vector<NodeId> to;
  for (const NodeId node : w.catalogue.open_at(index)) {
    if (connected + to.size() == most) break;
    if (segment.asked.contains(node) && segment.connected.insert(node)) to.push_back(node);
  }
  if (!to.empty()) out_.push_back(act::ConnectSegment{{w.id, index}, std::move(to)});
}

bool Scheduler::may_connect(const Wanted& w, SegmentIndex index, NodeId node, Time now) const {
  const Segment& segment = w.segments[to_int(index)];
  if (segment.connected.contains(node)) return false;
  if (segment.asked.contains(node)) return connected_holders(segment) < most_holders(segment, now);
  return self_ < node && segment.dials < limits_.dials_per_segment;
}

bool Scheduler::plan_swarm(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  if (segment.phase == Phase::asking) check_asking(w, index, now);
  if (segment.lists && !segment.lists->heard.empty()) believe_lone_list(w, index, now);
  if (segment.phase != Phase::open) return true;
  const PieceMask all = w.geometry.all_pieces(index);
  const PieceMask missing = all & ~segment.have;
  if ((missing & ~from_neighbours(w, index, now)) != 0) return true;
  if (segment.known != all) {
    // Own slices will bring the hashes that are not known yet.
    if ((segment.known | segment.fetching) == all) return true;
    if (now < segment.ask_after) return true;  // an alarm is set
    if (!w.circle.claims() && now - w.fed_at < limits_.ask_patience) {
      // Mates pass the list on; holders are asked by few, so that one seed of a thousand nodes is not
      // overrun.
      segment.ask_after = w.fed_at + limits_.ask_patience;
      alarm(w, index, segment.ask_after);
      return true;
    }
  }
  if (!room_to_load() && !others_need(w, index) && !readers_need(w, index)) return false;
  if (segment.known == all) {
    load(w, index, now);
  } else {
    ask_holders(w, index, now);
  }
  return true;
}

void Scheduler::check_loaded(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  const PieceMask missing = w.geometry.all_pieces(index) & ~segment.have;
  if ((missing & ~from_neighbours(w, index, now)) != 0 && w.policy != SourcePolicy::lan_only) {
    // Whoever had these pieces is gone: the origin has to help.
    unload(w, index);
    return;
  }
  const Duration still = now - segment.since;
  // Large pieces over a slow link take long each: as long as other bytes arrive, be more patient.
  if (segment.spread && w.circle.claims() && still >= limits_.stall_patience / 2) {
    segment.spread = false;  // whoever had the last piece may be gone
    touch(w, index);
  }
  if ((still >= limits_.stall_patience && now - last_swarm_bytes_ >= limits_.stall_patience) ||
      still >= 4 * limits_.stall_patience) {
    unload(w, index);
    segment.swarm_after =
        now + (w.policy == SourcePolicy::lan_only ? std::chrono::seconds(1) : limits_.stall_rest);
    alarm(w, index, segment.swarm_after);
    return;
  }
  if (segment.since > segment.nudged) segment.nudges = 0;
  connect_more_holders(w, index, now);
  const Time moved = std::max(segment.since, segment.nudged);
  const Duration pause = limits_.nudge * (1 << std::min(segment.nudges, 3));
  if (now - moved < pause) {
    wake(moved + pause);
    return;
  }
  segment.nudged = now;
  ++segment.nudges;
  segment.leaves_holders = false;
  // A neighbour that had it open may have closed it since, so holders are asked anew; whoever else fetches it
  // is dialled whichever side should have.
  segment.asked.clear();
  segment.connected.clear();
  ask_holders(w, index, now);
  std::vector<NodeId> to;
  for (const NodeId node : w.catalogue.open_at(index)) {
    if (!segment.asked.contains(node) && segment.connected.insert(node)) to.push_back(node);
  }
  if (!to.empty()) out_.push_back(act::ConnectSegment{{w.id, index}, std::move(to)});
  wake(now + limits_.nudge);
}

void Scheduler::check_asking(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  if (segment.known == w.geometry.all_pieces(index)) {
    segment.phase = Phase::open;
    return;
  }
  const bool hope =
      std::ranges::any_of(segment.asked, [&](NodeId node) { return w.catalogue.has_segment(node, index); });
  if (hope && now - segment.since < limits_.ask_patience) {
    alarm(w, index, segment.since + limits_.ask_patience);
    return;
  }
  for (const NodeId node : segment.asked) w.catalogue.on_segment_refused(node, index);
  segment.asked.clear();
  segment.phase = Phase::open;
  touch(w, index);
}

void Scheduler::ask_holders(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  std::vector<NodeId> holders = w.catalogue.holders(index);
  std::erase_if(holders, [&](NodeId n) {
    return !neighbours_.contains(n) || segment.asked.contains(n) || segment.connected.contains(n);
  });
  const std::size_t wanted =
      static_cast<std::size_t>(std::max(0, limits_.ask_fanout - static_cast<int>(segment.asked.size())));
  holders = choose_holders(holders, SegmentKey{w.id, index}, wanted,
                           [&](NodeId n) { return neighbours_.find(n)->free_capacity; });
  w.used_until = std::max(w.used_until, to_int(index) + 1);
  for (const NodeId node : holders) {
    segment.asked.insert(node);
    out_.push_back(act::Tell{node, msg::AskSegment{w.id, index}});
  }
  if (segment.phase == Phase::open && !segment.asked.empty()) {
    segment.phase = Phase::asking;
    segment.since = now;
    alarm(w, index, now + limits_.ask_patience);
  }
}

void Scheduler::load(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  const SegmentKey key{w.id, index};
  // Slices of it that still run fetch what neighbours have by now.
  std::vector<FetchId> useless;
  for (const auto& [id, slice] : slices_) {
    if (slice.key == key) useless.push_back(id);
  }
  for (const FetchId id : useless) cancel_slice(id);
  segment.phase = Phase::loaded;
  segment.from_origin = segment.going_back = false;
  moved_.erase(key);
  segment.dials = 0;
  segment.since = segment.nudged = now;
  segment.leaves_holders = leaves_holders(w, index);
  loaded_.insert(key);
  std::vector<NodeId> connect_to;
  for (const NodeId node : w.catalogue.open_at(index)) {
    if (!may_connect(w, index, node, now)) continue;
    segment.connected.insert(node);
    if (!segment.asked.contains(node)) ++segment.dials;
    connect_to.push_back(node);
  }
  out_.push_back(act::LoadSegment{key, segment.have, segment.hashes.list(), std::move(connect_to)});
  w.used_until = std::max(w.used_until, to_int(index) + 1);
  if (w.circle.on()) {
    pass_list(w, index, true);
  } else {
    tell_mates(w, msg::SegmentOpen{w.id, index});
  }
  // In a circle mates have it open, too; holders are asked when these do not bring it.
  if (!segment.leaves_holders && !(w.circle.on() && segment.dials > 0)) ask_holders(w, index, now);
  wake(now + limits_.nudge);
}

void Scheduler::unload(Wanted& w, SegmentIndex index) {
  Segment& segment = w.segments[to_int(index)];
  loaded_.erase({w.id, index});
  segment.phase = Phase::open;
  segment.asked.clear();
  segment.connected.clear();
  out_.push_back(act::UnloadSegment{{w.id, index}});
  touch(w, index);
}

void Scheduler::on_piece_received(const SegmentKey& key, PieceIndex piece, Time now) {
  on_pieces_received(key, mask_of(piece), now);
}

void Scheduler::on_pieces_received(const SegmentKey& key, PieceMask pieces, Time now) {
  last_swarm_bytes_ = now;
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr) return;
  w->fed_at = now;
  // A piece that came under suspicion while it was on its way does not count.
  pieces &= segment->known & ~segment->suspect & ~segment->have;
  if (pieces == 0) return;
  // The torrent may have been unloaded while the piece was on its way.
  if (const PieceMask fetching = segment->fetching & pieces; fetching != 0) {
    for_each_piece(fetching, [&](PieceIndex piece) { forget_fetching(key, piece); });
  }
  // A later node may ask for a half-swapped segment: what came from the swarm counts as told, not as untold.
  add_pieces(*w, key.index, pieces, now);
}

void Scheduler::on_swarm_bytes(std::uint64_t bytes, Time now) {
  last_swarm_bytes_ = now;
  balance_.on_swarm_bytes(bytes, now);
}

void Scheduler::on_segment_failed(const SegmentKey& key, const Error& error, Time now) {
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr) return;
  if (segment->phase == Phase::loaded) {
    loaded_.erase(key);
    segment->phase = Phase::open;
    segment->asked.clear();
    segment->connected.clear();
    segment->swarm_after = now + limits_.stall_rest;
    alarm(*w, key.index, segment->swarm_after);
    touch(*w, key.index);
  }
  if (error.code == Code::no_space || error.code == Code::io) fail_blob(*w, error);
}

}  // namespace shoal
