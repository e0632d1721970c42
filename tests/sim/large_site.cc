#include "tests/sim/large_site.h"

#include "node/core/piece_bits.h"
#include "node/core/scheduler.h"
#include "tests/sim/content.h"
#include "tests/sim/in_parallel.h"
#include "tests/sim/large_origin.h"
#include "tests/sim/large_swarm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace shoal::sim {
namespace {

constexpr double kExpiry = 5;              // seconds without heartbeat
constexpr double kSettled = 0.4;           // two nodes may fetch one piece for so long: claims cross
constexpr std::uint64_t kCheckEach = 997;  // invariants are looked at in one turn of so many

Duration to_duration(double s) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
}

struct Node {
  std::unique_ptr<Scheduler> scheduler;
  NodeId id;
  bool alive = true;
  bool due = false;
  double begins_s = 0;
  int left = 0;                 // blobs
  std::vector<PieceMask> have;  // by segment of the site
  std::vector<std::pair<NodeId, Message>> inbox;
  std::vector<std::pair<NodeId, Message>> next_inbox;
  bool turned = false;          // in this round
  std::vector<Action> actions;  // what the turn came to
};

class LargeSite {
 public:
  explicit LargeSite(const Options& options);
  Report run();

 private:
  struct Connect {
    int node = 0;
    int other = 0;
    int segment = 0;
  };
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  // The node's index is written into its id.
  [[nodiscard]] static int index_of(NodeId id) {
    std::uint32_t index = 0;
    std::memcpy(&index, id.bytes.data() + 8, 4);
    return static_cast<int>(index);
  }
  [[nodiscard]] int segment_of(const SegmentKey& key) const {
    return first_segment_.at(key.blob) + static_cast<int>(to_int(key.index));
  }
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(now_ - start_).count(); }

  void begin_pulls();
  void deaths();
  void origin();
  void swarm();
  void finish_blobs();
  void turns();
  void decide(Node& node) const;
  void carry_out(int index);
  void start(int index, Action&& action);
  void answer(int index, NodeId from, const msg::AskSegment& ask);
  void send(int from, NodeId to, Message message);
  void share(msg::SegmentHashes& told);
  void done(int index);
  void check_claims();
  [[nodiscard]] double t_min() const;

  Options options_;
  Random random_;
  std::vector<BlobId> blobs_;
  std::map<BlobId, int> first_segment_;
  std::vector<std::pair<SegmentKey, Geometry>> segments_;
  std::vector<double> lan_;
  std::vector<Node> nodes_;
  std::optional<LargeSwarm> swarm_;
  std::optional<LargeOrigin> origin_;
  std::vector<Connect> connecting_;
  std::vector<PieceMask> fetched_;            // by segment: by any node
  std::vector<PieceHashes> lists_;            // by segment, as first told
  std::vector<std::pair<double, int>> lost_;  // when the others notice whose death, latest first
  std::vector<std::pair<int, BlobId>> finishing_;
  std::vector<std::pair<double, int>> dies_;  // when, latest first
  Time start_ = Time{} + std::chrono::hours(1);
  Time now_ = start_;
  Report report_;
};

LargeSite::LargeSite(const Options& options) : options_(options), random_(options.rng_seed) {
  for (int i = 0; i < options_.files; ++i) {
    const BlobId blob = draw_blob(random_, options_.size / static_cast<std::uint64_t>(options_.files));
    blobs_.push_back(blob);
    first_segment_[blob] = static_cast<int>(segments_.size());
    const Geometry geometry(blob.size);
    for (std::uint32_t s = 0; s < geometry.segment_count(); ++s) {
      segments_.emplace_back(SegmentKey{blob, static_cast<SegmentIndex>(s)}, geometry);
    }
    report_.size += blob.size;
  }
  fetched_.resize(segments_.size());
  lists_.resize(segments_.size());
  nodes_.resize(at(options_.nodes));
  for (int i = 0; i < options_.nodes; ++i) {
    Node& node = nodes_[at(i)];
    const std::uint64_t word = random_.next();
    std::memcpy(node.id.bytes.data(), &word, 8);
    std::memcpy(node.id.bytes.data() + 8, &i, 4);
    node.scheduler = std::make_unique<Scheduler>(node.id, options_.limits);
    node.begins_s = random_.unit() * options_.start_spread_s;
    lan_.push_back(draw_lan(options_, random_));
    if (const double dies = draw_death(options_, random_); dies < options_.deadline_s)
      dies_.emplace_back(dies, i);
  }
  std::ranges::sort(dies_, std::greater<>{});
  swarm_.emplace(static_cast<int>(segments_.size()), lan_);
  origin_.emplace(options_, random_.next());
  report_.finished_s.assign(at(options_.nodes), -1);
  report_.fetched.assign(at(options_.nodes), 0);
  report_.served.assign(at(options_.nodes), 0);
}

