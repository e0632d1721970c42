// The disk work of all loaded segments: reads, writes and hashes of 16 KiB blocks, on a few worker threads.
//
// - Writes are copied and wait for the rest of their run (kRunBytes), for somebody who needs them written, or
//   until half the queue waits so: neighbouring blocks become one gathered write. Each block is hashed by the
//   worker that writes it, while it is hot, so that hash_piece() answers from memory. It reads back only what
//   was not written in this life of the storage.
// - hash_piece() and when_piece_idle() wait for the piece's writes in flight.
// - Completions come back in batches through `post`, one call per batch, never from inside a method.
//
// Memory, at most: write_queue_bytes and what was being received when the queue filled; read_buffer_bytes;
// kLeafTableBytesMax of leaf hashes. Nothing grows with the size of a blob.
//
// It knows nothing of libtorrent; segment_disk.h is the adapter.
//
// Threads: methods may be called from any thread, and return at once (close_all() waits). Workers call the
// BlobFiles.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ports.h"
#include "transport/swarm/block_pool.h"
#include "transport/swarm/read_pace.h"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace shoal {

class SegmentIo {
 public:
  struct Options {
    int threads = 2;
    std::size_t write_queue_bytes = 16 * kMiB;
    std::size_t read_buffer_bytes = 64 * kMiB;
  };
  // All leaf hashes of pieces being received. A 16 MiB piece has 32 KiB of them: room for 512 such pieces, or
  // 32,768 of 256 KiB. Pieces beyond are hashed by reading them back.
  static constexpr std::size_t kLeafTableBytesMax = 16 * kMiB;
  // Blocks one worker takes at a time: 512 KiB, some 0.3 ms of hashing and writing, so that the other worker
  // and the other segments have their turn, and the system call's cost is spread thin.
  static constexpr std::size_t kBatchBlocks = 32;
  // Blocks of a run of so many bytes are written together once all are here; the file system then takes large
  // folios, and the call's cost is spread over 16 blocks. A piece is never shorter, but for the last.
  static constexpr std::uint64_t kRunBytes = 256 * kKiB;

  using StorageId = std::uint32_t;
  // What a batch of finished work calls, in order. Destroying it unrun frees its buffers.
  class Completions {
   public:
    virtual ~Completions() = default;
    virtual void run() = 0;
  };
  using Post = std::function<void(std::shared_ptr<Completions>)>;
  // `block` holds the bytes and must be given back with free_block(); nullptr after an error.
  using OnRead = std::function<void(char* block, const std::optional<Error>&)>;
  using OnWritten = std::function<void(const std::optional<Error>&)>;
  using OnHashed = std::function<void(const std::optional<Error>&)>;

  explicit SegmentIo(Options options);
  ~SegmentIo();
  SegmentIo(const SegmentIo&) = delete;
  SegmentIo& operator=(const SegmentIo&) = delete;

  // Where completions go. REQUIRES: called before any work is given.
  void set_post(Post post);

  // A segment of `length` bytes at `offset` of the file. Without a file: a storage without bytes; what is
  // written to it is dropped and its pieces hash to zeros, which no piece has.
  [[nodiscard]] StorageId open(std::shared_ptr<BlobFile> file, std::uint64_t offset, std::uint64_t length,
                               std::uint32_t piece_size);
  // REQUIRES: no work of this storage is outstanding.
  void close(StorageId id);

  // Offsets are in the segment; length at most 16 KiB. Bytes past the end of the segment read as zeros and
  // are dropped when written: BitTorrent v2 in libtorrent 2.0.8 pads the last block.
  void read(StorageId id, std::uint64_t offset, std::uint32_t length, OnRead done);
  // Copies the bytes. True: the queue is full, `on_room` will be called when it is half empty.
  [[nodiscard]] bool write(StorageId id, std::uint64_t offset, std::span<const char> bytes, OnWritten done,
                           std::function<void()> on_room);
  // The SHA-256 of each block of the piece. `leaves` must stay until `done`.
  void hash_piece(StorageId id, int piece, std::span<Hash256> leaves, OnHashed done);
  // Once no write to the piece is in flight; forgets its leaf hashes.
  void when_piece_idle(StorageId id, int piece, std::function<void()> done);
  // Once nothing of the storage is in flight.
  void when_idle(StorageId id, std::function<void()> done);
  // Posts a completion that needs no disk.
  void complete(std::function<void()> done);

  // Reads of all storages together, bytes per second; 0: no limit. They are what neighbours asked for.
  void limit_reads(std::uint64_t bytes_per_s);
  // So many of the threads work, at least one; for a machine that has other things to do.
  void limit_threads(int threads);

  // Wakes workers for what was queued since. Separate, so that a burst of requests wakes them once.
  void submit();

  void free_block(char* block);

  // Writes what is queued, cancels the reads, stops the workers and waits for them. All completions are
  // posted when it returns; work given afterwards is answered `cancelled`.
  void close_all();

  // For tests and metrics.
  struct Counters {
    std::uint64_t blocks_written = 0;
    std::uint64_t write_calls = 0;
    std::uint64_t blocks_read_back = 0;
    std::size_t queued_write_bytes = 0;
    std::size_t read_bytes_out = 0;
  };
  [[nodiscard]] Counters counters() const;

 private:
  struct Storage;
  struct Batch;
  struct Done;
  struct ReadJob;
  struct WriteJob;
  struct HashJob;
  struct Held;
  using StoragePtr = std::shared_ptr<Storage>;

  void hold(StorageId id, WriteJob job);
  void let_go(std::pair<StorageId, std::uint64_t> run);
  void let_go(StorageId id, std::uint64_t from, std::uint64_t to);
  void let_go_piece(StorageId id, int piece);
  void worker();
  void make_ready(const StoragePtr& storage);
  void unstarve();
  void wake_starved(const StoragePtr& storage);
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] std::size_t reads_to_take(const Storage& storage);
  [[nodiscard]] Batch take_batch(Storage& storage);
  void perform(Storage& storage, Batch& batch);
  static int perform_writes(Storage& storage, Batch& batch);
  int perform_hash(Storage& storage, HashJob& job);
  void settle(const StoragePtr& storage, Batch& batch, Done& done);
  void settle_write(Storage& storage, WriteJob& job, Done& done);
  [[nodiscard]] bool answer_from_memory(Storage& storage, HashJob& job);
  void drop_leaves(Storage& storage, int piece);
  void send(Done done);

  const Options options_;
  BlockPool pool_;
  Post post_;

  mutable std::mutex mutex_;
  std::condition_variable work_;
  // Guarded by mutex_.
  std::unique_ptr<Held> held_;
  std::vector<StoragePtr> storages_;  // by id; empty places are used again
  std::deque<StoragePtr> ready_;      // have work, taken in turn
  std::vector<StoragePtr> starved_;   // have reads but no read buffer is left, or the pace has no room
  ReadPace read_pace_;
  std::size_t queued_write_bytes_ = 0;
  std::size_t read_bytes_out_ = 0;
  std::size_t leaf_table_bytes_ = 0;
  std::vector<std::function<void()>> waiting_for_room_;
  int working_ = 0;  // workers that are not waiting
  int working_most_ = 0;
  bool stop_ = false;
  Counters counters_;

  std::vector<std::thread> workers_;
};

}  // namespace shoal
