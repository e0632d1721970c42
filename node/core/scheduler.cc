#include "node/core/scheduler.h"

#include "node/core/slice_choice.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <tuple>
#include <utility>

namespace shoal {
namespace {

// Calls `use(PieceIndex)` for each bit, lowest first.
template <typename Use>
void for_each_piece(PieceMask mask, Use use) {
  for (; mask != 0; mask &= mask - 1) use(static_cast<PieceIndex>(std::countr_zero(mask)));
}

}  // namespace

Scheduler::Wanted::Wanted(const BlobId& blob, const Limits& limits)
    : id(blob),
      geometry(blob.size),
      catalogue(geometry, limits.claim_ttl),
      segments(geometry.segment_count()) {}

Scheduler::Scheduler(NodeId self, Limits limits) : self_(self), limits_(limits) {}
Scheduler::~Scheduler() = default;

Scheduler::Wanted* Scheduler::find(const BlobId& blob) {
  const auto it = wanted_.find(blob);
  return it == wanted_.end() ? nullptr : &it->second;
}

Scheduler::Segment* Scheduler::find(const SegmentKey& key) {
  Wanted* w = find(key.blob);
  if (w == nullptr || to_int(key.index) >= w->segments.size()) return nullptr;
  return &w->segments[to_int(key.index)];
}

Scheduler::Wanted* Scheduler::find_shared(const BlobId& blob) {
  Wanted* w = find(blob);
  return w != nullptr && w->shared ? w : nullptr;
}

std::optional<BlobId> Scheduler::blob_of(FetchId id) const {
  const auto it = slices_.find(id);
  if (it == slices_.end()) return std::nullopt;
  return it->second.key.blob;
}

std::optional<Hash256> Scheduler::hash_of(const SegmentKey& key, PieceIndex piece) const {
  const auto it = wanted_.find(key.blob);
  if (it == wanted_.end() || to_int(key.index) >= it->second.segments.size()) return std::nullopt;
  const Segment& segment = it->second.segments[to_int(key.index)];
  if ((segment.known & mask_of(piece)) == 0) return std::nullopt;
  return segment.hashes[static_cast<std::size_t>(to_int(piece))];
}

int Scheduler::slice_limit() const {
  return std::max(1, static_cast<int>(std::lround(limits_.slices * free_capacity(own_load_))));
}

void Scheduler::wake(Time at) {
  wake_at_ = wake_at_ ? std::min(*wake_at_, at) : at;
}

// --- wants
// ----------------------------------------------------------------------------------------------------------

void Scheduler::on_want(Request request, Time now) {
  if (Wanted* w = find(request.blob)) {
    if (request.priority < w->priority) {
      order_.erase({w->priority, w->order, w->id});
      w->priority = request.priority;
      order_.insert({w->priority, w->order, w->id});
    }
    return;
  }
  Wanted& w = wanted_.try_emplace(request.blob, request.blob, limits_).first->second;
  w.policy = request.policy;
  w.priority = request.priority;
  w.order = request.order;
  w.shared = request.shared;
  order_.insert({w.priority, w.order, w.id});
  for (std::size_t i = 0; i < request.local.size() && i < w.segments.size(); ++i) {
    const auto index = static_cast<SegmentIndex>(i);
    Segment& segment = w.segments[i];
    segment.have = segment.known = request.local[i].have & w.geometry.all_pieces(index);
    if (segment.have == 0) continue;
    segment.hashes.resize(static_cast<std::size_t>(w.geometry.piece_count(index)));
    segment.told_by.resize(segment.hashes.size());
    std::size_t next = 0;
    for_each_piece(segment.have, [&](PieceIndex p) {
      segment.hashes[static_cast<std::size_t>(to_int(p))] = request.local[i].hashes.at(next++);
    });
    if (segment.have == w.geometry.all_pieces(index)) {
      segment.phase = Phase::complete;
      ++w.complete;
    }
  }
  if (!w.shared) return;
  for (const auto& [node, blobs] : wants_by_node_) {
    if (blobs.contains(w.id)) w.catalogue.on_wants(node, true);
  }
  for (const NodeId node : neighbours_) {
    w.catalogue.on_asked(node, now);
    out_.push_back(act::Tell{node, msg::Want{{w.id}}});
  }
}

void Scheduler::on_unwant(const BlobId& blob, Time /*now*/) {
  Wanted* w = find(blob);
  if (w == nullptr) return;
  cancel_slices_of(blob);
  for (std::uint32_t i = 0; i < w->segments.size(); ++i) {
    if (w->segments[i].phase == Phase::loaded) unload(*w, static_cast<SegmentIndex>(i));
  }
  if (w->small.fetching) --small_fetches_;
  if (w->small.asked) --small_asks_;
  if (w->shared) {
    for (const NodeId node : neighbours_) out_.push_back(act::Tell{node, msg::Unwant{{blob}}});
  }
  order_.erase({w->priority, w->order, w->id});
  wanted_.erase(blob);
}

void Scheduler::on_held(const BlobId& blob) {
  held_.insert(blob);
  for (const auto& [node, blobs] : wants_by_node_) {
    if (blobs.contains(blob)) out_.push_back(act::Tell{node, msg::HaveBlobs{{blob}}});
  }
  if (Wanted* w = find(blob)) {
    cancel_slices_of(blob);
    if (w->small.fetching) --small_fetches_;
    if (w->small.asked) --small_asks_;
    // Neighbours that do not want it still count this node among those that do: tell them, too.
    for (const NodeId node : neighbours_) {
      if (!wants_by_node_[node].contains(blob)) out_.push_back(act::Tell{node, msg::Unwant{{blob}}});
    }
    for (std::uint32_t i = 0; i < w->segments.size(); ++i)
      loaded_.erase({blob, static_cast<SegmentIndex>(i)});
    order_.erase({w->priority, w->order, w->id});
    wanted_.erase(blob);
  }
}

void Scheduler::on_not_held(const BlobId& blob) {
  if (held_.erase(blob) == 0) return;
  for (const NodeId node : neighbours_) out_.push_back(act::Tell{node, msg::LackBlobs{{blob}}});
}

void Scheduler::on_blob_corrupt(const BlobId& blob, Time now) {
  Wanted* w = find(blob);
  if (w == nullptr) return;
  w->finishing = false;
  ++w->corrupt_rounds;
  if (w->corrupt_rounds > 2 || w->policy == SourcePolicy::lan_only) {
    fail_blob(*w,
              Error{Code::corrupt,
                    "the bytes do not match the publisher's hash, and fetching them again did not help", 0});
    return;
  }
  bool others = false;
  for (const Segment& segment : w->segments) {
    others = others || std::ranges::any_of(segment.told_by, [&](NodeId n) { return n != self_; });
  }
  // Pieces whose hash came from others are the suspects; if there are none, the origin itself sent wrong
  // bytes.
  for (std::uint32_t i = 0; i < w->segments.size(); ++i) {
    const auto index = static_cast<SegmentIndex>(i);
    Segment& segment = w->segments[i];
    PieceMask bad = 0;
    for (std::size_t p = 0; p < segment.told_by.size(); ++p) {
      if (!others || segment.told_by[p] != self_) bad |= mask_of(static_cast<PieceIndex>(p));
    }
    bad &= segment.have;
    if (bad == 0) continue;
    out_.push_back(act::ForgetPieces{{blob, index}, bad});
    segment.suspect |= bad;
    reopen(*w, index, bad, now);
  }
}

void Scheduler::reopen(Wanted& w, SegmentIndex index, PieceMask lost, Time now) {
  Segment& segment = w.segments[to_int(index)];
  if (segment.phase == Phase::complete) {
    --w.complete;
    out_.push_back(act::UnloadSegment{{w.id, index}});
    segment.phase = Phase::open;
  } else if (segment.phase == Phase::loaded) {
    unload(w, index);
  }
  segment.since = now;
  segment.have &= ~lost;
  segment.known &= ~lost;
  w.first_open = std::min(w.first_open, to_int(index));
}

void Scheduler::on_pieces_lost(const SegmentKey& key, PieceMask pieces, Time now) {
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr || (segment->have & pieces) == 0) return;
  w->finishing = false;
  reopen(*w, key.index, segment->have & pieces, now);
}

