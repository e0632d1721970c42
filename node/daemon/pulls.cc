#include "node/daemon/pulls.h"

#include "node/config/units.h"
#include "node/core/glob.h"
#include "node/daemon/evictor.h"
#include "storage/blob_store.h"
#include "storage/state_db.h"
#include "transport/origin/hub_client.h"

#include <algorithm>
#include <utility>

namespace shoal {
namespace {

using Files = std::vector<std::pair<std::string, BlobId>>;

EventRow event(EventLevel level, std::string kind, const PullStatus& pull, std::string path,
               std::string text) {
  return {{}, level, std::move(kind), pull.id, pull.repo.name, std::move(path), {}, std::move(text)};
}

// Small files and configuration first, then shards in the order of their names: a program can look at the
// model's configuration while the weights still come, and all nodes work on the same shard.
bool fetched_before(const FileStatus& a, const FileStatus& b) {
  const bool small_a = a.blob.size <= kSmallBlobMax;
  const bool small_b = b.blob.size <= kSmallBlobMax;
  if (small_a != small_b) return small_a;
  return a.path < b.path;
}

// In words, what a file's bytes came from.
std::string came_from(const FileStatus& file) {
  std::string out;
  const auto add = [&out](std::uint64_t bytes, const char* where) {
    if (bytes > 0) out += (out.empty() ? "" : ", ") + format_size(bytes) + where;
  };
  add(file.bytes_lan, " from neighbours");
  add(file.bytes_origin, " from the Hub");
  add(file.bytes_local, " was here");
  return out.empty() ? "an empty file" : out;
}

}  // namespace

Pulls::Pulls(Loop& loop, BlobStore& store, StateDb& db, HubClient& hub, ShareRules& rules, EventLog& events,
             std::uint64_t free_space_floor, OnAccess on_access, OnUnwanted on_unwanted)
    : loop_(loop),
      store_(store),
      db_(db),
      hub_(hub),
      rules_(rules),
      events_(events),
      free_space_floor_(free_space_floor),
      on_access_(std::move(on_access)),
      on_unwanted_(std::move(on_unwanted)) {}

Pulls::Pull* Pulls::find(PullId id) {
  const auto it = pulls_.find(id);
  return it == pulls_.end() ? nullptr : &it->second;
}

Pulls::Pull* Pulls::find_live(PullId id) {
  Pull* pull = find(id);
  return pull == nullptr || pull->status.finished_at.ms != 0 ? nullptr : pull;
}

// --- starting

void Pulls::start(PullRequest request, std::function<void(Result<PullId>)> reply) {
  std::size_t running = 0;
  for (const auto& [id, pull] : pulls_) {
    const PullStatus& s = pull.status;
    if (s.state != PullState::resolving && s.state != PullState::running) continue;
    ++running;
    if (s.repo == request.repo && s.revision == request.revision && s.include == request.include &&
        s.exclude == request.exclude && s.source == request.source && s.priority == request.priority) {
      reply(id);
      return;
    }
  }
  if (running >= kRunningMax) {
    reply(shoal::fail(Code::unavailable,
                      "there are " + std::to_string(running) + " pulls running; wait for some to end"));
    return;
  }
  PullStatus status;
  status.repo = std::move(request.repo);
  status.revision = std::move(request.revision);
  status.include = std::move(request.include);
  status.exclude = std::move(request.exclude);
  status.source = request.source;
  status.priority = request.priority;
  status.created_at = wall_clock_now();
  loop_.record(
      [&db = db_, status = std::move(status)]() mutable -> Result<PullStatus> {
        const auto id = db.new_pull_id();
        if (!id) return shoal::fail(id.error());
        status.id = *id;
        if (const auto saved = db.save_pull(status); !saved) return shoal::fail(saved.error());
        return status;
      },
      [this, reply = std::move(reply)](Result<PullStatus> saved) {
        if (!saved) {
          reply(shoal::fail(saved.error()));
          return;
        }
        const PullId id = saved->id;
        Pull& pull = pulls_[id];
        pull.status = std::move(*saved);
        events_.add(
            event(EventLevel::info, "pull_started", pull.status, {}, "revision " + pull.status.revision));
        reply(id);
        resolve(id);
      });
}

void Pulls::resume(PullStatus status) {
  const PullId id = status.id;
  Pull& pull = pulls_[id];
  pull.status = std::move(status);
  pull.resumed = true;
  events_.add(event(EventLevel::info, "pull_resumed", pull.status, {}, "goes on after a restart"));
  if (pull.status.commit_id.empty()) {
    resolve(id);
    return;
  }
  // The commit is settled and a commit never changes: the recorded rows are the list of files, no need for
  // the Hub.
  loop_.run([&db = db_, repo = pull.status.repo,
             commit = pull.status.commit_id] { return db.all_files(repo, commit); },
            [this, id](Result<std::vector<FileStatus>> rows) {
              Pull* live = find(id);
              if (live == nullptr) return;
              if (rows) {
                for (FileStatus& row : *rows) live->before.emplace(row.path, std::move(row));
              }
              const auto is_public = rules_.is_public(live->status.repo);
              if (!is_public || live->status.files == 0 || live->before.size() < live->status.files) {
                list(id);
                return;
              }
              Files files;
              for (const auto& [path, row] : live->before) files.emplace_back(path, row.blob);
              choose(id, std::move(files));
            });
}

bool Pulls::can_wait(const Pull& pull, const Error& error) const {
  return pull.resumed &&
         (error.code == Code::unavailable || error.code == Code::timeout || error.code == Code::rate_limited);
}

void Pulls::resolve(PullId id) {
  Pull* pull = find(id);
  if (pull == nullptr || pull->status.state != PullState::resolving) return;
  pull->waiting_for = "the Hub: which commit is " + pull->status.revision;
  hub_.resolve(pull->status.repo, pull->status.revision, [this, id](Result<RepoInfo> info) {
    loop_.post([this, id, info = std::move(info)] {
      Pull* live = find(id);
      if (live == nullptr || live->status.state != PullState::resolving) return;
      if (!info) {
        if (can_wait(*live, info.error())) {
          live->waiting_for = "the Hub: " + info.error().message;
          loop_.after(kResolveRetry, [this, id] { resolve(id); });
        } else {
          end(*live, PullState::failed, info.error());
        }
        return;
      }
      live->status.commit_id = info->commit;
      live->status.snapshot_path = store_.cache().layout().snapshot(live->status.repo, info->commit);
      list(id);
    });
  });
}

void Pulls::list(PullId id) {
  Pull* pull = find(id);
  if (pull == nullptr) return;
  pull->waiting_for = "the Hub: the list of files";
  hub_.list_files(pull->status.repo, pull->status.commit_id,
                  [this, id](Result<std::vector<RepoFile>> listed) {
                    loop_.post([this, id, listed = std::move(listed)] {
                      Pull* live = find_live(id);
                      if (live == nullptr) return;
                      if (!listed) {
                        if (can_wait(*live, listed.error())) {
                          live->waiting_for = "the Hub: " + listed.error().message;
                          loop_.after(kResolveRetry, [this, id] { list(id); });
                        } else {
                          end(*live, PullState::failed, listed.error());
                        }
                        return;
                      }
                      Files files;
                      for (const RepoFile& file : *listed) files.emplace_back(file.path, file.blob);
                      check_access(id, std::move(files));
                    });
                  });
}

void Pulls::check_access(PullId id, Files files) {
  Pull& pull = *find(id);
  if (files.empty()) {
    choose(id, std::move(files));
    return;
  }
  // One file stands for all: access is per repo.
  pull.waiting_for = "the Hub: whether anyone may download it";
  const std::string path = files.front().first;
  hub_.is_public(pull.status.repo, pull.status.commit_id, path,
                 [this, id, files = std::move(files)](const Result<bool>& is_public) {
                   loop_.post([this, id, files, is_public] {
                     Pull* live = find_live(id);
                     if (live == nullptr) return;
                     // When the Hub does not say, the answer of an earlier day counts, and without one the
                     // blobs stay private.
                     if (is_public) on_access_(live->status.repo, *is_public);
                     choose(id, files);
                   });
                 });
}

void Pulls::choose(PullId id, Files files) {
  Pull& pull = *find(id);
  PullStatus& status = pull.status;
  std::uint64_t size = 0;
  for (auto& [path, blob] : files) {
    if (!glob_selects(status.include, status.exclude, path)) continue;
    File file;
    file.status.repo = status.repo;
    file.status.revision = status.revision;
    file.status.commit_id = status.commit_id;
    file.status.path = std::move(path);
    file.status.blob = blob;
    size += blob.size;
    pull.files.push_back(std::move(file));
  }
  if (pull.files.empty()) {
    end(pull, PullState::failed,
        Error{Code::not_found, "no file of " + status.repo.name + " matches --include and --exclude", 0});
    return;
  }
  std::ranges::sort(pull.files, fetched_before, &File::status);
  status.files = static_cast<std::uint32_t>(pull.files.size());
  status.files_done = 0;  // a former run's count: its files are linked anew, which costs nothing
  status.size = size;
  status.state = PullState::running;
  pull.waiting_for.clear();
  look_for_space(id);
}

// Where the line of bytes has got to: the place of the first file that is not done, of all running pulls. A
// pull that begins there takes turns with the others from its first file on.
std::uint64_t Pulls::present_place() const {
  std::optional<std::uint64_t> place;
  for (const auto& [id, pull] : pulls_) {
    if (pull.status.state != PullState::running) continue;
    for (const File& file : pull.files) {
      if (file.status.state == FileState::held || file.status.state == FileState::failed) continue;
      if (file.place && (!place || *file.place < *place)) place = file.place;
    }
  }
  return place.value_or(0);
}

void Pulls::want_files(PullId id) {
  Pull& pull = *find(id);
  std::uint64_t place = present_place();
  for (File& file : pull.files) {
    file.place = place;
    place += file.status.blob.size;
  }
  for (std::size_t i = 0; i < pull.files.size(); ++i) {
    const FileStatus& file = pull.files[i].status;
    users_[file.blob].insert({id, i});
    rules_.add_blob(file.blob, file.repo);
  }
  // want() may answer at once and change pulls_, so the pull is looked up anew each time.
  for (std::size_t i = 0;; ++i) {
    Pull* live = find(id);
    if (live == nullptr || i >= live->files.size() || live->status.state != PullState::running) return;
    want_one(*live, i, {});
  }
}

void Pulls::want_one(const Pull& pull, std::size_t index, std::string token) {
  const FileStatus& file = pull.files[index].status;
  Fetcher::Request request;
  request.file = {file.repo, file.commit_id, file.path, file.blob, std::move(token)};
  request.policy = pull.status.source;
  request.priority = pull.status.priority;
  request.order = pull.files[index].place.value_or(0);
  request.shareable = rules_.shareable(file.blob);
  if (const auto row = pull.before.find(file.path); row != pull.before.end()) {
    request.before = {row->second.bytes_lan, row->second.bytes_origin, row->second.bytes_local};
  }
  fetcher_->want(std::move(request));
}

// --- files

void Pulls::on_blob_done(const BlobId& blob, const Fetcher::Sources& bytes,
                         const std::shared_ptr<const PieceMap>& pieces) {
  const auto it = users_.find(blob);
  if (it == users_.end()) return;
  bool first = true;
  for (const User& user : std::exchange(it->second, {})) {
    if (Pull* pull = find(user.pull)) {
      pull->files[user.file].pieces = pull->maps_kept < kMapsKept ? pieces : nullptr;
      if (pieces) ++pull->maps_kept;
    }
    // The bytes came once; for the further files of the same content they were already here.
    link(user.pull, user.file, first ? bytes : Fetcher::Sources{0, 0, blob.size});
    first = false;
  }
  users_.erase(blob);
}

void Pulls::link(PullId id, std::size_t index, const Fetcher::Sources& bytes) {
  Pull* pull = find(id);
  if (pull == nullptr) return;
  File& file = pull->files[index];
  file.linking = true;
  file.status.bytes_lan = bytes.lan;
  file.status.bytes_origin = bytes.origin;
  file.status.bytes_local = bytes.local;
  file.status.bytes_done = bytes.sum();
  loop_.run(
      [&store = store_, f = file.status]() -> Result<void> {
        if (f.blob.size > 0) {
          if (const auto placed = store.materialize(f.blob, f.repo); !placed)
            return shoal::fail(placed.error());
        } else if (const auto published = store.publish_small(f.blob, f.repo, {}); !published) {
          return published;
        }
        return store.cache().link_snapshot(f.repo, f.commit_id, f.path, f.blob);
      },
      [this, id, index](const Result<void>& result) { on_linked(id, index, result); });
}

void Pulls::on_linked(PullId id, std::size_t index, const Result<void>& result) {
  Pull* pull = find_live(id);
  if (pull == nullptr) return;
  File& file = pull->files[index];
  file.linking = false;
  if (!result) {
    file.status.state = FileState::failed;
    file.status.error = result.error().message;
    if (pull->joint) {
      pull->first_error = pull->first_error ? pull->first_error : result.error();
      maybe_finish(id);
    } else {
      end(*pull, PullState::failed, result.error());
    }
    return;
  }
  file.status.state = FileState::held;
  ++pull->status.files_done;
  if (evictor_ != nullptr) evictor_->on_used(file.status.blob);
  events_.add(event(EventLevel::info, "file_held", pull->status, file.status.path, came_from(file.status)));
  maybe_finish(id);
}

void Pulls::on_blob_failed(const BlobId& blob, const Error& error) {
  const auto it = users_.find(blob);
  if (it == users_.end()) return;
  if (error.code == Code::no_space && wait_for_room(blob, error)) return;
  const std::set<User> users = std::exchange(it->second, {});
  users_.erase(it);
  for (const User& user : users) {
    Pull* pull = find_live(user.pull);
    if (pull == nullptr) continue;
    FileStatus& file = pull->files[user.file].status;
    file.state = FileState::failed;
    file.error = error.message;
    Error named = error;
    named.message = file.path + ": " + error.message;
    if (pull->joint) {
      pull->first_error = pull->first_error ? pull->first_error : std::move(named);
      maybe_finish(user.pull);
    } else {
      end(*pull, PullState::failed, std::move(named));
    }
  }
}

void Pulls::maybe_finish(PullId id) {
  Pull* pull = find(id);
  const bool all_ended = std::ranges::all_of(pull->files, [&](const File& file) {
    return file.status.state == FileState::held || (pull->joint && file.status.state == FileState::failed);
  });
  if (pull->finishing || !all_ended) return;
  if (pull->first_error) {
    end(*pull, PullState::failed, std::move(pull->first_error));
    return;
  }
  pull->finishing = true;
  const PullStatus& s = pull->status;
  loop_.run([&store = store_, repo = s.repo, revision = s.revision,
             commit = s.commit_id] { return store.cache().write_ref(repo, revision, commit); },
            [this, id](const Result<void>& result) {
              Pull* live = find_live(id);
              if (live == nullptr) return;
              if (result) {
                end(*live, PullState::done, std::nullopt);
              } else {
                end(*live, PullState::failed, result.error());
              }
            });
}

// --- ending

Result<void> Pulls::cancel(PullId id) {
  Pull* pull = find(id);
  if (pull == nullptr) return shoal::fail(Code::not_found, "there is no pull " + std::to_string(to_int(id)));
  if (pull->status.finished_at.ms == 0)
    end(*pull, PullState::cancelled, Error{Code::cancelled, "cancelled", 0});
  return {};
}

void Pulls::end(Pull& pull, PullState state, std::optional<Error> error) {
  refresh(pull, std::chrono::steady_clock::now());
  PullStatus& s = pull.status;
  s.state = state;
  s.finished_at = wall_clock_now();
  s.bytes_per_s = 0;
  s.eta_s.reset();
  s.waiting_for.clear();
  pull.waiting_for.clear();
  if (error) {
    s.error_code = error->code;
    s.error = error->message;
  }
  if (state == PullState::done) {
    events_.add(
        event(EventLevel::info, "pull_done", s, {},
              std::to_string(s.files) + (s.files == 1 ? " file, " : " files, ") + format_size(s.size)));
  } else {
    events_.add(event(state == PullState::failed ? EventLevel::error : EventLevel::info,
                      state == PullState::failed ? "pull_failed" : "pull_cancelled", s, {}, s.error));
  }
  for (File& file : pull.files) {
    file.pieces.reset();
    file.status.bytes_per_s = 0;
    file.status.eta_s.reset();
    file.status.waiting_for.clear();
    if (file.status.state != FileState::held && file.status.state != FileState::failed)
      file.status.state = FileState::queued;
    if (state == PullState::failed && file.status.state == FileState::queued) {
      file.status.state = FileState::failed;
      file.status.error = "the pull failed: " + s.error;
    }
  }
  release(s.id);
  on_ended_(s.id);
  const auto joint = joints_.find({s.repo, s.commit_id});
  if (joint != joints_.end() && joint->second.pull == s.id) joints_.erase(joint);
  // Only so many ended pulls are worth the memory; shoal.db keeps more.
  std::size_t ended = 0;
  for (auto it = pulls_.rbegin(); it != pulls_.rend(); ++it) {
    if (it->second.status.finished_at.ms != 0 && it->second.written_after_end && ++ended > kEndedKept) {
      pulls_.erase(it->first);
      break;
    }
  }
}

void Pulls::release(PullId id) {
  std::vector<BlobId> unused;
  for (auto it = users_.begin(); it != users_.end();) {
    std::erase_if(it->second, [&](const User& user) { return user.pull == id; });
    if (it->second.empty()) {
      unused.push_back(it->first);
      it = users_.erase(it);
    } else {
      ++it;
    }
  }
  for (const BlobId& blob : unused) fetcher_->unwant(blob);
}

}  // namespace shoal
