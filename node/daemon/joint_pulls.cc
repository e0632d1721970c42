// Pulls that grow: files that programs read through the endpoint, gathered by commit.
#include "node/daemon/pulls.h"
#include "storage/blob_store.h"
#include "storage/state_db.h"

#include <algorithm>
#include <utility>

namespace shoal {
namespace {

// A glob that matches just this path: globs have no escape character, but sets of one.
std::string glob_of(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == '*' || c == '?' || c == '[') {
      out += std::string("[") + c + "]";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void Pulls::want_file(OriginFile file, std::string revision) {
  const auto key = std::pair(file.repo, file.commit);
  const auto it = joints_.find(key);
  if (it != joints_.end()) {
    if (!it->second.pull) {
      if (it->second.waiting.size() < kJointFilesMax) it->second.waiting.push_back(std::move(file));
      return;
    }
    const Pull* pull = find(*it->second.pull);
    if (pull != nullptr && !pull->finishing && pull->files.size() < kJointFilesMax) {
      add_joint_file(*it->second.pull, std::move(file));
      return;
    }
    joints_.erase(it);
  }
  begin_joint(file, std::move(revision));
  joints_[key].waiting.push_back(std::move(file));
}

void Pulls::begin_joint(const OriginFile& file, std::string revision) {
  PullStatus status;
  status.repo = file.repo;
  status.revision = std::move(revision);
  status.commit_id = file.commit;
  status.snapshot_path = store_.cache().layout().snapshot(file.repo, file.commit);
  status.include = {glob_of(file.path)};
  status.priority = Priority::low;
  status.state = PullState::running;
  status.created_at = wall_clock_now();
  const auto key = std::pair(file.repo, file.commit);
  loop_.record(
      [&db = db_, &store = store_, status = std::move(status)]() mutable -> Result<PullStatus> {
        if (auto prepared = store.cache().prepare_repo(status.repo); !prepared)
          return shoal::fail(prepared.error());
        const auto id = db.new_pull_id();
        if (!id) return shoal::fail(id.error());
        status.id = *id;
        if (const auto saved = db.save_pull(status); !saved) return shoal::fail(saved.error());
        return status;
      },
      [this, key](Result<PullStatus> saved) {
        const auto it = joints_.find(key);
        if (it == joints_.end()) return;
        auto files = std::exchange(it->second.waiting, {});
        if (!saved) {
          joints_.erase(it);
          for (const OriginFile& waiting : files) on_unwanted_(waiting.blob, saved.error());
          return;
        }
        const PullId id = saved->id;
        it->second.pull = id;
        Pull& pull = pulls_[id];
        pull.joint = true;
        pull.status = std::move(*saved);
        pull.status.include.clear();
        events_.add({{},
                     EventLevel::info,
                     "pull_started",
                     id,
                     pull.status.repo.name,
                     {},
                     {},
                     "for programs that read through the endpoint, revision " + pull.status.revision});
        for (OriginFile& waiting : files) add_joint_file(id, std::move(waiting));
      });
}

void Pulls::add_joint_file(PullId id, OriginFile file) {
  Pull* pull = find(id);
  if (pull == nullptr || pull->status.finished_at.ms != 0) return;
  PullStatus& status = pull->status;
  const auto same = std::ranges::find(pull->files, file.path, [](const File& f) { return f.status.path; });
  const auto index = static_cast<std::size_t>(same - pull->files.begin());
  if (same != pull->files.end()) {
    if (same->status.state != FileState::failed && same->status.state != FileState::held) return;
    // It failed before, or is gone from the disk since: once more.
    if (same->status.state == FileState::held) --status.files_done;
    same->status.state = FileState::queued;
    same->status.error.clear();
    pull->first_error.reset();
  } else {
    File added;
    added.status.repo = status.repo;
    added.status.revision = status.revision;
    added.status.commit_id = status.commit_id;
    added.status.path = file.path;
    added.status.blob = file.blob;
    added.place = present_place();
    pull->files.push_back(std::move(added));
    status.files = static_cast<std::uint32_t>(pull->files.size());
    status.size += file.blob.size;
    pull->needed += file.blob.size;
    status.include.push_back(glob_of(file.path));
  }
  users_[file.blob].insert({id, index});
  rules_.add_blob(file.blob, file.repo);
  want_one(*pull, index, std::move(file.token));
}

}  // namespace shoal
