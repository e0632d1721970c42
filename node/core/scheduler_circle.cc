// What changes when very many nodes want one blob: few claim, lists of hashes go from mate to mate.
#include "node/core/piece_bits.h"
#include "node/core/scheduler.h"
#include "node/core/sorted_nodes.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace shoal {

Scheduler::Lists& Scheduler::lists_of(Segment& segment) {
  if (!segment.lists) segment.lists = std::make_unique<Lists>();
  return *segment.lists;
}

void Scheduler::note_wants(Wanted& w, NodeId node, bool wants) {
  w.catalogue.on_wants(node, wants);
  note_in_circle(w, node, wants);
}

void Scheduler::note_in_circle(Wanted& w, NodeId node, bool wants) {
  if (is_small(w)) return;
  const Neighbour* neighbour = neighbours_.find(node);
  w.circle.on_wants(node, wants, neighbour == nullptr ? 1 : neighbour->free_capacity);
  if (w.circle.stale()) unsettled_.insert(w.id);
}

// Each claim would be an alarm of its own; in a circle they are thousands a second, and one for the first
// that may lapse does as well.
void Scheduler::alarm_lapse(Wanted& w, SegmentIndex index, Time at) {
  if (w.circle.on() && w.lapse_alarm <= at && w.lapse_alarm != Time{}) return;
  w.lapse_alarm = at;
  alarm(w, index, at);
}

void Scheduler::drop_lapsed(Wanted& w, Time now) {
  if (w.circle.on() && now < w.lapse_alarm) return;
  w.lapse_alarm = Time{};
  for (const SegmentIndex lapsed : w.catalogue.drop_lapsed(now)) touch(w, lapsed);
  if (!w.circle.on()) return;
  if (const Time next = w.catalogue.next_lapse(); next != Time::max()) alarm_lapse(w, SegmentIndex{0}, next);
}

void Scheduler::settle_circles(Time now) {
  for (const BlobId& blob : std::exchange(unsettled_, {})) {
    if (Wanted* w = find(blob)) settle_circle(*w, now);
  }
}

void Scheduler::settle_circle(Wanted& w, Time now) {
  const bool was_on = w.circle.on();
  const bool claimed = w.circle.claims();
  std::vector<NodeId> known = w.circle.claimants();
  known.insert(known.end(), w.circle.mates().begin(), w.circle.mates().end());
  if (!w.circle.settle() && was_on == w.circle.on()) return;
  if (w.circle.on()) {
    in_circle_.insert(w.id);
  } else {
    in_circle_.erase(w.id);
  }
  if (!was_on) return;  // until a moment ago everybody heard everything
  // Who begins to claim, or to hear everything again, is told first what there is.
  if (!w.circle.on() || (w.circle.claims() && !claimed)) {
    w.claims_after = now + limits_.answer_patience;
    touch(w, SegmentIndex{0});
  }
  if (!w.circle.on()) {
    announce_again(w);
    return;
  }
  std::ranges::sort(known);
  std::vector<NodeId> present = w.circle.claimants();
  present.insert(present.end(), w.circle.mates().begin(), w.circle.mates().end());
  std::ranges::sort(present);
  present.erase(std::ranges::unique(present).begin(), present.end());
  std::vector<NodeId> fresh;
  std::ranges::set_difference(present, known, std::back_inserter(fresh));
  for (const NodeId node : fresh) describe(w, node);
}

// Claimants claim; the others only when those bring nothing.
bool Scheduler::may_claim(const Wanted& w, Time now) const {
  return w.circle.claims() || !w.shared || w.policy == SourcePolicy::origin_only ||
         now - w.fed_at >= limits_.alone_patience;
}

void Scheduler::look_again_alone(Wanted& w, Time now) {
  if (w.alone_alarm > now) return;
  w.alone_alarm = w.fed_at + limits_.alone_patience;
  alarm(w, static_cast<SegmentIndex>(std::min<std::size_t>(w.claim_from, w.segments.size() - 1)),
        w.alone_alarm);
}

