#include "node/daemon/fetcher.h"

#include "node/daemon/seeder.h"
#include "storage/blob_store.h"
#include "transport/origin/hub_client.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <spdlog/spdlog.h>

namespace shoal {

Fetcher::Fetcher(Loop& loop, BlobStore& store, Swarm& swarm, HubClient& hub, Seeder& seeder, NodeId self,
                 Scheduler::Limits limits, Listener listener)
    : loop_(loop),
      store_(store),
      swarm_(swarm),
      hub_(hub),
      seeder_(seeder),
      listener_(std::move(listener)),
      scheduler_(self, limits),
      write_times_(std::make_shared<WriteTimes>()) {}

Fetcher::~Fetcher() = default;

void Fetcher::Job::forget(SegmentIndex segment, PieceMask pieces) {
  if (to_int(segment) >= came.size()) return;
  SegmentPieces& there = came[to_int(segment)];
  for (PieceMask* mask : {&there.lan, &there.origin, &there.local}) *mask &= ~pieces;
}

Fetcher::Job* Fetcher::find(const BlobId& blob) {
  const auto it = jobs_.find(blob);
  return it == jobs_.end() ? nullptr : &it->second;
}

Fetcher::Job* Fetcher::find(const BlobId& blob, std::uint64_t generation) {
  Job* job = find(blob);
  return job != nullptr && job->generation == generation ? job : nullptr;
}

// --- wanting

void Fetcher::want(Request request) {
  const BlobId blob = request.file.blob;
  if (Job* job = find(blob)) {
    if (request.policy != job->request.policy) {
      // Two pulls that allow different sources: together they allow all.
      job->request.policy = SourcePolicy::automatic;
      if (job->stage == Stage::fetching && job->request.shareable) {
        Scheduler::Request widened;
        widened.blob = blob;
        widened.priority = job->request.priority;
        scheduler_.on_want(std::move(widened), std::chrono::steady_clock::now());
        loop_.request_turn();
      }
    }
    if (request.priority < job->request.priority) {
      const OrderKey before = order_key(*job);
      if (job->stage == Stage::fetching) {
        Scheduler::Request raised;
        raised.blob = blob;
        raised.priority = request.priority;
        scheduler_.on_want(std::move(raised), std::chrono::steady_clock::now());
      }
      job->request.priority = request.priority;
      rekey(*job, before);
      activate();
    }
    return;
  }
  Job& job = jobs_[blob];
  job.request = std::move(request);
  job.generation = next_generation_++;
  job.is_read = readers_.contains(blob);
  queued_.insert(order_key(job));
  activate();
}

void Fetcher::rekey(const Job& job, const OrderKey& before) {
  for (auto* set : {&queued_, &active_large_}) {
    if (set->erase(before) > 0) set->insert(order_key(job));
  }
}

void Fetcher::set_readers(const BlobId& blob, std::vector<std::uint64_t> offsets) {
  const bool is_read = !offsets.empty();
  if (!is_read && !readers_.contains(blob)) return;
  Job* job = find(blob);
  if (job != nullptr && job->stage == Stage::fetching) {
    scheduler_.on_readers(blob, offsets, std::chrono::steady_clock::now());
    loop_.request_turn();
  }
  if (is_read) {
    readers_[blob] = std::move(offsets);
  } else {
    readers_.erase(blob);
  }
  if (job == nullptr || job->is_read == is_read) return;
  const OrderKey before = order_key(*job);
  job->is_read = is_read;
  rekey(*job, before);
  activate();
}

void Fetcher::unwant(const BlobId& blob) {
  if (!jobs_.contains(blob)) return;
  scheduler_.on_unwant(blob, std::chrono::steady_clock::now());
  erase(blob);
  listener_.on_dropped(blob);
  loop_.request_turn();
}

void Fetcher::erase(const BlobId& blob) {
  const auto it = jobs_.find(blob);
  const Job& job = it->second;
  if (job.stage == Stage::queued) {
    queued_.erase(order_key(job));
  } else if (blob.size <= kSmallBlobMax) {
    --active_small_;
  } else {
    active_large_.erase(order_key(job));
  }
  const std::shared_ptr<PartialBlob> partial = job.partial;
  jobs_.erase(it);
  discard_if_empty(partial);
  activate();
}

void Fetcher::discard_if_empty(const std::shared_ptr<PartialBlob>& partial) {
  if (!partial || partial->published() || partial->bytes_have() != 0 || wants(partial->id())) return;
  loop_.run([&store = store_, blob = partial->id()] { return store.discard(blob); },
            [](const Result<void>& result) {
              if (!result) spdlog::warn("removing an empty partial: {}", result.error().message);
            });
}

void Fetcher::activate() {
  // Small ones and large ones have windows of their own: configuration first, and not behind a full window of
  // shards.
  bool room_for_large = true;
  for (auto it = queued_.begin(); it != queued_.end();) {
    if (!room_for_large && active_small_ >= kActiveSmall) return;
    const OrderKey key = *it;
    const BlobId blob = std::get<BlobId>(key);
    if (blob.size <= kSmallBlobMax) {
      if (active_small_ >= kActiveSmall) {
        ++it;
        continue;
      }
      ++active_small_;
    } else {
      room_for_large = room_for_large && (active_large_.size() < kActiveLarge || park_one_behind(key));
      if (!room_for_large) {
        ++it;
        continue;
      }
      active_large_.insert(key);
    }
    it = queued_.erase(it);
    Job& job = jobs_.at(blob);
    job.stage = Stage::opening;
    open(job);
  }
}

bool Fetcher::park_one_behind(const OrderKey& key) {
  for (auto last = active_large_.rbegin(); last != active_large_.rend() && key < *last; ++last) {
    const OrderKey behind = *last;
    Job& job = jobs_.at(std::get<BlobId>(behind));
    if (job.stage != Stage::fetching) continue;
    scheduler_.on_unwant(std::get<BlobId>(behind), std::chrono::steady_clock::now());
    loop_.request_turn();
    active_large_.erase(behind);
    queued_.insert(behind);
    job.stage = Stage::queued;
    job.generation = next_generation_++;
    job.request.before = job.bytes;
    job.partial.reset();
    return true;
  }
  return false;
}

void Fetcher::open(Job& job) {
  struct Opened {
    Result<std::uint64_t> local = shoal::fail(Code::not_found, "");
    Result<std::shared_ptr<PartialBlob>> partial = shoal::fail(Code::not_found, "");
    std::vector<Scheduler::LocalSegment> segments;
  };
  const BlobId blob = job.request.file.blob;
  loop_.run(
      [&store = store_, blob, repo = job.request.file.repo] {
        Opened opened;
        opened.local = blob.size == 0 ? [&]() -> Result<std::uint64_t> {
          const auto published = store.publish_small(blob, repo, {});
          if (!published) return shoal::fail(published.error());
          return std::uint64_t{0};
        }()
            : store.materialize(blob, repo);
        if (opened.local || opened.local.error().code != Code::not_found || blob.size <= kSmallBlobMax)
          return opened;
        opened.partial = store.begin(blob, repo);
        if (!opened.partial) return opened;
        const PartialBlob& partial = **opened.partial;
        opened.segments.resize(partial.geometry().segment_count());
        for (std::uint32_t i = 0; i < opened.segments.size(); ++i) {
          if (partial.have(SegmentIndex{i}) == 0) continue;
          const auto hashes = store.hashes({blob, SegmentIndex{i}});
          if (!hashes) continue;
          opened.segments[i].have = hashes->have;
          for (std::size_t p = 0; p < hashes->piece_hashes.size(); ++p) {
            if ((hashes->have & mask_of(static_cast<PieceIndex>(p))) != 0) {
              opened.segments[i].hashes.push_back(hashes->piece_hashes[p]);
            }
          }
        }
        return opened;
      },
      [this, blob, generation = job.generation](Opened opened) {
        Job* live = find(blob, generation);
        if (live == nullptr) {
          // Not wanted any more by the time it was open.
          if (opened.partial) discard_if_empty(*opened.partial);
          return;
        }
        if (opened.local) {
          live->bytes = {0, 0, blob.size};
          if (live->request.before.sum() == blob.size) live->bytes = live->request.before;
          done(*live);
          return;
        }
        const bool small = blob.size <= kSmallBlobMax;
        const Error& error = opened.local.error().code != Code::not_found || small ? opened.local.error()
                             : opened.partial                                      ? opened.local.error()
                                                                                   : opened.partial.error();
        if (small && error.code == Code::not_found) {
          on_opened(blob, generation, nullptr, {});
        } else if (opened.partial) {
          on_opened(blob, generation, std::move(*opened.partial), std::move(opened.segments));
        } else if (error.code == Code::unavailable) {
          live->locked = true;
          loop_.after(kLockRetry, [this, blob, generation] {
            if (Job* again = find(blob, generation)) open(*again);
          });
        } else {
          fail(*live, error);
        }
      });
}

void Fetcher::on_opened(const BlobId& blob, std::uint64_t generation, std::shared_ptr<PartialBlob> partial,
                        std::vector<Scheduler::LocalSegment> local) {
  Job* job = find(blob, generation);
  if (job == nullptr) return;
  job->stage = Stage::fetching;
  job->partial = std::move(partial);
  job->locked = false;
  job->last_bytes = std::chrono::steady_clock::now();
  if (job->partial) {
    job->came.resize(job->partial->geometry().segment_count());
    for (std::size_t i = 0; i < job->came.size(); ++i) {
      // A blob that was parked keeps what is known of where its pieces came from.
      auto& came = job->came[i];
      const PieceMask here = job->partial->have(static_cast<SegmentIndex>(i));
      came.lan &= here;
      came.origin &= here;
      came.local = here & ~(came.lan | came.origin);
    }
    // What is here came from where the records say; what they do not explain was on this machine.
    std::uint64_t have = job->partial->bytes_have();
    const Sources& before = job->request.before;
    job->bytes.lan = std::min(before.lan, have);
    have -= job->bytes.lan;
    job->bytes.origin = std::min(before.origin, have);
    job->bytes.local = have - job->bytes.origin;
  }
  Scheduler::Request request;
  request.blob = blob;
  // A repo that not everybody may download is not mentioned to neighbours and not asked of them.
  request.policy = job->request.shareable ? job->request.policy : SourcePolicy::origin_only;
  request.shared = job->request.shareable;
  request.priority = job->request.priority;
  request.order = job->request.order;
  request.local = std::move(local);
  const Time now = std::chrono::steady_clock::now();
  scheduler_.on_want(std::move(request), now);
  if (const auto readers = readers_.find(blob); readers != readers_.end()) {
    scheduler_.on_readers(blob, readers->second, now);
  }
  loop_.request_turn();
  listener_.on_progress(blob);
}

// --- actions

void Fetcher::turn(Time now) {
  for (const Action& action : scheduler_.decide(now)) start(action, now);
  for (const BlobId& blob : std::exchange(doubted_, {})) listener_.on_progress(blob);
}

bool Fetcher::is_settled(const BlobId& blob) const {
  const auto job = jobs_.find(blob);
  return !doubted_.contains(blob) && (job == jobs_.end() || job->second.forgetting == 0);
}

// What the scheduler decided, for whoever wants to know why a byte came from where it came.
static void log_decision(const Action& action) {
  if (!spdlog::should_log(spdlog::level::debug)) return;
  const auto segment = [](const SegmentKey& key) {
    return key.blob.text().substr(0, 15) + " segment " + std::to_string(to_int(key.index));
  };
  if (const auto* slice = std::get_if<act::FetchSlice>(&action)) {
    spdlog::debug("slice {}: {} pieces {}+{}", static_cast<std::uint64_t>(slice->id), segment(slice->key),
                  to_int(slice->first), slice->count);
  } else if (const auto* trimmed = std::get_if<act::TrimFetch>(&action)) {
    spdlog::debug("slice {}: trimmed to {} pieces", static_cast<std::uint64_t>(trimmed->id), trimmed->count);
  } else if (const auto* cancelled = std::get_if<act::CancelFetch>(&action)) {
    spdlog::debug("slice {}: cancelled", static_cast<std::uint64_t>(cancelled->id));
  } else if (const auto* loaded = std::get_if<act::LoadSegment>(&action)) {
    spdlog::debug("load {}: have {:x}, connect to {}", segment(loaded->key), loaded->have,
                  loaded->connect_to.size());
  } else if (const auto* unloaded = std::get_if<act::UnloadSegment>(&action)) {
    spdlog::debug("unload {}", segment(unloaded->key));
  }
}

void Fetcher::start(const Action& action, Time now) {
  log_decision(action);
  if (const auto* tell = std::get_if<act::Tell>(&action)) {
    swarm_.send(tell->to, tell->message);
  } else if (const auto* slice = std::get_if<act::FetchSlice>(&action)) {
    fetch_slice(*slice);
  } else if (const auto* trimmed = std::get_if<act::TrimFetch>(&action)) {
    const PieceMask kept = mask_of_run(to_int(trimmed->first), trimmed->count);
    hub_.trim(trimmed->id, Geometry(trimmed->key.blob.size).bytes_in(trimmed->key.index, kept));
  } else if (const auto* cancelled = std::get_if<act::CancelFetch>(&action)) {
    hub_.cancel(cancelled->id);
  } else if (const auto* small = std::get_if<act::FetchSmall>(&action)) {
    fetch_small(small->blob);
  } else if (const auto* segment = std::get_if<act::LoadSegment>(&action)) {
    load(*segment);
  } else if (const auto* connect = std::get_if<act::ConnectSegment>(&action)) {
    swarm_.connect(connect->key, connect->to);
  } else if (const auto* unloaded = std::get_if<act::UnloadSegment>(&action)) {
    swarm_.unload(unloaded->key);
  } else if (const auto* pieces = std::get_if<act::ForgetPieces>(&action)) {
    forget(*pieces);
  } else if (const auto* complete = std::get_if<act::FinishBlob>(&action)) {
    finish(complete->blob);
  } else if (const auto* failed = std::get_if<act::FailBlob>(&action)) {
    if (Job* job = find(failed->blob)) fail(*job, failed->error);
  } else if (const auto* ban = std::get_if<act::BanNode>(&action)) {
    swarm_.ban(ban->node, kBanDuration);
    listener_.on_liar(ban->node, ban->reason);
    scheduler_.on_neighbour_down(ban->node, now);
  }
}

void Fetcher::fetch_slice(const act::FetchSlice& slice) {
  Job* job = find(slice.key.blob);
  if (job == nullptr || !job->partial) {
    scheduler_.on_fetch_done(slice.id, shoal::fail(Code::cancelled, "the file is not wanted any more"),
                             std::chrono::steady_clock::now());
    return;
  }
  const Geometry geometry(slice.key.blob.size);
  SliceRequest request;
  request.id = slice.id;
  request.file = job->request.file;
  request.offset = geometry.piece_offset(slice.key.index, slice.first);
  request.length = geometry.bytes_in(slice.key.index, mask_of_run(to_int(slice.first), slice.count));
  auto sink = store_.slice_sink(
      job->partial, slice.key.index, slice.first, slice.count,
      [this, generation = job->generation](SegmentKey key, PieceIndex piece, Hash256 hash) {
        loop_.post([this, generation, key, piece, hash] {
          const Time now = std::chrono::steady_clock::now();
          if (Job* live = find(key.blob, generation)) {
            const std::uint64_t bytes = Geometry(key.blob.size).piece_length(key.index, piece);
            live->bytes.origin = std::min(live->bytes.origin + bytes, key.blob.size);
            live->came.at(to_int(key.index)).origin |= mask_of(piece);
          }
          scheduler_.on_piece_fetched(key, piece, hash, now);
          loop_.request_turn();
          listener_.on_progress(key.blob);
        });
      });
  request.sink = timed(write_times_, std::move(sink));
  hub_.fetch(std::move(request));
}

void Fetcher::fetch_small(const BlobId& blob) {
  Job* job = find(blob);
  if (job == nullptr) return;
  hub_.fetch_small(
      job->request.file, [this, blob, generation = job->generation](Result<std::vector<std::byte>> result) {
        auto bytes = std::make_shared<Result<std::vector<std::byte>>>(std::move(result));
        loop_.post([this, blob, generation, bytes] {
          if (find(blob, generation) == nullptr) return;
          if (*bytes) {
            publish_small(blob, std::nullopt, std::move(**bytes));
            return;
          }
          scheduler_.on_small_failed(blob, std::nullopt, bytes->error(), std::chrono::steady_clock::now());
          loop_.request_turn();
        });
      });
}

void Fetcher::on_blob_bytes(NodeId from, msg::BlobBytes message) {
  if (find(message.blob) == nullptr || !scheduler_.wants(message.blob)) return;
  publish_small(message.blob, from, std::move(message.bytes));
}

void Fetcher::publish_small(const BlobId& blob, std::optional<NodeId> from, std::vector<std::byte> bytes) {
  const Job& job = jobs_.at(blob);
  loop_.run([&store = store_, blob, repo = job.request.file.repo,
             bytes = std::move(bytes)] { return store.publish_small(blob, repo, bytes); },
            [this, blob, from, generation = job.generation](const Result<void>& result) {
              Job* live = find(blob, generation);
              if (live == nullptr) return;
              if (result) {
                (from ? live->bytes.lan : live->bytes.origin) = blob.size;
                done(*live);
                return;
              }
              if (result.error().code == Code::corrupt && !from) {
                listener_.on_mismatch(live->request.file,
                                      "the origin's bytes do not match the publisher's hash");
              }
              scheduler_.on_small_failed(blob, from, result.error(), std::chrono::steady_clock::now());
              loop_.request_turn();
            });
}

void Fetcher::load(const act::LoadSegment& segment) {
  Job* job = find(segment.key.blob);
  if (job == nullptr || !job->partial) return;
  swarm_.load({segment.key, segment.hashes, segment.have, timed(write_times_, job->partial)},
              segment.connect_to);
}

void Fetcher::forget(const act::ForgetPieces& pieces) {
  Job* job = find(pieces.key.blob);
  if (job == nullptr) return;
  listener_.on_wrong(pieces.key.blob, "pieces of it are not what they were taken for");
  // Counted down so that the sources still add up; the shown percentage never falls (status rows clamp it).
  std::uint64_t bytes = Geometry(pieces.key.blob.size).bytes_in(pieces.key.index, pieces.pieces);
  job->forget(pieces.key.index, pieces.pieces);
  for (std::uint64_t* source : {&job->bytes.lan, &job->bytes.origin, &job->bytes.local}) {
    const std::uint64_t taken = std::min(*source, bytes);
    *source -= taken;
    bytes -= taken;
  }
  ++job->forgetting;
  loop_.run(
      [&store = store_, key = pieces.key, mask = pieces.pieces] { return store.forget_pieces(key, mask); },
      [this, key = pieces.key](const Result<void>& result) {
        if (!result) spdlog::error("forgetting pieces of {}: {}", key.blob.text(), result.error().message);
        // Also when it was put back into the queue meanwhile.
        if (Job* live = find(key.blob); live != nullptr && live->forgetting > 0) --live->forgetting;
        listener_.on_progress(key.blob);
      });
}

void Fetcher::finish(const BlobId& blob) {
  Job* job = find(blob);
  if (job == nullptr || !job->partial) return;
  job->stage = Stage::checking;
  loop_.run([&store = store_, partial = job->partial] { return store.finish(partial); },
            [this, blob, generation = job->generation](const Result<void>& result) {
              Job* live = find(blob, generation);
              if (live == nullptr) return;
              if (result) {
                done(*live);
                return;
              }
              if (result.error().code != Code::corrupt) {
                fail(*live, result.error());
                return;
              }
              listener_.on_mismatch(live->request.file, result.error().message);
              doubted_.insert(blob);
              listener_.on_wrong(blob, result.error().message);
              live->stage = Stage::fetching;
              scheduler_.on_blob_corrupt(blob, std::chrono::steady_clock::now());
              loop_.request_turn();
            });
}

void Fetcher::done(Job& job) {
  const BlobId blob = job.request.file.blob;
  const Sources bytes = job.bytes;
  auto pieces = job.came.empty() ? nullptr : std::make_shared<PieceMap>(PieceMap{blob, std::move(job.came)});
  if (job.request.shareable) {
    scheduler_.on_held(blob);
  } else {
    scheduler_.on_unwant(blob, std::chrono::steady_clock::now());
  }
  erase(blob);
  listener_.on_done(blob, bytes, std::move(pieces));
  loop_.request_turn();
}

void Fetcher::fail(Job& job, const Error& error) {
  const BlobId blob = job.request.file.blob;
  scheduler_.on_unwant(blob, std::chrono::steady_clock::now());
  erase(blob);
  listener_.on_failed(blob, error);
  loop_.request_turn();
}

// --- facts

void Fetcher::on_fetch_progress(FetchId id, std::uint64_t bytes, Time now) {
  scheduler_.on_fetch_progress(id, bytes, now);
  if (const auto blob = scheduler_.blob_of(id)) {
    if (Job* job = find(*blob)) {
      job->rate.add(bytes, now);
      job->last_bytes = now;
    }
  }
}

void Fetcher::on_fetch_done(FetchId id, const Result<void>& result, Time now) {
  if (const auto blob = scheduler_.blob_of(id); blob && !result && result.error().code != Code::cancelled) {
    if (Job* job = find(*blob)) job->origin_error = result.error().message;
  }
  scheduler_.on_fetch_done(id, result, now);
}

void Fetcher::on_swarm_piece(const SegmentKey& key, PieceIndex piece, NodeId /*from*/, Time now) {
  Job* job = find(key.blob);
  if (job == nullptr || !job->partial) return;
  const Geometry geometry(key.blob.size);
  if (const auto hash = scheduler_.hash_of(key, piece)) {
    const bool already = (job->partial->have(key.index) & mask_of(piece)) != 0;
    store_.note_piece(key, piece, *hash);
    if (!already) {
      const std::uint64_t bytes = geometry.piece_length(key.index, piece);
      job->bytes.lan = std::min(job->bytes.lan + bytes, key.blob.size);
      job->came[to_int(key.index)].lan |= mask_of(piece);
      job->rate.add(bytes, now);
      job->last_bytes = now;
    }
  }
  scheduler_.on_piece_received(key, piece, now);
  if (job->partial->have(key.index) == geometry.all_pieces(key.index)) seeder_.on_segment_complete(key, now);
  listener_.on_progress(key.blob);
}

void Fetcher::on_bad_piece(const SegmentKey& key, PieceIndex piece, const std::vector<NodeId>& from,
                           Time now) {
  scheduler_.on_bad_piece(key, piece, from, now);
}

void Fetcher::on_segment_failed(const SegmentKey& key, const Error& error, Time now) {
  scheduler_.on_segment_failed(key, error, now);
}

void Fetcher::on_pieces_lost(const SegmentKey& key, PieceMask pieces, const Error& error, Time now) {
  // The store has already marked them missing; the scheduler and the torrent must not think otherwise.
  spdlog::error("{}: pieces of segment {} were lost by the disk: {}", key.blob.text(), to_int(key.index),
                error.message);
  if (Job* job = find(key.blob)) job->forget(key.index, pieces);
  scheduler_.on_pieces_lost(key, pieces, now);
}

// --- views

std::optional<Fetcher::View> Fetcher::view(const BlobId& blob, Time now) {
  Job* job = find(blob);
  if (job == nullptr) return std::nullopt;
  View view;
  view.bytes = job->bytes;
  if (job->stage == Stage::fetching) {
    view.state = FileState::fetching;
    view.bytes_per_s = job->rate.bytes_per_s(now);
  } else if (job->stage == Stage::checking) {
    view.state = FileState::checking;
  }
  const auto seen = scheduler_.view(blob, now);
  BlobFacts facts = facts_of(*job, seen.value_or(Scheduler::BlobView{}), now);
  facts.bytes_per_s = view.bytes_per_s;
  view.waiting_for = bottleneck(surroundings_.node, facts);
  if (!job->came.empty()) {
    auto map = std::make_shared<PieceMap>(PieceMap{blob, job->came});
    for (std::size_t i = 0; seen && i < std::min(map->segments.size(), seen->segments.size()); ++i) {
      map->segments[i].fetching = seen->segments[i].fetching;
      map->segments[i].asked = seen->segments[i].asked;
      map->segments[i].claimed = seen->segments[i].claimed;
    }
    view.pieces = std::move(map);
  }
  return view;
}

BlobFacts Fetcher::facts_of(const Job& job, const Scheduler::BlobView& seen, Time now) const {
  BlobFacts facts;
  switch (job.stage) {
    case Stage::queued:
      facts.stage = BlobFacts::Stage::queued;
      break;
    case Stage::opening:
      facts.stage = job.locked ? BlobFacts::Stage::locked : BlobFacts::Stage::opening;
      break;
    case Stage::fetching:
      facts.stage = BlobFacts::Stage::fetching;
      break;
    case Stage::checking:
      facts.stage = BlobFacts::Stage::checking;
      break;
  }
  facts.policy = job.request.policy;
  facts.awaits_answers = seen.awaits_answers;
  facts.requests = seen.requests;
  facts.segments_loaded = seen.segments_loaded;
  facts.silent_s = std::chrono::duration_cast<std::chrono::seconds>(now - job.last_bytes).count();
  facts.origin_rest_s =
      std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::seconds>(seen.rest_until - now).count());
  facts.origin_error = job.origin_error;
  facts.open_is_available = seen.open_is_available;
  const auto named = [this](const std::vector<NodeId>& nodes) {
    std::vector<NeighbourFacts> out;
    for (const NodeId node : nodes) {
      const auto known = surroundings_.neighbours.find(node);
      out.push_back(known == surroundings_.neighbours.end() ? NeighbourFacts{node.short_hex(), {}, 0}
                                                            : known->second);
    }
    return out;
  };
  facts.senders = named(seen.senders);
  facts.claimers = named(seen.claimers);
  return facts;
}

}  // namespace shoal