void Scheduler::fail_blob(Wanted& w, Error error) {
  if (w.failed) return;
  w.failed = true;
  cancel_slices_of(w.id);
  out_.push_back(act::FailBlob{w.id, std::move(error)});
}

// --- neighbours
// -----------------------------------------------------------------------------------------------------

void Scheduler::on_neighbour_up(NodeId node, Time now) {
  neighbours_.insert(node);
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
  neighbours_.erase(node);
  wants_by_node_.erase(node);
  for (auto& [blob, w] : wanted_) {
    w.catalogue.on_gone(node);
    if (w.small.asked == node) {
      w.small.asked.reset();
      --small_asks_;
    }
    for (Segment& segment : w.segments) {
      segment.asked.erase(node);
      segment.connected.erase(node);
    }
  }
}

void Scheduler::on_own_load(const DeviceLoad& load) {
  own_load_ = load;
}

void Scheduler::tell_wanters(const Wanted& w, const Message& message) {
  for (const NodeId node : w.catalogue.wanters()) {
    if (neighbours_.contains(node)) out_.push_back(act::Tell{node, message});
  }
}

void Scheduler::answer_want(NodeId to, const std::vector<BlobId>& blobs) {
  msg::HaveBlobs have;
  msg::LackBlobs lack;
  for (const BlobId& blob : blobs) (held_.contains(blob) ? have.blobs : lack.blobs).push_back(blob);
  if (!have.blobs.empty()) out_.push_back(act::Tell{to, std::move(have)});
  if (!lack.blobs.empty()) out_.push_back(act::Tell{to, std::move(lack)});
  for (const BlobId& blob : blobs) {
    Wanted* w = find_shared(blob);
    if (w == nullptr) continue;
    msg::HaveSegments complete{blob, {}};
    for (std::uint32_t i = 0; i < w->segments.size(); ++i) {
      const auto index = static_cast<SegmentIndex>(i);
      const Segment& segment = w->segments[i];
      if (segment.phase == Phase::complete) {
        complete.segments.push_back(index);
        if (complete.segments.size() == limits::kSegmentsPerMessage) {
          out_.push_back(act::Tell{to, std::exchange(complete, {blob, {}})});
        }
        continue;
      }
      if (segment.have != 0) {
        msg::Pieces pieces{blob, index, segment.have, {}};
        for_each_piece(segment.have, [&](PieceIndex p) {
          pieces.hashes.push_back(segment.hashes[static_cast<std::size_t>(to_int(p))]);
        });
        out_.push_back(act::Tell{to, std::move(pieces)});
      }
      if (segment.fetching != 0) out_.push_back(act::Tell{to, msg::Claim{blob, index, segment.fetching}});
      if (segment.phase == Phase::loaded) out_.push_back(act::Tell{to, msg::SegmentOpen{blob, index}});
    }
    if (!complete.segments.empty()) out_.push_back(act::Tell{to, std::move(complete)});
  }
}

