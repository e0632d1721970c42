// Which run of pieces a node takes next from the origin. Pure functions.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace shoal {

struct PieceRun {
  int first = 0;
  int count = 0;
  bool operator==(const PieceRun&) const = default;
};

// The first run of set bits in `free` at or after `start`, wrapping round once, at most `longest` pieces. A
// run never wraps: it is one Range request.
[[nodiscard]] std::optional<PieceRun> choose_run(PieceMask free, int piece_count, int start, int longest);

// Where in a segment this node begins to claim. Each of the nodes that want the blob begins at its own place,
// so that claims made at the same moment, before any claim could arrive, do not overlap.
//   piece  0        16        32        48       64
//          |node A> |node B>  |node C>  |node D> |
// `participants` need not be sorted and need not contain `self`.
[[nodiscard]] int claim_start(NodeId self, std::span<const NodeId> participants, int piece_count);

// The pieces from there up to the place of the next node.
[[nodiscard]] PieceMask claim_part(NodeId self, std::span<const NodeId> participants, int piece_count);

// Of two nodes that claimed the same piece at once, the one that keeps it: the same answer on both, and
// spread evenly over segments.
[[nodiscard]] bool claim_beats(NodeId self, NodeId other, const SegmentKey& key);

// The `count` holders to ask for a segment, best first: in an order that differs from segment to segment and
// is the same on all nodes, so that several seeds share the work; a holder with half the free capacity comes
// first half as often.
[[nodiscard]] std::vector<NodeId> choose_holders(std::span<const NodeId> holders, const SegmentKey& key,
                                                 std::size_t count,
                                                 const std::function<double(NodeId)>& free_capacity);

}  // namespace shoal
