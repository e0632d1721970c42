// Bytes from the origin: what to claim, how much of it, and what to fetch twice.
#include "node/core/piece_bits.h"
#include "node/core/scheduler.h"
#include "node/core/slice_choice.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace shoal {
namespace {

double seconds_between(Time from, Time to) {
  return std::chrono::duration<double>(to - from).count();
}

// Errors that may pass: tried again after a while. `invalid` is an answer of the wrong length or range, often
// a proxy or an edge server in trouble.
bool is_passing(Code code) {
  return code == Code::timeout || code == Code::rate_limited || code == Code::unavailable ||
         code == Code::expired || code == Code::invalid;
}

}  // namespace

int Scheduler::active_slices() const {
  return static_cast<int>(std::ranges::count_if(slices_, [](const auto& s) { return !s.second.fetched; }));
}

int Scheduler::requests() const {
  return static_cast<int>(
      std::ranges::count_if(slices_, [](const auto& s) { return !s.second.fetched && !s.second.settling; }));
}

// --- claims ---

PieceMask Scheduler::claimable(const Wanted& w, SegmentIndex index, Time now) const {
  const Segment& segment = w.segments[to_int(index)];
  if (now < w.claims_after || segment.phase == Phase::complete || segment.phase == Phase::loaded ||
      segment.going_back)
    return 0;
  const PieceMask nowhere =
      w.geometry.all_pieces(index) & ~segment.have & ~segment.fetching & ~from_neighbours(w, index, now);
  if (nowhere == 0 || !w.shared || w.policy == SourcePolicy::origin_only) return nowhere;
  // A suspect piece is fetched here whoever else fetches it: only the own eyes count.
  const PieceMask free = nowhere & ~(w.catalogue.claimed(index, now) & ~segment.suspect);
  if (free == 0 || now >= w.part_until) return free;
  return free & own_part(w, index);
}

// An estimate from above of what may still be claimed; enough to make slices short near the end.
std::uint64_t Scheduler::claimable_bytes() const {
  std::uint64_t bytes = 0;
  for (const OrderKey& key : hungry_) {
    const Wanted& w = wanted_.at(std::get<BlobId>(key));
    bytes += (w.segments.size() - w.claim_from) * w.geometry.segment_size();
    if (bytes > 64 * limits_.slice_bytes_max) break;
  }
  return bytes;
}

void Scheduler::plan_claims(Time now) {
  if (rests(now)) return;
  while (free_slots() > 0) {
    const std::uint64_t left = claimable_bytes();
    const std::vector<SegmentKey> segments = first_claimable(limits_.segments_ahead + 1, now);
    if (segments.empty()) return;
    const Wanted& front = wanted_.at(segments.front().blob);
    pace_.on_sharers(static_cast<int>(claimants(front).size()) + 1);
    const std::size_t ahead = std::min<std::uint64_t>(
        left / (limits_.ahead_divisor * front.geometry.segment_size()), segments.size() - 1);
    if (claim_for_readers(front, now)) continue;
    if (front.circle.on() && !claimants(front).empty() && active_slices() >= most_in_circle(front)) return;
    // The own part of one of the first segments; else what the others have left of the first.
    std::optional<PieceRun> run;
    SegmentKey key = segments.front();
    for (std::size_t i = 0; i <= ahead && !run; ++i) {
      const Wanted& w = wanted_.at(segments[i].blob);
      const auto others = claimants(w);
      run = first_run(claimable(w, segments[i].index, now) & own_part(w, segments[i].index),
                      longest_slice(w, others.size() + 1));
      if (run) key = segments[i];
    }
    Begin begin = Begin::at_once;
    if (!run) {
      begin = Begin::when_settled;
      const auto others = claimants(front);
      run = run_of_others(claimable(front, key.index, now), self_, others,
                          front.geometry.piece_count(key.index), longest_slice(front, others.size() + 1));
    }
    if (!run) return;
    start_slice(*find(key.blob), key.index, run->first, run->count, std::nullopt, now, begin);
  }
}

