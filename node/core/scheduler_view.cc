// What the scheduler knows of one wanted blob, for people: nothing here changes anything.
#include "node/core/bottleneck.h"
#include "node/core/piece_bits.h"
#include "node/core/scheduler.h"

#include <algorithm>

namespace shoal {

std::optional<Scheduler::BlobView> Scheduler::view(const BlobId& blob, Time now) const {
  const auto it = wanted_.find(blob);
  if (it == wanted_.end()) return std::nullopt;
  const Wanted& w = it->second;
  BlobView view;
  view.awaits_answers = !w.started;
  view.rest_until = w.origin_after;
  view.segments.resize(w.segments.size());
  std::set<NodeId> senders;
  bool open_seen = false;
  for (std::uint32_t i = 0; i < w.segments.size(); ++i) {
    const auto index = static_cast<SegmentIndex>(i);
    const Segment& segment = w.segments[i];
    SegmentPieces& pieces = view.segments[i];
    if (segment.phase == Phase::complete) continue;
    pieces.fetching = segment.fetching;
    pieces.claimed = w.catalogue.claimed(index, now) & ~segment.have;
    if (segment.phase == Phase::loaded) {
      ++view.segments_loaded;
      pieces.asked = w.geometry.all_pieces(index) & ~segment.have;
      for (const NodeId node : w.catalogue.holders(index)) senders.insert(node);
      for (const NodeId node : w.catalogue.open_at(index)) senders.insert(node);
    }
    if (std::exchange(open_seen, true)) continue;
    view.open_is_available = w.catalogue.available(index) != 0;
    for (const NodeId node : w.catalogue.wanters()) {
      if (w.catalogue.claimed_by(node, index, now) != 0) view.claimers.push_back(node);
    }
  }
  for (const auto& [id, slice] : slices_) {
    if (slice.key.blob == blob && !slice.fetched) ++view.requests;
  }
  if (w.small.fetching) ++view.requests;
  if (w.small.asked) {
    ++view.segments_loaded;
    senders.insert(*w.small.asked);
  }
  view.senders.assign(senders.begin(), senders.end());
  return view;
}

std::string Scheduler::waiting_for(const BlobId& blob, Time now) const {
  const auto it = wanted_.find(blob);
  if (it == wanted_.end() || it->second.failed || it->second.finishing) return {};
  const auto seen = view(blob, now);
  BlobFacts facts;
  facts.stage = BlobFacts::Stage::fetching;
  facts.policy = it->second.policy;
  facts.awaits_answers = seen->awaits_answers;
  facts.requests = seen->requests;
  facts.segments_loaded = seen->segments_loaded;
  facts.origin_rest_s = std::chrono::ceil<std::chrono::seconds>(seen->rest_until - now).count();
  facts.open_is_available = seen->open_is_available;
  for (const NodeId node : seen->claimers) facts.claimers.push_back({node.short_hex(), {}, 0});
  return bottleneck({}, facts);
}

}  // namespace shoal
