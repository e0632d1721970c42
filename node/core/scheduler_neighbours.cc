// What neighbours say, what they are told, and what to believe.
#include "node/core/piece_bits.h"
#include "node/core/scheduler.h"
#include "node/core/slice_choice.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace shoal {

void Scheduler::on_neighbour_up(NodeId node, Time now) {
  // A node that restarted comes up twice: what its former run said does not count.
  if (neighbours_.contains(node)) on_neighbour_down(node, now);
  neighbours_[node] = {};
  banned_.erase(node);
  msg::Want want;
  for (auto& [blob, w] : wanted_) {
    if (!w.shared) continue;
    w.catalogue.on_asked(node, now);
    want.blobs.push_back(blob);
    if (want.blobs.size() == limits::kBlobsPerMessage) {
      out_.push_back(act::Tell{node, std::exchange(want, {})});
    }
  }
  if (!want.blobs.empty()) out_.push_back(act::Tell{node, std::move(want)});
}

void Scheduler::on_neighbour_down(NodeId node, Time /*now*/) {
  const Neighbour* neighbour = neighbours_.find(node);
  if (neighbour == nullptr) return;
  neighbours_origin_bytes_per_s_ -= neighbour->origin_bytes_per_s;
  neighbours_.erase(node);
  for (auto& [blob, w] : wanted_) {
    std::vector<SegmentIndex> changed = w.catalogue.on_gone(node);
    note_in_circle(w, node, false);
    if (w.small.asked == node) {
      w.small.asked.reset();
      --small_asks_;
    }
    for (std::uint32_t i = w.circle.on() ? first_incomplete(w) : 0; i < w.used_until; ++i) {
      Segment& segment = w.segments[i];
      if (segment.phase == Phase::complete && w.circle.on()) continue;
      if (segment.asked.erase(node)) changed.push_back(static_cast<SegmentIndex>(i));
      segment.connected.erase(node);
      segment.refusals.erase(node);
    }
    touch(w, changed);
  }
}

void Scheduler::on_own_load(const DeviceLoad& load) {
  const bool moved = Circle::weight_of(free_capacity(load)) != Circle::weight_of(free_capacity(own_load_));
  own_load_ = load;
  if (!moved) return;
  for (auto& [blob, w] : wanted_) {
    if (w.circle.on_capacity(self_, free_capacity(load))) unsettled_.insert(blob);
  }
}

void Scheduler::tell(const Wanted& w, const std::vector<NodeId>& nodes, const Message& message) {
  if (!w.shared) return;
  expect_actions(nodes.size());
  for (const NodeId node : nodes) {
    // Those of a circle are neighbours.
    if (w.circle.on() || neighbours_.contains(node)) out_.push_back(act::Tell{node, message});
  }
}

void Scheduler::tell_claimants(const Wanted& w, const Message& message) {
  tell(w, w.circle.on() ? w.circle.claimants() : w.catalogue.wanters(), message);
}

void Scheduler::tell_mates(const Wanted& w, const Message& message) {
  tell(w, w.circle.on() ? w.circle.mates() : w.catalogue.wanters(), message);
}

void Scheduler::answer_want(NodeId to, const std::vector<BlobId>& blobs, bool with_lack) {
  msg::HaveBlobs have;
  msg::LackBlobs lack;
  for (const BlobId& blob : blobs) (held_.contains(blob) ? have.blobs : lack.blobs).push_back(blob);
  if (!have.blobs.empty()) out_.push_back(act::Tell{to, std::move(have)});
  if (with_lack && !lack.blobs.empty()) out_.push_back(act::Tell{to, std::move(lack)});
  for (const BlobId& blob : blobs) {
    if (Wanted* w = find_shared(blob)) describe(*w, to);
  }
}

