// What the API asks, answered on the loop: each method posts, and the loop replies.
#include "node/config/units.h"
#include "node/daemon/daemon.h"
#include "node/daemon/self_check.h"
#include "node/version.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include <sys/statvfs.h>
#include <unistd.h>

namespace shoal {
namespace {

bool matches(const RepoRef& repo, const std::optional<std::string>& name, std::optional<RepoType> type) {
  return (!name || repo.name == *name) && (!type || repo.type == *type);
}

}  // namespace

std::shared_ptr<const StatusSnapshot> Daemon::snapshot() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

void Daemon::info(Reply<NodeInfo> reply) {
  loop_.post([this, reply = std::move(reply)] {
    NodeInfo info;
    info.node = self_;
    info.node_name = config_.node_name;
    info.version = kVersion;
    info.cluster = config_.cluster;
    info.api = api_ ? api_->endpoint() : config_.api;
    info.swarm = {config_.swarm.address, swarm_->port()};
    info.hub = config_.hub;
    info.cache_dir = config_.cache_dir;
    info.state_dir = config_.state_dir;
    info.free_space_floor = config_.free_space_floor;
    info.has_token = has_token_;
    info.peers_alive = static_cast<std::uint32_t>(site_->alive().size());
    info.busy = load_sampler_.busy(std::chrono::steady_clock::now());
    info.started_at = started_at_;
    loop_.run(
        [info, path = config_.cache_dir]() mutable {
          struct statvfs fs {};
          if (::statvfs(path.c_str(), &fs) == 0) {
            info.disk_size = fs.f_blocks * fs.f_frsize;
            info.disk_free = fs.f_bavail * fs.f_frsize;
          }
          info.cache_writable = ::access(path.c_str(), W_OK) == 0;
          return info;
        },
        [reply](NodeInfo filled) { reply(std::move(filled)); });
  });
}

void Daemon::doctor(Reply<std::vector<DoctorCheck>> reply) {
  loop_.post([this, reply = std::move(reply)] {
    // A name that nobody has: the answer tells whether the Hub is there and what it thinks of the token.
    hub_->resolve({RepoType::model, "shoal-doctor/is-the-hub-there"}, "main",
                  [this, reply](const Result<RepoInfo>& info) {
                    const Result<void> answer =
                        info ? Result<void>{} : Result<void>(shoal::fail(info.error()));
                    loop_.post([this, reply, answer] {
                      loop_.run(
                          [lsd = config_.lsd, swarm = Endpoint{config_.swarm.address, swarm_->port()},
                           hub = config_.hub, token = has_token_, answer] {
                            auto checks = check_surroundings(lsd, swarm);
                            checks.insert(checks.begin(), judge_hub(hub, token, answer));
                            return checks;
                          },
                          [reply](std::vector<DoctorCheck> checks) { reply(std::move(checks)); });
                    });
                  });
  });
}

void Daemon::start_pull(PullRequest request, Reply<PullId> reply) {
  loop_.post([this, request = std::move(request), reply = std::move(reply)] {
    if (stopping_) {
      reply(shoal::fail(Code::unavailable, "the daemon is stopping"));
      return;
    }
    pulls_->start(request, reply);
  });
}

void Daemon::pull(PullId id, std::chrono::milliseconds wait, Reply<PullDetail> reply) {
  loop_.post([this, id, wait, reply = std::move(reply)] {
    if (wait.count() > 0 && pulls_->is_running(id) && !stopping_ &&
        end_watch_.wait(id, wait, [this, id, reply] { answer_pull(id, reply); })) {
      return;
    }
    answer_pull(id, reply);
  });
}

void Daemon::answer_pull(PullId id, const Reply<PullDetail>& reply) {
  auto detail = pulls_->detail(id, std::chrono::steady_clock::now());
  if (!detail) {
    reply(shoal::fail(Code::not_found,
                      "there is no pull " + std::to_string(to_int(id)) + " (only recent ones are kept)"));
    return;
  }
  // Whoever hears that a pull ended finds it ended in SQL, too.
  if (detail->pull.finished_at.ms != 0 && (!pulls_->recorded(id) || recording_) && !stopping_) {
    after_recording([reply, detail = std::move(*detail)] { reply(detail); });
  } else {
    reply(std::move(*detail));
  }
}

void Daemon::pulls(std::size_t limit, Reply<std::vector<PullStatus>> reply) {
  loop_.post([this, limit, reply = std::move(reply)] {
    reply(pulls_->statuses(limit, std::chrono::steady_clock::now()));
  });
}

void Daemon::cancel_pull(PullId id, Reply<void> reply) {
  loop_.post([this, id, reply = std::move(reply)] { reply(pulls_->cancel(id)); });
}

void Daemon::status(std::optional<std::string> repo, std::optional<RepoType> type, std::size_t limit,
                    Reply<StatusPage> reply) {
  loop_.post([this, repo = std::move(repo), type, limit, reply = std::move(reply)] {
    // The rows SQL shows, read the same way a person would read them.
    loop_.run(
        [this, repo, type, limit]() -> Result<StatusPage> {
          const bool one = repo && type;
          auto rows = db_->status_rows(one ? std::optional(RepoRef{*type, *repo}) : std::nullopt);
          if (!rows) return shoal::fail(rows.error());
          StatusPage page;
          for (auto& [file, updated_at] : *rows) {
            if (!matches(file.repo, repo, type)) continue;
            if (page.rows.size() == limit) {
              page.truncated = true;
              break;
            }
            page.rows.push_back({std::move(file), updated_at});
          }
          return page;
        },
        reply);
  });
}

void Daemon::repos(Reply<std::vector<RepoSummary>> reply) {
  loop_.post(
      [this, reply = std::move(reply)] { loop_.run([this] { return db_->repo_summaries(); }, reply); });
}

void Daemon::holdings(std::optional<std::string> repo, std::optional<RepoType> type, std::size_t limit,
                      Reply<HoldingsPage> reply) {
  loop_.post([this, repo = std::move(repo), type, limit, reply = std::move(reply)] {
    loop_.run(
        [this, repo, type, limit, blobs = static_cast<std::uint32_t>(held_.size()),
         bytes = bytes_held_]() -> Result<HoldingsPage> {
          auto files = db_->held_files();
          if (!files) return shoal::fail(files.error());
          HoldingsPage page;
          page.blobs_held = blobs;
          page.bytes_held = bytes;
          for (FileStatus& file : *files) {
            if (!matches(file.repo, repo, type)) continue;
            if (page.rows.size() == limit) {
              page.truncated = true;
              break;
            }
            page.rows.push_back({file.repo, file.revision, file.commit_id, std::move(file.path), file.blob});
          }
          return page;
        },
        reply);
  });
}

void Daemon::events(std::size_t limit, Reply<std::vector<EventRow>> reply) {
  loop_.post([this, limit, reply = std::move(reply)] {
    loop_.record(
        [this, limit]() -> Result<std::vector<EventRow>> {
          auto rows = db_->last_events(limit);
          if (rows) std::ranges::reverse(*rows);
          return rows;
        },
        reply);
  });
}

void Daemon::start_seed(SeedRequest request, Reply<JobId> reply) {
  loop_.post([this, request = std::move(request), reply = std::move(reply)] {
    if (request.repo) {
      reply(jobs_->start_seed(store_->cache().layout().repo_dir(*request.repo), request.repo->name));
    } else {
      reply(jobs_->start_seed(request.path, request.path));
    }
  });
}

void Daemon::start_verify(std::optional<RepoRef> repo, Reply<JobId> reply) {
  loop_.post([this, repo = std::move(repo), reply = std::move(reply)] {
    if (!repo) {
      reply(jobs_->start_verify({held_.begin(), held_.end()}, ""));
      return;
    }
    loop_.run([this, repo = *repo] { return db_->held_files(repo); },
              [this, repo = *repo, reply](const Result<std::vector<FileStatus>>& files) {
                if (!files) {
                  reply(shoal::fail(files.error()));
                  return;
                }
                std::set<BlobId> blobs;
                for (const FileStatus& file : *files) blobs.insert(file.blob);
                if (blobs.empty()) {
                  reply(shoal::fail(Code::not_found, "this node holds nothing of " + repo.name));
                  return;
                }
                reply(jobs_->start_verify({blobs.begin(), blobs.end()}, repo.name));
              });
  });
}

void Daemon::job(JobId id, Reply<JobStatus> reply) {
  loop_.post([this, id, reply = std::move(reply)] {
    if (auto status = jobs_->status(id)) {
      reply(std::move(*status));
    } else {
      reply(shoal::fail(Code::not_found, "there is no such job"));
    }
  });
}

void Daemon::jobs(Reply<std::vector<JobStatus>> reply) {
  loop_.post([this, reply = std::move(reply)] { reply(jobs_->all()); });
}

void Daemon::cancel_job(JobId id, Reply<void> reply) {
  loop_.post([this, id, reply = std::move(reply)] { reply(jobs_->cancel(id)); });
}

void Daemon::remove(RemoveRequest request, Reply<RemoveResult> reply) {
  loop_.post([this, request = std::move(request), reply = std::move(reply)] {
    struct Done {
      RemoveResult result;
      std::vector<BlobId> gone;
    };
    if (pulls_->is_wanted(request.repo, request.revision)) {
      reply(shoal::fail(Code::changed, "a running pull wants " + request.repo.name + "; cancel it first"));
      return;
    }
    loop_.run(
        [this, request]() -> Result<Done> {
          std::string commit = request.revision;
          if (!commit.empty() && !is_commit_id(commit)) {
            const auto refs = store_->cache().refs(request.repo);
            if (!refs) return shoal::fail(refs.error());
            const auto ref = std::ranges::find(*refs, request.revision, &FoundRef::revision);
            if (ref == refs->end()) {
              return shoal::fail(Code::not_found,
                                 request.repo.name + " has no revision " + request.revision + " here");
            }
            commit = ref->commit;
          }
          auto report = store_->remove(request.repo, commit);
          if (!report) return shoal::fail(report.error());
          Done done;
          done.result.snapshots = 1;
          done.result.files = static_cast<std::uint32_t>(report->files);
          done.result.blobs = static_cast<std::uint32_t>(report->no_longer_held.size());
          done.result.bytes_freed = report->bytes;
          done.gone = std::move(report->no_longer_held);
          return done;
        },
        [this, reply, request](Result<Done> done) {
          if (!done) {
            reply(shoal::fail(done.error()));
            return;
          }
          for (const BlobId& blob : done->gone) drop_held(blob);
          events_.add({{},
                       EventLevel::info,
                       "removed",
                       {},
                       request.repo.name,
                       {},
                       {},
                       format_size(done->result.bytes_freed) + " freed"});
          reply(done->result);
        });
  });
}

void Daemon::collect_garbage(GcRequest request, Reply<GcResult> reply) {
  loop_.post([this, request, reply = std::move(reply)] {
    if (!request.to && config_.cache_size_limit == 0) {
      reply(shoal::fail(
          Code::invalid,
          "there is no cache_size_limit: say how much the cache may have, e.g. `shoal gc --to 500GiB`"));
      return;
    }
    Evictor::Request run;
    run.to = request.to;
    // An order says how much; without one the configured limits do.
    run.floor = !request.to;
    run.dry_run = request.dry_run;
    run.even_last_copies = request.even_last_copies;
    evictor_->run(run, [reply, dry_run = request.dry_run](Result<Evictor::Outcome> outcome) {
      if (!outcome) {
        reply(shoal::fail(outcome.error()));
        return;
      }
      reply(GcResult{.dry_run = dry_run,
                     .bytes_held = outcome->bytes_held,
                     .bytes_needed = outcome->bytes_needed,
                     .bytes_freed = outcome->bytes_freed,
                     .neighbours = outcome->neighbours,
                     .choices = std::move(outcome->choices)});
    });
  });
}

void Daemon::pins(Reply<std::vector<RepoRef>> reply) {
  loop_.post([this, reply = std::move(reply)] { loop_.run([this] { return db_->pins(); }, reply); });
}

void Daemon::set_pinned(RepoRef repo, bool pinned, Reply<void> reply) {
  loop_.post([this, repo = std::move(repo), pinned, reply = std::move(reply)] {
    loop_.record([this, repo, pinned] { return db_->set_pinned(repo, pinned, wall_clock_now()); }, reply);
  });
}

void Daemon::set_busy(bool busy, std::optional<std::chrono::seconds> duration, Reply<void> reply) {
  loop_.post([this, busy, duration, reply = std::move(reply)] {
    const Time now = std::chrono::steady_clock::now();
    load_sampler_.set_busy(busy, duration, now);
    tell_busy_mark(now);
    // A later mark may last longer; then this finds nothing changed.
    if (duration) loop_.after(*duration, [this] { tell_busy_mark(std::chrono::steady_clock::now()); });
    events_.info("busy", busy ? "this device was marked busy" : "this device was marked free");
    reply(Result<void>{});
  });
}

}  // namespace shoal