int Scheduler::most_in_circle(const Wanted& w) const {
  const double bytes =
      pace_.node_bytes_per_s() * std::chrono::duration<double>(limits_.piece_patience).count();
  const auto segments = static_cast<std::uint32_t>(w.segments.size()) - w.complete;
  return std::max({limits_.slices_in_circle, static_cast<int>(bytes / w.geometry.piece_size()),
                   static_cast<int>(segments / limits_.segments_per_slice)});
}

// Readers wait for bytes in order: their slice begins at the piece they are at, whoever's part that is.
bool Scheduler::claim_for_readers(const Wanted& w, Time now) {
  for (const auto& [index, piece] : read_next(w)) {
    const PieceMask free = claimable(w, index, now);
    if (free == 0) continue;
    const std::size_t nodes = claimants(w).size() + 1;
    const int share = std::max(1, w.geometry.piece_count(index) / static_cast<int>(nodes));
    const int longest = std::min(longest_slice(w, nodes), share);
    auto run = first_run(free & ~mask_of_run(0, piece), longest);
    if (!run) run = first_run(free, longest);
    start_slice(*find(w.id), index, run->first, run->count, std::nullopt, now);
    return true;
  }
  return false;
}

std::vector<SegmentKey> Scheduler::first_claimable(std::size_t most, Time now) {
  std::set<OrderKey> line;  // the next segment of each blob that has something to claim
  for (auto it = hungry_.begin(); it != hungry_.end();) {
    Wanted& w = wanted_.at(std::get<BlobId>(*it));
    if (!w.started) {
      ++it;
    } else if (find_claim(w, now)) {
      line.insert(place_of(w, w.claim_from));
      ++it;
    } else {
      w.in_hungry = false;
      it = hungry_.erase(it);  // until something touches the blob
    }
  }
  std::vector<SegmentKey> found;
  while (!line.empty() && found.size() < most) {
    const OrderKey place = *line.begin();
    line.erase(line.begin());
    const Wanted& w = wanted_.at(std::get<BlobId>(place));
    if (!found.empty() && w.priority != wanted_.at(found.front().blob).priority) break;
    auto index =
        static_cast<std::uint32_t>((std::get<std::uint64_t>(place) - w.order) / w.geometry.segment_size());
    found.push_back({w.id, static_cast<SegmentIndex>(index)});
    for (++index; index < w.segments.size(); ++index) {
      if (claimable(w, static_cast<SegmentIndex>(index), now) == 0) continue;
      line.insert(place_of(w, index));
      break;
    }
  }
  return found;
}

// Moves `claim_from` to the first segment with something to claim; false: there is none.
bool Scheduler::find_claim(Wanted& w, Time now) {
  if (w.failed || w.finishing || w.policy == SourcePolicy::lan_only) return false;
  if (const Time until = std::max(w.origin_after, w.claims_after); now < until) {
    alarm(w, static_cast<SegmentIndex>(std::min<std::size_t>(w.claim_from, w.segments.size() - 1)), until);
    return false;
  }
  if (!may_claim(w, now)) {
    look_again_alone(w, now);
    return false;
  }
  for (; w.claim_from < w.segments.size(); ++w.claim_from) {
    if (claimable(w, static_cast<SegmentIndex>(w.claim_from), now) != 0) return true;
  }
  return false;
}

// The others that share the claims of the blob with this node.
const std::vector<NodeId>& Scheduler::claimants(const Wanted& w) const {
  static const std::vector<NodeId> nobody;
  const bool together = w.shared && w.policy != SourcePolicy::origin_only;
  if (!together) return nobody;
  return w.circle.on() ? w.circle.claimants() : w.catalogue.wanters();
}

