// One node of the simulated site: the production scheduler and models of what the daemon puts around it.
#pragma once

#include "node/core/piece_reveal.h"
#include "node/core/scheduler.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/flow_network.h"
#include "tests/sim/random.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shoal::sim {

class Site;

class SimNode {
 public:
  SimNode(Site& site, int index, NodeId id, double lan_bytes_per_s);

  [[nodiscard]] int index() const { return index_; }
  [[nodiscard]] NodeId id() const { return id_; }
  [[nodiscard]] bool alive() const { return alive_; }
  [[nodiscard]] bool done() const { return pulling_ && wanted_left_ == 0; }
  [[nodiscard]] bool pulling() const { return pulling_; }
  [[nodiscard]] double pull_began_s() const { return pull_began_s_; }
  [[nodiscard]] std::string waits() const;
  [[nodiscard]] std::uint64_t bytes_here() const;  // of all blobs

  void hold_everything();
  void begin_pull();
  void die();
  void restart();
  void hang() { hung_ = true; }
  void recover() { hung_ = false; }
  void mark_busy();

  // From the site.
  void meet(SimNode& other);
  void receive(NodeId from, const Message& message);
  void on_neighbour_lost(NodeId node);
  void heartbeat();

  std::uint64_t served_bytes = 0;  // to neighbours
  std::uint64_t decides = 0;

 private:
  struct Disk {  // one blob
    explicit Disk(const BlobId& blob) : geometry(blob.size) {}
    Geometry geometry;
    std::vector<PieceMask> have;  // by segment
    std::vector<std::vector<std::uint64_t>> content;
    std::vector<std::vector<Hash256>> hashes;
    bool held = false;
  };
  struct Torrent {
    std::vector<Hash256> hashes;
    PieceMask have = 0;
    std::set<NodeId> peers;                     // connected
    std::map<int, std::set<NodeId>> requested;  // piece -> from whom
    std::unique_ptr<PieceReveal> reveal;        // loaded whole: shows its pieces one by one
    [[nodiscard]] PieceMask visible_to(const SimNode& peer) const {
      return reveal ? reveal->shown(&peer) : have;
    }
  };
  struct Fetch {
    SegmentKey key;
    int next = 0;  // piece that is arriving
    int end = 0;
    std::optional<FlowId> flow;
    double cap = 0;
    bool keep_connection = true;
    double reported = 0;      // bytes of the present piece that were reported
    double stall_after = -1;  // bytes, below 0: never
    double cut_after = -1;
    double passed = 0;  // bytes of the pieces that arrived whole
  };

  // Facts reach the scheduler only while this run of the program lives.
  template <typename Use>
  void later(double seconds, Use use);
  void turn_soon();
  void turn();
  void start(const Action& action);

  Disk& disk(const BlobId& blob);
  [[nodiscard]] bool lies_about_hashes() const;
  [[nodiscard]] bool serves_wrong_bytes() const;
  [[nodiscard]] std::uint64_t content_to_serve(const SegmentKey& key, PieceIndex piece);

  // Origin.
  void start_fetch(const act::FetchSlice& slice);
  void begin_bytes(FetchId id);
  double on_piece_arrived(FetchId id);
  void end_fetch(FetchId id, const Result<void>& result);
  void report_progress();
  void update_fetching(const SegmentKey& key);
  void fetch_small(const BlobId& blob);
  void fail_fetch(FetchId id, Code code, double after_s);

  // Swarm.
  void load(const SegmentKey& key, const std::vector<Hash256>& hashes, PieceMask have,
            const std::vector<NodeId>& connect_to);
  void connect(const SegmentKey& key, NodeId to);
  void unload(const SegmentKey& key);
  void disconnect(NodeId node);
  void request_from(NodeId from);
  // What a holder shows to whom (production's PieceReveal). `note_has`: the peer has got pieces of it.
  void begin_showing(Torrent& torrent, SimNode& peer, PieceMask peer_has);
  void note_has(const SegmentKey& key, SimNode& peer, PieceMask pieces);
  void show_pieces();
  void request_around(const SegmentKey& key);
  void start_piece(SimNode& from, const SegmentKey& key, PieceIndex piece);
  void on_piece_in(NodeId from, const SegmentKey& key, PieceIndex piece);
  void answer_segment(NodeId from, const msg::AskSegment& ask);

  void finish(const BlobId& blob);
  void hold(const BlobId& blob);

  struct Transfer {
    SegmentKey key;
    PieceIndex piece{};
    FlowId flow{};
  };

  Site& site_;
  const int index_;
  const NodeId id_;
  LinkId up_{};
  LinkId down_{};
  Random random_;
  std::unique_ptr<Scheduler> scheduler_;
  bool alive_ = true;
  bool hung_ = false;
  bool busy_ = false;
  bool pulling_ = false;
  double pull_began_s_ = 0;
  int run_ = 0;
  bool turn_due_ = false;
  bool reporting_ = false;
  std::optional<Time> woken_at_;
  int wanted_left_ = 0;
  std::map<BlobId, Disk> disks_;
  std::set<BlobId> failed_;
  std::map<NodeId, std::shared_ptr<RevealWindow>> reveal_windows_;
  std::map<SegmentKey, Torrent> torrents_;
  std::map<NodeId, std::set<SegmentKey>> sources_;    // incomplete here, connected to that node
  std::map<NodeId, std::vector<Transfer>> incoming_;  // pieces under way, by sender
  std::map<FetchId, Fetch> fetches_;
  std::vector<double> idle_connections_;  // their caps
  std::map<NodeId, Time> heard_;          // neighbours, last heartbeat
  std::set<NodeId> banned_;
  std::uint64_t sequence_ = 0;
  std::uint64_t origin_bytes_ = 0;  // in this second
};

}  // namespace shoal::sim
