// What is done to a Hugging Face cache on disk: links, refs, marks, locks, looking around, removing.
//
// Not here: the blobs' bytes (blob_store.h) and what shoal.db says.
// Every step leaves a cache that other programs read without a warning: blob, then link, then ref when it
// grows; link, then ref, then blob when it shrinks.
//
// Threads: all methods may be called from any thread at once; they block on the disk.
// Errors: io, no_space, not_found, invalid (a name that is not a legal repo, revision, commit or path).
#pragma once

#include "node/core/ids.h"
#include "node/core/result.h"
#include "storage/file.h"
#include "storage/hub_cache_layout.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

// The flock(2) that the Hub's own tools take for a download; held until destroyed. A POSIX record lock would
// not exclude them. The file is never removed: its removal would let two holders in.
class BlobLock {
 public:
  BlobLock() = default;
  explicit BlobLock(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] bool held() const { return fd_.valid(); }
  void release() { fd_.reset(); }

 private:
  UniqueFd fd_;
};

// A blob found under its final name; nothing is known about its bytes.
struct FoundBlob {
  RepoRef repo;
  std::string etag;
  std::string path;
  FileStamp stamp;
};

// An entry of a snapshot that leads to a blob of the same repo.
struct FoundEntry {
  std::string commit;
  std::string path;
  std::string etag;
  std::uint64_t size = 0;
};

struct FoundRef {
  std::string revision;
  std::string commit;
};

struct Removed {
  std::uint64_t files = 0;  // links removed
  std::uint64_t bytes = 0;  // freed: blobs that nothing links to any more
};

class HubCache {
 public:
  explicit HubCache(std::string root, FileSystem& files = real_files())
      : layout_(std::move(root)), files_(&files) {}

  [[nodiscard]] const HubCacheLayout& layout() const { return layout_; }

  // Makes the root and its CACHEDIR.TAG.
  Result<void> prepare();
  // Removes temporary files of ours that a crash left behind, if they are older than `age`.
  Result<void> sweep(std::chrono::seconds age);
  // Makes the repo's folder with blobs/, refs/ and snapshots/ (readers call a repo without them corrupt).
  Result<void> prepare_repo(const RepoRef& repo);

  // Makes snapshots/<commit>/<path> lead to the blob; replaces an entry that leads elsewhere. One rename, so
  // a reader sees the old or the new entry. REQUIRES: the blob is published.
  Result<void> link_snapshot(const RepoRef& repo, const std::string& commit, const std::string& path,
                             const BlobId& id);
  // Makes the snapshot's folder, then writes refs/<revision>. Nothing to do if the revision is the commit.
  Result<void> write_ref(const RepoRef& repo, const std::string& revision, const std::string& commit);
  // Marks the path as known not to exist at that commit.
  Result<void> mark_missing(const RepoRef& repo, const std::string& commit, const std::string& path);

  // Tries once. nullopt: another program holds it.
  Result<std::optional<BlobLock>> try_lock(const RepoRef& repo, const BlobId& id);
  // Polls until the deadline. Errors: also timeout.
  Result<BlobLock> lock(const RepoRef& repo, const BlobId& id,
                        std::chrono::steady_clock::time_point deadline);

  [[nodiscard]] Result<std::vector<RepoRef>> repos() const;
  [[nodiscard]] Result<std::vector<FoundBlob>> blobs(const RepoRef& repo) const;
  [[nodiscard]] Result<std::vector<std::string>> commits(const RepoRef& repo) const;
  [[nodiscard]] Result<std::vector<FoundEntry>> entries(const RepoRef& repo, const std::string& commit) const;
  [[nodiscard]] Result<std::vector<FoundRef>> refs(const RepoRef& repo) const;

  // Called when the links and refs are gone, with the etags of the blobs whose files go next: what is
  // recorded of them is to be forgotten now, so that a crash never leaves a record without a file. An error
  // ends the removal with these files in place.
  using BeforeBlobs = std::function<Result<void>(const std::vector<std::string>& etags)>;

  // Removes one snapshot, the refs that name it, and the blobs that no other snapshot of the repo links to.
  // not_found if there is no such snapshot.
  Result<Removed> remove_commit(const RepoRef& repo, const std::string& commit,
                                const BeforeBlobs& before_blobs);
  // Removes the blobs that no snapshot of the repo links to, those of other clients as well.
  Result<Removed> remove_loose_blobs(const RepoRef& repo, const BeforeBlobs& before_blobs);
  // Removes the whole repo, a snapshot after the other. not_found if there is none.
  Result<Removed> remove_repo(const RepoRef& repo, const BeforeBlobs& before_blobs);

 private:
  HubCacheLayout layout_;
  FileSystem* files_;
};

}  // namespace shoal
