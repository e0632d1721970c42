// Who tells whom what, when very many nodes want the same blob.
//
// Among few nodes everybody tells everybody everything. What each hears then grows with the square of their
// number: a thousand nodes would each hear a thousand times of every segment. Above `kEverybody` nodes two
// small groups take over, chosen alike by all who know of the same nodes:
//
// - Claimants, the same for all: they share the blob's claims and hear each other's piece hashes. Why so few:
//   `kClaimants` fill any line, and a claim has to reach all who claim. Chosen by weighted rendezvous
//   hashing, so that a busy node is seldom one, and one that comes or goes moves nobody else. The same nodes
//   for all blobs: the files of a model share one line, and with 32 others for each file nearly everybody
//   would fetch at once, each too slowly.
// - Mates, for each node its own: those it swaps with and passes complete lists of hashes to. All nodes stand
// on a
//   ring in the order of a hash; mates are 1, 3, 9, 27, ... places away on either side. Why: the relation is
//   symmetric without a word said, grows with the logarithm, and every node is reached in few steps.
//
//         .. n-9 .. n-3 .. n-1 [self] n+1 .. n+3 .. n+9 ..
//
// Bookkeeping only: no I/O, no clock. Owned by the loop thread. settle() makes changes count, so that many
// changes cost one choice.
#pragma once

#include "node/core/ids.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shoal {

class Circle {
 public:
  static constexpr std::size_t kEverybody =
      32;  // nodes that all hear everything: some 1,000 messages a claim
  // 32 nodes with two connections each fill 10 Gbit/s from a CDN that gives 150 Mbit/s to one.
  static constexpr std::size_t kClaimants = 32;

  Circle(NodeId self, const BlobId& blob);

  // A neighbour wants the blob, or does not any more.
  void on_wants(NodeId node, bool wants, double free_capacity = 1);
  // Free capacity of a neighbour or of this node, 0.1 to 1; whether it moved it. Small changes move nobody.
  bool on_capacity(NodeId node, double free_capacity);
  // Heartbeats differ a little every second; only a device that became far busier changes its standing.
  [[nodiscard]] static float weight_of(double free_capacity);

  [[nodiscard]] bool stale() const { return claimants_stale_ || mates_stale_; }
  // Makes what was told count; whether claimants or mates are others than before.
  bool settle();

  // Whether there are too many nodes for everybody to hear everything.
  [[nodiscard]] bool on() const { return on_; }
  // Whether this node shares the claims; true when the circle is off.
  [[nodiscard]] bool claims() const { return claims_; }
  // The others, in NodeId order; empty when the circle is off.
  [[nodiscard]] const std::vector<NodeId>& claimants() const { return claimants_; }
  [[nodiscard]] const std::vector<NodeId>& mates() const { return mates_; }
  [[nodiscard]] bool is_claimant(NodeId node) const;
  [[nodiscard]] bool is_mate(NodeId node) const;

 private:
  struct Member {
    std::uint64_t place = 0;  // on the ring
    NodeId node;
    double score = 0;  // the smallest claim
    float capacity = 1;
  };
  [[nodiscard]] Member member(NodeId node, float capacity) const;
  std::vector<Member>::iterator find(NodeId node);
  void choose_claimants();
  void choose_mates();

  const NodeId self_;
  const std::uint64_t blob_;     // bits of its digest
  std::vector<Member> members_;  // this node included, by place
  double last_score_ = 0;        // of the claimant that is chosen last
  bool claimants_stale_ = false;
  bool mates_stale_ = false;
  bool on_ = false;
  bool claims_ = true;
  std::vector<NodeId> claimants_;
  std::vector<NodeId> mates_;
};

}  // namespace shoal