// What is here and under way of a blob, as far as it concerns the other node.
void Scheduler::describe(Wanted& w, NodeId to) {
  const bool shares_claims = !w.circle.on() || w.circle.is_claimant(to);
  const bool swaps = !w.circle.on() || w.circle.is_mate(to);
  msg::HaveSegments complete{w.id, {}};
  for (std::uint32_t i = 0; i < w.used_until; ++i) {
    const auto index = static_cast<SegmentIndex>(i);
    const Segment& segment = w.segments[i];
    if (segment.phase == Phase::complete) {
      complete.segments.push_back(index);
      if (complete.segments.size() == limits::kSegmentsPerMessage) {
        out_.push_back(act::Tell{to, std::exchange(complete, {w.id, {}})});
      }
      continue;
    }
    if (segment.have != 0 && shares_claims) {
      msg::Pieces pieces{w.id, index, segment.have, {}};
      for_each_piece(segment.have, [&](PieceIndex p) { pieces.hashes.push_back(segment.hashes[at(p)]); });
      out_.push_back(act::Tell{to, std::move(pieces)});
    }
    if (segment.fetching != 0 && shares_claims) {
      out_.push_back(act::Tell{to, msg::Claim{w.id, index, segment.fetching}});
    }
    const bool open = segment.phase == Phase::loaded;
    if (swaps && w.circle.on() && give_list(w, index, to, open)) continue;
    if (swaps && open) out_.push_back(act::Tell{to, msg::SegmentOpen{w.id, index}});
  }
  if (!complete.segments.empty()) out_.push_back(act::Tell{to, std::move(complete)});
}

void Scheduler::announce_again(Wanted& w) {
  if (!w.shared) return;
  const std::vector<NodeId> hearers = w.catalogue.wanters();
  for (const NodeId node : hearers) {
    if (neighbours_.contains(node)) answer_want(node, {w.id}, true);
  }
}

void Scheduler::on_message(NodeId from, const Message& message, Time now) {
  Neighbour* neighbour = neighbours_.find(from);
  if (neighbour == nullptr) return;
  if (const auto* heartbeat = std::get_if<msg::Heartbeat>(&message)) {
    on_heartbeat(from, *neighbour, *heartbeat, now);
  } else if (const auto* want = std::get_if<msg::Want>(&message)) {
    auto& wants = neighbour->wants;
    for (const BlobId& blob : want->blobs) {
      if (wants.size() >= limits_.wants_per_neighbour) break;
      wants.insert(blob);
      if (Wanted* w = find_shared(blob)) note_wants(*w, from, true);
    }
    answer_want(from, want->blobs, true);
  } else if (const auto* unwant = std::get_if<msg::Unwant>(&message)) {
    for (const BlobId& blob : unwant->blobs) {
      neighbour->wants.erase(blob);
      if (Wanted* w = find_shared(blob)) {
        // Its partial torrents are unloaded: what it had of the blob is not on offer.
        touch(*w, w->catalogue.on_lacks(from));
        note_wants(*w, from, false);
      }
    }
  } else if (const auto* have = std::get_if<msg::HaveBlobs>(&message)) {
    for (const BlobId& blob : have->blobs) {
      neighbour->wants.erase(blob);
      if (Wanted* w = find_shared(blob)) {
        note_wants(*w, from, false);
        if (w->catalogue.on_has_all(from)) {
          touch_all(*w);
        } else {
          touch(*w);
        }
      }
    }
  } else if (const auto* lack = std::get_if<msg::LackBlobs>(&message)) {
    for (const BlobId& blob : lack->blobs) on_lack(from, blob, now);
  } else if (const auto* segments = std::get_if<msg::HaveSegments>(&message)) {
    Wanted* w = find_shared(segments->blob);
    if (w == nullptr) return;
    for (const SegmentIndex s : segments->segments) {
      if (to_int(s) >= w->segments.size()) continue;
      w->catalogue.on_has_segment(from, s);
      if (w->segments[to_int(s)].phase == Phase::open) touch(*w, s);
    }
    touch(*w);
  } else if (const auto* pieces = std::get_if<msg::Pieces>(&message)) {
    if (Wanted* w = find_shared(pieces->blob)) learn_hashes(*w, from, *pieces, now);
  } else if (const auto* list = std::get_if<msg::SegmentHashes>(&message)) {
    if (Wanted* w = find_shared(list->blob)) learn_list(*w, from, *list, now);
  } else if (const auto* claimed = std::get_if<msg::Claim>(&message)) {
    Wanted* w = find_shared(claimed->blob);
    if (w == nullptr || to_int(claimed->segment) >= w->segments.size()) return;
    const PieceMask before = w->catalogue.claimed_by(from, claimed->segment, now);
    w->catalogue.on_claim(from, claimed->segment, claimed->pieces, now);
    settle_claim(*w, from, claimed->segment, claimed->pieces, now);
    if (claimed->pieces != 0 && limits_.claim_ttl < Time::max() - now) {
      alarm_lapse(*w, claimed->segment, now + limits_.claim_ttl);
    }
    if ((before & ~claimed->pieces) != 0) touch(*w, claimed->segment);  // something became free
    touch(*w);
  } else if (const auto* open = std::get_if<msg::SegmentOpen>(&message)) {
    on_open(from, *open, now);
  } else if (const auto* ask = std::get_if<msg::AskSegment>(&message)) {
    // The asker connects; this side must not.
    Wanted* w = find_shared(ask->blob);
    if (w != nullptr && to_int(ask->segment) < w->segments.size()) {
      w->segments[to_int(ask->segment)].connected.insert(from);
      w->used_until = std::max(w->used_until, to_int(ask->segment) + 1);
    }
  }
}

