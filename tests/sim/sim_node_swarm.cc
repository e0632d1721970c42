// A node's torrents: who is connected, which piece is requested of whom.
#include "node/core/piece_bits.h"
#include "tests/sim/content.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_node_later.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace shoal::sim {
namespace {

constexpr double kNoCap = 1e18;
constexpr std::size_t kPiecesPerPair = 2;  // requested at once of one neighbour

}  // namespace

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
  if (!torrents_.contains(key)) {
    Torrent& torrent = torrents_[key];
    torrent.hashes = hashes;
    torrent.have = have;
    if (have == disk(key.blob).geometry.all_pieces(key.index)) {
      torrent.reveal = std::make_unique<PieceReveal>(have);
    }
  }
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
    begin_showing(mine->second, *other, theirs->second.have);
    other->begin_showing(theirs->second, *this, mine->second.have);
    request_from(to);
    other->request_from(id_);
  });
}

void SimNode::unload(const SegmentKey& key) {
  const auto it = torrents_.find(key);
  if (it == torrents_.end()) return;
  const std::set<NodeId> peers = it->second.peers;
  torrents_.erase(it);  // its pieces that are under way make room for others
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
      if (at->second.reveal) at->second.reveal->on_gone(this);
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
    if (torrent.reveal) torrent.reveal->on_gone(site_.node(node));
    for (auto& [piece, from] : torrent.requested) from.erase(node);
    std::erase_if(torrent.requested, [](const auto& r) { return r.second.empty(); });
  }
  for (const auto& [key, torrent] : torrents_) request_around(key);
}

void SimNode::begin_showing(Torrent& torrent, SimNode& peer, PieceMask peer_has) {
  if (!torrent.reveal) return;
  auto& window = reveal_windows_[peer.id_];
  if (!window) window = std::make_shared<RevealWindow>();
  const Time now = site_.events().now();
  torrent.reveal->on_peer(&peer, window, now);
  torrent.reveal->on_has(&peer, peer_has, now);
  (void)torrent.reveal->show(&peer, now);
}

void SimNode::note_has(const SegmentKey& key, SimNode& peer, PieceMask pieces) {
  const auto it = torrents_.find(key);
  if (it == torrents_.end() || !it->second.reveal) return;
  const Time now = site_.events().now();
  const bool made_room = it->second.reveal->on_has(&peer, pieces, now);
  (void)it->second.reveal->show(&peer, now);
  if (!made_room) return;
  for (auto& [other, torrent] : torrents_) {
    if (reveal_windows_.at(peer.id_)->room() == 0) return;
    if (torrent.reveal && torrent.peers.contains(peer.id_)) (void)torrent.reveal->show(&peer, now);
  }
}

// Once a second: patience may have ended.
void SimNode::show_pieces() {
  std::set<NodeId> peers;
  for (auto& [key, torrent] : torrents_) {
    if (!torrent.reveal) continue;
    for (const NodeId peer : torrent.peers) {
      SimNode* other = site_.node(peer);
      if (other != nullptr && torrent.reveal->show(other, site_.events().now()) != 0) peers.insert(peer);
    }
  }
  for (const NodeId peer : peers) site_.node(peer)->request_from(id_);
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
      const PieceMask want = theirs->second.visible_to(*this) & ~mine->second.have;
      if (want == 0) continue;
      PieceMask requested = 0;
      for (const auto& [piece, senders] : mine->second.requested) {
        requested |= mask_of(static_cast<PieceIndex>(piece));
      }
      PieceMask fresh = want & ~requested;
      int rank = static_cast<int>(turn_of);
      if (fresh == 0) {
        if (incoming_[from].size() >= static_cast<std::size_t>(site_.options().end_requests)) continue;
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
        for_each_piece(at->second.visible_to(*this) & fresh, [&](PieceIndex i) { ++count[shoal::at(i)]; });
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
    const Hash256 hash = hash_of_content(key, piece, content);
    const Time now = site_.events().now();
    if (site_.options().pieces_checked && hash != torrent->second.hashes[at(piece)]) {
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
        SimNode* other = site_.node(peer);
        if (other == nullptr) continue;
        other->note_has(key, *this, mask_of(piece));
        other->request_from(id_);
      }
    }
    request_around(key);
    turn_soon();
  });
}

}  // namespace shoal::sim