// Pieces in one slice at most, when so many nodes share the blob.
int Scheduler::longest_slice(const Wanted& w, std::size_t nodes) const {
  std::uint64_t bytes = limits_.slice_bytes_first;
  if (pace_.bytes_per_s() > 0) {
    bytes = static_cast<std::uint64_t>(pace_.bytes_per_s() *
                                       std::chrono::duration<double>(limits_.slice_time).count());
  }
  bytes = std::min(bytes, limits_.slice_bytes_max);
  // Each takes half of its part of what is left (guided self-scheduling): the last slices are short.
  bytes = std::min(bytes, claimable_bytes() / (2 * nodes * static_cast<std::uint64_t>(slice_limit())));
  return std::max(1, static_cast<int>(bytes / w.geometry.piece_size()));
}

void Scheduler::start_slice(Wanted& w, SegmentIndex index, int first, int count, std::optional<NodeId> helps,
                            Time now, Begin begin) {
  const SegmentKey key{w.id, index};
  Segment& segment = w.segments[to_int(index)];
  const PieceMask mask = mask_of_run(first, count);
  if (slices_.empty()) last_refresh_ = now;
  const auto id = static_cast<FetchId>(next_fetch_++);
  Slice& slice = slices_[id];
  slice.key = key;
  slice.remaining = mask;
  slice.first = first;
  slice.last = first + count - 1;
  slice.length = w.geometry.bytes_in(index, mask);
  slice.claimed = slice.started = slice.last_progress = now;
  slice.helps = helps;
  segment.fetching |= mask;
  w.used_until = std::max(w.used_until, to_int(index) + 1);
  segment.claim_changed = true;
  telling_.insert(key);
  if (begin == Begin::at_once || limits_.settling == Duration::zero()) {
    fetch(id, slice, now);
  } else {
    slice.settling = true;
    wake(now + limits_.settling);
  }
}

void Scheduler::fetch(FetchId id, Slice& slice, Time now) {
  slice.settling = false;
  slice.started = slice.last_progress = now;
  out_.push_back(
      act::FetchSlice{id, slice.key, static_cast<PieceIndex>(slice.first), slice.last + 1 - slice.first});
}

void Scheduler::fetch_settled(Time now) {
  std::vector<FetchId> needless;
  for (auto& [id, slice] : slices_) {
    if (!slice.settling) continue;
    if (slice.remaining == 0) {
      needless.push_back(id);
    } else if (now - slice.claimed >= limits_.settling) {
      fetch(id, slice, now);
    } else {
      wake(slice.claimed + limits_.settling);
    }
  }
  for (const FetchId id : needless) end_slice(id);
}

// A slice whose connection is far slower than the others ends with the piece in progress; what it leaves is
// claimed anew, and the connection is closed. Compared are connections of the same moment, since a line that
// became slower is slower for all.
void Scheduler::give_up_slow_connections(Time now) {
  double bytes = 0;
  double seconds = 0;
  for (const auto& [id, slice] : slices_) {
    if (slice.fetched || slice.settling) continue;
    bytes += static_cast<double>(slice.bytes);
    seconds += seconds_between(slice.started, now);
    if (!slice.trimmed) wake(std::max(now + limits_.slow_after / 8, slice.started + limits_.slow_after));
  }
  for (auto& [id, slice] : slices_) {
    if (slice.fetched || slice.settling || slice.trimmed || slice.helped) continue;
    if (slice.bytes < limits_.slow_bytes && now - slice.started < limits_.slow_after) continue;
    const double age = seconds_between(slice.started, now);
    const double others_seconds = seconds - age;
    if (others_seconds <= 0) continue;
    const double others = (bytes - static_cast<double>(slice.bytes)) / others_seconds;
    if (static_cast<double>(slice.bytes) / age * limits_.slow_factor > others) continue;
    const Wanted& w = wanted_.at(slice.key.blob);
    // Progress is told some times a second: the piece after the last told byte may be nearly whole.
    const int cut = std::min(
        slice.last + 1,
        slice.first +
            static_cast<int>((slice.bytes + w.geometry.piece_size() / 4) / w.geometry.piece_size()) + 1);
    slice.trimmed = true;
    slice.remaining &= mask_of_run(0, cut);
    slice.last = cut - 1;
    slice.length = w.geometry.bytes_in(slice.key.index, mask_of_run(slice.first, cut - slice.first));
    out_.push_back(act::TrimFetch{id, slice.key, static_cast<PieceIndex>(slice.first), cut - slice.first});
    Segment& segment = *find(slice.key);
    recount_fetching(slice.key);
    segment.claim_changed = true;
    telling_.insert(slice.key);
    touch(*find(slice.key.blob), slice.key.index);
  }
}

