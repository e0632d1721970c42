// The blobs on this machine: complete ones, partial ones, their bytes and hashes.
//
// Joins the cache on disk (hub_cache.h), hashing (hasher.h) and shoal.db (state_db.h), and owns the threads
// that record and hash. It moves no byte over a network and decides nothing about what to fetch.
//
// - A blob is complete when it stands under its final name and its whole hash matched: that is what find(),
//   held() and `holdings` tell of. A file that someone else put there counts only after adopt() or
//   materialize() has read it.
// - A record is believed while inode, size and mtime of its file are those recorded. A file that vanished or
//   changed loses its record at the next find() or open(); nothing crashes, the blob is simply wanted again.
// - There is at most one partial of a blob, whichever repos want it; the others link to it when it is
// complete.
//
// Threads: all methods may be called from any thread at once. Methods marked NON-BLOCKING take a mutex for
// moments; all others may wait for the disk, so never from the loop.
#pragma once

#include "node/core/eviction.h"
#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/ports.h"
#include "node/core/result.h"
#include "storage/file_system.h"
#include "storage/hub_cache.h"
#include "storage/partial_blob.h"
#include "storage/state_db.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace shoal {

struct BlobStoreOptions {
  std::string cache_root;
  // Space that is never used: a full file system stops the machine's other work.
  std::uint64_t free_space_floor = kGiB;
  // How long, and how many bytes of pieces, gather before they are recorded: what a kill may cost. A commit
  // takes some 0.2 ms and 32 KiB of log, so at 1 GB/s this is 5 % of a core, and at 10 MB/s some 3 % more
  // bytes written.
  std::chrono::milliseconds record_delay{100};
  std::uint64_t record_bytes = 4 * kMiB;
  // How long, and how many bytes, before written pieces are made durable.
  std::chrono::milliseconds sync_interval{2000};
  std::uint64_t sync_bytes = 256 * kMiB;
  // Threads that read back and hash; one does over 1 GB/s where the processor has SHA extensions.
  int hash_threads = 2;
  // Empty: the kernel's (/proc/sys/kernel/random/boot_id). Tests play a reboot with it.
  std::string boot_id;
  // Temporary files that a crash left are removed at a start when they are so old: no write of one takes so
  // long, and younger ones may be another node's on a shared cache.
  std::chrono::seconds leftover_age = std::chrono::minutes(10);
  // Replaced by tests to play a failing disk. Outlives the store.
  FileSystem* files = &real_files();

  // Called on a thread of the store, without locks held: post and return.
  //
  // Pieces that were reported here are missing again, since a flush failed.
  std::function<void(SegmentKey, PieceMask, Error)> on_pieces_lost;
  // Every piece is here and the publisher's hash has reached the end: finish() will not wait long. Not told
  // when begin() finds it so.
  std::function<void(BlobId)> on_hashed;
  // Recording or hashing failed: the disk under the state or the cache is in trouble. At most once a second.
  std::function<void(Error)> on_trouble;
};

struct SegmentHashes {
  PieceMask have = 0;
  std::vector<Hash256> piece_hashes;  // one per piece of the segment; zero where `have` has no bit
};

struct FoundPath {
  std::string path;
  RepoRef repo;
};

struct AdoptProgress {
  std::uint64_t files_total = 0;
  std::uint64_t files_done = 0;
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_done = 0;
  std::string path;  // being read
};

struct WrongBlob {
  std::string path;
  Error error;  // corrupt: not the bytes its name says; changed: written to while it was read; io
};

struct AdoptReport {
  std::vector<BlobId> adopted;   // read and right
  std::vector<BlobId> known;     // recorded before and unchanged, not read
  std::vector<WrongBlob> wrong;  // left alone and not used
  std::uint64_t bytes_read = 0;
  std::vector<FileStatus> files;  // of the snapshots found, as they stand in `status` from now on
};

struct VerifyReport {
  std::uint64_t bytes_read = 0;
  std::vector<std::string> paths;  // the blob's copies that were read
};

struct RemoveReport {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;             // freed
  std::vector<BlobId> no_longer_held;  // not complete anywhere on this machine any more
};

struct CacheContents {
  std::vector<HeldSnapshot> snapshots;
  std::uint64_t bytes = 0;      // taken by files under blobs/ of the own cache, hard links counted once
  std::uint64_t disk_free = 0;  // to this user, on its file system
};

class BlobStore {
 public:
  using OnPiece = std::function<void(SegmentKey, PieceIndex, Hash256)>;
  using OnAdoptProgress = std::function<void(const AdoptProgress&)>;

  // `db` must outlive the store, and the store all sinks and partials that are still written to.
  [[nodiscard]] static Result<std::unique_ptr<BlobStore>> open(StateDb& db, BlobStoreOptions options);
  virtual ~BlobStore() = default;  // records what is written, then stops the threads

  // For links, refs and marks.
  [[nodiscard]] virtual HubCache& cache() = 0;

  // NON-BLOCKING. Of the hash_threads so many work; for a machine that has other things to do.
  virtual void limit_hash_threads(int threads) = 0;

