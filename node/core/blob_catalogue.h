// What the neighbours have, want and claim of one blob that this node wants.
//
// Bookkeeping only: told in on_... calls, asked in const queries. No decisions, no clock. Owned by the loop
// thread.
//
// - A claim counts as live for `claim_ttl` after its last refresh. Its owner refreshes it only while bytes
// arrive, so a
//   stuck node loses its claims to others without anybody judging its speed.
// - Memory: per neighbour one entry per segment that is partly there or claimed; complete segments are one
// bit each.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/time.h"

#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace shoal {

class BlobCatalogue {
 public:
  BlobCatalogue(Geometry geometry, Duration claim_ttl);

  // A neighbour was asked (Want) at `now`; it has not answered yet.
  void on_asked(NodeId node, Time now);
  void on_has_all(NodeId node);
  void on_lacks(NodeId node);
  void on_wants(NodeId node, bool wants);
  // Out-of-range segments and pieces are ignored: peers can lie.
  void on_has_segment(NodeId node, SegmentIndex segment);
  void on_has_pieces(NodeId node, SegmentIndex segment, PieceMask pieces);
  void on_claim(NodeId node, SegmentIndex segment, PieceMask pieces, Time now);
  void on_open(NodeId node, SegmentIndex segment);
  // It did not have what it said, or serves wrong bytes: forget that it has this segment.
  void on_segment_refused(NodeId node, SegmentIndex segment);
  void on_gone(NodeId node);

  // Pieces of the segment that at least one neighbour has.
  [[nodiscard]] PieceMask available(SegmentIndex segment) const;
  // Pieces under a live claim of a neighbour.
  [[nodiscard]] PieceMask claimed(SegmentIndex segment, Time now) const;
  [[nodiscard]] PieceMask claimed_by(NodeId node, SegmentIndex segment, Time now) const;
  // Earliest time after `now` at which a claim lapses; Time::max() if none.
  [[nodiscard]] Time next_lapse(Time now) const;
  // Neighbours with the whole segment, in NodeId order.
  [[nodiscard]] std::vector<NodeId> holders(SegmentIndex segment) const;
  // Neighbours that have the segment's torrent loaded.
  [[nodiscard]] std::vector<NodeId> open_at(SegmentIndex segment) const;
  [[nodiscard]] bool is_open_at(NodeId node, SegmentIndex segment) const;
  [[nodiscard]] bool has_all(NodeId node) const;
  [[nodiscard]] std::vector<NodeId> having_all() const;
  // Neighbours that want the blob and do not have it: they take part in claims and want to hear of progress.
  [[nodiscard]] std::vector<NodeId> wanters() const;
  // Whether every neighbour asked has answered, or `patience` passed since it was asked.
  [[nodiscard]] bool answered(Time now, Duration patience) const;

 private:
  struct ClaimEntry {
    PieceMask pieces = 0;
    Time refreshed;
  };
  struct View {
    bool answered = false;
    Time asked_at;
    bool has_all = false;
    bool wants = false;
    std::vector<bool> complete;  // by segment; empty: none
    std::map<SegmentIndex, PieceMask> partial;
    std::map<SegmentIndex, ClaimEntry> claims;
    std::set<SegmentIndex> open;
  };
  [[nodiscard]] bool valid(SegmentIndex segment) const { return to_int(segment) < segment_count_; }
  [[nodiscard]] static bool has_segment(const View& view, SegmentIndex segment);

  Geometry geometry_;
  std::uint32_t segment_count_;
  Duration claim_ttl_;
  std::map<NodeId, View> views_;
};

}  // namespace shoal
