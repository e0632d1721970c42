// Whole caches: taking them over, reading them again, removing from them.
#include "storage/blob_store_impl.h"
#include "storage/read_hash.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include <fcntl.h>

namespace shoal {
namespace fs = std::filesystem;
namespace {

struct Target {
  HubCache cache;
  std::vector<RepoRef> repos;
};

// `path` is a cache, a folder that has one in `hub/` (HF_HOME), or lies in a repo's folder.
Result<Target> find_cache(FileSystem& files, const std::string& given) {
  std::error_code ec;
  const fs::path path = fs::canonical(given, ec);
  if (ec) return fail_errno(ec.value(), "find", given);
  for (fs::path at = path; at.has_relative_path(); at = at.parent_path()) {
    if (const auto repo = parse_repo_folder_name(at.filename().string())) {
      return Target{HubCache(at.parent_path().string(), files), {*repo}};
    }
  }
  for (const fs::path& root : {path, path / "hub"}) {
    HubCache cache(root.string(), files);
    auto repos = cache.repos();
    if (repos && !repos->empty()) return Target{std::move(cache), std::move(*repos)};
  }
  return fail(Code::invalid,
              given + " is not a Hugging Face cache: there is no folder like models--org--name in it");
}

WallTime wall_now() {
  using namespace std::chrono;
  return {duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()};
}

// Rows of the snapshots' files whose blobs are held, one per revision that names the commit.
Result<std::vector<FileStatus>> found_files(const HubCache& cache, const RepoRef& repo,
                                            const std::set<std::string>& etags) {
  const auto refs = cache.refs(repo);
  if (!refs) return fail(refs.error());
  const auto commits = cache.commits(repo);
  if (!commits) return fail(commits.error());
  std::vector<FileStatus> out;
  for (const auto& commit : *commits) {
    std::vector<std::string> revisions;
    for (const auto& ref : *refs) {
      if (ref.commit == commit) revisions.push_back(ref.revision);
    }
    if (revisions.empty()) revisions.push_back(commit);
    const auto entries = cache.entries(repo, commit);
    if (!entries) return fail(entries.error());
    for (const auto& entry : *entries) {
      const auto id = BlobId::from_etag(entry.etag, entry.size);
      if (!id || !etags.contains(entry.etag)) continue;
      for (const auto& revision : revisions) {
        FileStatus row;
        row.repo = repo;
        row.revision = revision;
        row.commit_id = commit;
        row.path = entry.path;
        row.blob = *id;
        row.bytes_done = row.bytes_local = entry.size;
        row.state = FileState::held;
        out.push_back(std::move(row));
      }
    }
  }
  return out;
}

}  // namespace

Result<AdoptReport> BlobStoreImpl::adopt(const std::string& path, const OnAdoptProgress& on_progress,
                                         std::stop_token stop) {
  auto target = find_cache(files(), path);
  if (!target) return fail(target.error());
  std::vector<FoundBlob> blobs;
  AdoptProgress progress;
  for (const auto& repo : target->repos) {
    auto found = target->cache.blobs(repo);
    if (!found) return fail(found.error());
    for (auto& blob : *found) {
      progress.bytes_total += blob.stamp.size;
      blobs.push_back(std::move(blob));
    }
  }
  progress.files_total = blobs.size();

  AdoptReport report;
  std::map<RepoRef, std::set<std::string>> held;
  for (const auto& blob : blobs) {
    if (stop.stop_requested() || stop_.stop_requested())
      return fail(Code::cancelled, "stopped before " + blob.path);
    const auto id = BlobId::from_etag(blob.etag, blob.stamp.size);
    if (!id) continue;
    progress.path = blob.path;
    if (on_progress) on_progress(progress);
    const std::uint64_t before = progress.bytes_done;
    const auto copies = records_.copies(*id);
    if (!copies) return fail(copies.error());
    const auto same_path = std::ranges::find_if(
        *copies, [&](const CopyRecord& copy) { return copy.path == blob.path && copy.stamp == blob.stamp; });
    // Another name of a file that was read: hard links between repos.
    const auto same_file =
        std::ranges::find_if(*copies, [&](const CopyRecord& copy) { return copy.stamp == blob.stamp; });
    if (same_path != copies->end()) {
      report.known.push_back(*id);
      held[blob.repo].insert(blob.etag);
    } else if (same_file != copies->end() &&
               stamp_of(files(), same_file->path).value_or(FileStamp{}) == blob.stamp) {
      auto added = records_.add_copy(
          *id, {.repo = blob.repo, .path = blob.path, .stamp = blob.stamp, .source = "adopted"}, {});
      if (!added) return fail(added.error());
      report.adopted.push_back(*id);
      held[blob.repo].insert(blob.etag);
    } else {
      const auto done = adopt_file(*id, blob.repo, blob.path, stop, [&](std::uint64_t bytes) {
        progress.bytes_done += bytes;
        report.bytes_read += bytes;
        if (on_progress) on_progress(progress);
      });
      if (done) {
        report.adopted.push_back(*id);
        held[blob.repo].insert(blob.etag);
        // Also wanted from the network: that is not needed any more.
        if (records_.partial(*id).value_or(std::nullopt)) {
          if (auto discarded = discard(*id); !discarded) return fail(discarded.error());
        }
      } else if (done.error().code == Code::cancelled) {
        return fail(done.error());
      } else {
        report.wrong.push_back({blob.path, done.error()});
        if (auto dropped = records_.drop_copy(*id, blob.path); !dropped) return fail(dropped.error());
      }
    }
    progress.bytes_done = before + blob.stamp.size;
    ++progress.files_done;
  }

  for (const auto& repo : target->repos) {
    auto rows = found_files(target->cache, repo, held[repo]);
    if (!rows) return fail(rows.error());
    report.files.insert(report.files.end(), rows->begin(), rows->end());
  }
  if (auto saved = db_.save_files(report.files, wall_now()); !saved) return fail(saved.error());
  if (on_progress) {
    progress.path.clear();
    on_progress(progress);
  }
  return report;
}

Result<VerifyReport> BlobStoreImpl::verify(const BlobId& id, std::stop_token stop) {
  const auto copies = records_.copies(id);
  if (!copies) return fail(copies.error());
  VerifyReport report;
  std::optional<Error> wrong;
  std::set<std::uint64_t> read;  // inodes; a hard link need not be read twice
  for (const auto& copy : *copies) {
    const auto fd = open_file(files(), copy.path, O_RDONLY | O_NOFOLLOW);
    if (!fd && fd.error().code == Code::io) return fail(fd.error());
    Result<void> good;
    if (!fd) {
      good = fail(Code::corrupt, copy.path + " is gone");
    } else if (const auto stamp = stamp_of(files(), fd->get(), copy.path); !stamp || stamp->size != id.size) {
      good = fail(Code::corrupt, copy.path + " does not have its size any more");
    } else if (read.insert(stamp->inode).second) {
      const auto hashes = read_and_hash(
          files(), fd->get(), id, copy.path, [&](std::uint64_t bytes) { report.bytes_read += bytes; }, stop);
      if (!hashes) return fail(hashes.error());
      int bad = 0;
      for (const auto& found : hashes->segments) {
        const auto recorded = records_.segment({id, found.index});
        if (!recorded) return fail(recorded.error());
        for (std::size_t i = 0; i < found.hashes.size(); ++i) {
          if (!*recorded || i >= (*recorded)->hashes.size() || (*recorded)->hashes[i] != found.hashes[i])
            ++bad;
        }
      }
      if (!hashes->whole.matches(id) || bad > 0) {
        good = fail(Code::corrupt, copy.path + " no longer matches its hash (" + std::to_string(bad) +
                                       " pieces differ): remove it and pull it again");
      } else if (auto added = records_.add_copy(
                     id, {.repo = copy.repo, .path = copy.path, .stamp = *stamp, .source = copy.source}, {});
                 !added) {
        return fail(added.error());
      }
      if (!good) read.erase(stamp->inode);
    }
    if (good) {
      report.paths.push_back(copy.path);
      continue;
    }
    if (auto dropped = records_.drop_copy(id, copy.path); !dropped) return fail(dropped.error());
    wrong = good.error();
  }
  if (wrong) return fail(*wrong);
  if (copies->empty()) return fail(Code::not_found, id.text() + " is not on this machine");
  return report;
}

Result<RemoveReport> BlobStoreImpl::remove(const RepoRef& repo, const std::string& commit) {
  const auto rows = db_.all_files(repo);
  if (!rows) return fail(rows.error());
  std::set<BlobId> mine;    // wanted or held by what is removed
  std::set<BlobId> others;  // by other commits of the repo
  for (const auto& row : *rows) {
    (commit.empty() || row.commit_id == commit ? mine : others).insert(row.blob);
  }
  const auto partials = records_.partials();
  if (!partials) return fail(partials.error());
  std::vector<BlobId> dead;
  for (const auto& partial : *partials) {
    if (partial.repo != repo) continue;
    if (!commit.empty() && (!mine.contains(partial.id) || others.contains(partial.id))) continue;
    if (live(partial.id)) {
      return fail(Code::unavailable, repo.name + " is being fetched: cancel the pull first");
    }
    dead.push_back(partial.id);
  }
  for (const auto& id : dead) {
    if (auto discarded = discard(id); !discarded) return fail(discarded.error());
  }

  RemoveReport report;
  const auto forget = [&](const std::vector<std::string>& etags) {
    return drop_records(repo, etags, report);
  };
  auto removed =
      commit.empty() ? cache_.remove_repo(repo, forget) : cache_.remove_commit(repo, commit, forget);
  if (!removed) {
    // Rows without files: someone else removed the folder, or only partials were there.
    if (removed.error().code != Code::not_found || mine.empty()) return fail(removed.error());
    removed = Removed{};
  }
  report.files = removed->files;
  report.bytes = removed->bytes;
  if (auto deleted = db_.delete_files(repo, commit); !deleted) return fail(deleted.error());
  return report;
}

}  // namespace shoal