void Scheduler::on_heartbeat(NodeId from, Neighbour& neighbour, const msg::Heartbeat& heartbeat, Time now) {
  const double capacity = free_capacity(heartbeat.load);
  neighbours_origin_bytes_per_s_ += heartbeat.load.origin_bytes_per_s - neighbour.origin_bytes_per_s;
  const bool moved = Circle::weight_of(capacity) != Circle::weight_of(neighbour.free_capacity);
  neighbour.free_capacity = capacity;
  neighbour.origin_bytes_per_s = heartbeat.load.origin_bytes_per_s;
  for (auto it = wanted_.begin(); moved && it != wanted_.end(); ++it) {
    if (it->second.circle.on_capacity(from, capacity)) unsettled_.insert(it->first);
  }
  if (heartbeat.load.origin_bytes_per_s == 0) return;
  for (const BlobId& blob : in_circle_) {
    if (Wanted& w = wanted_.at(blob); w.circle.is_claimant(from)) w.fed_at = now;
  }
}

void Scheduler::on_lack(NodeId from, const BlobId& blob, Time now) {
  Wanted* w = find_shared(blob);
  if (w == nullptr) return;
  if (w->small.asked == from) {
    w->small.tried.insert(from);
    w->small.asked.reset();
    --small_asks_;
  }
  touch(*w);
  // An answer to AskSegment: it announced the segment, but cannot serve it yet.
  bool refused = false;
  for (std::uint32_t i = first_incomplete(*w); i < w->used_until; ++i) {
    Segment& segment = w->segments[i];
    if (segment.phase != Phase::asking || !segment.asked.contains(from)) continue;
    const auto index = static_cast<SegmentIndex>(i);
    refused = true;
    segment.asked.erase(from);
    segment.ask_after = now + limits_.ask_again;
    if (++segment.refusals[from] >= limits_.ask_refusals) {
      segment.refusals.erase(from);
      w->catalogue.on_segment_refused(from, index);
    }
    alarm(*w, index, segment.ask_after);
    touch(*w, index);
  }
  if (refused) return;
  touch(*w, w->catalogue.on_lacks(from));
}

void Scheduler::on_open(NodeId from, const msg::SegmentOpen& open, Time now) {
  Wanted* w = find_shared(open.blob);
  Segment* segment = find(SegmentKey{open.blob, open.segment});
  if (w == nullptr || segment == nullptr) return;
  w->catalogue.on_open(from, open.segment);
  if (segment->phase == Phase::loaded && may_connect(*w, open.segment, from, now)) {
    segment->connected.insert(from);
    if (!segment->asked.contains(from)) ++segment->dials;
    out_.push_back(act::ConnectSegment{{open.blob, open.segment}, {from}});
  }
}

void Scheduler::make_room_for_hashes(Wanted& w, SegmentIndex index) {
  Segment& segment = w.segments[to_int(index)];
  if (!segment.hashes.empty()) return;
  segment.hashes = PieceHashes(std::vector<Hash256>(static_cast<std::size_t>(w.geometry.piece_count(index))));
  segment.tellers.set(w.geometry.all_pieces(index), NodeId{});
}