  // ---- complete blobs ----

  // Where a complete copy stands; in `repo`'s folder if it is given, else anywhere.
  virtual std::optional<FoundPath> find(const BlobId& id,
                                        const std::optional<RepoRef>& repo = std::nullopt) = 0;
  // What the records say; does not look at the files.
  virtual Result<std::vector<BlobId>> held() = 0;
  // The file of a complete blob, or the partial if there is one. Not writable when complete. not_found.
  virtual Result<std::shared_ptr<BlobFile>> open(const BlobId& id) = 0;
  // What is known of a segment of a complete or partial blob. not_found.
  virtual Result<SegmentHashes> hashes(const SegmentKey& key) = 0;

  // Makes the blob complete in the repo's folder without the network, if that can be done: it is there, or a
  // file of that name is there and turns out right when read, or another repo's copy can be linked (copied
  // where the file system cannot link). Returns how many bytes came that way; not_found: it has to be
  // fetched.
  virtual Result<std::uint64_t> materialize(const BlobId& id, const RepoRef& repo) = 0;
  // Verifies and publishes a blob that is whole in memory. Errors: corrupt, no_space, io, invalid (too
  // large).
  virtual Result<void> publish_small(const BlobId& id, const RepoRef& repo,
                                     std::span<const std::byte> bytes) = 0;

  // ---- partial blobs ----

  // Creates the partial, or goes on with the one that a former run left. Returns the live one if there is
  // one. Errors: no_space (also when what other partials still need would not fit), unavailable (another
  // program holds the blob's lock: try again later), invalid (complete already: materialize()).
  virtual Result<std::shared_ptr<PartialBlob>> begin(const BlobId& id, const RepoRef& repo) = 0;
  // NON-BLOCKING. The live partial, if any.
  virtual std::shared_ptr<PartialBlob> partial(const BlobId& id) = 0;
  // Where an origin slice goes. `on_piece` is called on the thread that writes, once a piece is whole and in
  // the file. Pieces that are here already are skipped over; of two sinks for one piece the later one is in
  // charge and the former's bytes are dropped.
  virtual std::shared_ptr<SliceSink> slice_sink(const std::shared_ptr<PartialBlob>& partial,
                                                SegmentIndex segment, PieceIndex first, int count,
                                                OnPiece on_piece) = 0;
  // NON-BLOCKING. A piece that someone wrote through the BlobFile and whose bytes matched `hash`. Nothing
  // happens if there is no such partial or the piece is known.
  virtual void note_piece(const SegmentKey& key, PieceIndex piece, const Hash256& hash) = 0;
  // Marks pieces missing again, on the disk before it returns, and takes the whole hash back before them.
  virtual Result<void> forget_pieces(const SegmentKey& key, PieceMask pieces) = 0;
  // Publishes: waits for the whole hash (working on it itself), compares, fsync, rename, fsync of the folder.
  // corrupt: the file is not the blob. It has then been read back from the disk once; pieces that no longer
  // match their own hash are marked missing, and if there are none, some recorded piece hash was a lie. Other
  // errors: invalid (pieces are missing), cancelled (the store is stopping), io, no_space.
  virtual Result<void> finish(const std::shared_ptr<PartialBlob>& partial) = 0;
  // Deletes the partial and what is recorded of it. Who still holds it may read; what is written is dropped.
  virtual Result<void> discard(const BlobId& id) = 0;
  // Partials on this disk, live or left by a former run.
  virtual Result<std::vector<BlobId>> partials() = 0;
  // Waits until all that was noted before is recorded as written.
  virtual Result<void> flush() = 0;

  // ---- whole caches ----

  // Takes over the complete blobs of a cache, or of one repo folder in one, where they stand; reads each
  // once. `path` may be outside the store's own cache. Errors: not_found, invalid (no cache), cancelled.
  virtual Result<AdoptReport> adopt(const std::string& path, const OnAdoptProgress& on_progress,
                                    std::stop_token stop) = 0;
  // Reads every copy of a complete blob again. corrupt: the copy is no longer believed; it is left on the
  // disk.
  virtual Result<VerifyReport> verify(const BlobId& id, std::stop_token stop) = 0;
  // What the own cache holds, for the choice of what to evict: a row per snapshot, and one per repo for
  // complete blobs that no snapshot links to. `wanted` is the caller's to fill in, as
  // is what else it knows of `in_use`, which is set here when a program has a file of it open. last_used is
  // the latest of record and access time (atime).
  virtual Result<CacheContents> contents() = 0;
  // Removes what one of them holds, links first. `commit` empty: the repo's blobs that no snapshot links to.
  virtual Result<RemoveReport> evict(const RepoRef& repo, const std::string& commit) = 0;
  // Removes a repo or one snapshot of it from this store's cache, and their rows. Errors: not_found,
  // unavailable (a blob of it is being fetched: cancel that first).
  virtual Result<RemoveReport> remove(const RepoRef& repo, const std::string& commit = {}) = 0;
};

}  // namespace shoal