void Scheduler::on_message(NodeId from, const Message& message, Time now) {
  if (!neighbours_.contains(from)) return;
  if (const auto* want = std::get_if<msg::Want>(&message)) {
    auto& wants = wants_by_node_[from];
    for (const BlobId& blob : want->blobs) {
      if (wants.size() >= limits_.wants_per_neighbour) break;
      wants.insert(blob);
      if (Wanted* w = find_shared(blob)) w->catalogue.on_wants(from, true);
    }
    answer_want(from, want->blobs);
  } else if (const auto* unwant = std::get_if<msg::Unwant>(&message)) {
    for (const BlobId& blob : unwant->blobs) {
      wants_by_node_[from].erase(blob);
      if (Wanted* w = find_shared(blob)) {
        // Its partial torrents are unloaded: what it had of the blob is not on offer.
        w->catalogue.on_wants(from, false);
        w->catalogue.on_lacks(from);
      }
    }
  } else if (const auto* have = std::get_if<msg::HaveBlobs>(&message)) {
    for (const BlobId& blob : have->blobs) {
      wants_by_node_[from].erase(blob);
      if (Wanted* w = find_shared(blob)) w->catalogue.on_has_all(from);
    }
  } else if (const auto* lack = std::get_if<msg::LackBlobs>(&message)) {
    for (const BlobId& blob : lack->blobs) {
      Wanted* w = find_shared(blob);
      if (w == nullptr) continue;
      w->catalogue.on_lacks(from);
      if (w->small.asked == from) {
        w->small.tried.insert(from);
        w->small.asked.reset();
        --small_asks_;
      }
    }
  } else if (const auto* segments = std::get_if<msg::HaveSegments>(&message)) {
    if (Wanted* w = find_shared(segments->blob)) {
      for (const SegmentIndex s : segments->segments) w->catalogue.on_has_segment(from, s);
    }
  } else if (const auto* pieces = std::get_if<msg::Pieces>(&message)) {
    if (Wanted* w = find_shared(pieces->blob)) learn_hashes(*w, from, *pieces, now);
  } else if (const auto* claimed = std::get_if<msg::Claim>(&message)) {
    if (Wanted* w = find_shared(claimed->blob)) {
      w->catalogue.on_claim(from, claimed->segment, claimed->pieces, now);
      if (to_int(claimed->segment) < w->segments.size()) {
        settle_claim(*w, from, claimed->segment, claimed->pieces, now);
      }
    }
  } else if (const auto* open = std::get_if<msg::SegmentOpen>(&message)) {
    Wanted* w = find_shared(open->blob);
    Segment* segment = find(SegmentKey{open->blob, open->segment});
    if (segment == nullptr) return;
    w->catalogue.on_open(from, open->segment);
    if (segment->phase == Phase::loaded && !segment->connected.contains(from) &&
        (segment->asked.contains(from) || self_ < from)) {
      segment->connected.insert(from);
      out_.push_back(act::ConnectSegment{{open->blob, open->segment}, {from}});
    }
  } else if (const auto* ask = std::get_if<msg::AskSegment>(&message)) {
    // The asker connects; this side must not.
    if (Segment* segment = find(SegmentKey{ask->blob, ask->segment})) segment->connected.insert(from);
  }
}