void Scheduler::learn_hashes(Wanted& w, NodeId from, const msg::Pieces& pieces, Time now) {
  if (to_int(pieces.segment) >= w.segments.size()) return;
  const PieceMask all = w.geometry.all_pieces(pieces.segment);
  if ((pieces.pieces & ~all) != 0 ||
      pieces.hashes.size() != static_cast<std::size_t>(std::popcount(pieces.pieces))) {
    return;
  }
  // A node answers for the hashes of what it claimed and of a blob that it published; others it passes on.
  const PieceMask own_word =
      w.catalogue.has_all(from) ? all : w.catalogue.claimed_by(from, pieces.segment, now) & pieces.pieces;
  w.catalogue.on_has_pieces(from, pieces.segment, pieces.pieces);
  Segment& segment = w.segments[to_int(pieces.segment)];
  make_room_for_hashes(w, pieces.segment);
  std::size_t next = 0;
  PieceMask contested = 0;
  for_each_piece(pieces.pieces, [&](PieceIndex p) {
    const Hash256& hash = pieces.hashes[next++];
    const PieceMask bit = mask_of(p);
    // A suspect piece is settled by the origin alone.
    if ((segment.suspect & bit) != 0 || hash.is_zero()) return;
    if ((segment.doubted & bit) != 0) {
      if ((own_word & bit) == 0) return;
      segment.doubted &= ~bit;
    }
    if ((segment.known & bit) == 0) {
      segment.known |= bit;
      segment.hashes.set(at(p), hash);
      segment.tellers.set(bit, from);
      segment.vouched = (segment.vouched & ~bit) | (own_word & bit);
    } else if (segment.hashes[at(p)] != hash && (own_word & bit) != 0 && segment.tellers.of(p) != self_) {
      // One at a time of what is here already: a liar must not make this node throw much away.
      if ((segment.have & bit) == 0) {
        contested |= bit;
      } else if (!w.contest && !w.finishing) {
        w.contest = {pieces.segment, p};
        contested |= bit;
      }
    }
  });
  if (contested != 0 && !w.finishing) suspect_pieces(w, pieces.segment, contested, now);
  drop_useless_slices(w, pieces.segment, now);
  if (segment.phase == Phase::asking && segment.known == all) segment.phase = Phase::open;
  if (segment.known == all && w.circle.on()) listing_.insert({w.id, pieces.segment});
  w.fed_at = now;
  touch(w, pieces.segment);
}

void Scheduler::suspect_pieces(Wanted& w, SegmentIndex index, PieceMask pieces, Time now) {
  Segment& segment = w.segments[to_int(index)];
  if (const PieceMask lost = segment.have & pieces; lost != 0) {
    out_.push_back(act::ForgetPieces{{w.id, index}, lost});
  }
  w.finishing = false;
  reopen(w, index, pieces, now);
  segment.suspect |= pieces;
}

// Not to be believed any more, but any node that fetches the piece itself may tell.
void Scheduler::doubt_pieces(Wanted& w, SegmentIndex index, PieceMask pieces, Time now) {
  Segment& segment = w.segments[to_int(index)];
  if (const PieceMask lost = segment.have & pieces; lost != 0) {
    out_.push_back(act::ForgetPieces{{w.id, index}, lost});
  }
  w.finishing = false;
  reopen(w, index, pieces, now);
  segment.doubted |= pieces;
}

void Scheduler::ban(NodeId node, std::string reason, Time now) {
  if (!banned_.insert(node).second) return;
  out_.push_back(act::BanNode{node, std::move(reason)});
  // Nothing else it told is to be believed.
  for (auto& [blob, w] : wanted_) {
    if (w.finishing) continue;  // the publisher's hash decides; on_blob_corrupt() comes back to it
    if (doubt_liars(w, now)) {
      w.liar_found = w.liar_found || w.sampling;
      w.samples_ok.reset();
      announce_again(w);
    }
  }
}

// Takes back what banned nodes told; whether there was anything.
bool Scheduler::doubt_liars(Wanted& w, Time now) {
  if (banned_.empty()) return false;
  bool any = false;
  for (std::uint32_t i = 0; i < w.segments.size(); ++i) {
    const Segment& segment = w.segments[i];
    PieceMask told = 0;
    for (const auto& [teller, pieces] : segment.tellers) {
      if (banned_.contains(teller)) told |= pieces;
    }
    told &= segment.known & ~segment.suspect;
    if (told == 0) continue;
    any = true;
    doubt_pieces(w, static_cast<SegmentIndex>(i), told, now);
  }
  return any;
}