void LargeSite::begin_pulls() {
  for (Node& node : nodes_) {
    if (node.begins_s < 0 || node.begins_s > seconds()) continue;
    node.begins_s = -1;
    if (!node.alive) continue;
    node.have.resize(segments_.size());
    std::uint64_t order = 0;
    for (const BlobId& blob : blobs_) {
      Scheduler::Request request;
      request.blob = blob;
      request.order = order;
      order += blob.size;
      ++node.left;
      node.scheduler->on_want(std::move(request), now_);
    }
    node.due = true;
  }
}

void LargeSite::deaths() {
  while (!dies_.empty() && dies_.back().first <= seconds()) {
    const int index = dies_.back().second;
    dies_.pop_back();
    Node& node = nodes_[at(index)];
    node.alive = false;
    node.inbox.clear();
    node.next_inbox.clear();
    swarm_->switch_off(index);
    report_.cut_bytes += static_cast<std::uint64_t>(origin_->drop_node(index));
    ++report_.deaths;
    lost_.insert(lost_.begin(), {seconds() + kExpiry, index});
  }
  while (!lost_.empty() && lost_.back().first <= seconds()) {
    const NodeId gone = nodes_[at(lost_.back().second)].id;
    lost_.pop_back();
    for (Node& node : nodes_) {
      if (!node.alive) continue;
      node.scheduler->on_neighbour_down(gone, now_);
      node.due = true;
    }
  }
}

void LargeSite::origin() {
  for (const LargeOrigin::Event& event : origin_->advance(options_.round_s, *swarm_)) {
    Node& node = nodes_[at(event.node)];
    node.due = true;
    if (event.bytes > 0) node.scheduler->on_fetch_progress(event.id, event.bytes, now_);
    for_each_piece(event.pieces, [&](PieceIndex piece) {
      const int segment = segment_of(event.key);
      const std::uint32_t length = segments_[at(segment)].second.piece_length(event.key.index, piece);
      report_.fetched[at(event.node)] += length;
      if ((fetched_[at(segment)] & mask_of(piece)) != 0) report_.twice_bytes += length;
      fetched_[at(segment)] |= mask_of(piece);
      node.have[at(segment)] |= mask_of(piece);
      swarm_->add(event.node, segment, mask_of(piece));
      node.scheduler->on_piece_fetched(event.key, piece, hash_of_content(event.key, piece, 0), now_);
    });
    if (event.done) node.scheduler->on_fetch_done(event.id, {}, now_);
  }
}

void LargeSite::swarm() {
  for (const Connect& c : std::exchange(connecting_, {})) swarm_->connect(c.node, c.other, c.segment);
  for (const LargeSwarm::Gain& gain : swarm_->exchange(random_)) {
    Node& node = nodes_[at(gain.node)];
    const auto& [key, geometry] = segments_[at(gain.segment)];
    node.have[at(gain.segment)] |= gain.pieces;
    node.scheduler->on_swarm_bytes(geometry.bytes_in(key.index, gain.pieces), now_);
    node.scheduler->on_pieces_received(key, gain.pieces, now_);
    node.due = true;
    ++report_.events;
  }
}

void LargeSite::finish_blobs() {
  for (const auto& [index, blob] : std::exchange(finishing_, {})) {
    Node& node = nodes_[at(index)];
    if (!node.alive) continue;
    const int first = first_segment_.at(blob);
    const Geometry geometry(blob.size);
    for (std::uint32_t s = 0; s < geometry.segment_count(); ++s) {
      if (node.have[at(first) + s] != geometry.all_pieces(static_cast<SegmentIndex>(s))) {
        report_.violations.push_back("node " + std::to_string(index) +
                                     " finishes a blob with pieces missing");
      }
    }
    node.scheduler->on_held(blob);
    node.due = true;
    if (--node.left == 0) done(index);
  }
}

