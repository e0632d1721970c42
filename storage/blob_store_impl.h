// The blob store behind its interface. Inside storage/ only.
#pragma once

#include "storage/blob_records.h"
#include "storage/blob_store.h"
#include "storage/hub_cache.h"
#include "storage/partial_file.h"
#include "storage/store_threads.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace shoal {

class BlobStoreImpl final : public BlobStore {
 public:
  BlobStoreImpl(StateDb& db, BlobStoreOptions options);
  ~BlobStoreImpl() override;
  // Before first use: makes the cache, finishes what a crash left half done, starts the threads.
  Result<void> start();

  HubCache& cache() override { return cache_; }
  void limit_hash_threads(int threads) override { workers_->limit(threads); }

  // complete (blob_store.cc, materialize.cc)
  std::optional<FoundPath> find(const BlobId& id, const std::optional<RepoRef>& repo) override;
  Result<std::vector<BlobId>> held() override;
  Result<std::shared_ptr<BlobFile>> open(const BlobId& id) override;
  Result<SegmentHashes> hashes(const SegmentKey& key) override;
  Result<std::uint64_t> materialize(const BlobId& id, const RepoRef& repo) override;
  Result<void> publish_small(const BlobId& id, const RepoRef& repo,
                             std::span<const std::byte> bytes) override;

  // partial (partials.cc)
  Result<std::shared_ptr<PartialBlob>> begin(const BlobId& id, const RepoRef& repo) override;
  std::shared_ptr<PartialBlob> partial(const BlobId& id) override;
  std::shared_ptr<SliceSink> slice_sink(const std::shared_ptr<PartialBlob>& partial, SegmentIndex segment,
                                        PieceIndex first, int count, OnPiece on_piece) override;
  void note_piece(const SegmentKey& key, PieceIndex piece, const Hash256& hash) override;
  Result<void> forget_pieces(const SegmentKey& key, PieceMask pieces) override;
  Result<void> finish(const std::shared_ptr<PartialBlob>& partial) override;
  Result<void> discard(const BlobId& id) override;
  Result<std::vector<BlobId>> partials() override;
  Result<void> flush() override;

  // whole caches (adopt.cc)
  Result<AdoptReport> adopt(const std::string& path, const OnAdoptProgress& on_progress,
                            std::stop_token stop) override;
  Result<VerifyReport> verify(const BlobId& id, std::stop_token stop) override;
  Result<RemoveReport> remove(const RepoRef& repo, const std::string& commit) override;

  // making room (eviction_facts.cc)
  Result<CacheContents> contents() override;
  Result<RemoveReport> evict(const RepoRef& repo, const std::string& commit) override;

 private:
  using Losses = std::vector<std::pair<SegmentIndex, PieceMask>>;

  // A file that is to become a copy of the blob after it was read. Errors: corrupt, changed, io, cancelled.
  Result<void> adopt_file(const BlobId& id, const RepoRef& repo, const std::string& path,
                          const std::stop_token& stop, const std::function<void(std::uint64_t)>& on_bytes);
  Result<void> link_copy(const BlobId& id, const RepoRef& repo, const CopyRecord& from);
  // The first copy that is still what was recorded; drops the others.
  Result<std::optional<CopyRecord>> intact_copy(const BlobId& id, const std::optional<RepoRef>& repo);

  Result<void> recover_partials();
  // The records of files that are gone; adds to the report what is held nowhere else.
  Result<void> drop_records(const RepoRef& repo, const std::vector<std::string>& etags, RemoveReport& report);
  // no_space unless `more` bytes fit beside the floor and what live partials still need.
  Result<void> check_space(const BlobId& id, std::uint64_t more);
  [[nodiscard]] PartialPtr live(const BlobId& id) const;
  [[nodiscard]] FileSystem& files() const { return *options_.files; }
  Result<PartialPtr> open_partial(const PartialRecord& record, bool resume);
  // Reads the recorded pieces of a file that is not the inode it was; keeps those that match.
  std::vector<SegmentRecord> recheck(int fd, const PartialRecord& record,
                                     const std::vector<SegmentRecord>& segments);
  void after_piece(const PartialPtr& file, std::uint64_t bytes);
  // Second half of losing pieces: they are marked already; records that and lets them be fetched again.
  Result<void> record_losses(const PartialPtr& file, const Losses& losses);
  void lose_unflushed(const PartialPtr& file, const Error& error);
  Result<void> check_whole(const PartialPtr& file);
  Result<void> reread_whole(const PartialPtr& file);
  Result<void> publish(const PartialPtr& file);
  void trouble(const Error& error);

  // Constant after start().
  StateDb& db_;
  BlobRecords records_;
  BlobStoreOptions options_;
  HubCache cache_;
  std::stop_source stop_;

  std::mutex begin_mutex_;  // one begin(), finish() or discard() decides at a time about a blob's files
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<BlobId, std::weak_ptr<PartialFile>> live_;
  std::map<BlobId, std::weak_ptr<BlobFile>> open_;  // complete ones: one descriptor per blob
  std::int64_t last_trouble_ms_ = 0;

  // Last, so that the threads end before what they use.
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<HashWorkers> workers_;
};

}  // namespace shoal
