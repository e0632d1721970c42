// The one implementation of PartialBlob (see there for what is recorded and why). Inside storage/ only.
//
// It holds the state and answers questions; it starts nothing. Who changes it then wakes the journal and the
// hash workers (store_threads.h).
//
// Memory: some 50 bytes per segment, and 2 KiB for each segment that is neither empty nor recorded whole.
//
// Threads: any; `mutex_` guards all that changes and is never held during a read, a write or hashing.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/result.h"
#include "storage/blob_records.h"
#include "storage/file.h"
#include "storage/hasher.h"
#include "storage/hub_cache.h"
#include "storage/partial_blob.h"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace shoal {

class PartialFile final : public PartialBlob {
 public:
  struct Origin {
    BlobId id;
    RepoRef repo;
    std::string path;
    UniqueFd fd;
    BlobLock lock;
    FileSystem* files = &real_files();
  };
  explicit PartialFile(Origin origin);

  // PartialBlob
  [[nodiscard]] const BlobId& id() const override { return id_; }
  [[nodiscard]] int descriptor() const override { return fd_.get(); }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override;
  // Bytes for pieces that are here already are dropped: what was verified is never overwritten.
  Result<void> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> buffers) override;
  [[nodiscard]] const Geometry& geometry() const override { return geometry_; }
  [[nodiscard]] const RepoRef& repo() const override { return repo_; }
  [[nodiscard]] PieceMask have(SegmentIndex segment) const override;
  [[nodiscard]] std::vector<PieceMask> have_all() const override;
  [[nodiscard]] std::uint64_t bytes_have() const override;
  [[nodiscard]] std::uint64_t bytes_hashed() const override;
  [[nodiscard]] bool all_here() const override;
  [[nodiscard]] bool published() const override;

  // ---- a former run ----
  // Before anyone else sees the object. Afterwards take_changes() voids midstates that cover lost pieces.
  void restore(const std::vector<SegmentRecord>& segments, const std::vector<PrefixRecord>& prefixes);

  // ---- pieces arriving ----
  enum class WriterId : std::uint64_t {};
  struct PieceStart {
    bool wanted = false;              // false: here already, drop the bytes
    std::optional<BlobHasher> whole;  // the publisher's hash up to this piece, when that is where it stands
    std::uint64_t forgets = 0;        // for end_piece()
  };
  // Makes `writer` the one in charge of the piece. Waits for a write of the former one, which takes moments.
  PieceStart start_piece(WriterId writer, SegmentIndex segment, PieceIndex piece);
  // False: someone else took over or has finished the piece; nothing was written.
  Result<bool> write_piece(WriterId writer, SegmentIndex segment, PieceIndex piece, std::uint64_t offset,
                           std::span<const std::byte> bytes);
  // True: the piece is here now. `start`: what start_piece gave, its `whole` fed with the piece.
  bool end_piece(WriterId writer, SegmentIndex segment, PieceIndex piece, const Hash256& hash,
                 const PieceStart& start);
  void leave_piece(WriterId writer, SegmentIndex segment, PieceIndex piece);
  // A piece that came through write_at(). False: known already.
  bool add_piece(SegmentIndex segment, PieceIndex piece, const Hash256& hash);

  // The segment's hashes, unless they were recorded and let go: then the database has them.
  struct Known {
    PieceMask have = 0;
    std::optional<std::vector<Hash256>> hashes;
  };
  [[nodiscard]] Known known(SegmentIndex segment) const;

  // Marks pieces missing and the whole hash back before them. They stay closed to writers until reopen().
  void forget(SegmentIndex segment, PieceMask pieces);
  // `hashes`: the segment's as recorded, for when they had been let go.
  void reopen(SegmentIndex segment, PieceMask pieces, std::vector<Hash256> hashes);

  // ---- recording ----
  // What changed since the last call; nullopt: nothing.
  std::optional<PartialChanges> take_changes();
  // The outcome of writing them; on failure they will be taken again.
  void changes_recorded(const PartialChanges& changes, bool ok);

  struct Flush {
    std::vector<std::pair<SegmentIndex, PieceMask>> pieces;
    std::uint64_t forgets = 0;
    PrefixRecord prefix;
  };
  [[nodiscard]] std::uint64_t bytes_undurable() const;
  Flush start_flush();
  void flush_succeeded(const Flush& flush);
  // All pieces that no flush ever covered are missing again (closed until reopen()); returns them.
  std::vector<std::pair<SegmentIndex, PieceMask>> flush_failed();

  // ---- the publisher's hash ----
  // Hashes pieces from the page cache, as long as they are here in order, at most about `budget` bytes.
  // False: there was nothing to do, also because another thread is at it.
  Result<bool> hash_some(std::uint64_t budget, const std::stop_token& stop);
  [[nodiscard]] bool can_hash() const;
  // Waits until the hash has moved or a moment has passed.
  void wait_for_hash(std::uint64_t from) const;
  [[nodiscard]] bool hash_matches() const;
  // Replaces the state by one that was computed from the disk.
  void set_hash(const BlobHasher& hasher);

  // ---- the end ----
  void set_published(const std::string& path);
  // Nothing is recorded from now on; the lock is given up.
  void detach();
  [[nodiscard]] bool detached() const;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::string path() const;

 private:
  struct Segment {
    PieceMask have = 0;
    PieceMask durable = 0;
    PieceMask closed = 0;         // forgotten, and not recorded as such yet
    bool masks_changed = false;   // since take_changes()
    bool hashes_changed = false;  // since take_changes()
    std::vector<Hash256> hashes;  // empty: nothing here, or all recorded
  };
  struct Writer {
    WriterId id{};
    bool writing = false;
  };
  using PieceKey = std::pair<SegmentIndex, PieceIndex>;

  Segment& at(SegmentIndex s) { return segments_[to_int(s)]; }
  [[nodiscard]] const Segment& at(SegmentIndex s) const { return segments_[to_int(s)]; }
  void put_piece(SegmentIndex s, PieceIndex p, const Hash256& hash);
  void drop_pieces(SegmentIndex s, PieceMask pieces);
  void take_hash_back(std::uint64_t position);
  void move_hash(const BlobHasher& hasher);
  [[nodiscard]] PieceKey piece_at(std::uint64_t position) const;
  [[nodiscard]] bool can_hash_locked() const;

  // Constant.
  const BlobId id_;
  const Geometry geometry_;
  const RepoRef repo_;
  const UniqueFd fd_;
  FileSystem& files_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  // Guarded by mutex_.
  std::string path_;
  BlobLock lock_;
  std::vector<Segment> segments_;
  std::uint64_t bytes_have_ = 0;
  std::uint64_t bytes_durable_ = 0;
  std::uint64_t forgets_ = 0;  // how often pieces were taken back
  std::map<PieceKey, Writer> writers_;
  bool detached_ = false;
  bool published_ = false;

  BlobHasher hash_;       // of the first hash_.bytes() bytes, always whole pieces
  bool hashing_ = false;  // a thread is computing the next piece
  std::map<std::uint64_t, std::vector<std::uint8_t>> boundaries_;  // midstates at segment boundaries
  std::optional<PrefixRecord> durable_hash_;
  bool hash_changed_ = false;
  bool durable_hash_changed_ = false;
  std::vector<std::uint64_t> new_boundaries_;
  std::optional<std::uint64_t> back_to_;
};

}  // namespace shoal