void Scheduler::on_blob_corrupt(const BlobId& blob, Time now) {
  Wanted* w = find(blob);
  if (w == nullptr) return;
  w->finishing = false;
  if (w->corrupt_rounds >= 2 || w->policy == SourcePolicy::lan_only) {
    fail_blob(*w,
              Error{Code::corrupt,
                    "the bytes do not match the publisher's hash, and fetching them again did not help", 0});
    return;
  }
  if (doubt_liars(*w, now)) {
    announce_again(*w);
    return;
  }
  bool others = false;
  for (const Segment& segment : w->segments) {
    others = others || std::ranges::any_of(segment.tellers, [&](const auto& t) { return t.first != self_; });
  }
  w->sampling = others && w->sample_rounds < limits_.sample_rounds;
  if (w->sampling) {
    sample_tellers(*w, now);
    announce_again(*w);
    return;
  }
  // Pieces whose hash came from others are the suspects; if there are none, the origin itself sent wrong
  // bytes, which is tried once more.
  w->corrupt_rounds += others ? 1 : 2;
  for (std::uint32_t i = 0; i < w->segments.size(); ++i) {
    const Segment& segment = w->segments[i];
    PieceMask bad = 0;
    for (const auto& [teller, pieces] : segment.tellers) {
      if (!others || teller != self_) bad |= pieces;
    }
    bad &= segment.have;
    if (bad != 0) suspect_pieces(*w, static_cast<SegmentIndex>(i), bad, now);
  }
  announce_again(*w);
}

// One piece of some tellers each is held against the origin, a different one on each node: neighbours see by
// each other's hashes where to look.
void Scheduler::sample_tellers(Wanted& w, Time now) {
  std::map<NodeId, std::vector<std::pair<SegmentIndex, PieceIndex>>> told;
  for (std::uint32_t i = 0; i < w.segments.size(); ++i) {
    for (const auto& [teller, pieces] : w.segments[i].tellers) {
      if (teller == self_) continue;
      auto& places = told[teller];
      for_each_piece(pieces, [&](PieceIndex p) { places.emplace_back(static_cast<SegmentIndex>(i), p); });
    }
  }
  std::vector<NodeId> tellers;
  tellers.reserve(told.size());
  for (const auto& [teller, pieces] : told) tellers.push_back(teller);
  // From the own place on, so that all nodes together look at all tellers.
  const auto place = std::ranges::count_if(tellers, [&](NodeId n) { return n < self_; });
  const auto turn =
      static_cast<std::size_t>(place + std::ptrdiff_t{w.sample_rounds} * limits_.tellers_sampled) %
      tellers.size();
  std::ranges::rotate(tellers, tellers.begin() + static_cast<std::ptrdiff_t>(turn));
  if (tellers.size() > static_cast<std::size_t>(limits_.tellers_sampled)) {
    tellers.resize(static_cast<std::size_t>(limits_.tellers_sampled));
  }
  for (const NodeId teller : tellers) {
    const auto& pieces = told.at(teller);
    const auto pick =
        (std::hash<NodeId>{}(self_) / 64 + static_cast<std::size_t>(w.sample_rounds) * 17) % pieces.size();
    suspect_pieces(w, pieces[pick].first, mask_of(pieces[pick].second), now);
  }
  ++w.sample_rounds;
}

void Scheduler::on_bad_piece(const SegmentKey& key, PieceIndex piece, const std::vector<NodeId>& from,
                             Time now) {
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr) return;
  auto& senders = segment->bad[to_int(piece)];
  senders.insert(from.begin(), from.end());
  // Two different senders failed against the same hash: it is the hash that is in doubt, and the origin
  // settles it.
  if (senders.size() >= 2 && w->policy != SourcePolicy::lan_only) {
    if ((segment->have & mask_of(piece)) == 0) suspect_pieces(*w, key.index, mask_of(piece), now);
    return;
  }
  if (from.size() == 1 && ++strikes_[from.front()] == 3) {
    strikes_.erase(from.front());
    ban(from.front(), "sent bytes that do not match their hash", now);
  }
}

}  // namespace shoal