void Scheduler::learn_hashes(Wanted& w, NodeId from, const msg::Pieces& pieces, Time now) {
  if (to_int(pieces.segment) >= w.segments.size()) return;
  const PieceMask all = w.geometry.all_pieces(pieces.segment);
  if ((pieces.pieces & ~all) != 0 ||
      pieces.hashes.size() != static_cast<std::size_t>(std::popcount(pieces.pieces))) {
    return;
  }
  w.catalogue.on_has_pieces(from, pieces.segment, pieces.pieces);
  Segment& segment = w.segments[to_int(pieces.segment)];
  if (segment.hashes.empty()) {
    segment.hashes.resize(static_cast<std::size_t>(w.geometry.piece_count(pieces.segment)));
    segment.told_by.resize(segment.hashes.size());
  }
  std::size_t next = 0;
  for_each_piece(pieces.pieces, [&](PieceIndex p) {
    const Hash256& hash = pieces.hashes[next++];
    // The first to tell counts; what was fetched or recorded here is never overwritten, and a suspect piece
    // is settled by the origin alone.
    if (((segment.known | segment.suspect) & mask_of(p)) != 0 || hash.is_zero()) return;
    segment.known |= mask_of(p);
    segment.hashes[static_cast<std::size_t>(to_int(p))] = hash;
    segment.told_by[static_cast<std::size_t>(to_int(p))] = from;
  });
  // A slice whose pieces have all turned up elsewhere is a waste of the origin's bytes.
  std::vector<FetchId> useless;
  for (const auto& [id, slice] : slices_) {
    if (slice.key == SegmentKey{w.id, pieces.segment} &&
        (slice.remaining & ~(from_neighbours(w, pieces.segment, now) & segment.known)) == 0) {
      useless.push_back(id);
    }
  }
  for (const FetchId id : useless) cancel_slice(id);
}

void Scheduler::settle_claim(Wanted& w, NodeId from, SegmentIndex index, PieceMask claimed, Time /*now*/) {
  const SegmentKey key{w.id, index};
  if ((claimed & w.segments[to_int(index)].fetching) == 0 || claim_beats(self_, from, key)) return;
  std::vector<FetchId> lost;
  for (const auto& [id, slice] : slices_) {
    if (slice.key == key && (slice.remaining & claimed) != 0) lost.push_back(id);
  }
  for (const FetchId id : lost) cancel_slice(id);
}

// --- origin
// ---------------------------------------------------------------------------------------------------------

void Scheduler::on_piece_fetched(const SegmentKey& key, PieceIndex piece, const Hash256& hash, Time now) {
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr) return;
  for (auto& [id, slice] : slices_) {
    if (slice.key == key) slice.remaining &= ~mask_of(piece);
  }
  segment->fetching &= ~mask_of(piece);
  w->origin_failures = 0;
  if ((segment->have & mask_of(piece)) != 0) return;
  const auto at = static_cast<std::size_t>(to_int(piece));
  if (segment->hashes.empty()) {
    segment->hashes.resize(static_cast<std::size_t>(w->geometry.piece_count(key.index)));
    segment->told_by.resize(segment->hashes.size());
  }
  const NodeId teller = segment->told_by[at];
  if (!segment->hashes[at].is_zero() && segment->hashes[at] != hash && teller != self_ &&
      teller != NodeId{}) {
    out_.push_back(act::BanNode{teller, "told a wrong hash for piece " + std::to_string(to_int(piece)) +
                                            " of segment " + std::to_string(to_int(key.index)) + " of " +
                                            key.blob.text()});
  }
  segment->hashes[at] = hash;
  segment->told_by[at] = self_;
  segment->known |= mask_of(piece);
  segment->suspect &= ~mask_of(piece);
  segment->untold |= mask_of(piece);
  untold_ = true;
  add_piece(*w, key.index, piece, now);
}

void Scheduler::on_fetch_progress(FetchId id, std::uint64_t bytes, Time now) {
  const auto it = slices_.find(id);
  if (it == slices_.end()) return;
  it->second.bytes += bytes;
  it->second.last_progress = now;
}

void Scheduler::on_fetch_done(FetchId id, const Result<void>& result, Time now) {
  const auto it = slices_.find(id);
  if (it == slices_.end()) return;  // cancelled
  const Slice slice = it->second;
  end_slice(id);
  const double seconds = std::chrono::duration<double>(now - slice.started).count();
  if (slice.bytes > 0 && seconds > 0) {
    const double rate = static_cast<double>(slice.bytes) / seconds;
    slice_bytes_per_s_ = slice_bytes_per_s_ > 0 ? 0.75 * slice_bytes_per_s_ + 0.25 * rate : rate;
  }
  Wanted* w = find(slice.key.blob);
  if (w == nullptr || result) return;
  switch (result.error().code) {
    case Code::timeout:
    case Code::rate_limited:
    case Code::unavailable:
    case Code::expired:
      ++w->origin_failures;
      if (w->origin_failures >= limits_.origin_failures_max) {
        fail_blob(*w, result.error());
      } else {
        w->origin_after = now + std::chrono::seconds(1 << w->origin_failures);
      }
      return;
    case Code::cancelled:
      return;
    default:
      fail_blob(*w, result.error());
  }
}

