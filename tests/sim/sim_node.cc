// A node's life, its loop, and what becomes of a blob.
#include "tests/sim/sim_node.h"

#include "node/core/piece_bits.h"
#include "tests/sim/content.h"
#include "tests/sim/sim_node_later.h"

#include <algorithm>
#include <utility>

namespace shoal::sim {
namespace {

constexpr double kHeartbeat = 1.0;
constexpr Duration kExpiry = std::chrono::seconds(5);

}  // namespace

SimNode::SimNode(Site& site, int index, NodeId id, double lan_bytes_per_s)
    : site_(site),
      index_(index),
      id_(id),
      up_(site.flows().add_link(lan_bytes_per_s)),
      down_(site.flows().add_link(lan_bytes_per_s)),
      random_(site.random().next()),
      scheduler_(std::make_unique<Scheduler>(id, site.options().limits)) {}

SimNode::Disk& SimNode::disk(const BlobId& blob) {
  const auto it = disks_.find(blob);
  if (it != disks_.end()) return it->second;
  Disk& disk = disks_.emplace(blob, blob).first->second;
  const std::uint32_t segments = disk.geometry.segment_count();
  disk.have.resize(segments);
  for (std::uint32_t i = 0; i < segments; ++i) {
    const auto pieces = static_cast<std::size_t>(disk.geometry.piece_count(static_cast<SegmentIndex>(i)));
    disk.content.emplace_back(pieces);
    disk.hashes.emplace_back(pieces);
  }
  return disk;
}

bool SimNode::lies_about_hashes() const {
  return std::ranges::count(site_.options().hash_liars, index_) > 0;
}

bool SimNode::serves_wrong_bytes() const {
  return std::ranges::count(site_.options().byte_liars, index_) > 0;
}

std::uint64_t SimNode::content_to_serve(const SegmentKey& key, PieceIndex piece) {
  if (serves_wrong_bytes() && random_.chance(0.5)) return 999;
  return disk(key.blob).content[to_int(key.index)][at(piece)];
}

std::string SimNode::waits() const {
  std::string text;
  for (const BlobId& blob : site_.blobs()) {
    if (!scheduler_->wants(blob)) continue;
    std::uint64_t have = 0;
    if (const auto it = disks_.find(blob); it != disks_.end()) {
      for (std::uint32_t i = 0; i < it->second.have.size(); ++i) {
        have += it->second.geometry.bytes_in(static_cast<SegmentIndex>(i), it->second.have[i]);
      }
    }
    text += " [" + blob.text().substr(7, 8) + " " + std::to_string(have) + "/" + std::to_string(blob.size) +
            " " + scheduler_->waiting_for(blob, site_.events().now()) + "]";
  }
  return text;
}

std::uint64_t SimNode::bytes_here() const {
  std::uint64_t bytes = 0;
  for (const auto& [blob, disk] : disks_) {
    for (std::uint32_t i = 0; i < disk.have.size(); ++i) {
      bytes += disk.geometry.bytes_in(static_cast<SegmentIndex>(i), disk.have[i]);
    }
  }
  return bytes;
}

// --- life ---

void SimNode::hold_everything() {
  for (const BlobId& blob : site_.blobs()) {
    Disk& d = disk(blob);
    for (std::uint32_t i = 0; i < d.have.size(); ++i) {
      const auto index = static_cast<SegmentIndex>(i);
      d.have[i] = d.geometry.all_pieces(index);
      for_each_piece(d.have[i], [&](PieceIndex p) {
        d.hashes[i][at(p)] = hash_of_content({blob, index}, p, 0);
      });
    }
    d.held = true;
    scheduler_->on_held(blob);
  }
}

void SimNode::begin_pull() {
  pulling_ = true;
  pull_began_s_ = site_.seconds();
  if (!alive_) return;
  wanted_left_ = 0;
  std::uint64_t order = 0;
  for (const BlobId& blob : site_.blobs()) {
    ++order;
    Disk& d = disk(blob);
    if (d.held) {
      scheduler_->on_held(blob);
      continue;
    }
    ++wanted_left_;
    Scheduler::Request request;
    request.blob = blob;
    request.order = order;
    for (std::uint32_t i = 0; i < d.have.size(); ++i) {
      Scheduler::LocalSegment local;
      local.have = d.have[i];
      for_each_piece(d.have[i], [&](PieceIndex p) { local.hashes.push_back(d.hashes[i][at(p)]); });
      request.local.push_back(std::move(local));
    }
    scheduler_->on_want(std::move(request), site_.events().now());
  }
  if (wanted_left_ == 0) site_.on_node_done(*this);
  turn_soon();
}

void SimNode::die() {
  if (!alive_) return;
  alive_ = false;
  ++run_;
  for (auto& [id, fetch] : fetches_) {
    if (fetch.flow) site_.flows().stop(*fetch.flow);
  }
  for (const auto& [id, fetch] : std::exchange(fetches_, {})) site_.on_fetching(*this, fetch.key, 0);
  for (auto& [from, transfers] : incoming_) {
    for (const Transfer& transfer : transfers) site_.flows().stop(transfer.flow);
  }
  // Nothing tells the others: their transfers from here just stop, and their patience decides.
  for (const auto& other : site_.nodes()) {
    if (const auto it = other->incoming_.find(id_); it != other->incoming_.end()) {
      for (const Transfer& transfer : it->second) site_.flows().stall(transfer.flow);
    }
  }
  incoming_.clear();
  torrents_.clear();
  reveal_windows_.clear();
  sources_.clear();
  idle_connections_.clear();
  heard_.clear();
  turn_due_ = reporting_ = false;
  woken_at_.reset();
}

void SimNode::restart() {
  alive_ = true;
  scheduler_ = std::make_unique<Scheduler>(id_, site_.options().limits);
  failed_.clear();
  for (const auto& other : site_.nodes()) {
    if (other.get() == this || !other->alive()) continue;
    meet(*other);
    other->meet(*this);
  }
  heartbeat();
  if (pulling_) later(0.2, [this] { begin_pull(); });  // the daemon opens its blobs first
}

void SimNode::mark_busy() {
  busy_ = true;
  DeviceLoad load;
  load.busy = true;
  scheduler_->on_own_load(load);
  turn_soon();
}

void SimNode::meet(SimNode& other) {
  if (banned_.contains(other.id_) || other.banned_.contains(id_)) return;
  if (heard_.contains(other.id_)) disconnect(other.id_);
  heard_[other.id_] = site_.events().now();
  scheduler_->on_neighbour_up(other.id_, site_.events().now());
  turn_soon();
}

void SimNode::on_neighbour_lost(NodeId node) {
  if (heard_.erase(node) == 0) return;
  disconnect(node);
  scheduler_->on_neighbour_down(node, site_.events().now());
  turn_soon();
}

void SimNode::heartbeat() {
  if (!alive_) return;
  msg::Heartbeat beat;
  beat.sequence = ++sequence_;
  beat.load.busy = busy_;
  beat.load.origin_bytes_per_s = std::exchange(origin_bytes_, 0);
  std::vector<NodeId> silent;
  for (const auto& [node, at] : heard_) {
    if (site_.events().now() - at >= kExpiry) silent.push_back(node);
  }
  for (const NodeId node : silent) on_neighbour_lost(node);
  for (const auto& [node, at] : heard_) site_.send(*this, node, beat);
  show_pieces();
  later(kHeartbeat, [this] { heartbeat(); });
}

void SimNode::receive(NodeId from, const Message& message) {
  const auto heard = heard_.find(from);
  if (heard == heard_.end()) return;
  if (std::holds_alternative<msg::Heartbeat>(message)) heard->second = site_.events().now();
  if (const auto* ask = std::get_if<msg::AskSegment>(&message)) answer_segment(from, *ask);
  if (const auto* ask = std::get_if<msg::AskBlob>(&message)) {
    const auto it = disks_.find(ask->blob);
    if (it != disks_.end() && it->second.held) {
      msg::BlobBytes answer{ask->blob, {}};
      answer.bytes.push_back(std::byte{static_cast<unsigned char>(serves_wrong_bytes() ? 1 : 0)});
      later(0.0005, [this, from, answer] { site_.send(*this, from, answer); });
    } else {
      site_.send(*this, from, msg::LackBlobs{{ask->blob}});
    }
  }
  if (const auto* bytes = std::get_if<msg::BlobBytes>(&message)) {
    if (!scheduler_->wants(bytes->blob)) return;
    site_.count_lan(static_cast<double>(bytes->blob.size));
    if (bytes->bytes.at(0) == std::byte{0}) {
      hold(bytes->blob);
    } else {
      scheduler_->on_small_failed(bytes->blob, from, Error{Code::corrupt, "wrong bytes", 0},
                                  site_.events().now());
    }
  }
  scheduler_->on_message(from, message, site_.events().now());
  turn_soon();
}

// --- the loop ---

void SimNode::turn_soon() {
  if (turn_due_ || !alive_) return;
  turn_due_ = true;
  later(site_.options().turn_s, [this] { turn(); });
}

void SimNode::turn() {
  turn_due_ = false;
  ++decides;
  const Time now = site_.events().now();
  const std::vector<Action> actions = scheduler_->decide(now);
  scheduler_->check_invariants();
  for (const Action& action : actions) start(action);
  const auto wake = scheduler_->wake_at();
  if (!wake) return;
  if (woken_at_ && *woken_at_ <= *wake && *woken_at_ > now) return;
  woken_at_ = *wake;
  site_.events().at(*wake, [this, run = run_, at = *wake] {
    if (!alive_ || run != run_ || woken_at_ != at) return;
    woken_at_.reset();
    turn_soon();
  });
}

void SimNode::start(const Action& action) {
  if (const auto* tell = std::get_if<act::Tell>(&action)) {
    if (!site_.options().claims_settle && std::holds_alternative<msg::Claim>(tell->message)) return;
    site_.send(*this, tell->to, tell->message);
  } else if (const auto* slice = std::get_if<act::FetchSlice>(&action)) {
    start_fetch(*slice);
  } else if (const auto* trimmed = std::get_if<act::TrimFetch>(&action)) {
    const auto it = fetches_.find(trimmed->id);
    if (it == fetches_.end()) return;
    it->second.end = std::max(it->second.next + 1, to_int(trimmed->first) + trimmed->count);
    it->second.keep_connection = false;
    update_fetching(it->second.key);
  } else if (const auto* cancelled = std::get_if<act::CancelFetch>(&action)) {
    const auto it = fetches_.find(cancelled->id);
    if (it == fetches_.end()) return;
    const SegmentKey key = it->second.key;
    if (it->second.flow) {
      site_.count_cut(*this, site_.flows().arrived(*it->second.flow));
      site_.flows().stop(*it->second.flow);
    }
    fetches_.erase(it);  // its connection is closed with it
    update_fetching(key);
  } else if (const auto* small = std::get_if<act::FetchSmall>(&action)) {
    fetch_small(small->blob);
  } else if (const auto* segment = std::get_if<act::LoadSegment>(&action)) {
    load(segment->key, segment->hashes, segment->have, segment->connect_to);
  } else if (const auto* more = std::get_if<act::ConnectSegment>(&action)) {
    for (const NodeId to : more->to) connect(more->key, to);
  } else if (const auto* unloaded = std::get_if<act::UnloadSegment>(&action)) {
    unload(unloaded->key);
  } else if (const auto* forgotten = std::get_if<act::ForgetPieces>(&action)) {
    disk(forgotten->key.blob).have[to_int(forgotten->key.index)] &= ~forgotten->pieces;
  } else if (const auto* complete = std::get_if<act::FinishBlob>(&action)) {
    finish(complete->blob);
  } else if (const auto* failed = std::get_if<act::FailBlob>(&action)) {
    // A person would pull again; so does the model, after a while.
    if (!site_.faults_on() && !site_.options().origin_wrong) {
      site_.violation("node " + std::to_string(index_) +
                      " failed a blob without a reason: " + failed->error.message);
    }
    scheduler_->on_unwant(failed->blob, site_.events().now());
    turn_soon();
    later(5.0, [this, blob = failed->blob] {
      Disk& d = disk(blob);
      Scheduler::Request request;
      request.blob = blob;
      for (std::uint32_t i = 0; i < d.have.size(); ++i) {
        Scheduler::LocalSegment local;
        local.have = d.have[i];
        for_each_piece(d.have[i], [&](PieceIndex p) { local.hashes.push_back(d.hashes[i][at(p)]); });
        request.local.push_back(std::move(local));
      }
      scheduler_->on_want(std::move(request), site_.events().now());
      turn_soon();
    });
  } else if (const auto* ban = std::get_if<act::BanNode>(&action)) {
    banned_.insert(ban->node);
    site_.on_ban(*this, ban->node, ban->reason);
    on_neighbour_lost(ban->node);
    if (SimNode* other = site_.node(ban->node); other != nullptr && other->alive())
      other->on_neighbour_lost(id_);
  }
}

// --- the end of a blob ---

void SimNode::finish(const BlobId& blob) {
  later(0.02, [this, blob] {
    const Disk& d = disk(blob);
    bool right = true;
    for (std::uint32_t i = 0; i < d.have.size(); ++i) {
      const auto index = static_cast<SegmentIndex>(i);
      if (d.have[i] != d.geometry.all_pieces(index)) {
        site_.violation("node " + std::to_string(index_) + " finishes a blob with pieces missing");
      }
      right = right && std::ranges::all_of(d.content[i], [](std::uint64_t c) { return c == 0; });
    }
    if (right || lies_about_hashes() || !site_.options().publisher_checked) {
      hold(blob);
    } else {
      scheduler_->on_blob_corrupt(blob, site_.events().now());
    }
    turn_soon();
  });
}

void SimNode::hold(const BlobId& blob) {
  Disk& d = disk(blob);
  if (d.held) return;
  d.held = true;
  const bool wrong = std::ranges::any_of(d.content, [](const auto& segment) {
    return std::ranges::any_of(segment, [](std::uint64_t content) { return content != 0; });
  });
  if (wrong && !lies_about_hashes()) {
    site_.violation("node " + std::to_string(index_) + " published wrong bytes");
  }
  if (blob.size <= kSmallBlobMax) {
    for (std::uint32_t i = 0; i < d.have.size(); ++i)
      d.have[i] = d.geometry.all_pieces(static_cast<SegmentIndex>(i));
  }
  scheduler_->on_held(blob);
  turn_soon();
  if (--wanted_left_ == 0) site_.on_node_done(*this);
}

}  // namespace shoal::sim
