#include "node/core/blob_catalogue.h"

#include <algorithm>
#include <utility>

namespace shoal {
namespace {

// The claim of a node among those of one segment.
template <typename Claims>
auto claim_of(Claims& claims, NodeId node) {
  return std::ranges::lower_bound(claims, node, {}, [](const auto& claim) { return claim.first; });
}

}  // namespace

BlobCatalogue::BlobCatalogue(Geometry geometry, Duration claim_ttl)
    : geometry_(geometry),
      segment_count_(geometry.segment_count()),
      claim_ttl_(claim_ttl),
      available_(segment_count_, 0),
      whole_(segment_count_, 0) {}

bool BlobCatalogue::has_segment(const View& view, SegmentIndex segment) {
  return view.has_all || view.complete.contains(to_int(segment));
}

void BlobCatalogue::recount(SegmentIndex segment) {
  PieceMask pieces = whole_[to_int(segment)] > 0 ? geometry_.all_pieces(segment) : 0;
  if (const auto it = partial_.find(segment); it != partial_.end()) {
    for (const auto& [node, held] : it->second) pieces |= held;
  }
  available_[to_int(segment)] = pieces;
}

std::vector<SegmentIndex> BlobCatalogue::forget(NodeId node, View& view) {
  std::vector<SegmentIndex> changed;
  if (view.has_all && --having_all_ == 0) {
    for (std::uint32_t i = 0; i < segment_count_; ++i) changed.push_back(static_cast<SegmentIndex>(i));
  }
  view.complete.for_each([&](std::uint32_t i) {
    if (view.has_all || --whole_[i] > 0) return;
    recount(static_cast<SegmentIndex>(i));
    changed.push_back(static_cast<SegmentIndex>(i));
  });
  for (auto it = partial_.begin(); it != partial_.end();) {
    const SegmentIndex segment = it->first;
    const bool had = it->second.erase(node) > 0;
    it = it->second.empty() ? partial_.erase(it) : std::next(it);
    if (!had) continue;
    recount(segment);
    changed.push_back(segment);
  }
  drop_claims_of(node, changed);
  for (auto it = open_.begin(); it != open_.end();) {
    erase_sorted(it->second, node);
    it = it->second.empty() ? open_.erase(it) : std::next(it);
  }
  view.has_all = false;
  view.complete.clear();
  std::ranges::sort(changed);
  changed.erase(std::ranges::unique(changed).begin(), changed.end());
  return changed;
}

void BlobCatalogue::drop_claims_of(NodeId node, std::vector<SegmentIndex>& changed) {
  for (auto it = claims_.begin(); it != claims_.end();) {
    const auto claim = claim_of(it->second, node);
    if (claim != it->second.end() && claim->first == node) {
      it->second.erase(claim);
      changed.push_back(it->first);
    }
    it = it->second.empty() ? claims_.erase(it) : std::next(it);
  }
}

void BlobCatalogue::file(NodeId node, View& view) {
  const auto put = [&](SortedNodes& nodes, bool& is_in, bool in) {
    if (std::exchange(is_in, in) == in) return;
    if (in) {
      insert_sorted(nodes, node);
    } else {
      erase_sorted(nodes, node);
    }
  };
  put(wanters_, view.among_wanters, view.wants && !view.has_all);
  put(having_, view.among_having, view.has_all || !view.complete.empty());
}

void BlobCatalogue::clear(View& view) {
  view.answered = true;
  view.asked_at = Time{};
  view.has_all = view.wants = false;
  view.complete.clear();
}

void BlobCatalogue::drop_from_claim(NodeId node, SegmentIndex segment, PieceMask pieces) {
  const auto at = claims_.find(segment);
  if (at == claims_.end()) return;
  const auto claim = claim_of(at->second, node);
  if (claim == at->second.end() || claim->first != node) return;
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
  const auto wants = [&](NodeId node) { return contains_sorted(wanters_, node); };
  for (const NodeId node : having_) {
    if (wants(node) && has_segment(*views_.find(node), segment)) return geometry_.all_pieces(segment);
  }
  PieceMask pieces = 0;
  if (const auto it = partial_.find(segment); it != partial_.end()) {
    for (const auto& [node, held] : it->second) {
      if (wants(node)) pieces |= held;
    }
  }
  return pieces;
}

bool BlobCatalogue::on_has_all(NodeId node) {
  View& view = views_[node];
  const bool had = view.has_all;
  if (had) view.has_all = false, --having_all_;
  forget(node, view);
  clear(view);
  view.has_all = true;
  ++having_all_;
  file(node, view);
  return !had;
}

std::vector<SegmentIndex> BlobCatalogue::on_lacks(NodeId node) {
  View& view = views_[node];
  const bool wants = view.wants;
  std::vector<SegmentIndex> changed = forget(node, view);
  clear(view);
  view.wants = wants;
  file(node, view);
  return changed;
}

void BlobCatalogue::on_wants(NodeId node, bool wants) {
  View& view = views_[node];
  view.wants = wants;
  file(node, view);
  std::vector<SegmentIndex> changed;
  if (!wants) drop_claims_of(node, changed);
}

void BlobCatalogue::on_has_segment(NodeId node, SegmentIndex segment) {
  if (!valid(segment)) return;
  View& view = views_[node];
  view.answered = true;
  if (has_segment(view, segment)) return;
  const bool first = view.complete.empty();
  view.complete.insert(to_int(segment));
  if (first) file(node, view);
  if (const auto it = partial_.find(segment); it != partial_.end()) {
    it->second.erase(node);
    if (it->second.empty()) partial_.erase(it);
  }
  available_[to_int(segment)] = geometry_.all_pieces(segment);
  ++whole_[to_int(segment)];
  drop_from_claim(node, segment, geometry_.all_pieces(segment));
}

void BlobCatalogue::on_has_pieces(NodeId node, SegmentIndex segment, PieceMask pieces) {
  if (!valid(segment)) return;
  View& view = views_[node];
  view.answered = true;
  const PieceMask all = geometry_.all_pieces(segment);
  pieces &= all;
  if (pieces == 0 || has_segment(view, segment)) return;
  PieceMask& held = partial_[segment][node];
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
  auto& claims = claims_[segment];
  auto place = claim_of(claims, node);
  if (place == claims.end() || place->first != node) place = claims.insert(place, {node, {}});
  ClaimEntry& claim = place->second;
  for (auto& [mask, since] : claim.since) mask &= pieces;
  std::erase_if(claim.since, [](const auto& part) { return part.first == 0; });
  if (const PieceMask fresh = pieces & ~claim.pieces; fresh != 0) claim.since.emplace_back(fresh, now);
  claim.pieces = pieces;
  claim.refreshed = now;
}

void BlobCatalogue::on_open(NodeId node, SegmentIndex segment) {
  if (valid(segment)) insert_sorted(open_[segment], node);
}

void BlobCatalogue::forget_parts(SegmentIndex segment) {
  open_.erase(segment);
  if (partial_.erase(segment) > 0) recount(segment);
}

void BlobCatalogue::on_segment_refused(NodeId node, SegmentIndex segment) {
  View* const found = views_.find(node);
  if (found == nullptr || !valid(segment)) return;
  View& view = *found;
  if (const auto open = open_.find(segment); open != open_.end()) erase_sorted(open->second, node);
  if (view.has_all) {
    view.has_all = false;
    --having_all_;
    for (std::uint32_t i = 0; i < segment_count_; ++i) {
      if (i == to_int(segment)) continue;
      view.complete.insert(i);
      ++whole_[i];
      available_[i] = geometry_.all_pieces(static_cast<SegmentIndex>(i));
    }
  } else if (view.complete.contains(to_int(segment))) {
    view.complete.erase(to_int(segment));
    --whole_[to_int(segment)];
  }
  if (const auto at = partial_.find(segment); at != partial_.end()) {
    at->second.erase(node);
    if (at->second.empty()) partial_.erase(at);
  }
  recount(segment);
  file(node, view);
}

std::vector<SegmentIndex> BlobCatalogue::on_gone(NodeId node) {
  View* const view = views_.find(node);
  if (view == nullptr) return {};
  std::vector<SegmentIndex> changed = forget(node, *view);
  view->wants = false;
  file(node, *view);
  views_.erase(node);
  return changed;
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
  return having_all_ > 0 || whole_[to_int(segment)] > 0;
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
  const auto it = claim_of(at->second, node);
  return it != at->second.end() && it->first == node && live(it->second, now) ? it->second.pieces : 0;
}

std::vector<std::pair<NodeId, PieceMask>> BlobCatalogue::claimed_since(SegmentIndex segment, Time now,
                                                                       Duration age, Duration quiet) const {
  std::vector<std::pair<NodeId, PieceMask>> found;
  const auto at = claims_.find(segment);
  if (at == claims_.end()) return found;
  for (const auto& [node, claim] : at->second) {
    if (!live(claim, now)) continue;
    PieceMask old = 0;
    const bool told_nothing = now - claim.refreshed >= quiet;
    for (const auto& [mask, since] : claim.since) {
      if (told_nothing || now - since >= age) old |= mask;
    }
    if (old == 0) continue;
    for (const auto& [other, second] : at->second) {
      if (other != node && live(second, now)) old &= ~second.pieces;
    }
    if (old != 0) found.emplace_back(node, old);
  }
  return found;
}

std::vector<SegmentIndex> BlobCatalogue::claimed_segments() const {
  std::vector<SegmentIndex> segments;
  segments.reserve(claims_.size());
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
  if (!any_holder(segment)) return nodes;
  for (const NodeId node : having_) {
    if (has_segment(*views_.find(node), segment)) nodes.push_back(node);
  }
  return nodes;
}

std::vector<NodeId> BlobCatalogue::open_at(SegmentIndex segment) const {
  const auto it = open_.find(segment);
  return it == open_.end() ? std::vector<NodeId>{} : it->second;
}

bool BlobCatalogue::is_open_at(NodeId node, SegmentIndex segment) const {
  const auto it = open_.find(segment);
  return it != open_.end() && contains_sorted(it->second, node);
}

bool BlobCatalogue::has_all(NodeId node) const {
  const View* view = views_.find(node);
  return view != nullptr && view->has_all;
}

bool BlobCatalogue::has_segment(NodeId node, SegmentIndex segment) const {
  const View* view = views_.find(node);
  return view != nullptr && has_segment(*view, segment);
}

std::vector<SegmentIndex> BlobCatalogue::lacking(NodeId node,
                                                 const std::vector<SegmentIndex>& segments) const {
  const View* view = views_.find(node);
  if (view == nullptr) return segments;
  std::vector<SegmentIndex> found;
  found.reserve(segments.size());
  for (const SegmentIndex segment : segments) {
    if (!has_segment(*view, segment)) found.push_back(segment);
  }
  return found;
}

std::vector<NodeId> BlobCatalogue::having_all() const {
  std::vector<NodeId> nodes;
  if (having_all_ == 0) return nodes;
  for (const NodeId node : having_) {
    if (views_.find(node)->has_all) nodes.push_back(node);
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
