#include "node/daemon/daemon.h"

#include "node/core/thread_share.h"
#include "node/daemon/service_notify.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include <spdlog/spdlog.h>

namespace shoal {
namespace {

// Of the swarm's disk threads and of the store's hash threads, each (their options' defaults).
constexpr int kHashingThreads = 2;

Time now_time() {
  return std::chrono::steady_clock::now();
}

}  // namespace

Daemon::Daemon(Config config)
    : config_(std::move(config)),
      started_at_(wall_clock_now()),
      load_sampler_(config_.proc_dir, config_.sys_dir),
      site_wan_(config_.site_wan_rate_limit),
      observer_(config_.wan_rate_limit, started_at_) {
  auto empty = std::make_shared<StatusSnapshot>();
  empty->at = started_at_;
  snapshot_ = std::move(empty);
}

Daemon::~Daemon() = default;

Result<void> Daemon::run() {
  if (auto started = start(); !started) return started;
  loop_.on_signal([this](int number) {
    spdlog::info("signal {}: stopping", number);
    stop();
  });
  loop_.set_turn([this] {
    if (stopping_) return;
    const Time now = now_time();
    fetcher_->turn(now);
    if (const auto at = fetcher_->scheduler().wake_at()) loop_.request_turn_at(*at);
  });
  loop_.post([this] {
    if (rescue_) rebuild();
    resume_pulls();
    exporter_->resume();
    tick();
    notify_ready("neighbours on port " + std::to_string(swarm_->port()) + ", API on " +
                 api_->endpoint().text());
  });
  loop_.run_until_stopped();
  // The order of destruction is the order of the arrows: nobody may call what is gone.
  api_.reset();
  swarm_.reset();
  hub_.reset();
  loop_.join_workers();
  exporter_.reset();
  cluster_.reset();
  endpoint_.reset();
  listings_.reset();
  listing_exchange_.reset();
  readers_.reset();
  jobs_.reset();
  evictor_.reset();
  fetcher_.reset();
  pulls_.reset();
  seeder_.reset();
  store_.reset();
  db_.reset();
  spdlog::info("stopped");
  if (state_damaged_) {
    return shoal::fail(Code::corrupt, "shoal.db was found to be damaged: starting again to rebuild it");
  }
  if (starting_over_) return shoal::fail(kStartOver, "starting over as a member of a closed cluster");
  return {};
}

void Daemon::stop() {
  if (std::exchange(stopping_, true)) return;
  // To systemd this is one run: the service does not stop when it starts over inside the process.
  if (!state_damaged_ && !starting_over_) notify_stopping();
  jobs_->cancel_all();
  events_.set_listener({});
  swarm_->say_bye(kByeAtMost);
  // What the last second brought is worth a row.
  StatusSnapshot last;
  last.at = wall_clock_now();
  last.node = self_;
  last.node_name = config_.node_name;
  pulls_->append_rows(last, now_time());
  last.peers = site_->rows();
  for (PeerStatus& peer : last.peers) peer.alive = false;
  loop_.record(
      [this, last = std::move(last), used = evictor_->take_used(),
       rows = events_.take_pending()]() -> Result<void> {
        if (auto noted = db_->note_used(used); !noted) return noted;
        if (auto added = db_->add_events(rows); !added) return added;
        return db_->write_snapshot(last);
      },
      [this](const Result<void>& result) {
        if (!result) spdlog::error("recording the last status: {}", result.error().message);
        loop_.stop();
      });
}

void Daemon::tick() {
  if (stopping_) return;
  const Time now = now_time();
  loop_.after(kTick, [this] { tick(); });
  measure_load(now);
  follow_load(now);
  site_->expire(now);
  auto around =
      observer_.tick(load_, site_->rows(), fetcher_->write_times(), fetcher_->scheduler().live_slices(), now);
  around.node.site_wan_limit = site_wan_.site_limit();
  around.node.site_wan_part = site_wan_.own_limit();
  fetcher_->set_surroundings(std::move(around));
  look_at_disk(now);
  send_heartbeats();
  seeder_->drop_idle(now);
  cluster_->tick(now);
  evictor_->tick(now);
  publish_status(now);
  notify_watchdog();
  if (db_->damaged() && !state_damaged_) give_up_state();
  // An empty cache has nothing to adopt, and says so; two jobs run at once at most.
  if (!to_adopt_.empty()) {
    const auto started = jobs_->start_seed(to_adopt_.back(), to_adopt_.back());
    if (started || started.error().code != Code::unavailable) to_adopt_.pop_back();
  }
  loop_.request_turn();
  if (now - last_checkpoint_ >= kCheckpointEvery) {
    last_checkpoint_ = now;
    loop_.run([this] { return db_->checkpoint(); },
              [](const Result<void>& result) {
                if (!result) spdlog::warn("checkpoint of shoal.db: {}", result.error().message);
              });
  }
}

void Daemon::measure_load(Time now) {
  const SwarmSession::Payload moved = swarm_->payload();
  load_ = load_sampler_.sample({moved.received + origin_bytes_, moved.sent, files_.waited_us()}, now);
  load_.origin_bytes_per_s = origin_rate_.bytes_per_s(now);
  load_.upload_bytes_per_s = upload_rate_.bytes_per_s(now);
  load_.download_bytes_per_s = download_rate_.bytes_per_s(now);
  if (free_capacity(load_) < 0.95) {
    spdlog::debug("load: cpu {} memory {} io {} nic {} gpu {} permille{}", load_.cpu_permille,
                  load_.memory_permille, load_.io_permille, load_.nic_permille, load_.gpu_permille,
                  load_.busy ? ", marked busy" : "");
  }
}

void Daemon::follow_load(Time now) {
  fetcher_->scheduler().on_own_load(load_);
  site_wan_.on_own_state(free_capacity(load_), load_.origin_bytes_per_s, fetcher_->scheduler().wants_origin(),
                         now);
  limit_origin();
  upload_pace_.on_own_state(load_, load_sampler_.link_bytes_per_s(), now);
  if (const auto limit = upload_pace_.limit(); std::exchange(upload_limit_, limit) != limit) {
    swarm_->limit_uploads(limit);
  }
  const int threads = thread_share(kHashingThreads, free_capacity(load_));
  if (std::exchange(hashing_threads_, threads) != threads) {
    swarm_->limit_disk_threads(threads);
    store_->limit_hash_threads(threads);
  }
}

void Daemon::limit_origin() {
  std::uint64_t limit = config_.wan_rate_limit;
  if (const std::uint64_t part = site_wan_.own_limit(); part != 0 && (limit == 0 || part < limit))
    limit = part;
  // Not for every byte per second that a neighbour's rate moved it.
  const std::uint64_t change = std::max(limit, origin_limit_) - std::min(limit, origin_limit_);
  if (change == 0 || (limit != 0 && origin_limit_ != 0 && change < origin_limit_ / 50)) return;
  origin_limit_ = limit;
  hub_->set_rate_limit(limit);
}

void Daemon::look_at_disk(Time now) {
  if (now - last_disk_look_ < kDiskLookEvery) return;
  last_disk_look_ = now;
  loop_.run(
      [path = config_.cache_dir] {
        std::error_code ec;
        return std::filesystem::space(path, ec);  // of an error both are uintmax_t(-1)
      },
      [this](const std::filesystem::space_info& space) {
        if (space.capacity != static_cast<std::uintmax_t>(-1)) {
          observer_.on_disk(space.capacity, space.available);
        }
      });
}

void Daemon::publish_status(Time now) {
  // One write at a time: on a slow disk statuses become rarer instead of piling up.
  if (recording_) return;
  recording_ = true;
  after_this_record_ = std::exchange(after_next_record_, {});
  auto next = std::make_shared<StatusSnapshot>();
  next->at = wall_clock_now();
  next->node = self_;
  next->node_name = config_.node_name;
  next->load = load_;
  next->blobs_held = static_cast<std::uint32_t>(held_.size());
  next->bytes_held = bytes_held_;
  pulls_->append_rows(*next, now);
  next->peers = site_->rows();
  observer_.fill(*next);
  loop_.record(
      [this, next, rows = events_.take_pending()]() -> Result<void> {
        if (!rows.empty()) {
          if (auto added = db_->add_events(rows); !added) return added;
        }
        return db_->write_snapshot(*next);
      },
      [this, next](const Result<void>& result) {
        recording_ = false;
        if (!result) spdlog::error("recording the status: {}", result.error().message);
        {
          // The API shows what SQL shows, so it changes only once the rows are written.
          const std::lock_guard lock(snapshot_mutex_);
          snapshot_ = next;
        }
        if (api_) api_->publish(*next);
        for (const auto& then : std::exchange(after_this_record_, {})) then();
        if (!after_next_record_.empty() && !stopping_) publish_status(now_time());
      });
}

void Daemon::after_recording(std::function<void()> then) {
  after_next_record_.push_back(std::move(then));
  publish_status(now_time());
}

void Daemon::add_held(const BlobId& blob) {
  if (held_.insert(blob).second) bytes_held_ += blob.size;
}

void Daemon::drop_held(const BlobId& blob) {
  leave_out(blob);
  rules_.remove_blob(blob);
}

void Daemon::leave_out(const BlobId& blob) {
  if (held_.erase(blob) > 0) bytes_held_ -= blob.size;
  fetcher_->scheduler().on_not_held(blob);
  seeder_->on_blob_removed(blob);
  exporter_->on_blob_removed(blob);
  loop_.request_turn();
}

void Daemon::set_repo_access(const RepoRef& repo, bool is_public) {
  for (const BlobId& blob : rules_.set_public(repo, is_public)) {
    fetcher_->scheduler().on_not_held(blob);
    seeder_->on_blob_removed(blob);
    exporter_->on_blob_removed(blob);
  }
  loop_.record([this, repo, is_public] { return db_->save_repo_access(repo, is_public); },
               [](const Result<void>& result) {
                 if (!result) spdlog::error("recording who may download: {}", result.error().message);
               });
  loop_.request_turn();
}

void Daemon::announce_repo(const RepoRef& repo, const std::vector<BlobId>& blobs) {
  for (const BlobId& blob : blobs) {
    rules_.add_blob(blob, repo);
    if (held_.contains(blob) && rules_.shareable(blob)) fetcher_->scheduler().on_held(blob);
  }
  if (!rules_.shares(repo)) {
    events_.add({{},
                 EventLevel::info,
                 "not_shared",
                 {},
                 repo.name,
                 {},
                 {},
                 "not everybody may download it, so neighbours do not hear of it"});
  }
  loop_.request_turn();
}

void Daemon::on_adopted(AdoptReport report, std::function<void()> done) {
  for (const BlobId& blob : report.adopted) add_held(blob);
  for (const BlobId& blob : report.known) add_held(blob);
  std::map<RepoRef, std::vector<BlobId>> by_repo;
  std::map<RepoRef, FileStatus> sample;
  for (const FileStatus& file : report.files) {
    by_repo[file.repo].push_back(file.blob);
    sample.emplace(file.repo, file);
  }
  if (by_repo.empty()) {
    done();
    return;
  }
  // Only the Hub knows whether a repo is open to everybody; an unreachable Hub leaves the last known answer.
  auto open = std::make_shared<std::size_t>(by_repo.size());
  auto finished = std::make_shared<std::function<void()>>(std::move(done));
  for (auto& [repo, blobs] : by_repo) {
    const FileStatus& file = sample.at(repo);
    hub_->is_public(
        repo, file.commit_id, file.path,
        [this, open, finished, repo = repo, blobs = std::move(blobs)](const Result<bool>& answer) {
          loop_.post([this, open, finished, repo, blobs, answer] {
            if (answer) {
              set_repo_access(repo, *answer);
            } else {
              events_.add(
                  {{},
                   EventLevel::warning,
                   "access_unknown",
                   {},
                   repo.name,
                   {},
                   {},
                   "cannot ask the Hub whether everybody may download it: " + answer.error().message});
            }
            announce_repo(repo, blobs);
            if (--*open == 0) (*finished)();
          });
        });
  }
}

}  // namespace shoal
