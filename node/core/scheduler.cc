#include "node/core/scheduler.h"

#include "node/core/piece_bits.h"
#include "node/core/slice_choice.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <queue>
#include <utility>

namespace shoal {
namespace {

// Small blobs looked at in one turn beyond those that could be started: bounds the turn when thousands wait.
constexpr int kSmallLookahead = 64;

OriginPace::Limits pace_limits(const Scheduler::Limits& limits) {
  OriginPace::Limits pace;
  pace.most = limits.slices;
  pace.start = std::min(pace.start, limits.slices);
  pace.least = std::min(pace.least, limits.slices);
  return pace;
}

}  // namespace

Scheduler::Wanted::Wanted(NodeId self, const BlobId& blob, const Limits& limits)
    : id(blob),
      geometry(blob.size),
      catalogue(geometry, limits.claim_ttl),
      circle(self, blob),
      segments(geometry.segment_count()) {}

Scheduler::Scheduler(NodeId self, Limits limits) : self_(self), limits_(limits), pace_(pace_limits(limits)) {}
Scheduler::~Scheduler() = default;

Scheduler::Wanted* Scheduler::find(const BlobId& blob) {
  if (last_found_ != nullptr && last_found_->id == blob) return last_found_;
  const auto it = wanted_.find(blob);
  if (it == wanted_.end()) return nullptr;
  last_found_ = &it->second;
  return last_found_;
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

std::uint32_t Scheduler::first_incomplete(Wanted& w) {
  while (w.whole_until < w.segments.size() && w.segments[w.whole_until].phase == Phase::complete)
    ++w.whole_until;
  return w.whole_until;
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
  return segment.hashes[at(piece)];
}

// --- what the next turn looks at ---

void Scheduler::touch(Wanted& w) {
  touched_ = true;
  if (is_small(w)) {
    dirty_small_.insert(order_key(w));
  } else if (!std::exchange(w.in_dirty, true)) {
    dirty_.insert(order_key(w));
  }
}

void Scheduler::touch(Wanted& w, SegmentIndex index) {
  touch(w);
  if (is_small(w)) return;
  w.touched.insert(to_int(index));
  w.claim_from = std::min(w.claim_from, to_int(index));
  make_hungry(w);
}

void Scheduler::touch(Wanted& w, const std::vector<SegmentIndex>& changed) {
  touch(w);
  for (const SegmentIndex index : changed) {
    if (w.segments[to_int(index)].phase != Phase::complete) touch(w, index);
  }
}

void Scheduler::touch_all(Wanted& w) {
  for (std::uint32_t i = first_incomplete(w); i < w.segments.size(); ++i) {
    if (w.segments[i].phase != Phase::complete) touch(w, static_cast<SegmentIndex>(i));
  }
  touch(w);
}

void Scheduler::alarm(const Wanted& w, SegmentIndex index, Time at) {
  alarms_.insert({at, w.id, to_int(index)});
}

void Scheduler::make_hungry(Wanted& w) {
  if (!std::exchange(w.in_hungry, true)) hungry_.insert(order_key(w));
}

void Scheduler::ring_alarms(Time now) {
  while (!alarms_.empty() && std::get<Time>(*alarms_.begin()) <= now) {
    const auto [due, blob, index] = *alarms_.begin();
    alarms_.erase(alarms_.begin());
    Wanted* w = find(blob);
    if (w == nullptr) continue;
    drop_lapsed(*w, now);
    touch(*w, static_cast<SegmentIndex>(index));
  }
}

void Scheduler::wake(Time at) {
  wake_at_ = wake_at_ ? std::min(*wake_at_, at) : at;
}

// Room for so many at once: growing step by step moves each action several times.
void Scheduler::expect_actions(std::size_t more) {
  if (out_.capacity() - out_.size() < more) out_.reserve(std::max(2 * out_.capacity(), out_.size() + more));
}

// --- wants ---

void Scheduler::on_want(Request request, Time now) {
  if (Wanted* w = find(request.blob)) {
    if (request.policy != w->policy && w->shared) {
      w->policy = SourcePolicy::automatic;
      touch_all(*w);
    }
    if (request.priority >= w->wanted_priority) return;
    w->wanted_priority = request.priority;
    set_priority(*w);
    return;
  }
  Wanted& w = wanted_.try_emplace(request.blob, self_, request.blob, limits_).first->second;
  w.policy = request.policy;
  w.priority = w.wanted_priority = request.priority;
  w.order = request.order;
  w.shared = request.shared;
  bool anything = false;
  for (std::size_t i = 0; i < request.local.size() && i < w.segments.size(); ++i) {
    const auto index = static_cast<SegmentIndex>(i);
    Segment& segment = w.segments[i];
    segment.have = segment.known = request.local[i].have & w.geometry.all_pieces(index);
    if (segment.have == 0) continue;
    anything = true;
    make_room_for_hashes(w, index);
    std::size_t next = 0;
    std::vector<Hash256> hashes = segment.hashes.list();
    for_each_piece(segment.have, [&](PieceIndex p) { hashes[at(p)] = request.local[i].hashes.at(next++); });
    segment.hashes = PieceHashes(std::move(hashes));
    w.used_until = static_cast<std::uint32_t>(i + 1);
    if (segment.have == w.geometry.all_pieces(index)) {
      segment.phase = Phase::complete;
      ++w.complete;
    }
  }
  touch_all(w);
  w.fed_at = now;
  w.circle.on_capacity(self_, free_capacity(own_load_));
  if (!w.shared) return;
  for (const auto& [node, neighbour] : neighbours_) {
    if (!neighbour.wants.contains(w.id)) continue;
    note_wants(w, node, true);
    // It asked before this node wanted the blob and was told "no".
    if (anything) answer_want(node, {w.id}, false);
  }
  for (const auto& [node, neighbour] : neighbours_) {
    w.catalogue.on_asked(node, now);
    out_.push_back(act::Tell{node, msg::Want{{w.id}}});
  }
}

void Scheduler::drop(Wanted& w) {
  const BlobId blob = w.id;
  cancel_slices_of(blob);
  if (w.small.fetching) --small_fetches_;
  if (w.small.asked) --small_asks_;
  for (std::uint32_t i = 0; i < w.segments.size(); ++i) {
    loaded_.erase({blob, static_cast<SegmentIndex>(i)});
    telling_.erase({blob, static_cast<SegmentIndex>(i)});
    moved_.erase({blob, static_cast<SegmentIndex>(i)});
    listing_.erase({blob, static_cast<SegmentIndex>(i)});
  }
  unsettled_.erase(blob);
  in_circle_.erase(blob);
  untold_complete_.erase(blob);
  for (auto* set : {&dirty_, &dirty_small_, &hungry_}) set->erase(order_key(w));
  last_found_ = nullptr;
  wanted_.erase(blob);
}

void Scheduler::on_unwant(const BlobId& blob, Time /*now*/) {
  Wanted* w = find(blob);
  if (w == nullptr) return;
  for (std::uint32_t i = 0; i < w->segments.size(); ++i) {
    if (w->segments[i].phase == Phase::loaded) unload(*w, static_cast<SegmentIndex>(i));
  }
  if (w->shared) {
    for (const auto& [node, neighbour] : neighbours_) out_.push_back(act::Tell{node, msg::Unwant{{blob}}});
  }
  drop(*w);
}

void Scheduler::on_held(const BlobId& blob) {
  held_.insert(blob);
  for (const auto& [node, neighbour] : neighbours_) {
    if (neighbour.wants.contains(blob)) out_.push_back(act::Tell{node, msg::HaveBlobs{{blob}}});
  }
  Wanted* w = find(blob);
  if (w == nullptr) return;
  // Neighbours that do not want it still count this node among those that do: tell them, too.
  for (const auto& [node, neighbour] : neighbours_) {
    if (w->shared && !neighbour.wants.contains(blob)) {
      out_.push_back(act::Tell{node, msg::Unwant{{blob}}});
    }
  }
  drop(*w);
}

void Scheduler::on_not_held(const BlobId& blob) {
  if (held_.erase(blob) == 0) return;
  for (const auto& [node, neighbour] : neighbours_) out_.push_back(act::Tell{node, msg::LackBlobs{{blob}}});
}

void Scheduler::fail_blob(Wanted& w, Error error) {
  if (w.failed) return;
  w.failed = true;
  cancel_slices_of(w.id);
  for (std::uint32_t i = 0; i < w.segments.size(); ++i) {
    if (w.segments[i].phase == Phase::loaded) unload(w, static_cast<SegmentIndex>(i));
  }
  out_.push_back(act::FailBlob{w.id, std::move(error)});
}

// --- pieces come and go ---

void Scheduler::add_piece(Wanted& w, SegmentIndex index, PieceIndex piece, Time now) {
  add_pieces(w, index, mask_of(piece), now);
}

void Scheduler::add_pieces(Wanted& w, SegmentIndex index, PieceMask pieces, Time now) {
  Segment& segment = w.segments[to_int(index)];
  segment.have |= pieces;
  w.used_until = std::max(w.used_until, to_int(index) + 1);
  segment.since = now;
  if (segment.have != w.geometry.all_pieces(index) || segment.phase == Phase::complete) return;
  loaded_.erase({w.id, index});
  moved_.erase({w.id, index});
  segment.phase = Phase::complete;
  segment.from_origin = segment.going_back = false;
  segment.bad.clear();
  segment.refusals.clear();
  segment.lists.reset();
  if (w.circle.on()) {
    // Looked at again only if the segment is reopened, and then anew: a terabyte has a thousand of these.
    segment.connected.clear();
    segment.asked.clear();
    w.catalogue.forget_parts(index);
  }
  ++w.complete;
  telling_.insert({w.id, index});
  touch(w);
}

void Scheduler::reopen(Wanted& w, SegmentIndex index, PieceMask lost, Time now) {
  Segment& segment = w.segments[to_int(index)];
  if (segment.phase == Phase::complete) {
    --w.complete;
    w.whole_until = std::min(w.whole_until, to_int(index));
    loaded_.insert({w.id, index});  // unload() takes it out again
  }
  if (segment.phase == Phase::complete || segment.phase == Phase::loaded) unload(w, index);
  segment.since = now;
  segment.have &= ~lost;
  segment.known &= ~lost;
  segment.untold &= ~lost;
  touch(w, index);
}

void Scheduler::on_pieces_lost(const SegmentKey& key, PieceMask pieces, Time now) {
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr || (segment->have & pieces) == 0) return;
  w->finishing = false;
  reopen(*w, key.index, segment->have & pieces, now);
  announce_again(*w);
}

// --- the turn ---

std::vector<Action> Scheduler::decide(Time now) {
  wake_at_.reset();
  settle_circles(now);
  ring_alarms(now);
  for (auto it = loaded_.begin(); it != loaded_.end();) {
    const SegmentKey key = *it++;  // check_loaded() may take out this one, and no other
    if (Wanted* w = find(key.blob)) check_loaded(*w, key.index, now);
  }
  touched_ = false;
  plan_small_blobs(now);
  plan_large_blobs(now);
  fetch_settled(now);
  give_up_slow_connections(now);
  if (!rests(now)) help_overdue(now);
  plan_claims(now);
  plan_hybrid(now);
  if (hungry_.empty() && free_slots() > 0 && !rests(now)) {
    help_own_slices(now);
    help_neighbours(now);
  }
  pace_.on_others(static_cast<double>(neighbours_origin_bytes_per_s_));
  pace_.on_active(requests(), now);
  refresh_claims(now);
  flush(now);
  if (touched_) wake(now);
  if (!alarms_.empty()) wake(std::max(std::get<Time>(*alarms_.begin()), now));
  return std::exchange(out_, {});
}

void Scheduler::plan_small_blobs(Time now) {
  int waiting = 0;
  // Each is taken out before it is planned, so that planning may put it in again for the next turn.
  for (auto it = dirty_small_.begin(); it != dirty_small_.end() && waiting < kSmallLookahead;) {
    const OrderKey key = *it;
    it = dirty_small_.erase(it);
    Wanted& w = wanted_.at(std::get<BlobId>(key));
    if (w.failed || w.finishing || !begin(w, now)) continue;
    if (w.complete == w.segments.size()) {
      finish_or_check(w, now);
    } else if (!plan_small(w, now)) {
      dirty_small_.insert(key);
      ++waiting;
    }
  }
}

void Scheduler::plan_large_blobs(Time now) {
  // The next touched segment of a blob, those where programs read first.
  const auto next_touched = [this](const Wanted& w) {
    for (const auto& [index, piece] : read_next(w)) {
      if (w.touched.contains(to_int(index))) return to_int(index);
    }
    return w.touched.first().value_or(static_cast<std::uint32_t>(w.segments.size()));
  };
  const auto next_place = [&](const Wanted& w) { return place_of(w, next_touched(w)); };
  // The next touched segment of each blob, the first of all on top.
  std::priority_queue<OrderKey, std::vector<OrderKey>, std::greater<>> line;
  for (const OrderKey& key : std::exchange(dirty_, {})) {
    Wanted& w = wanted_.at(std::get<BlobId>(key));
    w.in_dirty = false;
    if (!w.failed && !w.finishing && begin(w, now)) line.push(next_place(w));
  }
  while (!line.empty()) {
    Wanted& w = wanted_.at(std::get<BlobId>(line.top()));
    line.pop();
    if (w.touched.empty()) {
      if (w.complete == w.segments.size()) finish_or_check(w, now);
      continue;
    }
    const std::uint32_t index = next_touched(w);
    if (!plan_swarm(w, static_cast<SegmentIndex>(index), now)) {
      if (!std::exchange(w.in_dirty, true)) dirty_.insert(order_key(w));  // no room to load it
      continue;
    }
    w.touched.erase(index);
    line.push(next_place(w));
  }
}

bool Scheduler::begin(Wanted& w, Time now) {
  if (w.started) return true;
  const auto until = w.shared && w.policy != SourcePolicy::origin_only
                         ? w.catalogue.waits_until(now, limits_.answer_patience)
                         : std::nullopt;
  if (until) {
    alarm(w, SegmentIndex{0}, *until);
    return false;
  }
  w.started = true;
  if (is_small(w)) return true;
  // Nodes that begin at the same time have not heard each other's claims yet.
  if (!w.catalogue.wanters().empty()) {
    w.part_until = now + limits_.crossing;
    alarm(w, SegmentIndex{0}, w.part_until);
  }
  make_hungry(w);
  return true;
}

void Scheduler::finish_or_check(Wanted& w, Time now) {
  if (w.sampling && !w.liar_found) {
    // The samples were all right: the liar lied elsewhere. Neighbours took other samples.
    if (!w.samples_ok) w.samples_ok = now + limits_.sample_patience;
    if (now < *w.samples_ok) {
      alarm(w, SegmentIndex{0}, *w.samples_ok);
      return;
    }
    w.sampling = false;
    on_blob_corrupt(w.id, now);
    wake(now);
    return;
  }
  w.sampling = w.liar_found = false;
  w.samples_ok.reset();
  w.finishing = true;
  out_.push_back(act::FinishBlob{w.id});
}

bool Scheduler::plan_small(Wanted& w, Time now) {
  Small& small = w.small;
  if (small.fetching) return true;
  if (small.asked) {
    if (now - small.since < limits_.ask_patience) {
      alarm(w, SegmentIndex{0}, small.since + limits_.ask_patience);
      return true;
    }
    small.tried.insert(*small.asked);
    small.asked.reset();
    --small_asks_;
  }
  if (w.policy != SourcePolicy::origin_only) {
    for (const NodeId node : w.catalogue.having_all()) {
      if (small.tried.contains(node)) continue;
      if (small_asks_ >= limits_.small_asks) return false;
      small.asked = node;
      small.since = now;
      ++small_asks_;
      out_.push_back(act::Tell{node, msg::AskBlob{w.id}});
      alarm(w, SegmentIndex{0}, now + limits_.ask_patience);
      return true;
    }
  }
  if (w.policy == SourcePolicy::lan_only) return true;
  if (now < w.origin_after) {
    alarm(w, SegmentIndex{0}, w.origin_after);
    return true;
  }
  // One of the nodes that want it fetches it; the others give it some time, then help themselves.
  if (!small.first_planned) small.first_planned = now;
  const SegmentKey key{w.id, SegmentIndex{0}};
  const auto wanters = w.policy == SourcePolicy::origin_only ? std::vector<NodeId>{} : w.catalogue.wanters();
  const bool mine =
      std::ranges::all_of(wanters, [&](NodeId other) { return claim_beats(self_, other, key); });
  if (!mine && now - *small.first_planned < limits_.small_patience) {
    alarm(w, SegmentIndex{0}, *small.first_planned + limits_.small_patience);
    return true;
  }
  if (small_fetches_ >= limits_.small_fetches) return false;
  small.fetching = true;
  ++small_fetches_;
  out_.push_back(act::FetchSmall{w.id});
  return true;
}

void Scheduler::flush(Time now) {
  for (const SegmentKey& key : std::exchange(listing_, {})) pass_list(*find(key.blob), key.index, false);
  flush_pieces(now);
  tell_complete(now);
}

void Scheduler::flush_pieces(Time now) {
  if (telling_.empty()) return;
  const bool tell_pieces = now - last_flush_ >= limits_.gather;
  bool told = false;
  for (auto it = telling_.begin(); it != telling_.end();) {
    Wanted* w = find(it->blob);
    Segment& segment = *find(*it);
    const bool complete = segment.phase == Phase::complete;
    if (segment.untold != 0 && (tell_pieces || complete)) {
      // The hashes before the claim: nobody may see a piece that is neither claimed nor there.
      msg::Pieces pieces{w->id, it->index, std::exchange(segment.untold, 0), {}};
      for_each_piece(pieces.pieces, [&](PieceIndex p) { pieces.hashes.push_back(segment.hashes[at(p)]); });
      tell_claimants(*w, pieces);
      told = true;
    }
    if (std::exchange(segment.claim_changed, false)) {
      segment.claim_told = now;
      tell_claimants(*w, msg::Claim{w->id, it->index, segment.fetching | segment.untold});
    }
    if (segment.untold != 0) {
      ++it;
      continue;
    }
    // Own hashes went first, so that a node that waits for just these can load the torrent.
    if (complete && w->circle.on()) {
      w->untold_complete.push_back(it->index);
      untold_complete_.insert(w->id);
    } else if (complete) {
      tell_mates(*w, msg::HaveSegments{w->id, {it->index}});
    }
    it = telling_.erase(it);
  }
  if (told && tell_pieces) last_flush_ = now;
  if (!telling_.empty()) wake(std::max(now, last_flush_ + limits_.gather));
}

// --- for tests ---

void Scheduler::check_invariants() const {
  for (const auto& [blob, w] : wanted_) {
    std::uint32_t complete = 0;
    for (std::uint32_t i = 0; i < w.segments.size(); ++i) {
      const auto index = static_cast<SegmentIndex>(i);
      const Segment& s = w.segments[i];
      const PieceMask all = w.geometry.all_pieces(index);
      assert((s.have & ~all) == 0 && (s.known & ~all) == 0);
      assert((s.have & ~s.known) == 0);
      assert((s.have & s.fetching) == 0);
      assert((s.untold & ~s.have) == 0);
      assert((s.phase == Phase::complete) == (s.have == all));
      assert((s.phase == Phase::loaded) == loaded_.contains({blob, index}));
      assert(s.untold == 0 || telling_.contains({blob, index}));
      // A loaded segment gets its bytes from neighbours only.
      assert(s.phase != Phase::loaded || s.fetching == 0);
      complete += s.phase == Phase::complete ? 1 : 0;
      PieceMask in_slices = 0;
      for (const auto& [id, slice] : slices_) {
        if (slice.key == SegmentKey{blob, index}) in_slices |= slice.remaining;
      }
      assert(s.fetching == in_slices);
    }
    assert(complete == w.complete);
  }
  for (const auto& [id, slice] : slices_) assert(wanted_.contains(slice.key.blob));
  for (const SegmentKey& key : telling_) assert(wanted_.contains(key.blob));
  for (const SegmentKey& key : moved_) {
    const Segment& moved = wanted_.at(key.blob).segments[to_int(key.index)];
    assert(moved.from_origin && moved.phase != Phase::complete && moved.phase != Phase::loaded);
  }
  assert(active_slices() <= limits_.slices);
  assert(small_fetches_ >= 0 && small_fetches_ <= limits_.small_fetches);
  assert(small_asks_ >= 0 && small_asks_ <= limits_.small_asks);
}

}  // namespace shoal
