// Who keeps a blob when somebody wants to drop it: the rule that two nodes which make room at the same time
// never drop the last two copies.
//
// A node that wants to drop blobs asks all neighbours (AskKeep). One that holds a blob whole and means to
// keep it answers Keep, and then does not drop it for `promise`. The asker drops only what was promised to
// it, and only while the promise lasts, with `margin` to spare for messages on their way.
//
// - Two that ask for the same blob at once: each hears the other's question while its own is open. The one
//   with the higher id gives in: it answers Keep and takes the blob off its own list. The one with the
//   lower id stays silent and hears Keep. Both decide by the two ids alone, so the order in which messages
//   arrive does not matter, and of any number of nodes that ask at once the highest keeps its copy.
// - Who already drops a blob does not answer: it has it no longer.
// - No answer is a no. A node that cannot be reached keeps nothing for anybody, and a lost message costs
//   room, not content.
//
// A promise binds against eviction; `shoal rm` and `shoal gc --even-last-copies` are orders and go before.
//
// Bookkeeping only: no I/O, no clock. Owned by the loop thread. Memory: an entry per blob held, at most.
#pragma once

#include "node/core/ids.h"
#include "node/core/time.h"

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <vector>

namespace shoal {

class KeepPromises {
 public:
  struct Limits {
    // Long beside a round trip and the removal of a thousand files, short beside the time between two
    // evictions.
    Duration promise = std::chrono::seconds(60);
    // The asker stops dropping so long before the promise ends: clocks run alike, but messages and disks take
    // time.
    Duration margin = std::chrono::seconds(20);
  };
  explicit KeepPromises(NodeId self) : KeepPromises(self, Limits{}) {}
  KeepPromises(NodeId self, Limits limits) : self_(self), limits_(limits) {}

  // ---- the own question ----
  // Opens it. Blobs that are promised to others are left out; returns those to ask about.
  std::vector<BlobId> ask(const std::vector<BlobId>& blobs, Time now);
  void on_keep(NodeId from, const std::vector<BlobId>& blobs);
  // A neighbour that died keeps nothing.
  void on_gone(NodeId node);
  // Closes the question and begins to drop: what may go now. From here on these are not promised to anybody.
  std::set<BlobId> close(Time now);
  // Whether what close() gave may still be dropped.
  [[nodiscard]] bool may_drop(Time now) const { return now < drop_until_; }
  // Dropping has ended; those that are still here may be promised again.
  void end();

  // ---- the others' questions ----
  // The blobs to answer Keep for. `held`: whether this node holds a blob whole and shares it.
  std::vector<BlobId> on_ask(NodeId from, const std::vector<BlobId>& blobs,
                             const std::function<bool(const BlobId&)>& held, Time now);
  // Whether it is promised to somebody.
  [[nodiscard]] bool promised(const BlobId& blob, Time now) const;

 private:
  void forget_old(Time now);

  NodeId self_;
  Limits limits_;
  std::map<BlobId, Time> promised_;           // until when
  std::map<BlobId, std::set<NodeId>> asked_;  // the open question, and who keeps
  std::set<BlobId> dropping_;
  Time drop_until_{};
};

}  // namespace shoal
