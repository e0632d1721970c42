// Documents about commits, and which commit a revision was, kept in files below the state directory:
//
//   <root>/models--org--name/<commit>.json
//   <root>/models--org--name/refs/<revision, percent-encoded>     40 bytes: the commit
//
// The documents are opaque here. They are small beside the models (2 to 20 KiB each) and can all be asked for
// again, so nothing is flushed, and beyond the limits the oldest are deleted.
//
// Threads: all methods may be called from any thread at once; they block on the disk.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/result.h"
#include "storage/file_system.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace shoal {

class ListingStore {
 public:
  static constexpr std::size_t kDocumentsMax = 4096;
  static constexpr std::uint64_t kBytesMax = 256 * kMiB;  // of all
  static constexpr std::uint64_t kDocumentBytesMax = 32 * kMiB;

  explicit ListingStore(std::string root, FileSystem& files = real_files())
      : root_(std::move(root)), files_(files) {}

  // not_found if there is none.
  [[nodiscard]] Result<std::string> load(const RepoRef& repo, const std::string& commit) const;
  Result<void> save(const RepoRef& repo, const std::string& commit, const std::string& document);
  Result<void> remove(const RepoRef& repo, const std::string& commit);
  Result<void> save_revision(const RepoRef& repo, const std::string& revision, const std::string& commit);
  [[nodiscard]] std::optional<std::string> commit_of(const RepoRef& repo, const std::string& revision) const;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> revisions(const RepoRef& repo) const;

  struct Kept {
    RepoRef repo;
    std::string commit;
    std::uint64_t size = 0;
  };
  [[nodiscard]] std::vector<Kept> all() const;

 private:
  [[nodiscard]] std::string folder(const RepoRef& repo) const;
  void delete_oldest();

  const std::string root_;
  FileSystem& files_;
  std::mutex mutex_;  // one writer at a time, so that the limits hold
};

}  // namespace shoal
