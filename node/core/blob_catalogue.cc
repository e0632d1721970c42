#include "node/core/blob_catalogue.h"

#include <algorithm>

namespace shoal {

BlobCatalogue::BlobCatalogue(Geometry geometry, Duration claim_ttl)
    : geometry_(geometry), segment_count_(geometry.segment_count()), claim_ttl_(claim_ttl) {}

bool BlobCatalogue::has_segment(const View& view, SegmentIndex segment) {
  return view.has_all || (to_int(segment) < view.complete.size() && view.complete[to_int(segment)]);
}

void BlobCatalogue::on_asked(NodeId node, Time now) {
  View& view = views_[node];
  view.answered = false;
  view.asked_at = now;
}

void BlobCatalogue::on_has_all(NodeId node) {
  View& view = views_[node];
  view = View{};
  view.answered = true;
  view.has_all = true;
}

void BlobCatalogue::on_lacks(NodeId node) {
  View& view = views_[node];
  const bool wants = view.wants;
  view = View{};
  view.answered = true;
  view.wants = wants;
}

void BlobCatalogue::on_wants(NodeId node, bool wants) {
  View& view = views_[node];
  view.wants = wants;
  if (!wants) view.claims.clear();
}

void BlobCatalogue::on_has_segment(NodeId node, SegmentIndex segment) {
  if (!valid(segment)) return;
  View& view = views_[node];
  view.answered = true;
  if (view.complete.empty()) view.complete.resize(segment_count_);
  view.complete[to_int(segment)] = true;
  view.partial.erase(segment);
  view.claims.erase(segment);
}

void BlobCatalogue::on_has_pieces(NodeId node, SegmentIndex segment, PieceMask pieces) {
  if (!valid(segment)) return;
  View& view = views_[node];
  view.answered = true;
  const PieceMask all = geometry_.all_pieces(segment);
  PieceMask& held = view.partial[segment];
  held |= pieces & all;
  if (held == all) {
    on_has_segment(node, segment);
    return;
  }
  // What a node has it no longer claims.
  if (const auto claim = view.claims.find(segment); claim != view.claims.end()) {
    claim->second.pieces &= ~pieces;
    if (claim->second.pieces == 0) view.claims.erase(claim);
  }
}

void BlobCatalogue::on_claim(NodeId node, SegmentIndex segment, PieceMask pieces, Time now) {
  if (!valid(segment)) return;
  View& view = views_[node];
  view.answered = true;
  pieces &= geometry_.all_pieces(segment);
  if (pieces == 0) {
    view.claims.erase(segment);
  } else {
    view.claims[segment] = {pieces, now};
  }
}

void BlobCatalogue::on_open(NodeId node, SegmentIndex segment) {
  if (!valid(segment)) return;
  views_[node].open.insert(segment);
}

void BlobCatalogue::on_segment_refused(NodeId node, SegmentIndex segment) {
  const auto it = views_.find(node);
  if (it == views_.end()) return;
  View& view = it->second;
  if (view.has_all) {
    view.has_all = false;
    view.complete.assign(segment_count_, true);
  }
  if (to_int(segment) < view.complete.size()) view.complete[to_int(segment)] = false;
  view.partial.erase(segment);
  view.open.erase(segment);
}

void BlobCatalogue::on_gone(NodeId node) {
  views_.erase(node);
}

PieceMask BlobCatalogue::available(SegmentIndex segment) const {
  PieceMask pieces = 0;
  for (const auto& [node, view] : views_) {
    if (has_segment(view, segment)) return geometry_.all_pieces(segment);
    if (const auto it = view.partial.find(segment); it != view.partial.end()) pieces |= it->second;
  }
  return pieces;
}

PieceMask BlobCatalogue::claimed(SegmentIndex segment, Time now) const {
  PieceMask pieces = 0;
  for (const auto& [node, view] : views_) {
    if (const auto it = view.claims.find(segment);
        it != view.claims.end() && now - it->second.refreshed < claim_ttl_) {
      pieces |= it->second.pieces;
    }
  }
  return pieces;
}

PieceMask BlobCatalogue::claimed_by(NodeId node, SegmentIndex segment, Time now) const {
  const auto view = views_.find(node);
  if (view == views_.end()) return 0;
  const auto it = view->second.claims.find(segment);
  return it != view->second.claims.end() && now - it->second.refreshed < claim_ttl_ ? it->second.pieces : 0;
}

Time BlobCatalogue::next_lapse(Time now) const {
  Time next = Time::max();
  for (const auto& [node, view] : views_) {
    for (const auto& [segment, claim] : view.claims) {
      const Time lapse = claim.refreshed + claim_ttl_;
      if (lapse > now) next = std::min(next, lapse);
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

bool BlobCatalogue::answered(Time now, Duration patience) const {
  return std::ranges::all_of(views_, [&](const auto& entry) {
    return entry.second.answered || now - entry.second.asked_at >= patience;
  });
}

}  // namespace shoal