void Scheduler::on_small_failed(const BlobId& blob, std::optional<NodeId> from, const Error& error,
                                Time now) {
  Wanted* w = find(blob);
  if (w == nullptr) return;
  Small& small = w->small;
  if (from) {
    small.tried.insert(*from);
    if (small.asked == from) {
      small.asked.reset();
      --small_asks_;
    }
    if (error.code == Code::corrupt) {
      out_.push_back(act::BanNode{*from, "sent wrong bytes for " + blob.text()});
    } else if (error.code == Code::no_space || error.code == Code::io) {
      fail_blob(*w, error);
    }
    return;
  }
  if (small.fetching) {
    small.fetching = false;
    --small_fetches_;
  }
  const bool passing = error.code == Code::timeout || error.code == Code::rate_limited ||
                       error.code == Code::unavailable || error.code == Code::expired;
  const bool wrong_once = error.code == Code::corrupt && w->corrupt_rounds++ == 0;
  if (!wrong_once && (!passing || ++w->origin_failures >= limits_.origin_failures_max)) {
    fail_blob(*w, error);
  } else {
    w->origin_after = now + std::chrono::seconds(1 << w->origin_failures);
  }
}

void Scheduler::cancel_slice(FetchId id) {
  out_.push_back(act::CancelFetch{id});
  end_slice(id);
}

void Scheduler::end_slice(FetchId id) {
  const auto it = slices_.find(id);
  if (Segment* segment = find(it->second.key)) {
    segment->fetching &= ~it->second.remaining;
    if (it->second.remaining != 0) segment->claim_changed = true;
  }
  slices_.erase(it);
}

void Scheduler::cancel_slices_of(const BlobId& blob) {
  std::vector<FetchId> ids;
  for (const auto& [id, slice] : slices_) {
    if (slice.key.blob == blob) ids.push_back(id);
  }
  for (const FetchId id : ids) cancel_slice(id);
}

// --- swarm
// ----------------------------------------------------------------------------------------------------------

void Scheduler::on_piece_received(const SegmentKey& key, PieceIndex piece, Time now) {
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr || (segment->have & mask_of(piece)) != 0) return;
  last_swarm_bytes_ = now;
  // A later node may ask for a half-swapped segment: what came from the swarm counts as told, not as untold.
  add_piece(*w, key.index, piece, now);
}

void Scheduler::on_swarm_bytes(Time now) {
  last_swarm_bytes_ = now;
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
    segment->suspect |= mask_of(piece);
    segment->known &= ~mask_of(piece);
    if (segment->phase == Phase::loaded) unload(*w, key.index);
    segment->since = now;
    return;
  }
  if (from.size() == 1 && ++strikes_[from.front()] == 3) {
    strikes_.erase(from.front());
    out_.push_back(act::BanNode{from.front(), "sent bytes that do not match their hash"});
  }
}

void Scheduler::on_segment_failed(const SegmentKey& key, const Error& error, Time now) {
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr) return;
  if (segment->phase == Phase::loaded) {
    loaded_.erase(key);
    segment->phase = Phase::open;
    segment->swarm_after = now + limits_.stall_rest;
  }
  if (error.code == Code::no_space || error.code == Code::io) fail_blob(*w, error);
}

void Scheduler::add_piece(Wanted& w, SegmentIndex index, PieceIndex piece, Time now) {
  Segment& segment = w.segments[to_int(index)];
  segment.have |= mask_of(piece);
  segment.since = now;
  if (segment.have != w.geometry.all_pieces(index) || segment.phase == Phase::complete) return;
  loaded_.erase({w.id, index});
  segment.phase = Phase::complete;
  segment.bad.clear();
  ++w.complete;
  while (w.first_open < w.segments.size() && w.segments[w.first_open].phase == Phase::complete)
    ++w.first_open;
  // Hashes of own pieces go first, so that a node that waits for just these can load the torrent.
  flush(w, now);
  tell_wanters(w, msg::HaveSegments{w.id, {index}});
}

// --- decisions
// ------------------------------------------------------------------------------------------------------

