// What the own cache holds, and taking some of it away: the store's part of eviction.
#include "storage/blob_store_impl.h"

#include <algorithm>
#include <map>
#include <set>

#include <sys/stat.h>

namespace shoal {
namespace {

struct BlobFacts {
  BlobId id;
  WallTime last_used;
  bool open = false;
};

// Bytes on the disk: a partial is sparse.
std::uint64_t allocated(const struct stat& st) {
  return static_cast<std::uint64_t>(st.st_blocks) * 512;
}

WallTime access_time(const struct stat& st) {
  return {std::int64_t{st.st_atim.tv_sec} * 1000 + st.st_atim.tv_nsec / 1'000'000};
}

}  // namespace

Result<CacheContents> BlobStoreImpl::contents() {
  const auto uses = db_.last_uses();
  if (!uses) return fail(uses.error());
  const auto pins = db_.pins();
  if (!pins) return fail(pins.error());
  const auto repos = cache_.repos();
  if (!repos) return fail(repos.error());
  CacheContents out;
  if (const int rc = files().free_space(cache_.layout().root(), out.disk_free); rc < 0)
    return fail_errno(-rc, "ask for the free space of", cache_.layout().root());
  std::set<ino_t> counted;
  for (const RepoRef& repo : *repos) {
    const bool pinned = std::ranges::find(*pins, repo) != pins->end();
    const std::string dir = cache_.layout().blobs_dir(repo);
    const auto names = list_dir(files(), dir);
    if (!names) return fail(names.error());
    std::map<std::string, BlobFacts> blobs;  // by etag
    for (const auto& [name, is_dir] : *names) {
      const std::string path = std::string(dir).append("/").append(name);
      struct stat st {};
      if (is_dir || files().status(path, st) != 0 || !S_ISREG(st.st_mode)) continue;
      const auto id = BlobId::from_etag(name, static_cast<std::uint64_t>(st.st_size));
      // Blobs by their size, as in what an eviction frees; partials are sparse.
      if (counted.insert(st.st_ino).second) out.bytes += id ? id->size : allocated(st);
      if (!id) continue;
      const auto use = uses->find(*id);
      bool ours = false;  // open for neighbours: what others have open cannot be told
      {
        const std::lock_guard lock(mutex_);
        const auto it = open_.find(*id);
        ours = it != open_.end() && !it->second.expired();
      }
      blobs[name] = {*id, std::max(access_time(st), use == uses->end() ? WallTime{} : use->second),
                     !ours && files().is_open_elsewhere(path) > 0};
    }
    const auto row = [&](const std::string& commit, const std::vector<std::string>& etags) {
      HeldSnapshot snapshot;
      snapshot.repo = repo;
      snapshot.commit = commit;
      snapshot.pinned = pinned;
      std::uint64_t largest = 0;
      for (const std::string& etag : etags) {
        const auto it = blobs.find(etag);
        if (it == blobs.end()) continue;
        snapshot.blobs.push_back(it->second.id);
        snapshot.in_use = snapshot.in_use || it->second.open;
        // Of the largest file: models share their licences and tokenizers, so that the use of one is no use
        // of the others.
        if (it->second.id.size < largest) continue;
        largest = it->second.id.size;
        snapshot.last_used = it->second.last_used;
      }
      if (!snapshot.blobs.empty()) out.snapshots.push_back(std::move(snapshot));
    };
    const auto commits = cache_.commits(repo);
    if (!commits) return fail(commits.error());
    std::set<std::string> linked;
    for (const std::string& commit : *commits) {
      const auto entries = cache_.entries(repo, commit);
      if (!entries) return fail(entries.error());
      std::vector<std::string> etags;
      for (const auto& entry : *entries) etags.push_back(entry.etag);
      linked.insert(etags.begin(), etags.end());
      row(commit, etags);
    }
    std::vector<std::string> loose;
    for (const auto& [etag, facts] : blobs) {
      if (!linked.contains(etag)) loose.push_back(etag);
    }
    row({}, loose);
  }
  return out;
}

Result<RemoveReport> BlobStoreImpl::evict(const RepoRef& repo, const std::string& commit) {
  if (!commit.empty()) return remove(repo, commit);
  // Blobs that nothing links to: one that is being linked at this moment stays.
  RemoveReport report;
  const auto forget = [&](const std::vector<std::string>& etags) {
    return drop_records(repo, etags, report);
  };
  auto removed = cache_.remove_loose_blobs(repo, forget);
  if (!removed) return fail(removed.error());
  report.bytes = removed->bytes;
  return report;
}

Result<void> BlobStoreImpl::drop_records(const RepoRef& repo, const std::vector<std::string>& etags,
                                         RemoveReport& report) {
  if (etags.empty()) return {};
  const auto held = records_.held();
  if (!held) return fail(held.error());
  const std::set<std::string> gone(etags.begin(), etags.end());
  for (const auto& id : *held) {
    if (!gone.contains(id.etag())) continue;
    if (auto dropped = records_.drop_copy(id, cache_.layout().blob(repo, id)); !dropped) return dropped;
    if (!find(id, std::nullopt)) report.no_longer_held.push_back(id);
  }
  return {};
}

}  // namespace shoal
