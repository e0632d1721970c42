// What shoal.db says about blobs: complete copies, partials, their segments and midstates. Inside storage/
// only.
//
// Plain statements in transactions; what they mean is in partial_blob.h and blob_store.h.
//
// Threads: any. Errors: as state_db.h.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/result.h"
#include "storage/file.h"
#include "storage/state_db.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

struct CopyRecord {
  RepoRef repo;
  std::string path;
  FileStamp stamp;
  std::string source;  // "fetched", "adopted", "linked", "copied"
};

struct PartialRecord {
  BlobId id;
  RepoRef repo;
  std::string path;
  std::uint64_t inode = 0;
  std::string boot_id;
};

struct SegmentRecord {
  SegmentIndex index{};
  PieceMask written = 0;
  PieceMask durable = 0;
  std::vector<Hash256> hashes;  // empty where only the masks are meant
};

struct PrefixRecord {
  enum class Kind : std::uint8_t { boundary = 0, latest = 1, durable = 2 };  // values are in the database
  Kind kind = Kind::latest;
  std::uint64_t position = 0;
  std::vector<std::uint8_t> state;
};

// What changed in one partial since it was last recorded.
struct PartialChanges {
  BlobId id;
  std::vector<SegmentRecord> segments;
  std::vector<PrefixRecord> prefixes;           // replace the former of their kind; boundaries add up
  std::optional<std::uint64_t> prefix_back_to;  // midstates beyond this are void
};

class BlobRecords {
 public:
  explicit BlobRecords(StateDb& db) : db_(db) {}

  // ---- complete ----
  Result<std::vector<CopyRecord>> copies(const BlobId& id);
  Result<std::optional<CopyRecord>> copy_at(const BlobId& id, const std::string& path);
  Result<std::vector<BlobId>> held();
  // With its segments if they are given; otherwise they are recorded already.
  Result<void> add_copy(const BlobId& id, const CopyRecord& copy, const std::vector<SegmentRecord>& segments);
  // Takes the `held` rows of the repo's files with it, and the blob's hashes when it was the last copy.
  Result<void> drop_copy(const BlobId& id, const std::string& path);

  // ---- both ----
  Result<std::optional<SegmentRecord>> segment(const SegmentKey& key);

  // ---- partial ----
  Result<std::vector<PartialRecord>> partials();
  Result<std::optional<PartialRecord>> partial(const BlobId& id);
  Result<void> begin_partial(const PartialRecord& partial);
  // After a reboot: only durable pieces count from now on.
  Result<void> reboot_partial(const BlobId& id, const std::string& boot_id);
  Result<std::vector<SegmentRecord>> masks(const BlobId& id);
  Result<std::vector<PrefixRecord>> prefixes(const BlobId& id);
  // One transaction for all. flushed: see state_db.h.
  Result<void> record(const std::vector<PartialChanges>& changes, bool flushed);
  // The partial became complete.
  Result<void> publish(const BlobId& id, const CopyRecord& copy);
  Result<void> drop_partial(const BlobId& id);  // flushed

 private:
  StateDb& db_;
};

}  // namespace shoal
