// Makes room in the cache: sees what is held, asks the neighbours what they keep, removes what may go.
//
// What goes is choose_evictions()'s decision (eviction.h), that no last copy goes is KeepPromises'
// (keep_promises.h). This class gathers the facts and does what they say, one run at a time, in the order in
// which runs were asked for:
//
//   looking (worker) -> asking (neighbours, kAskPatience) -> removing, a snapshot at a time (worker) -> done
//
// By itself it removes only where someone set a limit: `cache_size_limit`, or `evict` for the free-space
// floor. `shoal gc` is an order and always runs. Adopted caches elsewhere are never touched. Owned by the
// loop thread.
#pragma once

#include "node/core/eviction.h"
#include "node/core/keep_promises.h"
#include "node/core/messages.h"
#include "node/core/ports.h"
#include "node/core/result.h"
#include "node/core/status.h"
#include "node/daemon/event_log.h"
#include "node/daemon/loop.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shoal {

class BlobStore;
class StateDb;

class Evictor {
 public:
  // A LAN round trip and a look-up in memory take milliseconds; a busy neighbour's loop may take a while.
  static constexpr std::chrono::milliseconds kAskPatience{1000};
  // Blobs asked about in one run, least recently used first: 16 messages to each neighbour.
  static constexpr std::size_t kAskedMax = 16 * limits::kBlobsPerMessage;
  static constexpr std::size_t kWaitingMax = 256;  // runs; each is a pull that waits for room
  // Other programs fill the cache as well, so the limit is looked after between pulls.
  static constexpr std::chrono::seconds kLookEvery{60};
  static constexpr std::chrono::seconds kUseEvery{60};  // uses are recorded so often
  // A site without a neighbour for so long has nobody to keep a last copy for.
  static constexpr std::chrono::hours kAlone{24 * 7};

  struct Options {
    NodeId self;
    std::uint64_t cache_size_limit = 0;  // bytes; 0: none
    std::uint64_t free_space_floor = 0;
    bool evict_for_floor = false;
    bool evict_last_copies = false;
  };
  struct Request {
    std::optional<std::uint64_t> to;  // the cache's size afterwards at most; nullopt: the limit
    bool floor = true;                // the free-space floor counts as well
    bool dry_run = false;
    bool even_last_copies = false;
  };
  struct Outcome {
    std::vector<EvictionChoice> choices;
    std::uint64_t bytes_held = 0;    // before
    std::uint64_t bytes_needed = 0;  // to be freed
    std::uint64_t bytes_freed = 0;   // of a dry run: would have been
    std::uint32_t neighbours = 0;    // asked
  };
  using Done = std::function<void(Result<Outcome>)>;

  // What the daemon knows.
  struct Facts {
    std::function<std::vector<PeerStatus>()> peers;
    std::function<bool(const RepoRef&)> wanted;     // by a running pull
    std::function<bool(const BlobId&)> shareable;   // neighbours may get it from here
    std::function<bool(const BlobId&)> held;        // complete and in the catalogue
    std::function<bool(const BlobId&)> served;      // loaded for a neighbour
    std::function<void(const BlobId&)> on_leaving;  // before its file goes: no neighbour is to rely on it
    std::function<void(const BlobId&)> on_stayed;   // it could not be removed after all
    std::function<std::uint64_t()> outstanding;     // bytes that running pulls have still to get
  };

  Evictor(Loop& loop, BlobStore& store, StateDb& db, Swarm& swarm, EventLog& events, Options options,
          Facts facts);

  // Whether a pull that finds no room may have some made.
  [[nodiscard]] bool enabled() const { return options_.cache_size_limit > 0 || options_.evict_for_floor; }
  void run(Request request, Done done);

  void on_used(const BlobId& blob) { used_[blob] = wall_clock_now(); }
  void on_ask_keep(NodeId from, const msg::AskKeep& ask, Time now);
  void on_keep(NodeId from, const msg::Keep& keep) { promises_.on_keep(from, keep.blobs); }
  void on_neighbour_down(NodeId node) { promises_.on_gone(node); }
  void tick(Time now);
  // What is used but not recorded yet.
  [[nodiscard]] std::vector<BlobUse> take_used();

 private:
  struct Run {
    Request request;
    Done done;
    Outcome outcome;
    std::vector<HeldSnapshot> snapshots;
    std::set<BlobId> free_to_go;  // nobody could get them from here
    std::size_t next = 0;         // of outcome.choices
  };
  using RunPtr = std::shared_ptr<Run>;

  void start_next();
  void look(const RunPtr& run);
  void ask(const RunPtr& run);
  void choose(const RunPtr& run);
  void remove_next(const RunPtr& run);
  void finish(const RunPtr& run, Result<void> result);
  [[nodiscard]] bool alone() const;

  Loop& loop_;
  BlobStore& store_;
  StateDb& db_;
  Swarm& swarm_;
  EventLog& events_;
  const Options options_;
  const Facts facts_;
  KeepPromises promises_;
  std::deque<RunPtr> waiting_;
  bool running_ = false;
  Time last_look_{};
  Time last_use_{};
  std::map<BlobId, WallTime> used_;
};

// "needs 20.0 GiB, 12.0 GiB can be freed; kept: org/a (pinned), org/b (the last copy on the site), ...".
[[nodiscard]] std::string explain_kept(const Evictor::Outcome& outcome);
// Whether there is no room, but would be once what is read at this moment is let go.
[[nodiscard]] bool room_may_come(const Evictor::Outcome& outcome);

}  // namespace shoal
