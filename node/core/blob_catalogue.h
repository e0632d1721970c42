// What the neighbours have, want and claim of one blob that this node wants.
//
// Bookkeeping only: told in on_... calls, asked in const queries. No decisions, no clock. Owned by the loop
// thread.
//
// - A claim counts as live for `claim_ttl` after its last refresh. Its owner refreshes it only while bytes
//   arrive, so a stuck node loses its claims to others without anybody judging its speed.
// - What is available of each segment is kept as one mask per segment, updated as facts come. Why: the
//   scheduler asks for it on every turn, the facts change far more rarely.
// - What was lost is told by those calls that may lose something, so that a site of a thousand nodes does not
// look at
//   every segment whenever one of them goes.
// - Memory: per neighbour one entry per segment that is partly there or claimed; complete segments are one
//   bit each.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/node_map.h"
#include "node/core/segment_set.h"
#include "node/core/sorted_nodes.h"
#include "node/core/time.h"

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace shoal {

class BlobCatalogue {
 public:
  BlobCatalogue(Geometry geometry, Duration claim_ttl);

  // A neighbour was asked (Want) at `now`; it has not answered yet.
  void on_asked(NodeId node, Time now);
  // Whether that is news.
  bool on_has_all(NodeId node);
  // The segments of which less is available or claimed than before.
  std::vector<SegmentIndex> on_lacks(NodeId node);
  void on_wants(NodeId node, bool wants);
  // Out-of-range segments and pieces are ignored: peers can lie.
  void on_has_segment(NodeId node, SegmentIndex segment);
  void on_has_pieces(NodeId node, SegmentIndex segment, PieceMask pieces);
  void on_claim(NodeId node, SegmentIndex segment, PieceMask pieces, Time now);
  void on_open(NodeId node, SegmentIndex segment);
  // Nobody will ask who has parts of it or has it open: this node has it, and tens of thousands of these add
  // up.
  void forget_parts(SegmentIndex segment);
  // It did not have what it said, or serves wrong bytes: forget that it has this segment.
  void on_segment_refused(NodeId node, SegmentIndex segment);
  std::vector<SegmentIndex> on_gone(NodeId node);  // what changed, as on_lacks()
  // Forgets the claims that lapsed; the segments they were in, ascending.
  std::vector<SegmentIndex> drop_lapsed(Time now);

  // Pieces of the segment that at least one neighbour has.
  [[nodiscard]] PieceMask available(SegmentIndex segment) const;
  // Pieces of it that nodes which want the blob have: they fetched them lately, so they are quick to give
  // them.
  [[nodiscard]] PieceMask available_from_wanters(SegmentIndex segment) const;
  // Whether at least one neighbour has the segment whole.
  [[nodiscard]] bool any_holder(SegmentIndex segment) const;
  // Pieces under a live claim of a neighbour.
  [[nodiscard]] PieceMask claimed(SegmentIndex segment, Time now) const;
  [[nodiscard]] PieceMask claimed_by(NodeId node, SegmentIndex segment, Time now) const;
  // Pieces under exactly one live claim that is at least `age` old, or was not refreshed for `quiet`, with
  // its owner.
  [[nodiscard]] std::vector<std::pair<NodeId, PieceMask>> claimed_since(
      SegmentIndex segment, Time now, Duration age, Duration quiet = Duration::max()) const;
  // Segments with any claim, ascending.
  [[nodiscard]] std::vector<SegmentIndex> claimed_segments() const;
  // When the first claim was or will be lapsed; Time::max() if there is none.
  [[nodiscard]] Time next_lapse() const;
  // Neighbours with the whole segment, in NodeId order.
  [[nodiscard]] std::vector<NodeId> holders(SegmentIndex segment) const;
  // Neighbours that have the segment's torrent loaded.
  [[nodiscard]] std::vector<NodeId> open_at(SegmentIndex segment) const;
  [[nodiscard]] bool is_open_at(NodeId node, SegmentIndex segment) const;
  [[nodiscard]] bool has_all(NodeId node) const;
  [[nodiscard]] bool has_segment(NodeId node, SegmentIndex segment) const;
  // Those of the segments that the neighbour does not have whole.
  [[nodiscard]] std::vector<SegmentIndex> lacking(NodeId node,
                                                  const std::vector<SegmentIndex>& segments) const;
  [[nodiscard]] std::vector<NodeId> having_all() const;
  // Neighbours that want the blob and do not have it: they take part in claims and want to hear of progress.
  // In NodeId order.
  [[nodiscard]] const std::vector<NodeId>& wanters() const { return wanters_; }
  // Whether every neighbour asked has answered, or `patience` passed since it was asked.
  [[nodiscard]] bool answered(Time now, Duration patience) const { return !waits_until(now, patience); }
  // Until when to wait for answers; nullopt: no need to wait.
  [[nodiscard]] std::optional<Time> waits_until(Time now, Duration patience) const;

 private:
  struct ClaimEntry {
    PieceMask pieces = 0;
    Time refreshed;
    std::vector<std::pair<PieceMask, Time>> since;  // which pieces were first claimed when; disjoint
  };
  struct View {
    bool answered = false;
    Time asked_at;
    bool has_all = false;
    bool wants = false;
    bool among_wanters = false;  // the lists it is in
    bool among_having = false;
    SegmentSet complete;
  };
  [[nodiscard]] bool valid(SegmentIndex segment) const { return to_int(segment) < segment_count_; }
  [[nodiscard]] static bool has_segment(const View& view, SegmentIndex segment);
  [[nodiscard]] bool live(const ClaimEntry& claim, Time now) const {
    return now - claim.refreshed < claim_ttl_;
  }
  void recount(SegmentIndex segment);
  // Takes back everything the neighbour was said to have or claim; the segments that changed, ascending.
  std::vector<SegmentIndex> forget(NodeId node, View& view);
  // Puts the neighbour into the lists it belongs to.
  void file(NodeId node, View& view);
  // As one that answered and has nothing.
  static void clear(View& view);
  void drop_claims_of(NodeId node, std::vector<SegmentIndex>& changed);
  void drop_from_claim(NodeId node, SegmentIndex segment, PieceMask pieces);

  Geometry geometry_;
  std::uint32_t segment_count_;
  Duration claim_ttl_;
  NodeMap<View> views_;
  SortedNodes wanters_;  // that want it and do not have all
  SortedNodes having_;   // that have all, or any segment whole
  // No empty inner lists, each ascending.
  std::map<SegmentIndex, std::vector<std::pair<NodeId, ClaimEntry>>> claims_;
  // No empty inner maps.
  std::map<SegmentIndex, std::map<NodeId, PieceMask>> partial_;
  std::map<SegmentIndex, SortedNodes> open_;
  // By segment: pieces of neighbours that have some, and how many have it whole. Neighbours with the whole
  // blob are counted apart.
  std::vector<PieceMask> available_;
  std::vector<std::uint32_t> whole_;
  int having_all_ = 0;
};

}  // namespace shoal
