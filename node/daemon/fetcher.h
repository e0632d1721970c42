// Gets wanted blobs onto this disk: opens them, lets the scheduler decide, starts what it decided, publishes.
//
// It knows blobs, not pulls: who wants a blob and where it is linked is pulls.h's business. Owned by the loop
// thread.
//
// The life of a blob here:
//   queued -> opening (already somewhere on this machine? else begin the partial) -> fetching -> checking ->
//   done
#pragma once

#include "node/core/actions.h"
#include "node/core/bottleneck.h"
#include "node/core/piece_map.h"
#include "node/core/ports.h"
#include "node/core/scheduler.h"
#include "node/core/status.h"
#include "node/daemon/loop.h"
#include "node/daemon/rate_meter.h"
#include "node/daemon/write_times.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace shoal {

class BlobStore;
class HubClient;
class PartialBlob;
class Seeder;

class Fetcher {
 public:
  // Large blobs open at once: each is one descriptor, and the scheduler's windows need only the first few.
  static constexpr std::size_t kActiveLarge = 32;
  // Small blobs in the scheduler at once; their bytes are bounded there.
  static constexpr int kActiveSmall = 512;
  static constexpr std::chrono::seconds kLockRetry{2};  // another program downloads the same blob
  static constexpr std::chrono::seconds kBanDuration{600};

  // Bytes by where they came from.
  struct Sources {
    std::uint64_t lan = 0;
    std::uint64_t origin = 0;
    std::uint64_t local = 0;
    [[nodiscard]] std::uint64_t sum() const { return lan + origin + local; }
  };
  struct Request {
    OriginFile file;  // names the blob, and the repo whose folder it is published in
    SourcePolicy policy = SourcePolicy::automatic;
    Priority priority = Priority::normal;
    std::uint64_t order = 0;  // as in Scheduler::Request
    bool shareable = false;   // anyone may download it: neighbours may hear of it
    Sources before;           // what a former run recorded of its sources
  };
  struct View {
    FileState state = FileState::queued;
    Sources bytes;
    std::uint64_t bytes_per_s = 0;
    std::string waiting_for;
    std::shared_ptr<const PieceMap> pieces;  // null: not begun, or of a single piece
  };
  struct Listener {
    // Published in the request's repo. The map may be null, as in a View.
    std::function<void(const BlobId&, const Sources&, std::shared_ptr<const PieceMap>)> on_done;
    std::function<void(const BlobId&, const Error&)> on_failed;
    std::function<void(NodeId, std::string reason)> on_liar;
    std::function<void(const OriginFile&, std::string text)> on_mismatch;
    std::function<void(const BlobId&)> on_progress;  // pieces came, or its partial was opened
    // Bytes that were verified piece by piece are not believed any more.
    std::function<void(const BlobId&, std::string text)> on_wrong;
    std::function<void(const BlobId&)> on_dropped;  // nobody wants it any more
  };

  Fetcher(Loop& loop, BlobStore& store, Swarm& swarm, HubClient& hub, Seeder& seeder, NodeId self,
          Scheduler::Limits limits, Listener listener);
  ~Fetcher();

  // Wanting it again only raises the priority.
  void want(Request request);
  // Nobody wants it any more; verified pieces stay on the disk.
  void unwant(const BlobId& blob);
  // Where programs read it while it comes in: what comes next follows them, and it counts as high priority
  // until nobody reads it any more. Also before it is wanted.
  void set_readers(const BlobId& blob, std::vector<std::uint64_t> offsets);
  // Whether what the partial calls verified is believed at this moment; false until pieces that came under
  // suspicion are taken back.
  [[nodiscard]] bool is_settled(const BlobId& blob) const;
  [[nodiscard]] bool wants(const BlobId& blob) const { return jobs_.contains(blob); }
  [[nodiscard]] std::optional<View> view(const BlobId& blob, Time now);
  // What view() says of the node and its neighbours; the daemon refreshes it once a second.
  struct Surroundings {
    NodeFacts node;
    std::map<NodeId, NeighbourFacts> neighbours;
  };
  void set_surroundings(Surroundings surroundings) { surroundings_ = std::move(surroundings); }
  [[nodiscard]] WriteTimes& write_times() { return *write_times_; }