std::vector<Action> Scheduler::decide(Time now) {
  wake_at_.reset();
  for (const SegmentKey& key : std::vector(loaded_.begin(), loaded_.end())) {
    if (Wanted* w = find(key.blob)) check_loaded(*w, key.index, now);
  }
  for (const OrderKey& key : order_) plan_blob(wanted_.at(std::get<BlobId>(key)), now);
  refresh_claims(now);
  const bool tell = untold_ && now - last_flush_ >= limits_.gather;
  for (auto& [blob, w] : wanted_) {
    if (tell) {
      flush(w, now);
    } else {
      for (std::uint32_t i = w.first_open; i < w.segments.size(); ++i) {
        Segment& segment = w.segments[i];
        if (!std::exchange(segment.claim_changed, false)) continue;
        tell_wanters(w, msg::Claim{blob, static_cast<SegmentIndex>(i), segment.fetching});
      }
    }
  }
  if (tell) {
    untold_ = false;
    last_flush_ = now;
  } else if (untold_) {
    wake(last_flush_ + limits_.gather);
  }
  return std::exchange(out_, {});
}

void Scheduler::flush(Wanted& w, Time /*now*/) {
  const bool heard = !w.catalogue.wanters().empty();
  for (std::uint32_t i = 0; i < w.segments.size(); ++i) {
    Segment& segment = w.segments[i];
    const auto index = static_cast<SegmentIndex>(i);
    if (segment.untold != 0 && heard) {
      msg::Pieces pieces{w.id, index, segment.untold, {}};
      for_each_piece(segment.untold, [&](PieceIndex p) {
        pieces.hashes.push_back(segment.hashes[static_cast<std::size_t>(to_int(p))]);
      });
      tell_wanters(w, pieces);
    }
    segment.untold = 0;
    if (std::exchange(segment.claim_changed, false) && heard) {
      tell_wanters(w, msg::Claim{w.id, index, segment.fetching});
    }
  }
}

void Scheduler::refresh_claims(Time now) {
  if (slices_.empty()) return;
  if (now - last_refresh_ < limits_.claim_refresh) {
    wake(last_refresh_ + limits_.claim_refresh);
    return;
  }
  // Only slices whose bytes still arrive keep their claim alive.
  std::map<SegmentKey, PieceMask> moving;
  for (const auto& [id, slice] : slices_) {
    if (now - slice.last_progress < limits_.claim_ttl) moving[slice.key] |= slice.remaining;
  }
  for (const auto& [key, pieces] : moving) {
    tell_wanters(wanted_.at(key.blob), msg::Claim{key.blob, key.index, pieces});
  }
  last_refresh_ = now;
  wake(now + limits_.claim_refresh);
}

void Scheduler::plan_blob(Wanted& w, Time now) {
  if (w.failed || w.finishing) return;
  if (!w.catalogue.answered(now, limits_.answer_patience)) {
    wake(now + limits_.answer_patience / 4);
    return;
  }
  if (is_small(w) && w.complete < w.segments.size()) {
    plan_small(w, now);
    return;
  }
  for (std::uint32_t i = w.first_open; i < w.segments.size(); ++i) {
    const bool slots = static_cast<int>(slices_.size()) < slice_limit();
    const bool room = static_cast<int>(loaded_.size()) < limits_.loaded_segments;
    if (!slots && !room) break;
    plan_segment(w, static_cast<SegmentIndex>(i), now);
  }
  while (w.first_open < w.segments.size() && w.segments[w.first_open].phase == Phase::complete)
    ++w.first_open;
  if (w.complete == w.segments.size()) {
    w.finishing = true;
    out_.push_back(act::FinishBlob{w.id});
  }
}

void Scheduler::plan_small(Wanted& w, Time now) {
  Small& small = w.small;
  if (small.fetching) return;
  if (small.asked) {
    if (now - small.since < limits_.ask_patience) {
      wake(small.since + limits_.ask_patience);
      return;
    }
    small.tried.insert(*small.asked);
    small.asked.reset();
    --small_asks_;
  }
  if (w.policy != SourcePolicy::origin_only) {
    for (const NodeId node : w.catalogue.having_all()) {
      if (small.tried.contains(node)) continue;
      if (small_asks_ >= limits_.small_asks) return;  // an answer will come and plan again
      small.asked = node;
      small.since = now;
      ++small_asks_;
      out_.push_back(act::Tell{node, msg::AskBlob{w.id}});
      wake(now + limits_.ask_patience);
      return;
    }
  }
  if (w.policy == SourcePolicy::lan_only) return;
  if (now < w.origin_after) {
    wake(w.origin_after);
    return;
  }
  // One of the nodes that want it fetches it; the others give it some time, then help themselves.
  if (!small.first_planned) small.first_planned = now;
  const SegmentKey key{w.id, SegmentIndex{0}};
  const auto wanters = w.policy == SourcePolicy::origin_only ? std::vector<NodeId>{} : w.catalogue.wanters();
  const bool mine =
      std::ranges::all_of(wanters, [&](NodeId other) { return claim_beats(self_, other, key); });
  if (!mine && now - *small.first_planned < limits_.small_patience) {
    wake(*small.first_planned + limits_.small_patience);
    return;
  }
  if (small_fetches_ >= limits_.small_fetches) return;
  small.fetching = true;
  ++small_fetches_;
  out_.push_back(act::FetchSmall{w.id});
}

