// A scheduler under test: facts in, the actions of the next turn out.
#pragma once

#include "node/core/scheduler.h"
#include "tests/unit/node_id.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace shoal {

using namespace std::chrono_literals;

inline BlobId blob_of_size(std::uint64_t size, int number = 1) {
  BlobId blob;
  blob.digest[0] = static_cast<std::uint8_t>(number);
  blob.size = size;
  return blob;
}

inline Hash256 some_hash(int piece, int variant = 1) {
  Hash256 hash;
  hash.bytes[0] = static_cast<std::uint8_t>(piece);
  hash.bytes[1] = static_cast<std::uint8_t>(variant);
  return hash;
}

// The hashes of a whole segment of `pieces` pieces.
inline std::vector<Hash256> hashes_of(int pieces, int variant = 1) {
  std::vector<Hash256> hashes;
  for (int i = 0; i < pieces; ++i) hashes.push_back(some_hash(i, variant));
  return hashes;
}

// Claims are fetched at once, so that tests need not wait.
inline Scheduler::Limits unsettled() {
  Scheduler::Limits limits;
  limits.settling = Duration::zero();
  return limits;
}

class SchedulerUnderTest {
 public:
  explicit SchedulerUnderTest(NodeId self = node_id(100), Scheduler::Limits limits = unsettled())
      : scheduler(self, limits) {}

  // The actions of one turn.
  std::vector<Action> turn() {
    std::vector<Action> actions = scheduler.decide(now);
    scheduler.check_invariants();
    return actions;
  }
  std::vector<Action> turn_after(Duration wait) {
    now += wait;
    return turn();
  }
  void tell(NodeId from, const Message& message) {
    scheduler.on_message(from, message, now);
    scheduler.check_invariants();
  }
  void up(NodeId node) { scheduler.on_neighbour_up(node, now); }
  void want(const BlobId& blob, SourcePolicy policy = SourcePolicy::automatic) {
    Scheduler::Request request;
    request.blob = blob;
    request.policy = policy;
    scheduler.on_want(std::move(request), now);
  }
  void fetched(const SegmentKey& key, int piece, int variant = 1) {
    scheduler.on_piece_fetched(key, static_cast<PieceIndex>(piece), some_hash(piece, variant), now);
    scheduler.check_invariants();
  }
  // Everything a slice asked for arrives.
  void deliver(const act::FetchSlice& slice, int variant = 1) {
    for (int i = 0; i < slice.count; ++i) fetched(slice.key, to_int(slice.first) + i, variant);
    scheduler.on_fetch_done(slice.id, {}, now);
    scheduler.check_invariants();
  }

  Time now = Time{} + std::chrono::hours(1);
  Scheduler scheduler;
};

template <typename T>
std::vector<T> all_of(const std::vector<Action>& actions) {
  std::vector<T> found;
  for (const Action& action : actions) {
    if (const auto* one = std::get_if<T>(&action)) found.push_back(*one);
  }
  return found;
}

// Messages of one kind, with whom they are for.
template <typename M>
std::vector<std::pair<NodeId, M>> told(const std::vector<Action>& actions) {
  std::vector<std::pair<NodeId, M>> found;
  for (const auto& tell : all_of<act::Tell>(actions)) {
    if (const auto* one = std::get_if<M>(&tell.message)) found.emplace_back(tell.to, *one);
  }
  return found;
}

// The pieces of a segment that the slices ask for.
inline PieceMask pieces_of(const std::vector<act::FetchSlice>& slices, const SegmentKey& key) {
  PieceMask pieces = 0;
  for (const auto& slice : slices) {
    if (slice.key == key) pieces |= mask_of_run(to_int(slice.first), slice.count);
  }
  return pieces;
}

// What most tests speak of: a blob of one segment, the node under test being 100.
inline constexpr std::uint64_t kSize = 4 * kMiB;  // one segment of 16 pieces
inline constexpr PieceMask kAll = 0xffff;
inline const NodeId kA = node_id(1);    // lower than the node under test
inline const NodeId kB = node_id(200);  // higher
inline const BlobId kBlob = blob_of_size(kSize);
inline const SegmentKey kKey{kBlob, SegmentIndex{0}};

inline Scheduler::Limits with_slices(int slices) {
  Scheduler::Limits limits = unsettled();
  limits.slices = slices;
  return limits;
}

// A neighbour that wants the blob, too, and has nothing of it.
inline void joins(SchedulerUnderTest& t, NodeId node) {
  t.up(node);
  t.tell(node, msg::LackBlobs{{kBlob}});
  t.tell(node, msg::Want{{kBlob}});
}

// The node wants the blob, and this neighbour holds it.
inline void is_held_by(SchedulerUnderTest& t, NodeId node) {
  t.up(node);
  t.want(kBlob);
  t.tell(node, msg::HaveBlobs{{kBlob}});
}

}  // namespace shoal