void Scheduler::learn_list(Wanted& w, NodeId from, const msg::SegmentHashes& told, Time now) {
  if (to_int(told.segment) >= w.segments.size()) return;
  Segment& segment = w.segments[to_int(told.segment)];
  if (segment.phase == Phase::complete ||
      told.hashes.size() != static_cast<std::size_t>(w.geometry.piece_count(told.segment))) {
    return;
  }
  Lists& lists = lists_of(segment);
  insert_sorted(lists.know, from);
  if (told.open) on_open(from, {w.id, told.segment}, now);
  const bool all_known = segment.known == w.geometry.all_pieces(told.segment);
  if (all_known && segment.hashes == told.hashes) return;
  const auto same = std::ranges::find_if(
      lists.heard, [&](const auto& heard) { return heard.first != from && heard.second == told.hashes; });
  if (same != lists.heard.end()) {
    believe_list(w, told.segment, from, told.hashes, now);
    return;
  }
  if (lists.heard.size() >= limits_.lists_kept) return;
  if (lists.heard.empty()) lists.since = now;
  lists.heard.emplace_back(from, told.hashes);
  if (!all_known) alarm(w, told.segment, lists.since + limits_.list_patience);
}

// Two tellers agreed, or one was not contradicted. What this node fetched itself, or heard from who fetched
// it, is better known here.
void Scheduler::believe_list(Wanted& w, SegmentIndex index, NodeId from, const PieceHashes& hashes,
                             Time now) {
  if (w.finishing || std::ranges::any_of(hashes.list(), [](const Hash256& h) { return h.is_zero(); })) return;
  const PieceMask all = w.geometry.all_pieces(index);
  Segment& segment = w.segments[to_int(index)];
  if (segment.hashes.empty()) segment.tellers.set(all, NodeId{});
  PieceMask differs = 0;
  for_each_piece(segment.known, [&](PieceIndex p) {
    if (segment.hashes[at(p)] != hashes[at(p)]) differs |= mask_of(p);
  });
  const PieceMask own =
      segment.vouched |
      (segment.known & (segment.tellers.told_by(self_) | segment.tellers.told_by(NodeId{})));
  if ((differs & own) != 0) return;
  if (differs != 0) doubt_pieces(w, index, differs, now);
  segment.tellers.set(all & ~segment.known, from);
  segment.vouched &= segment.known;
  segment.known = all;
  segment.doubted = 0;
  segment.hashes = hashes;
  segment.spread = true;
  lists_of(segment).heard.clear();
  listing_.insert({w.id, index});
  w.fed_at = now;
  if (segment.phase == Phase::asking) segment.phase = Phase::open;
  touch(w, index);
}

void Scheduler::believe_lone_list(Wanted& w, SegmentIndex index, Time now) {
  const Segment& segment = w.segments[to_int(index)];
  if (segment.known == w.geometry.all_pieces(index) || segment.lists->heard.size() != 1 ||
      now - segment.lists->since < limits_.list_patience) {
    return;
  }
  const auto [from, hashes] = segment.lists->heard.front();
  believe_list(w, index, from, hashes, now);
}

bool Scheduler::give_list(Wanted& w, SegmentIndex index, NodeId to, bool open) {
  Segment& segment = w.segments[to_int(index)];
  if (segment.phase == Phase::complete || segment.known != w.geometry.all_pieces(index)) return false;
  if (!insert_sorted(lists_of(segment).know, to)) return false;
  out_.push_back(act::Tell{to, msg::SegmentHashes{w.id, index, open, segment.hashes}});
  return true;
}

void Scheduler::pass_list(Wanted& w, SegmentIndex index, bool open) {
  if (!w.shared) return;
  expect_actions(w.circle.mates().size());
  for (const NodeId node : w.circle.mates()) {
    if (give_list(w, index, node, open)) continue;
    if (open) out_.push_back(act::Tell{node, msg::SegmentOpen{w.id, index}});
  }
}

// Complete segments, to the mates that do not have them, some at a time.
void Scheduler::tell_complete(Time now) {
  for (auto it = untold_complete_.begin(); it != untold_complete_.end();) {
    Wanted& w = wanted_.at(*it);
    if (now - w.told_complete < limits_.gather_complete) {
      wake(w.told_complete + limits_.gather_complete);
      ++it;
      continue;
    }
    w.told_complete = now;
    const std::vector<SegmentIndex> complete = std::exchange(w.untold_complete, {});
    expect_actions(w.circle.mates().size());
    for (const NodeId node : w.circle.mates()) {
      msg::HaveSegments have{w.id, {}};
      have.segments = w.catalogue.lacking(node, complete);
      if (!have.segments.empty()) out_.push_back(act::Tell{node, std::move(have)});
    }
    it = untold_complete_.erase(it);
  }
}

}  // namespace shoal
