// A site under a virtual clock: nodes that run the production scheduler, a model of everything around them.
//
// What is real: node/core (Scheduler, catalogue, geometry). What is modelled: control messages (delay,
// ordered per pair, lost with the node), BitTorrent (one pair of nodes moves up to two pieces at a time;
// rarest first among the neighbours that are connected; every piece checked against the hash), the origin
// (shared line, capped uneven connections, request latency, faults), hashing and writing (a delay).
//
// Bytes are not stored: a piece's content is a number, 0 for the right bytes. Its hash is a function of blob,
// place and content, so wrong bytes and wrong hashes behave as they do in life.
#pragma once

#include "tests/sim/event_queue.h"
#include "tests/sim/flow_network.h"
#include "tests/sim/options.h"
#include "tests/sim/random.h"
#include "tests/sim/report.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace shoal::sim {

class SimNode;

class Site {
 public:
  explicit Site(Options options);
  ~Site();
  Report run();

  // For the nodes.
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] EventQueue& events() { return events_; }
  [[nodiscard]] FlowNetwork& flows() { return flows_; }
  [[nodiscard]] Random& random() { return random_; }
  [[nodiscard]] LinkId wan() const { return wan_; }
  [[nodiscard]] SimNode* node(NodeId id);
  [[nodiscard]] const std::vector<std::unique_ptr<SimNode>>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<BlobId>& blobs() const { return blobs_; }
  void send(SimNode& from, NodeId to, Message message);
  void violation(std::string text);
  void on_node_done(SimNode& node);
  void on_ban(SimNode& by, NodeId node, const std::string& reason);
  // Checker: a node begins or ends fetching pieces from the origin.
  void on_fetching(SimNode& node, const SegmentKey& key, PieceMask pieces);
  void count_wan(SimNode& node, double bytes);
  void count_cut(SimNode& node, double bytes);  // the same, but of a piece that did not become whole
  void count_piece(const SegmentKey& key, PieceIndex piece, std::uint64_t bytes);
  void count_lan(double bytes) { lan_bytes_ += bytes; }
  [[nodiscard]] bool faults_on() const;
  [[nodiscard]] double seconds() const;  // since the first pull

 private:
  [[nodiscard]] double t_min() const;
  [[nodiscard]] bool must_finish(int index) const;
  [[nodiscard]] bool disturbed(int index) const;
  void check_claims();
  void schedule_fate();
  void sample();

  Options options_;
  EventQueue events_;
  FlowNetwork flows_;
  Random random_;
  LinkId wan_{};
  Time start_;
  std::vector<BlobId> blobs_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::map<NodeId, int> index_;
  std::map<std::pair<int, int>, Time> last_delivery_;
  std::map<SegmentKey, std::map<int, std::pair<PieceMask, Time>>> fetching_;
  std::map<SegmentKey, PieceMask> fetched_;
  std::set<std::string> seen_;
  std::vector<double> lan_;
  std::set<int> dead_;  // by deaths_per_minute
  double wan_bytes_ = 0;
  double sampled_wan_bytes_ = 0;
  double lan_bytes_ = 0;
  Report report_;
};

// One run of what the options say, by the model they ask for.
[[nodiscard]] Report run_site(const Options& options);

}  // namespace shoal::sim