  // The decisions; the daemon feeds neighbours' facts into it and calls request_turn().
  [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
  // Starts what the scheduler wants now.
  void turn(Time now);

  // Facts from the edges, posted to the loop.
  void on_fetch_progress(FetchId id, std::uint64_t bytes, Time now);
  void on_fetch_done(FetchId id, const Result<void>& result, Time now);
  void on_swarm_piece(const SegmentKey& key, PieceIndex piece, NodeId from, Time now);
  void on_bad_piece(const SegmentKey& key, PieceIndex piece, const std::vector<NodeId>& from, Time now);
  void on_segment_failed(const SegmentKey& key, const Error& error, Time now);
  void on_blob_bytes(NodeId from, msg::BlobBytes message);
  void on_pieces_lost(const SegmentKey& key, PieceMask pieces, const Error& error, Time now);

 private:
  using OrderKey = std::tuple<Priority, std::uint64_t, BlobId>;
  enum class Stage : std::uint8_t { queued, opening, fetching, checking };
  struct Job {
    Request request;
    Stage stage = Stage::queued;
    std::shared_ptr<PartialBlob> partial;
    Sources bytes;
    RateMeter rate;
    bool is_read = false;  // by programs: high priority
    int forgetting = 0;    // pieces of it are being taken back on the disk
    Time last_bytes;
    bool locked = false;  // by another program
    std::string origin_error;
    std::vector<SegmentPieces> came;  // lan, origin and local; empty for a small blob
    void forget(SegmentIndex segment, PieceMask pieces);
    std::uint64_t generation = 0;  // tells this want from an earlier one of the same blob
  };
  [[nodiscard]] Job* find(const BlobId& blob, std::uint64_t generation);
  [[nodiscard]] Job* find(const BlobId& blob);
  // Leaves no empty file behind for a blob that nobody wants.
  void discard_if_empty(const std::shared_ptr<PartialBlob>& partial);
  [[nodiscard]] static OrderKey order_key(const Job& job) {
    return {job.is_read ? Priority::high : job.request.priority, job.request.order, job.request.file.blob};
  }
  // Its key was `before`.
  void rekey(const Job& job, const OrderKey& before);
  void activate();
  // Makes room for a large blob that comes before one that is being fetched: that one goes back to the queue
  // with what it has. Whether it found one.
  bool park_one_behind(const OrderKey& key);
  void open(Job& job);
  void on_opened(const BlobId& blob, std::uint64_t generation, std::shared_ptr<PartialBlob> partial,
                 std::vector<Scheduler::LocalSegment> local);
  void start(const Action& action, Time now);
  void fetch_slice(const act::FetchSlice& slice);
  void fetch_small(const BlobId& blob);
  void publish_small(const BlobId& blob, std::optional<NodeId> from, std::vector<std::byte> bytes);
  void load(const act::LoadSegment& segment);
  void forget(const act::ForgetPieces& pieces);
  void finish(const BlobId& blob);
  void done(Job& job);
  void fail(Job& job, const Error& error);
  [[nodiscard]] BlobFacts facts_of(const Job& job, const Scheduler::BlobView& seen, Time now) const;
  void erase(const BlobId& blob);

  Loop& loop_;
  BlobStore& store_;
  Swarm& swarm_;
  HubClient& hub_;
  Seeder& seeder_;
  Listener listener_;
  Scheduler scheduler_;
  std::map<BlobId, Job> jobs_;
  std::set<OrderKey> queued_;
  std::set<OrderKey> active_large_;  // opening, fetching or checking
  std::set<BlobId> doubted_;  // the whole did not match, and the scheduler has not said yet what to take back
  std::map<BlobId, std::vector<std::uint64_t>> readers_;  // bounded by the endpoint's connections
  int active_small_ = 0;
  std::uint64_t next_generation_ = 1;
  Surroundings surroundings_;
  std::shared_ptr<WriteTimes> write_times_;
};

}  // namespace shoal