// Nothing is left to claim: the second half of each own slice that is far behind the others is fetched by a
// new request. Why half: if the old connection recovers, both end together.
void Scheduler::help_own_slices(Time now) {
  if (pace_.bytes_per_s() <= 0) return;
  std::vector<std::pair<FetchId, int>> slow;  // with the piece to begin at
  for (const auto& [id, slice] : slices_) {
    if (slice.fetched || slice.settling || slice.helped || slice.helps || slice.remaining == 0) continue;
    const Wanted& w = wanted_.at(slice.key.blob);
    if (now < w.origin_after) continue;
    const double age = seconds_between(slice.started, now);
    const double left = static_cast<double>(slice.length - std::min(slice.length, slice.bytes));
    const double eta = slice.bytes > 0 ? left / static_cast<double>(slice.bytes) * age : 3600;
    const int first = slice.last + 1 - (std::popcount(slice.remaining) + 1) / 2;
    const auto anew =
        static_cast<double>(w.geometry.bytes_in(slice.key.index, mask_of_run(first, slice.last + 1 - first)));
    // A new request needs some 100 ms before its first byte. Twice as slow is slow: connections that share a
    // line differ by less.
    if (age >= 0.5 && eta > 2 * (0.1 + anew / pace_.bytes_per_s())) {
      slow.emplace_back(id, first);
    } else {
      wake(now + limits_.help_after / 4);
    }
  }
  for (const auto& [id, first] : slow) {
    if (free_slots() <= 0) return;
    Slice& slice = slices_.at(id);
    slice.helped = true;
    const SegmentKey key = slice.key;
    const int end = slice.last + 1;
    start_slice(*find(key.blob), key.index, first, end - first, self_, now);
  }
}

// How many pieces of neighbours this node fetches, too.
int Scheduler::helping() const {
  return static_cast<int>(std::ranges::count_if(
      slices_, [&](const auto& s) { return s.second.helps && *s.second.helps != self_; }));
}

// Whether claims of neighbours for this blob may be looked at, to fetch the same.
bool Scheduler::may_help(const Wanted& w, Time now) const {
  // Who does not hear of claims must not judge them.
  return !w.failed && !w.finishing && w.started && w.shared && w.circle.claims() &&
         w.policy == SourcePolicy::automatic && now >= w.origin_after;
}

// How long a claim may go without a word from its owner.
Duration Scheduler::quiet_limit(const Wanted& w) const {
  return w.circle.on() ? limits_.claim_quiet : Duration::max();
}

// Whether any claim in the segment is at least so old, which is seldom: asked before the ranks are counted.
bool Scheduler::any_overdue(const Wanted& w, SegmentIndex index, Duration age, Time now) const {
  return !w.catalogue.claimed_since(index, now, age, quiet_limit(w)).empty();
}