PieceMask Scheduler::from_neighbours(const Wanted& w, SegmentIndex index, Time now) const {
  const Segment& segment = w.segments[to_int(index)];
  if (w.policy == SourcePolicy::origin_only || now < segment.swarm_after) return 0;
  return w.catalogue.available(index) & ~segment.suspect;
}

void Scheduler::plan_segment(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  if (segment.phase == Phase::complete || segment.phase == Phase::loaded) return;
  const PieceMask all = w.geometry.all_pieces(index);
  const PieceMask missing = all & ~segment.have;
  const PieceMask nowhere = missing & ~from_neighbours(w, index, now);
  if (segment.phase == Phase::asking) {
    check_asking(w, index, now);
    if (segment.phase == Phase::asking) return;
  }
  if (nowhere == 0) {
    if (segment.fetching != 0) {
      // Own slices are still fetching what neighbours have by now; learn_hashes() ends them when their hashes
      // are known.
      if ((segment.known | segment.fetching) == all) return;
    }
    const bool room = static_cast<int>(loaded_.size()) < limits_.loaded_segments &&
                      (loaded_.size() < 2 || loaded_missing_bytes() < limits_.loaded_bytes);
    if (!room) return;
    if (segment.known == all) {
      load(w, index, now);
    } else {
      ask_holders(w, index, now);
    }
    return;
  }
  if (w.policy == SourcePolicy::lan_only) return;
  if (now < w.origin_after) {
    wake(w.origin_after);
    return;
  }
  const PieceMask claimed = w.policy == SourcePolicy::origin_only ? 0 : w.catalogue.claimed(index, now);
  const PieceMask free = nowhere & ~claimed & ~segment.fetching;
  if (free != 0) claim(w, index, free, now);
  if (claimed != 0) wake(std::max(w.catalogue.next_lapse(now), now + std::chrono::milliseconds(1)));
}

std::uint64_t Scheduler::loaded_missing_bytes() const {
  std::uint64_t bytes = 0;
  for (const SegmentKey& key : loaded_) {
    const Wanted& w = wanted_.at(key.blob);
    bytes += w.geometry.bytes_in(key.index, ~w.segments[to_int(key.index)].have);
  }
  return bytes;
}

void Scheduler::check_loaded(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  const PieceMask missing = w.geometry.all_pieces(index) & ~segment.have;
  if ((missing & ~from_neighbours(w, index, now)) != 0 && w.policy != SourcePolicy::lan_only) {
    // Whoever had these pieces is gone: the origin has to help.
    unload(w, index);
    segment.since = now;
    return;
  }
  const Time moved = std::max(segment.since, last_swarm_bytes_);
  if (now - moved >= limits_.stall_patience) {
    unload(w, index);
    segment.since = now;
    segment.swarm_after =
        now + (w.policy == SourcePolicy::lan_only ? std::chrono::seconds(1) : limits_.stall_rest);
    wake(segment.swarm_after);
    return;
  }
  wake(moved + limits_.stall_patience);
}

void Scheduler::check_asking(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  if (segment.known == w.geometry.all_pieces(index)) {
    segment.phase = Phase::open;
    return;
  }
  const auto holders = w.catalogue.holders(index);
  const bool hope = std::ranges::any_of(holders, [&](NodeId n) { return segment.asked.contains(n); });
  if (hope && now - segment.since < limits_.ask_patience) {
    wake(segment.since + limits_.ask_patience);
    return;
  }
  for (const NodeId node : segment.asked) w.catalogue.on_segment_refused(node, index);
  segment.asked.clear();
  segment.phase = Phase::open;
}

void Scheduler::ask_holders(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  std::vector<NodeId> holders = w.catalogue.holders(index);
  std::erase_if(holders,
                [&](NodeId n) { return segment.asked.contains(n) || segment.connected.contains(n); });
  // Different segments prefer different holders, so that several seeds share the work.
  const SegmentKey key{w.id, index};
  std::ranges::sort(holders, [&](NodeId a, NodeId b) { return a != b && claim_beats(a, b, key); });
  const std::size_t wanted =
      static_cast<std::size_t>(std::max(0, limits_.ask_fanout - static_cast<int>(segment.asked.size())));
  if (holders.size() > wanted) holders.resize(wanted);
  for (const NodeId node : holders) {
    segment.asked.insert(node);
    out_.push_back(act::Tell{node, msg::AskSegment{w.id, index}});
  }
  if (segment.phase == Phase::open && !segment.asked.empty()) {
    segment.phase = Phase::asking;
    segment.since = now;
    wake(now + limits_.ask_patience);
  }
}

