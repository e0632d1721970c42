#include "node/daemon/evictor.h"

#include "node/config/units.h"
#include "storage/blob_store.h"
#include "storage/state_db.h"

#include <algorithm>
#include <map>
#include <utility>

#include <spdlog/spdlog.h>

namespace shoal {
namespace {

std::string name_of(const EvictionChoice& choice) {
  if (choice.commit.empty()) return choice.repo.name + " (files without a snapshot)";
  return choice.repo.name + "@" + choice.commit.substr(0, 12);
}

}  // namespace

Evictor::Evictor(Loop& loop, BlobStore& store, StateDb& db, Swarm& swarm, EventLog& events, Options options,
                 Facts facts)
    : loop_(loop),
      store_(store),
      db_(db),
      swarm_(swarm),
      events_(events),
      options_(options),
      facts_(std::move(facts)),
      promises_(options.self) {}

void Evictor::run(Request request, Done done) {
  if (waiting_.size() >= kWaitingMax) {
    done(fail(Code::unavailable, "too many pulls wait for room already"));
    return;
  }
  auto run = std::make_shared<Run>();
  run->request = request;
  run->done = std::move(done);
  waiting_.push_back(std::move(run));
  if (!running_) start_next();
}

void Evictor::start_next() {
  running_ = !waiting_.empty();
  if (!running_) return;
  const RunPtr run = std::move(waiting_.front());
  waiting_.pop_front();
  look(run);
}

void Evictor::look(const RunPtr& run) {
  // What was used a moment ago counts.
  loop_.run(
      [&store = store_, &db = db_, used = take_used()]() -> Result<CacheContents> {
        if (auto noted = db.note_used(used); !noted) return shoal::fail(noted.error());
        return store.contents();
      },
      [this, run](Result<CacheContents> contents) {
        if (!contents) {
          finish(run, shoal::fail(contents.error()));
          return;
        }
        const Request& request = run->request;
        run->outcome.bytes_held = contents->bytes;
        run->snapshots = std::move(contents->snapshots);
        for (HeldSnapshot& snapshot : run->snapshots) {
          snapshot.wanted = facts_.wanted(snapshot.repo);
          snapshot.in_use = snapshot.in_use || std::ranges::any_of(snapshot.blobs, facts_.served);
        }
        // What running pulls have still to get is spoken for.
        const std::uint64_t coming = facts_.outstanding();
        std::uint64_t needed = 0;
        const std::uint64_t limit = request.to.value_or(options_.cache_size_limit);
        if ((limit > 0 || request.to) && contents->bytes + coming > limit)
          needed = contents->bytes + coming - limit;
        if (request.floor && coming + options_.free_space_floor > contents->disk_free)
          needed = std::max(needed, coming + options_.free_space_floor - contents->disk_free);
        run->outcome.bytes_needed = needed;
        if (needed == 0) {
          choose(run);
        } else {
          ask(run);
        }
      });
}

bool Evictor::alone() const {
  const std::int64_t since = wall_clock_now().ms - std::chrono::milliseconds(kAlone).count();
  return std::ranges::none_of(
      facts_.peers(), [&](const PeerStatus& peer) { return peer.alive || peer.last_seen.ms >= since; });
}

void Evictor::ask(const RunPtr& run) {
  const bool alone = this->alone();
  std::vector<HeldSnapshot*> by_use;
  for (HeldSnapshot& snapshot : run->snapshots) {
    if (!snapshot.pinned && !snapshot.wanted && !snapshot.in_use) by_use.push_back(&snapshot);
  }
  std::ranges::sort(by_use, {}, [](const HeldSnapshot* s) { return s->last_used; });
  std::vector<BlobId> blobs;
  for (const HeldSnapshot* snapshot : by_use) {
    for (const BlobId& blob : snapshot->blobs) {
      if (alone || !facts_.shareable(blob)) {
        run->free_to_go.insert(blob);
      } else if (blobs.size() < kAskedMax) {
        blobs.push_back(blob);
      }
    }
  }
  blobs = promises_.ask(blobs, std::chrono::steady_clock::now());
  for (const PeerStatus& peer : facts_.peers()) {
    if (!peer.alive) continue;
    ++run->outcome.neighbours;
    for (std::size_t at = 0; at < blobs.size(); at += limits::kBlobsPerMessage) {
      const auto end = std::min(at + limits::kBlobsPerMessage, blobs.size());
      swarm_.send(peer.node, msg::AskKeep{{blobs.begin() + static_cast<std::ptrdiff_t>(at),
                                           blobs.begin() + static_cast<std::ptrdiff_t>(end)}});
    }
  }
  if (blobs.empty() || run->outcome.neighbours == 0) {
    choose(run);
  } else {
    loop_.after(kAskPatience, [this, run] { choose(run); });
  }
}

void Evictor::choose(const RunPtr& run) {
  EvictionRequest request;
  request.bytes = run->outcome.bytes_needed;
  request.even_last_copies = run->request.even_last_copies || options_.evict_last_copies;
  request.kept_by_others = promises_.close(std::chrono::steady_clock::now());
  request.kept_by_others.insert(run->free_to_go.begin(), run->free_to_go.end());
  run->outcome.choices = choose_evictions(std::move(run->snapshots), request);
  if (run->request.dry_run) {
    run->outcome.bytes_freed = freed_by(run->outcome.choices);
    finish(run, {});
  } else {
    remove_next(run);
  }
}

void Evictor::remove_next(const RunPtr& run) {
  auto& choices = run->outcome.choices;
  while (run->next < choices.size() && choices[run->next].verdict != Verdict::evict) ++run->next;
  if (run->next == choices.size()) {
    finish(run, {});
    return;
  }
  EvictionChoice& choice = choices[run->next++];
  const bool bound = !run->request.even_last_copies && !options_.evict_last_copies;
  const bool asked =
      std::ranges::any_of(choice.freed, [&](const BlobId& b) { return !run->free_to_go.contains(b); });
  if (bound && asked && !promises_.may_drop(std::chrono::steady_clock::now())) {
    // The neighbours' promises have run out while the disk took its time.
    choice.verdict = Verdict::last_copy;
    remove_next(run);
    return;
  }
  // A pull may have begun to want it since.
  if (facts_.wanted(choice.repo)) {
    choice.verdict = Verdict::wanted;
    remove_next(run);
    return;
  }
  for (const BlobId& blob : choice.freed) facts_.on_leaving(blob);
  loop_.run(
      [&store = store_, repo = choice.repo, commit = choice.commit] { return store.evict(repo, commit); },
      [this, run, &choice](const Result<RemoveReport>& report) {
        const std::string name = name_of(choice);
        if (report) {
          // What another repo's folder links to as well is not freed, and not in here.
          run->outcome.bytes_freed += choice.frees;
          events_.add({{},
                       EventLevel::info,
                       "evicted",
                       {},
                       choice.repo.name,
                       {},
                       {},
                       name + ": " + std::string(to_string(choice.verdict)) + ", " +
                           format_size(choice.frees) + " freed"});
        } else {
          events_.add({{},
                       EventLevel::warning,
                       "evict_failed",
                       {},
                       choice.repo.name,
                       {},
                       {},
                       name + ": " + report.error().message});
          choice.verdict = Verdict::in_use;
          for (const BlobId& blob : choice.freed) facts_.on_stayed(blob);
        }
        remove_next(run);
      });
}

void Evictor::finish(const RunPtr& run, Result<void> result) {
  promises_.end();
  if (result) {
    run->done(std::move(run->outcome));
  } else {
    run->done(shoal::fail(result.error()));
  }
  start_next();
}

void Evictor::on_ask_keep(NodeId from, const msg::AskKeep& ask, Time now) {
  auto kept = promises_.on_ask(
      from, ask.blobs, [this](const BlobId& blob) { return facts_.held(blob) && facts_.shareable(blob); },
      now);
  if (!kept.empty()) swarm_.send(from, msg::Keep{std::move(kept)});
}

std::vector<BlobUse> Evictor::take_used() {
  std::vector<BlobUse> uses;
  for (const auto& [blob, at] : std::exchange(used_, {})) uses.push_back({blob, at});
  return uses;
}

void Evictor::tick(Time now) {
  if (now - last_use_ >= kUseEvery && !used_.empty()) {
    last_use_ = now;
    loop_.record([&db = db_, used = take_used()] { return db.note_used(used); },
                 [](const Result<void>& result) {
                   if (!result) spdlog::error("recording what was used: {}", result.error().message);
                 });
  }
  if (!enabled() || now - last_look_ < kLookEvery) return;
  last_look_ = now;
  Request request;
  request.floor = options_.evict_for_floor;
  run(request, [](const Result<Outcome>& outcome) {
    if (!outcome) {
      spdlog::warn("looking after the cache's size: {}", outcome.error().message);
    } else if (outcome->bytes_freed < outcome->bytes_needed) {
      spdlog::info("the cache is over its limit: {}", explain_kept(*outcome));
    }
  });
}

std::string explain_kept(const Evictor::Outcome& outcome) {
  constexpr std::size_t kNamed = 3;
  std::string text = format_size(outcome.bytes_needed) + " had to be freed and " +
                     format_size(outcome.bytes_freed) + " could be";
  std::map<std::string_view, std::vector<std::string>> kept;
  for (const EvictionChoice& choice : outcome.choices) {
    if (choice.verdict == Verdict::evict || choice.verdict == Verdict::not_needed) continue;
    kept[to_string(choice.verdict)].push_back(choice.repo.name);
  }
  for (const auto& [reason, repos] : kept) {
    text += "; kept since " + std::string(reason) + ": ";
    for (std::size_t i = 0; i < std::min(kNamed, repos.size()); ++i) text += (i > 0 ? ", " : "") + repos[i];
    if (repos.size() > kNamed) text += " and " + std::to_string(repos.size() - kNamed) + " more";
  }
  return text;
}

bool room_may_come(const Evictor::Outcome& outcome) {
  std::uint64_t bytes = outcome.bytes_freed;
  for (const EvictionChoice& choice : outcome.choices) {
    if (choice.verdict == Verdict::in_use) bytes += choice.frees;
  }
  return outcome.bytes_freed < outcome.bytes_needed && bytes >= outcome.bytes_needed;
}

}  // namespace shoal