// Fetches the last piece of each claim in the segment that is at least so old. False: there is nothing to
// wait for. The last one because the owner fetches in order.
bool Scheduler::help_in(Wanted& w, SegmentIndex index, Duration age, Time now) {
  const Segment& segment = w.segments[to_int(index)];
  if (segment.phase != Phase::open && segment.phase != Phase::asking) return false;
  const PieceMask not_needed = segment.have | segment.fetching | from_neighbours(w, index, now);
  for (const auto& [owner, pieces] : w.catalogue.claimed_since(index, now, age, quiet_limit(w))) {
    const PieceMask candidates = pieces & ~not_needed;
    if (candidates == 0 || helping() >= limits_.helps || free_slots() <= 0) continue;
    start_slice(w, index, 63 - std::countl_zero(candidates), 1, owner, now);
  }
  return true;
}

// How long a piece takes on a connection of this node, at most an hour: a stalled one's rate goes towards 0.
Duration Scheduler::piece_time(const Wanted& w) const {
  constexpr double kMax = 3600;
  const double seconds = std::min(kMax, w.geometry.piece_size() / pace_.bytes_per_s());
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

// Nothing is left to do here, neighbours are still fetching: take the last piece of old claims, too.
void Scheduler::help_neighbours(Time now) {
  if (pace_.bytes_per_s() <= 0) return;
  bool later = false;
  for (auto& [blob, w] : wanted_) {
    if (!may_help(w, now)) continue;
    const Duration age = std::max(limits_.help_after, 3 * piece_time(w));
    for (const SegmentIndex index : w.catalogue.claimed_segments()) later |= help_in(w, index, age, now);
  }
  if (later) wake(now + limits_.help_after / 4);
}

// Claims so old that their connections must be stuck, in segments of which nothing else is left to claim. Of
// the nodes that could help one begins, the next some time later if that one did not.
void Scheduler::help_overdue(Time now) {
  if (pace_.bytes_per_s() <= 0) return;
  for (auto& [blob, w] : wanted_) {
    if (!may_help(w, now)) continue;
    const auto& others = claimants(w);
    const Duration age = std::max(limits_.overdue_after, 4 * piece_time(w));
    for (const SegmentIndex index : w.catalogue.claimed_segments()) {
      if (free_slots() <= 0) return;
      if (claimable(w, index, now) != 0 || !any_overdue(w, index, age, now)) continue;
      const SegmentKey key{w.id, index};
      const auto rank = std::ranges::count_if(others, [&](NodeId n) { return !claim_beats(self_, n, key); });
      (void)help_in(w, index, age + rank * limits_.crossing, now);
    }
  }
}

void Scheduler::settle_claim(Wanted& w, NodeId from, SegmentIndex index, PieceMask claimed, Time now) {
  const SegmentKey key{w.id, index};
  const Segment& segment = w.segments[to_int(index)];
  claimed &= ~segment.suspect;
  if ((claimed & segment.fetching) == 0 || w.policy == SourcePolicy::origin_only) return;
  std::vector<FetchId> lost;
  for (const auto& [id, slice] : slices_) {
    if (slice.key != key || (slice.remaining & claimed) == 0 || slice.fetched) continue;
    const bool lapsed = now - slice.last_progress >= limits_.claim_ttl;
    const bool crossed = now - slice.claimed < limits_.crossing;
    if (slice.helps == from) continue;
    if (lapsed || (crossed && !claim_beats(self_, from, key))) lost.push_back(id);
  }
  for (const FetchId id : lost) cancel_slice(id);
}

// A slice whose pieces have all turned up elsewhere is a waste of the origin's bytes.
void Scheduler::drop_useless_slices(Wanted& w, SegmentIndex index, Time now) {
  const Segment& segment = w.segments[to_int(index)];
  const PieceMask elsewhere = from_neighbours(w, index, now) & segment.known;
  std::vector<FetchId> useless;
  for (const auto& [id, slice] : slices_) {
    // One with nothing remaining has just ended; to cancel it would close a good connection.
    if (slice.key == SegmentKey{w.id, index} && !slice.fetched && slice.remaining != 0 &&
        (slice.remaining & ~elsewhere) == 0) {
      useless.push_back(id);
    }
  }
  for (const FetchId id : useless) cancel_slice(id);
}

void Scheduler::recount_fetching(const SegmentKey& key) {
  Segment* segment = find(key);
  if (segment == nullptr) return;
  PieceMask fetching = 0;
  for (const auto& [id, slice] : slices_) {
    if (slice.key == key) fetching |= slice.remaining;
  }
  segment->fetching = fetching;
}

void Scheduler::forget_fetching(const SegmentKey& key, PieceIndex piece) {
  for (auto& [id, slice] : slices_) {
    if (slice.key == key) slice.remaining &= ~mask_of(piece);
  }
  recount_fetching(key);
}

void Scheduler::cancel_slice(FetchId id) {
  const Slice& slice = slices_.at(id);
  if (!slice.fetched && !slice.settling) out_.push_back(act::CancelFetch{id});
  end_slice(id);
}

void Scheduler::end_slice(FetchId id) {
  const auto it = slices_.find(id);
  const SegmentKey key = it->second.key;
  const bool unfinished = it->second.remaining != 0;
  slices_.erase(it);
  recount_fetching(key);
  if (!unfinished) return;
  if (Segment* segment = find(key)) {
    segment->claim_changed = true;
    telling_.insert(key);
    touch(*find(key.blob), key.index);
  }
}

void Scheduler::cancel_slices_of(const BlobId& blob) {
  std::vector<FetchId> ids;
  for (const auto& [id, slice] : slices_) {
    if (slice.key.blob == blob) ids.push_back(id);
  }
  for (const FetchId id : ids) cancel_slice(id);
}

void Scheduler::refresh_claims(Time now) {
  std::vector<FetchId> lost;
  for (const auto& [id, slice] : slices_) {
    if (slice.fetched && now - slice.last_progress >= limits_.landing_patience) lost.push_back(id);
  }
  for (const FetchId id : lost) end_slice(id);
  if (slices_.empty()) return;
  if (now - last_refresh_ < limits_.claim_refresh) {
    wake(last_refresh_ + limits_.claim_refresh);
    return;
  }
  // Only slices whose bytes still arrive keep their claim alive.
  std::map<SegmentKey, PieceMask> moving;
  for (const auto& [id, slice] : slices_) {
    if (slice.fetched || now - slice.last_progress < limits_.claim_ttl) moving[slice.key] |= slice.remaining;
  }
  for (const auto& [key, pieces] : moving) {
    const Wanted& w = wanted_.at(key.blob);
    Segment& segment = *find(key);
    const PieceMask told = pieces | segment.untold;
    // In a circle the claim of a segment changes several times a second and needs no repetition then.
    if (w.circle.on() && now - segment.claim_told < limits_.claim_refresh) continue;
    segment.claim_told = now;
    if (told != 0) tell_claimants(w, msg::Claim{key.blob, key.index, told});
  }
  last_refresh_ = now;
  wake(now + limits_.claim_refresh);
}

// --- facts ---

void Scheduler::on_piece_fetched(const SegmentKey& key, PieceIndex piece, const Hash256& hash, Time now) {
  Wanted* w = find(key.blob);
  Segment* segment = find(key);
  if (segment == nullptr || to_int(piece) >= w->geometry.piece_count(key.index)) return;
  const PieceMask bit = mask_of(piece);
  const int contained = static_cast<int>(std::ranges::count_if(
      slices_, [&](const auto& s) { return s.second.key == key && (s.second.remaining & bit) != 0; }));
  std::vector<FetchId> done;
  for (auto& [id, slice] : slices_) {
    if (slice.key != key || (slice.remaining & bit) == 0) continue;
    slice.remaining &= ~bit;
    slice.last_progress = now;
    // A slice that only fetches again what another one brought is ended.
    const bool repeats = contained > 1 || to_int(piece) != slice.last;
    if (slice.remaining == 0 && (slice.fetched || repeats)) done.push_back(id);
  }
  recount_fetching(key);
  for (const FetchId id : done) cancel_slice(id);
  w->origin_failures = 0;
  if ((segment->have & bit) != 0) return;
  make_room_for_hashes(*w, key.index);
  const NodeId teller = segment->tellers.of(piece);
  const bool was_told = !segment->hashes[at(piece)].is_zero() && teller != self_ && teller != NodeId{};
  const bool lied = was_told && segment->hashes[at(piece)] != hash && (segment->vouched & bit) != 0;
  segment->hashes.set(at(piece), hash);
  segment->tellers.set(bit, self_);
  segment->vouched &= ~bit;
  segment->known |= bit;
  segment->suspect &= ~bit;
  segment->doubted &= ~bit;
  if (w->contest == std::pair(key.index, piece)) w->contest.reset();
  segment->untold |= bit;
  telling_.insert(key);
  if (w->circle.on() && segment->known == w->geometry.all_pieces(key.index)) listing_.insert(key);
  add_piece(*w, key.index, piece, now);
  drop_useless_slices(*w, key.index, now);
  touch(*w, key.index);
  if (lied) {
    w->liar_found = w->liar_found || w->sampling;
    ban(teller,
        "told a wrong hash for piece " + std::to_string(to_int(piece)) + " of segment " +
            std::to_string(to_int(key.index)) + " of " + key.blob.text(),
        now);
  }
}

void Scheduler::on_fetch_progress(FetchId id, std::uint64_t bytes, Time now) {
  const auto it = slices_.find(id);
  if (it == slices_.end()) return;
  it->second.bytes += bytes;
  it->second.last_progress = now;
  pace_.on_bytes(bytes, now);
  balance_.on_origin_bytes(bytes, now);
}

void Scheduler::on_fetch_done(FetchId id, const Result<void>& result, Time now) {
  const auto it = slices_.find(id);
  if (it == slices_.end()) return;  // cancelled
  Wanted* w = find(it->second.key.blob);
  if (result) rest_after(it->second, now);
  if (result && it->second.remaining != 0) {
    // All bytes came; hashing and writing report the pieces a little later.
    it->second.fetched = true;
    it->second.last_progress = now;
    return;
  }
  end_slice(id);
  if (w == nullptr || result) return;
  const Code code = result.error().code;
  if (code == Code::cancelled) return;
  if (code == Code::rate_limited) pace_.on_refused(now);
  // The slices of one outage fail together and count once.
  if (is_passing(code) && now < w->origin_after) return;
  if (!is_passing(code) || ++w->origin_failures >= limits_.origin_failures_max) {
    fail_blob(*w, result.error());
  } else {
    w->origin_after = now + std::chrono::seconds(1 << w->origin_failures);
  }
}

void Scheduler::on_small_failed(const BlobId& blob, std::optional<NodeId> from, const Error& error,
                                Time now) {
  Wanted* w = find(blob);
  if (w == nullptr) return;
  touch(*w);
  Small& small = w->small;
  if (from) {
    small.tried.insert(*from);
    if (small.asked == from) {
      small.asked.reset();
      --small_asks_;
    }
    if (error.code == Code::corrupt) {
      ban(*from, "sent wrong bytes for " + blob.text(), now);
    } else if (error.code == Code::no_space || error.code == Code::io) {
      fail_blob(*w, error);
    }
    return;
  }
  if (small.fetching) {
    small.fetching = false;
    --small_fetches_;
  }
  const bool wrong_once = error.code == Code::corrupt && w->corrupt_rounds++ == 0;
  if (!wrong_once && (!is_passing(error.code) || ++w->origin_failures >= limits_.origin_failures_max)) {
    fail_blob(*w, error);
  } else {
    w->origin_after = now + std::chrono::seconds(1 << w->origin_failures);
  }
}

}  // namespace shoal