void Scheduler::load(Wanted& w, SegmentIndex index, Time now) {
  Segment& segment = w.segments[to_int(index)];
  const SegmentKey key{w.id, index};
  segment.phase = Phase::loaded;
  segment.since = now;
  loaded_.insert(key);
  std::vector<NodeId> connect_to;
  for (const NodeId node : w.catalogue.open_at(index)) {
    if (segment.connected.contains(node)) continue;
    if (!segment.asked.contains(node) && !(self_ < node)) continue;
    segment.connected.insert(node);
    connect_to.push_back(node);
  }
  out_.push_back(act::LoadSegment{key, segment.have, segment.hashes, std::move(connect_to)});
  tell_wanters(w, msg::SegmentOpen{w.id, index});
  ask_holders(w, index, now);
  wake(now + limits_.stall_patience);
}

void Scheduler::unload(Wanted& w, SegmentIndex index) {
  Segment& segment = w.segments[to_int(index)];
  loaded_.erase({w.id, index});
  segment.phase = Phase::open;
  segment.asked.clear();
  segment.connected.clear();
  out_.push_back(act::UnloadSegment{{w.id, index}});
}

void Scheduler::claim(Wanted& w, SegmentIndex index, PieceMask free, Time now) {
  Segment& segment = w.segments[to_int(index)];
  const auto others = w.policy == SourcePolicy::origin_only ? std::vector<NodeId>{} : w.catalogue.wanters();
  const int pieces = w.geometry.piece_count(index);
  const double seconds = std::chrono::duration<double>(limits_.slice_time).count();
  const auto target = slice_bytes_per_s_ > 0 ? static_cast<std::uint64_t>(slice_bytes_per_s_ * seconds)
                                             : limits_.slice_bytes_first;
  const auto by_time = static_cast<int>(std::min(target, limits_.slice_bytes_max) / w.geometry.piece_size());
  const int share = pieces / static_cast<int>(others.size() + 1);
  const int longest = std::max(1, std::min(by_time, share));
  const int start = claim_start(self_, others, pieces);
  while (static_cast<int>(slices_.size()) < slice_limit()) {
    const auto run = choose_run(free, pieces, start, longest);
    if (!run) break;
    const PieceMask mask = mask_of_run(run->first, run->count);
    free &= ~mask;
    segment.fetching |= mask;
    segment.claim_changed = true;
    const auto id = static_cast<FetchId>(next_fetch_++);
    slices_[id] = Slice{{w.id, index}, mask, now, now, 0};
    out_.push_back(act::FetchSlice{id, {w.id, index}, static_cast<PieceIndex>(run->first), run->count});
  }
}

std::string Scheduler::waiting_for(const BlobId& blob, Time now) const {
  const auto it = wanted_.find(blob);
  if (it == wanted_.end()) return {};
  const Wanted& w = it->second;
  if (w.failed || w.finishing) return {};
  if (!w.catalogue.answered(now, limits_.answer_patience)) return "answers of neighbours";
  if (now < w.origin_after) return "the origin, which failed a moment ago";
  const bool own = std::ranges::any_of(slices_, [&](const auto& s) { return s.second.key.blob == blob; });
  const bool swarm = std::ranges::any_of(loaded_, [&](const SegmentKey& k) { return k.blob == blob; });
  if (own || swarm || w.small.fetching || w.small.asked) return {};
  if (w.policy == SourcePolicy::lan_only && w.catalogue.available(SegmentIndex{w.first_open}) == 0) {
    return "a neighbour that has it (source is lan)";
  }
  if (w.first_open < w.segments.size() && w.catalogue.claimed(SegmentIndex{w.first_open}, now) != 0) {
    return "neighbours that fetch it from the origin";
  }
  return "its turn behind other files";
}

void Scheduler::check_invariants() const {
  for (const auto& [blob, w] : wanted_) {
    std::uint32_t complete = 0;
    for (std::uint32_t i = 0; i < w.segments.size(); ++i) {
      const Segment& s = w.segments[i];
      const PieceMask all = w.geometry.all_pieces(static_cast<SegmentIndex>(i));
      assert((s.have & ~all) == 0 && (s.known & ~all) == 0);
      assert((s.have & ~s.known) == 0);
      assert((s.phase == Phase::complete) == (s.have == all));
      assert((s.phase == Phase::loaded) == loaded_.contains({blob, static_cast<SegmentIndex>(i)}));
      complete += s.phase == Phase::complete ? 1 : 0;
      PieceMask in_slices = 0;
      for (const auto& [id, slice] : slices_) {
        if (slice.key == SegmentKey{blob, static_cast<SegmentIndex>(i)}) in_slices |= slice.remaining;
      }
      assert((s.fetching & ~in_slices) == 0);
    }
    assert(complete == w.complete);
  }
  assert(static_cast<int>(slices_.size()) <= limits_.slices);
}

}  // namespace shoal
