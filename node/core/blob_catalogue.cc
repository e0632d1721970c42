#include "node/core/blob_catalogue.h"

#include <algorithm>

namespace shoal {

BlobCatalogue::BlobCatalogue(Geometry geometry, Duration claim_ttl)
    : geometry_(geometry),
      segment_count_(geometry.segment_count()),
      claim_ttl_(claim_ttl),
      available_(segment_count_, 0),
      whole_(segment_count_, false) {}

bool BlobCatalogue::has_segment(const View& view, SegmentIndex segment) {
  return view.has_all || (to_int(segment) < view.complete.size() && view.complete[to_int(segment)]);
}

void BlobCatalogue::recount(SegmentIndex segment) {
  PieceMask pieces = 0;
  whole_[to_int(segment)] = false;
  for (const auto& [node, view] : views_) {
    if (view.has_all) continue;
    if (has_segment(view, segment)) {
      pieces = geometry_.all_pieces(segment);
      whole_[to_int(segment)] = true;
      break;
    }
    if (const auto it = view.partial.find(segment); it != view.partial.end()) pieces |= it->second;
  }
  available_[to_int(segment)] = pieces;
}

void BlobCatalogue::recount_all() {
  having_all_ =
      static_cast<int>(std::ranges::count_if(views_, [](const auto& v) { return v.second.has_all; }));
  for (std::uint32_t i = 0; i < segment_count_; ++i) recount(static_cast<SegmentIndex>(i));
}

void BlobCatalogue::drop_claims_of(NodeId node) {
  for (auto it = claims_.begin(); it != claims_.end();) {
    it->second.erase(node);
    it = it->second.empty() ? claims_.erase(it) : std::next(it);
  }
}

void BlobCatalogue::drop_from_claim(NodeId node, SegmentIndex segment, PieceMask pieces) {
  const auto at = claims_.find(segment);
  if (at == claims_.end()) return;
  const auto claim = at->second.find(node);
  if (claim == at->second.end()) return;
  claim->second.pieces &= ~pieces;
  for (auto& [mask, since] : claim->second.since) mask &= ~pieces;
  std::erase_if(claim->second.since, [](const auto& part) { return part.first == 0; });
  if (claim->second.pieces == 0) at->second.erase(claim);
  if (at->second.empty()) claims_.erase(at);
}

void BlobCatalogue::on_asked(NodeId node, Time now) {
  View& view = views_[node];
  view.answered = false;
  view.asked_at = now;
}

PieceMask BlobCatalogue::available_from_wanters(SegmentIndex segment) const {
  PieceMask pieces = 0;
  for (const auto& [node, view] : views_) {
    if (!view.wants || view.has_all) continue;
    if (has_segment(view, segment)) return geometry_.all_pieces(segment);
    if (const auto it = view.partial.find(segment); it != view.partial.end()) pieces |= it->second;
  }
  return pieces;
}

void BlobCatalogue::on_has_all(NodeId node) {
  View& view = views_[node];
  const bool had = view.has_all;
  view = View{};
  view.answered = true;
  view.has_all = true;
  drop_claims_of(node);
  if (!had) recount_all();
}

void BlobCatalogue::on_lacks(NodeId node) {
  View& view = views_[node];
  const bool wants = view.wants;
  const bool had = view.has_all || !view.complete.empty() || !view.partial.empty();
  view = View{};
  view.answered = true;
  view.wants = wants;
  drop_claims_of(node);
  if (had) recount_all();
}

void BlobCatalogue::on_wants(NodeId node, bool wants) {
  views_[node].wants = wants;
  if (!wants) drop_claims_of(node);
}

void BlobCatalogue::on_has_segment(NodeId node, SegmentIndex segment) {
  if (!valid(segment)) return;
  View& view = views_[node];
  view.answered = true;
  if (view.complete.empty()) view.complete.resize(segment_count_);
  view.complete[to_int(segment)] = true;
  view.partial.erase(segment);
  available_[to_int(segment)] = geometry_.all_pieces(segment);
  whole_[to_int(segment)] = true;
  drop_from_claim(node, segment, geometry_.all_pieces(segment));
}

void BlobCatalogue::on_has_pieces(NodeId node, SegmentIndex segment, PieceMask pieces) {
  if (!valid(segment)) return;
  View& view = views_[node];
  view.answered = true;
  const PieceMask all = geometry_.all_pieces(segment);
  pieces &= all;
  if (pieces == 0 || has_segment(view, segment)) return;
  PieceMask& held = view.partial[segment];
  held |= pieces;
  if (held == all) {
    on_has_segment(node, segment);
    return;
  }
  available_[to_int(segment)] |= held;
  // What a node has it no longer claims.
  drop_from_claim(node, segment, pieces);
}

void BlobCatalogue::on_claim(NodeId node, SegmentIndex segment, PieceMask pieces, Time now) {
  if (!valid(segment)) return;
  views_[node].answered = true;
  pieces &= geometry_.all_pieces(segment);
  if (pieces == 0) {
    drop_from_claim(node, segment, geometry_.all_pieces(segment));
    return;
  }
  ClaimEntry& claim = claims_[segment][node];
  for (auto& [mask, since] : claim.since) mask &= pieces;
  std::erase_if(claim.since, [](const auto& part) { return part.first == 0; });
  if (const PieceMask fresh = pieces & ~claim.pieces; fresh != 0) claim.since.emplace_back(fresh, now);
  claim.pieces = pieces;
  claim.refreshed = now;
}

void BlobCatalogue::on_open(NodeId node, SegmentIndex segment) {
  if (valid(segment)) views_[node].open.insert(segment);
}

void BlobCatalogue::on_segment_refused(NodeId node, SegmentIndex segment) {
  const auto it = views_.find(node);
  if (it == views_.end() || !valid(segment)) return;
  View& view = it->second;
  if (view.has_all) {
    view.has_all = false;
    view.complete.assign(segment_count_, true);
    view.complete[to_int(segment)] = false;
    view.open.erase(segment);
    recount_all();
    return;
  }
  if (to_int(segment) < view.complete.size()) view.complete[to_int(segment)] = false;
  view.partial.erase(segment);
  view.open.erase(segment);
  recount(segment);
}

void BlobCatalogue::on_gone(NodeId node) {
  const auto it = views_.find(node);
  if (it == views_.end()) return;
  const bool had = it->second.has_all || !it->second.complete.empty() || !it->second.partial.empty();
  views_.erase(it);
  drop_claims_of(node);
  if (had) recount_all();
}

std::vector<SegmentIndex> BlobCatalogue::drop_lapsed(Time now) {
  std::vector<SegmentIndex> segments;
  for (auto it = claims_.begin(); it != claims_.end();) {
    const auto dropped =
        std::erase_if(it->second, [&](const auto& claim) { return !live(claim.second, now); });
    if (dropped > 0) segments.push_back(it->first);
    it = it->second.empty() ? claims_.erase(it) : std::next(it);
  }
  return segments;
}

PieceMask BlobCatalogue::available(SegmentIndex segment) const {
  return having_all_ > 0 ? geometry_.all_pieces(segment) : available_[to_int(segment)];
}

bool BlobCatalogue::any_holder(SegmentIndex segment) const {
  return having_all_ > 0 || whole_[to_int(segment)];
}

PieceMask BlobCatalogue::claimed(SegmentIndex segment, Time now) const {
  const auto at = claims_.find(segment);
  if (at == claims_.end()) return 0;
  PieceMask pieces = 0;
  for (const auto& [node, claim] : at->second) {
    if (live(claim, now)) pieces |= claim.pieces;
  }
  return pieces;
}

PieceMask BlobCatalogue::claimed_by(NodeId node, SegmentIndex segment, Time now) const {
  const auto at = claims_.find(segment);
  if (at == claims_.end()) return 0;
  const auto it = at->second.find(node);
  return it != at->second.end() && live(it->second, now) ? it->second.pieces : 0;
}

std::vector<std::pair<NodeId, PieceMask>> BlobCatalogue::claimed_since(SegmentIndex segment, Time now,
                                                                       Duration age) const {
  std::vector<std::pair<NodeId, PieceMask>> found;
  const auto at = claims_.find(segment);
  if (at == claims_.end()) return found;
  for (const auto& [node, claim] : at->second) {
    if (!live(claim, now)) continue;
    PieceMask old = 0;
    for (const auto& [mask, since] : claim.since) {
      if (now - since >= age) old |= mask;
    }
    for (const auto& [other, second] : at->second) {
      if (other != node && live(second, now)) old &= ~second.pieces;
    }
    if (old != 0) found.emplace_back(node, old);
  }
  return found;
}

std::vector<SegmentIndex> BlobCatalogue::claimed_segments() const {
  std::vector<SegmentIndex> segments;
  for (const auto& [segment, claims] : claims_) segments.push_back(segment);
  return segments;
}

Time BlobCatalogue::next_lapse() const {
  Time next = Time::max();
  for (const auto& [segment, claims] : claims_) {
    for (const auto& [node, claim] : claims) {
      if (claim_ttl_ < Time::max() - claim.refreshed) next = std::min(next, claim.refreshed + claim_ttl_);
    }
  }
  return next;
}

std::vector<NodeId> BlobCatalogue::holders(SegmentIndex segment) const {
  std::vector<NodeId> nodes;
  for (const auto& [node, view] : views_) {
    if (has_segment(view, segment)) nodes.push_back(node);
  }
  return nodes;
}

std::vector<NodeId> BlobCatalogue::open_at(SegmentIndex segment) const {
  std::vector<NodeId> nodes;
  for (const auto& [node, view] : views_) {
    if (view.open.contains(segment)) nodes.push_back(node);
  }
  return nodes;
}

bool BlobCatalogue::is_open_at(NodeId node, SegmentIndex segment) const {
  const auto it = views_.find(node);
  return it != views_.end() && it->second.open.contains(segment);
}

bool BlobCatalogue::has_all(NodeId node) const {
  const auto it = views_.find(node);
  return it != views_.end() && it->second.has_all;
}

bool BlobCatalogue::has_segment(NodeId node, SegmentIndex segment) const {
  const auto it = views_.find(node);
  return it != views_.end() && has_segment(it->second, segment);
}

std::vector<NodeId> BlobCatalogue::having_all() const {
  std::vector<NodeId> nodes;
  for (const auto& [node, view] : views_) {
    if (view.has_all) nodes.push_back(node);
  }
  return nodes;
}

std::vector<NodeId> BlobCatalogue::wanters() const {
  std::vector<NodeId> nodes;
  for (const auto& [node, view] : views_) {
    if (view.wants && !view.has_all) nodes.push_back(node);
  }
  return nodes;
}

std::optional<Time> BlobCatalogue::waits_until(Time now, Duration patience) const {
  std::optional<Time> until;
  for (const auto& [node, view] : views_) {
    if (view.answered || now - view.asked_at >= patience) continue;
    until = std::max(until.value_or(view.asked_at + patience), view.asked_at + patience);
  }
  return until;
}

}  // namespace shoal
