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

// A number that any node computes alike for a node and a purpose; every bit depends on every bit.
[[nodiscard]] std::uint64_t node_hash(NodeId node, std::uint64_t salt);

// The first run of set bits, at most `longest` pieces. A run is one Range request.
[[nodiscard]] std::optional<PieceRun> first_run(PieceMask free, int longest);

// The pieces of a segment that this node claims before all others. The nodes that want the blob each have a
// part, so that claims made at the same moment, before any claim could arrive, do not overlap.
//   piece  0        16        32        48       64
//          |node A> |node B>  |node C>  |node D> |
// `participants` need not be sorted and need not contain `self`.
[[nodiscard]] PieceMask claim_part(NodeId self, std::span<const NodeId> participants, int piece_count);

// What a node claims of the others' parts: the end of the next node's part that has anything free, at most
// half of what is left there. Why the end: the owner works from the front. Why the next: two nodes that are
// done with their own parts begin at different ones.
[[nodiscard]] std::optional<PieceRun> run_of_others(PieceMask free, NodeId self,
                                                    std::span<const NodeId> participants, int piece_count,
                                                    int longest);

// Of two nodes that claimed the same piece at once, the one that keeps it: the same answer on both, and
// spread evenly over segments.
[[nodiscard]] bool claim_beats(NodeId self, NodeId other, const SegmentKey& key);

// The `count` holders to ask for a segment, best first: in an order that differs from segment to segment and
// is the same on all nodes, so that several seeds share the work; a holder with half the free capacity comes
// first half as often, and is left out of half of the segments: also where there are fewer holders than
// `count` a busy one is asked less. The freest is never left out.
[[nodiscard]] std::vector<NodeId> choose_holders(std::span<const NodeId> holders, const SegmentKey& key,
                                                 std::size_t count,
                                                 const std::function<double(NodeId)>& free_capacity);

}  // namespace shoal