// The nodes decide side by side, on several threads: each sees only its own messages. What they decided is
// carried out in their order, so that a run is the same on any number of cores.
void LargeSite::turns() {
  in_parallel(nodes_, options_.threads, [this](Node& node) { decide(node); });
  for (int i = 0; i < options_.nodes; ++i) carry_out(i);
}

void LargeSite::decide(Node& node) const {
  std::swap(node.inbox, node.next_inbox);
  node.turned = false;
  if (!node.alive) return;
  for (const auto& [from, message] : node.inbox) node.scheduler->on_message(from, message, now_);
  const auto wake = node.scheduler->wake_at();
  if (!node.due && node.inbox.empty() && (!wake || *wake > now_)) return;
  node.due = false;
  node.turned = true;
  node.actions = node.scheduler->decide(now_);
}

void LargeSite::carry_out(int index) {
  Node& node = nodes_[at(index)];
  for (const auto& [from, message] : node.inbox) {
    if (const auto* ask = std::get_if<msg::AskSegment>(&message)) answer(index, from, *ask);
  }
  node.inbox.clear();
  for (Action& action : std::exchange(node.actions, {})) start(index, std::move(action));
  if (node.turned && ++report_.decides % kCheckEach == 0) node.scheduler->check_invariants();
}

void LargeSite::send(int from, NodeId to, Message message) {
  Node& other = nodes_[at(index_of(to))];
  if (!other.alive) return;
  ++report_.messages;
  if (auto* list = std::get_if<msg::SegmentHashes>(&message)) share(*list);
  other.next_inbox.emplace_back(nodes_[at(from)].id, std::move(message));
}

// Equal lists of hashes that were put together on different nodes are kept once, and then compared by
// address.
void LargeSite::share(msg::SegmentHashes& told) {
  PieceHashes& known = lists_[at(segment_of({told.blob, told.segment}))];
  if (known.empty()) known = told.hashes;
  if (known == told.hashes) told.hashes = known;
}

void LargeSite::start(int index, Action&& action) {
  Node& node = nodes_[at(index)];
  if (auto* tell = std::get_if<act::Tell>(&action)) {
    send(index, tell->to, std::move(tell->message));
  } else if (const auto* slice = std::get_if<act::FetchSlice>(&action)) {
    origin_->fetch(index, *slice, segments_[at(segment_of(slice->key))].second, seconds());
  } else if (const auto* trimmed = std::get_if<act::TrimFetch>(&action)) {
    origin_->trim(trimmed->id, index, trimmed->count);
  } else if (const auto* cancelled = std::get_if<act::CancelFetch>(&action)) {
    report_.cut_bytes += static_cast<std::uint64_t>(origin_->cancel(cancelled->id, index));
  } else if (const auto* load = std::get_if<act::LoadSegment>(&action)) {
    const int segment = segment_of(load->key);
    const Geometry& geometry = segments_[at(segment)].second;
    swarm_->load(index, segment, node.have[at(segment)], geometry.all_pieces(load->key.index),
                 geometry.piece_length(load->key.index, PieceIndex{0}));
    for (const NodeId to : load->connect_to) connecting_.push_back({index, index_of(to), segment});
  } else if (const auto* more = std::get_if<act::ConnectSegment>(&action)) {
    for (const NodeId to : more->to) connecting_.push_back({index, index_of(to), segment_of(more->key)});
  } else if (const auto* unloaded = std::get_if<act::UnloadSegment>(&action)) {
    swarm_->unload(index, segment_of(unloaded->key));
  } else if (const auto* complete = std::get_if<act::FinishBlob>(&action)) {
    finishing_.emplace_back(index, complete->blob);
  } else if (const auto* ban = std::get_if<act::BanNode>(&action)) {
    report_.violations.push_back("node " + std::to_string(index) + " banned somebody: " + ban->reason);
  } else if (const auto* failed = std::get_if<act::FailBlob>(&action)) {
    report_.violations.push_back("node " + std::to_string(index) +
                                 " failed a blob: " + failed->error.message);
  }
}

