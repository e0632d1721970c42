// Answers neighbours that want bytes: piece hashes, small blobs, and loading a segment's torrent when it is
// asked for.
//
// A segment on disk costs nothing until someone asks. Loaded ones are kept in order of their last use; beyond
// `kLoadedMax`, or idle for `kIdle`, they are dropped again. Owned by the loop thread.
#pragma once

#include "node/core/ids.h"
#include "node/core/messages.h"
#include "node/core/ports.h"
#include "node/core/time.h"
#include "node/daemon/loop.h"

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <string>

namespace shoal {

class BlobStore;

class Seeder {
 public:
  // Each loaded torrent costs some 30 KiB and a timer in libtorrent; 512 of 16 MiB are 8 GiB in demand at
  // once.
  static constexpr std::size_t kLoadedMax = 512;
  static constexpr std::chrono::minutes kIdle{10};
  // A blob that was asked for so recently is not evicted. Taking it away later costs who fetches it a
  // question to the neighbour that keeps it.
  static constexpr std::chrono::seconds kServing{3};
  // Asks of one neighbour being worked on; a fetching node has some tens in flight.
  static constexpr int kAsksPerNeighbour = 128;

  // `shareable`: whether anyone may have this blob (design section 8).
  // `on_served`: a neighbour asked for bytes of this blob and gets them.
  Seeder(Loop& loop, BlobStore& store, Swarm& swarm, std::function<bool(const BlobId&)> shareable,
         std::function<void(const BlobId&)> on_served)
      : loop_(loop),
        store_(store),
        swarm_(swarm),
        shareable_(std::move(shareable)),
        on_served_(std::move(on_served)) {}

  void on_ask_segment(NodeId from, const msg::AskSegment& ask, Time now);
  void on_ask_blob(NodeId from, const msg::AskBlob& ask);
  // A segment that this node fetched from neighbours stays loaded for those that still fetch it.
  void on_segment_complete(const SegmentKey& key, Time now);
  void on_blob_removed(const BlobId& blob);
  void on_neighbour_down(NodeId node) { asks_.erase(node); }
  void drop_idle(Time now);
  // Whether somebody asked for a segment of it a moment ago.
  [[nodiscard]] bool serves(const BlobId& blob, Time now) const {
    for (auto it = by_key_.lower_bound(SegmentKey{blob, SegmentIndex{0}});
         it != by_key_.end() && it->first.blob == blob; ++it) {
      if (now - it->second->used < kServing) return true;
    }
    return false;
  }

 private:
  struct Entry {
    SegmentKey key;
    Time used;
  };
  void touch(const SegmentKey& key, Time now);
  void unload(std::list<Entry>::iterator it);
  bool begin_ask(NodeId from);
  void end_ask(NodeId from);

  Loop& loop_;
  BlobStore& store_;
  Swarm& swarm_;
  std::function<bool(const BlobId&)> shareable_;
  std::function<void(const BlobId&)> on_served_;
  std::list<Entry> by_use_;  // front: used last
  std::map<SegmentKey, std::list<Entry>::iterator> by_key_;
  std::map<NodeId, int> asks_;
};

}  // namespace shoal
