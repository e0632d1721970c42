#include "tests/sim/sim_node.h"

#include "node/core/piece_bits.h"
#include "tests/sim/site.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace shoal::sim {
namespace {

constexpr double kHeartbeat = 1.0;
constexpr double kProgress = 0.2;
constexpr Duration kExpiry = std::chrono::seconds(5);
constexpr double kStallTimeout = 10.0;  // the origin client's minimum-progress timer
constexpr double kNoCap = 1e18;
constexpr std::size_t kPiecesPerPair = 2;  // requested at once of one neighbour

Duration seconds(double s) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
}

}  // namespace

SimNode::SimNode(Site& site, int index, NodeId id, double lan_bytes_per_s)
    : site_(site),
      index_(index),
      id_(id),
      up_(site.flows().add_link(lan_bytes_per_s)),
      down_(site.flows().add_link(lan_bytes_per_s)),
      random_(site.random().next()),
      scheduler_(std::make_unique<Scheduler>(id, site.options().limits)) {}

template <typename Use>
void SimNode::later(double delay_s, Use use) {
  site_.events().after(seconds(delay_s), [this, run = run_, use] {
    if (alive_ && run == run_) use();
  });
}

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

// --- life ---

void SimNode::hold_everything() {
  for (const BlobId& blob : site_.blobs()) {
    Disk& d = disk(blob);
    for (std::uint32_t i = 0; i < d.have.size(); ++i) {
      const auto index = static_cast<SegmentIndex>(i);
      d.have[i] = d.geometry.all_pieces(index);
      for_each_piece(d.have[i], [&](PieceIndex p) {
        d.hashes[i][at(p)] = site_.hash_of({blob, index}, p, 0);
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

// --- origin ---

void SimNode::start_fetch(const act::FetchSlice& slice) {
  const Options& o = site_.options();
  Fetch fetch;
  fetch.key = slice.key;
  fetch.next = to_int(slice.first);
  fetch.end = fetch.next + slice.count;
  double wait = random_.between(o.request_min_s, o.request_max_s);
  if (!idle_connections_.empty()) {
    fetch.cap = idle_connections_.back();
    idle_connections_.pop_back();
  } else {
    fetch.cap = random_.log_between(o.connection_min_bytes_per_s, o.connection_max_bytes_per_s);
    wait += 2 * random_.between(o.request_min_s, o.request_max_s);
  }
  Code failure = Code::io;
  if (site_.faults_on()) {
    const double length = static_cast<double>(
        disk(slice.key.blob)
            .geometry.bytes_in(slice.key.index, mask_of_run(to_int(slice.first), slice.count)));
    if (random_.chance(o.origin_5xx))
      failure = Code::unavailable;
    else if (random_.chance(o.origin_429))
      failure = Code::rate_limited;
    else if (random_.chance(o.origin_stall))
      fetch.stall_after = length * random_.unit();
    else if (random_.chance(o.origin_cut))
      fetch.cut_after = length * random_.unit();
  }
  fetches_[slice.id] = fetch;
  if (!std::exchange(reporting_, true)) later(kProgress, [this] { report_progress(); });
  update_fetching(slice.key);
  if (failure != Code::io) {
    fail_fetch(slice.id, failure, wait);
  } else {
    later(wait, [this, id = slice.id] { begin_bytes(id); });
  }
}

void SimNode::fail_fetch(FetchId id, Code code, double after_s) {
  later(after_s, [this, id, code] { end_fetch(id, shoal::fail(code, "the origin failed")); });
}

void SimNode::begin_bytes(FetchId id) {
  const auto it = fetches_.find(id);
  if (it == fetches_.end()) return;
  Fetch& fetch = it->second;
  const double first =
      disk(fetch.key.blob).geometry.piece_length(fetch.key.index, static_cast<PieceIndex>(fetch.next));
  fetch.flow =
      site_.flows().start({site_.wan(), down_}, hung_ ? 0 : fetch.cap, first,
                          [this, id, run = run_] { return run == run_ ? on_piece_arrived(id) : 0.0; });
  const auto breaks = [&](double after, Code code, double patience) {
    if (after < 0) return;
    // Roughly where the fault strikes: when so many bytes should have come at the present rate.
    later(std::max(0.01, after / fetch.cap), [this, id, code, patience] {
      const auto at = fetches_.find(id);
      if (at == fetches_.end() || !at->second.flow) return;
      site_.flows().stall(*at->second.flow);
      fail_fetch(id, code, patience);
    });
  };
  breaks(fetch.stall_after, Code::timeout, kStallTimeout);
  breaks(fetch.cut_after, Code::unavailable, 0.0);
  if (hung_) fail_fetch(id, Code::timeout, kStallTimeout * 100);
}

double SimNode::on_piece_arrived(FetchId id) {
  const auto it = fetches_.find(id);
  if (it == fetches_.end()) return 0;
  Fetch& fetch = it->second;
  const SegmentKey key = fetch.key;
  const auto piece = static_cast<PieceIndex>(fetch.next);
  Disk& d = disk(key.blob);
  const double length = d.geometry.piece_length(key.index, piece);
  site_.count_wan(*this, length);
  site_.count_piece(key, piece, static_cast<std::uint64_t>(length));
  scheduler_->on_fetch_progress(id, static_cast<std::uint64_t>(std::max(0.0, length - fetch.reported)),
                                site_.events().now());
  origin_bytes_ += static_cast<std::uint64_t>(length);
  fetch.reported = 0;
  fetch.passed += length;
  std::uint64_t content = 0;
  if (lies_about_hashes() && random_.chance(0.5)) content = 666;
  if (site_.faults_on() && random_.chance(site_.options().origin_wrong)) content = 555;
  later(length / site_.options().hash_bytes_per_s, [this, key, piece, content] {
    Disk& landed = disk(key.blob);
    const Hash256 hash = site_.hash_of(key, piece, content);
    if ((landed.have[to_int(key.index)] & mask_of(piece)) == 0) {
      landed.have[to_int(key.index)] |= mask_of(piece);
      landed.content[to_int(key.index)][at(piece)] = content;
      landed.hashes[to_int(key.index)][at(piece)] = hash;
    }
    scheduler_->on_piece_fetched(key, piece, hash, site_.events().now());
    turn_soon();
  });
  ++fetch.next;
  turn_soon();
  if (fetch.next < fetch.end) {
    update_fetching(key);
    return d.geometry.piece_length(key.index, static_cast<PieceIndex>(fetch.next));
  }
  if (fetch.keep_connection) idle_connections_.push_back(fetch.cap);
  fetch.flow.reset();
  end_fetch(id, {});
  return 0;
}

void SimNode::end_fetch(FetchId id, const Result<void>& result) {
  const auto it = fetches_.find(id);
  if (it == fetches_.end()) return;
  const SegmentKey key = it->second.key;
  if (it->second.flow) {
    site_.count_cut(*this, site_.flows().arrived(*it->second.flow));
    site_.flows().stop(*it->second.flow);
  }
  fetches_.erase(it);
  update_fetching(key);
  scheduler_->on_fetch_done(id, result, site_.events().now());
  turn_soon();
}

void SimNode::report_progress() {
  if (fetches_.empty()) {
    reporting_ = false;
    return;
  }
  for (auto& [id, fetch] : fetches_) {
    if (!fetch.flow) continue;
    const double arrived = site_.flows().arrived(*fetch.flow);
    const auto bytes = static_cast<std::uint64_t>(std::max(0.0, arrived - fetch.reported));
    if (bytes == 0) continue;
    fetch.reported += static_cast<double>(bytes);
    scheduler_->on_fetch_progress(id, bytes, site_.events().now());
  }
  later(kProgress, [this] { report_progress(); });
}

void SimNode::update_fetching(const SegmentKey& key) {
  PieceMask pieces = 0;
  for (const auto& [id, fetch] : fetches_) {
    if (fetch.key == key && fetch.next < fetch.end) pieces |= mask_of_run(fetch.next, fetch.end - fetch.next);
  }
  site_.on_fetching(*this, key, pieces);
}

void SimNode::fetch_small(const BlobId& blob) {
  const Options& o = site_.options();
  const bool fails = site_.faults_on() && random_.chance(o.origin_5xx + o.origin_429);
  later(random_.between(o.request_min_s, o.request_max_s) * 2, [this, blob, fails] {
    if (!scheduler_->wants(blob)) return;
    if (fails) {
      scheduler_->on_small_failed(blob, std::nullopt, Error{Code::unavailable, "the origin failed", 503},
                                  site_.events().now());
      turn_soon();
      return;
    }
    site_.count_wan(*this, static_cast<double>(blob.size));
    hold(blob);
  });
}

// --- swarm ---

void SimNode::answer_segment(NodeId from, const msg::AskSegment& ask) {
  later(0.001, [this, from, ask] {
    const SegmentKey key{ask.blob, ask.segment};
    const auto it = disks_.find(ask.blob);
    if (it == disks_.end() || to_int(ask.segment) >= it->second.have.size() ||
        it->second.have[to_int(ask.segment)] != it->second.geometry.all_pieces(ask.segment)) {
      site_.send(*this, from, msg::LackBlobs{{ask.blob}});
      return;
    }
    const Disk& d = it->second;
    const PieceMask all = d.geometry.all_pieces(ask.segment);
    load(key, d.hashes[to_int(ask.segment)], all, {});
    site_.send(*this, from, msg::Pieces{ask.blob, ask.segment, all, d.hashes[to_int(ask.segment)]});
    site_.send(*this, from, msg::SegmentOpen{ask.blob, ask.segment});
  });
}

void SimNode::load(const SegmentKey& key, const std::vector<Hash256>& hashes, PieceMask have,
                   const std::vector<NodeId>& connect_to) {
  if (!torrents_.contains(key)) torrents_[key] = {hashes, have, {}, {}};
  for (const NodeId to : connect_to) connect(key, to);
}

void SimNode::connect(const SegmentKey& key, NodeId to) {
  const Options& o = site_.options();
  later(random_.between(o.torrent_connect_min_s, o.torrent_connect_max_s), [this, key, to] {
    SimNode* other = site_.node(to);
    if (other == nullptr || !other->alive() || !heard_.contains(to) || !other->heard_.contains(id_)) return;
    const auto mine = torrents_.find(key);
    const auto theirs = other->torrents_.find(key);
    if (mine == torrents_.end() || theirs == other->torrents_.end()) return;
    if (mine->second.hashes != theirs->second.hashes) return;  // another info-hash: no such swarm there
    mine->second.peers.insert(to);
    theirs->second.peers.insert(id_);
    sources_[to].insert(key);
    other->sources_[id_].insert(key);
    request_from(to);
    other->request_from(id_);
  });
}

void SimNode::unload(const SegmentKey& key) {
  const auto it = torrents_.find(key);
  if (it == torrents_.end()) return;
  const std::set<NodeId> peers = it->second.peers;
  torrents_.erase(it);
  for (const NodeId peer : peers) {
    sources_[peer].erase(key);
    std::erase_if(incoming_[peer], [&](const Transfer& transfer) {
      if (transfer.key != key) return false;
      site_.flows().stop(transfer.flow);
      return true;
    });
    SimNode* other = site_.node(peer);
    if (other == nullptr) continue;
    if (const auto at = other->torrents_.find(key); at != other->torrents_.end()) {
      at->second.peers.erase(id_);
      for (auto& [piece, from] : at->second.requested) from.erase(id_);
      std::erase_if(at->second.requested, [](const auto& r) { return r.second.empty(); });
    }
    other->sources_[id_].erase(key);
    std::erase_if(other->incoming_[id_], [&](const Transfer& transfer) {
      if (transfer.key != key) return false;
      site_.flows().stop(transfer.flow);
      return true;
    });
    request_from(peer);
  }
}

void SimNode::disconnect(NodeId node) {
  for (const Transfer& transfer : incoming_[node]) site_.flows().stop(transfer.flow);
  incoming_.erase(node);
  sources_.erase(node);
  for (auto& [key, torrent] : torrents_) {
    torrent.peers.erase(node);
    for (auto& [piece, from] : torrent.requested) from.erase(node);
    std::erase_if(torrent.requested, [](const auto& r) { return r.second.empty(); });
  }
  for (const auto& [key, torrent] : torrents_) request_around(key);
}

void SimNode::request_around(const SegmentKey& key) {
  const auto it = torrents_.find(key);
  if (it == torrents_.end()) return;
  for (const NodeId peer : std::set<NodeId>(it->second.peers)) request_from(peer);
}

void SimNode::request_from(NodeId from) {
  if (!alive_) return;
  SimNode* other = site_.node(from);
  if (other == nullptr || !other->alive()) return;
  const auto keys = sources_.find(from);
  if (keys == sources_.end()) return;
  while (incoming_[from].size() < kPiecesPerPair && !keys->second.empty()) {
    // Rarest first within a segment, segments in turn; when a segment has nothing that is not requested yet,
    // what is still missing may be requested a second time.
    struct Choice {
      int rank = 0;  // requested twice last
      int count = 0;
      std::uint64_t tie = 0;
      SegmentKey key;
      PieceIndex piece{};
    };
    std::optional<Choice> best;
    const std::size_t offset = random_.below(keys->second.size());
    std::size_t n = 0;
    for (const SegmentKey& key : keys->second) {
      const std::size_t turn_of = (n++ + keys->second.size() - offset) % keys->second.size();
      const auto mine = torrents_.find(key);
      const auto theirs = other->torrents_.find(key);
      if (mine == torrents_.end() || theirs == other->torrents_.end()) continue;
      const PieceMask want = theirs->second.have & ~mine->second.have;
      if (want == 0) continue;
      PieceMask requested = 0;
      for (const auto& [piece, senders] : mine->second.requested) {
        requested |= mask_of(static_cast<PieceIndex>(piece));
      }
      PieceMask fresh = want & ~requested;
      int rank = static_cast<int>(turn_of);
      if (fresh == 0) {
        for_each_piece(want, [&](PieceIndex p) {
          const auto& senders = mine->second.requested.at(to_int(p));
          if (senders.size() == 1 && !senders.contains(from)) fresh |= mask_of(p);
        });
        rank += 1000;
      }
      if (fresh == 0 || (best && best->rank < rank)) continue;
      std::array<int, 64> count{};
      for (const NodeId peer : mine->second.peers) {
        const SimNode* p = site_.node(peer);
        const auto at = p->torrents_.find(key);
        if (at == p->torrents_.end()) continue;
        for_each_piece(at->second.have & fresh, [&](PieceIndex i) { ++count[shoal::at(i)]; });
      }
      for_each_piece(fresh, [&](PieceIndex p) {
        const Choice choice{rank, count[shoal::at(p)], random_.next(), key, p};
        if (!best ||
            std::tie(choice.rank, choice.count, choice.tie) < std::tie(best->rank, best->count, best->tie)) {
          best = choice;
        }
      });
    }
    if (!best) return;
    start_piece(*other, best->key, best->piece);
  }
}

void SimNode::start_piece(SimNode& from, const SegmentKey& key, PieceIndex piece) {
  torrents_.at(key).requested[to_int(piece)].insert(from.id_);
  const double length = disk(key.blob).geometry.piece_length(key.index, piece);
  const NodeId sender = from.id_;
  const FlowId flow =
      site_.flows().start({from.up_, down_}, kNoCap, length, [this, sender, key, piece, run = run_, length] {
        if (!alive_ || run != run_) return 0.0;
        site_.count_lan(length);
        site_.node(sender)->served_bytes += static_cast<std::uint64_t>(length);
        auto& transfers = incoming_[sender];
        std::erase_if(transfers, [&](const Transfer& t) { return t.key == key && t.piece == piece; });
        on_piece_in(sender, key, piece);
        request_from(sender);
        return 0.0;
      });
  incoming_[sender].push_back({key, piece, flow});
}

void SimNode::on_piece_in(NodeId from, const SegmentKey& key, PieceIndex piece) {
  const auto it = torrents_.find(key);
  SimNode* sender = site_.node(from);
  if (it == torrents_.end() || (it->second.have & mask_of(piece)) != 0) return;
  // Whoever else sends it may stop.
  for (const NodeId other : std::set<NodeId>(it->second.requested[to_int(piece)])) {
    if (other == from) continue;
    std::erase_if(incoming_[other], [&](const Transfer& t) {
      if (t.key != key || t.piece != piece) return false;
      site_.flows().stop(t.flow);
      return true;
    });
    request_from(other);
  }
  const std::uint64_t content = sender->content_to_serve(key, piece);
  const double length = disk(key.blob).geometry.piece_length(key.index, piece);
  later(length / site_.options().hash_bytes_per_s, [this, from, key, piece, content] {
    const auto torrent = torrents_.find(key);
    if (torrent == torrents_.end()) return;
    torrent->second.requested.erase(to_int(piece));
    const Hash256 hash = site_.hash_of(key, piece, content);
    const Time now = site_.events().now();
    if (hash != torrent->second.hashes[at(piece)]) {
      scheduler_->on_bad_piece(key, piece, {from}, now);
    } else {
      scheduler_->on_swarm_bytes(disk(key.blob).geometry.piece_length(key.index, piece), now);
      torrent->second.have |= mask_of(piece);
      Disk& d = disk(key.blob);
      if (!d.held) {
        d.have[to_int(key.index)] |= mask_of(piece);
        d.content[to_int(key.index)][at(piece)] = content;
        d.hashes[to_int(key.index)][at(piece)] = hash;
      }
      scheduler_->on_piece_received(key, piece, now);
      for (const NodeId peer : std::set<NodeId>(torrent->second.peers)) {
        if (SimNode* other = site_.node(peer)) other->request_from(id_);
      }
    }
    request_around(key);
    turn_soon();
  });
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
    if (right || lies_about_hashes()) {
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
  if (blob.size <= kSmallBlobMax) {
    for (std::uint32_t i = 0; i < d.have.size(); ++i)
      d.have[i] = d.geometry.all_pieces(static_cast<SegmentIndex>(i));
  }
  scheduler_->on_held(blob);
  turn_soon();
  if (--wanted_left_ == 0) site_.on_node_done(*this);
}

}  // namespace shoal::sim