void LargeSite::answer(int index, NodeId from, const msg::AskSegment& ask) {
  const SegmentKey key{ask.blob, ask.segment};
  const int segment = segment_of(key);
  const Geometry& geometry = segments_[at(segment)].second;
  const PieceMask all = geometry.all_pieces(ask.segment);
  if (nodes_[at(index)].have.empty() || nodes_[at(index)].have[at(segment)] != all) {
    send(index, from, msg::LackBlobs{{ask.blob}});
    return;
  }
  swarm_->load(index, segment, all, all, geometry.piece_length(ask.segment, PieceIndex{0}));
  msg::Pieces pieces{ask.blob, ask.segment, all, {}};
  for_each_piece(all, [&](PieceIndex p) { pieces.hashes.push_back(hash_of_content(key, p, 0)); });
  send(index, from, std::move(pieces));
  send(index, from, msg::SegmentOpen{ask.blob, ask.segment});
}

void LargeSite::done(int index) {
  report_.finished_s[at(index)] = seconds();
  report_.last_s = report_.undisturbed_last_s = seconds();
}

void LargeSite::check_claims() {
  std::map<SegmentKey, std::map<int, PieceMask>> fetching;
  origin_->each_older(
      seconds() - std::max(kSettled, 4 * options_.round_s),
      [&](int node, const SegmentKey& key, PieceMask pieces) { fetching[key][node] |= pieces; });
  for (const auto& [key, by_node] : fetching) {
    std::array<int, 64> count{};
    for (const auto& [node, pieces] : by_node)
      for_each_piece(pieces, [&](PieceIndex p) { ++count[shoal::at(p)]; });
    const int most = *std::ranges::max_element(count);
    if (most > options_.claimants_max && report_.violations.size() < 20) {
      report_.violations.push_back("at " + std::to_string(seconds()) + " s: " + std::to_string(most) +
                                   " nodes fetch one piece from the origin at the same time");
    }
  }
}

double LargeSite::t_min() const {
  const auto size = static_cast<double>(report_.size);
  double up = 0;
  double slowest = lan_.front();
  for (int i = 0; i < options_.nodes; ++i) {
    up += lan_[at(i)];
    if (nodes_[at(i)].alive) slowest = std::min(slowest, lan_[at(i)]);
  }
  return std::max({size / options_.wan_bytes_per_s, size / slowest,
                   options_.nodes * size / (options_.wan_bytes_per_s + up)});
}

Report LargeSite::run() {
  for (Node& node : nodes_) {
    for (const Node& other : nodes_) {
      if (&node != &other) node.scheduler->on_neighbour_up(other.id, now_);
    }
  }
  const auto all_done = [&] {
    return std::ranges::all_of(nodes_,
                               [](const Node& n) { return !n.alive || (n.begins_s < 0 && n.left == 0); });
  };
  int rounds = 0;
  do {
    now_ += to_duration(options_.round_s);
    begin_pulls();
    deaths();
    swarm_->refill(options_.round_s);
    origin();
    swarm();
    finish_blobs();
    turns();
    if (++rounds % 10 == 0) check_claims();
  } while (!all_done() && seconds() < options_.deadline_s);
  for (int i = 0; i < options_.nodes; ++i) {
    if (nodes_[at(i)].alive && nodes_[at(i)].left > 0 && report_.violations.size() < 20) {
      std::string waits;
      for (const BlobId& blob : blobs_) waits += " " + nodes_[at(i)].scheduler->waiting_for(blob, now_);
      report_.violations.push_back("node " + std::to_string(i) + " has not finished:" + waits);
      report_.last_s = seconds();
    }
  }
  report_.t_min_s = t_min();
  for (const std::uint64_t bytes : report_.fetched) report_.wan_bytes += bytes;
  report_.wan_bytes += report_.cut_bytes;
  report_.lan_bytes = static_cast<std::uint64_t>(swarm_->moved_bytes());
  if (report_.wan_factor() > options_.wan_factor_max) {
    report_.violations.push_back("the origin sent " + std::to_string(report_.wan_factor()) +
                                 " times the size");
  }
  if (report_.time_factor() > options_.time_factor_max) {
    report_.violations.push_back("the last node took " + std::to_string(report_.time_factor()) +
                                 " times the least possible time");
  }
  return std::move(report_);
}

}  // namespace

Report run_large_site(const Options& options) {
  return LargeSite(options).run();
}

}  // namespace shoal::sim
