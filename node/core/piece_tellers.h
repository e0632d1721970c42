// Who told the hash of which piece of a segment: few nodes, so one mask for each instead of a node per piece.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace shoal {

class PieceTellers {
 public:
  // In place of whoever told these before.
  void set(PieceMask pieces, NodeId teller) {
    for (auto& [node, told] : tellers_) told &= ~pieces;
    std::erase_if(tellers_, [](const auto& entry) { return entry.second == 0; });
    const auto same = std::ranges::find(tellers_, teller, &Entry::first);
    if (same != tellers_.end()) {
      same->second |= pieces;
    } else if (pieces != 0) {
      tellers_.emplace_back(teller, pieces);
    }
  }
  // The zero id: nobody.
  [[nodiscard]] NodeId of(PieceIndex piece) const {
    const auto found = std::ranges::find_if(
        tellers_, [&](const Entry& entry) { return (entry.second & mask_of(piece)) != 0; });
    return found == tellers_.end() ? NodeId{} : found->first;
  }
  [[nodiscard]] PieceMask told_by(NodeId node) const {
    const auto found = std::ranges::find(tellers_, node, &Entry::first);
    return found == tellers_.end() ? 0 : found->second;
  }
  [[nodiscard]] auto begin() const { return tellers_.begin(); }
  [[nodiscard]] auto end() const { return tellers_.end(); }

 private:
  using Entry = std::pair<NodeId, PieceMask>;
  std::vector<Entry> tellers_;  // their masks are disjoint and not empty
};

}  // namespace shoal
