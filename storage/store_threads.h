// The threads of the blob store: one that records, one that flushes, some that hash. Inside storage/ only.
//
// Recording and flushing are two threads because a flush may wait seconds for a slow disk, and what lands
// meanwhile still has to be recorded as written (partial_blob.h).
#pragma once

#include "node/core/result.h"
#include "storage/blob_records.h"
#include "storage/partial_file.h"
#include "storage/state_db.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

namespace shoal {

using PartialPtr = std::shared_ptr<PartialFile>;

class Journal {
 public:
  struct Options {
    std::chrono::milliseconds record_delay{};
    std::uint64_t record_bytes = 0;
    std::chrono::milliseconds sync_interval{};
    std::uint64_t sync_bytes = 0;
    FileSystem* files = &real_files();
    // The file's flush failed; called without locks on the flushing thread.
    std::function<void(const PartialPtr&, Error)> on_flush_failed;
    std::function<void(Error)> on_trouble;
  };
  Journal(StateDb& db, Options options);
  ~Journal();
  // Ends the threads, then records and flushes what is left; the callbacks may still be called by that.
  void stop();

  // NON-BLOCKING. `bytes` more are written in the file; 0: only its midstate moved.
  void note(const PartialPtr& file, std::uint64_t bytes);
  // NON-BLOCKING. The file is published: nothing of it is left to be written, and its descriptor is let go.
  void forget(const PartialPtr& file);
  // Records all that was noted before, on the calling thread. flushed: and on the disk (see state_db.h).
  Result<void> record_now(bool flushed);
  // Flushes one file now, as publishing needs. On failure nothing is marked; the caller takes pieces back.
  Result<void> flush_now(const PartialPtr& file);

 private:
  void record_loop(const std::stop_token& stop);
  void sync_loop(const std::stop_token& stop);
  void sync_all();

  StateDb& db_;
  BlobRecords records_;
  const Options options_;

  // Held from taking changes until they are written, so that an older state never overwrites a newer one.
  std::mutex record_mutex_;

  std::mutex mutex_;
  std::condition_variable_any wake_;
  // Guarded by mutex_. Both are bounded by the number of partials.
  std::set<PartialPtr> dirty_;
  std::uint64_t dirty_bytes_ = 0;
  std::set<PartialPtr> unsynced_;
  std::uint64_t unsynced_bytes_ = 0;
  std::chrono::steady_clock::time_point oldest_unsynced_;

  std::jthread recorder_;
  std::jthread syncer_;
};

class HashWorkers {
 public:
  struct Callbacks {
    std::function<void(const PartialPtr&)> on_moved;   // the midstate
    std::function<void(const PartialPtr&)> on_hashed;  // to the end
    std::function<void(Error)> on_trouble;
  };
  HashWorkers(int threads, Callbacks callbacks);
  ~HashWorkers();
  void stop();

  // NON-BLOCKING. The file may have pieces to hash.
  void offer(const PartialPtr& file);
  // NON-BLOCKING. So many of the threads work; whoever is at it finishes its turn.
  void limit(int threads);

 private:
  void loop(const std::stop_token& stop);

  const Callbacks callbacks_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  // Guarded by mutex_.
  std::deque<PartialPtr> queue_;  // each file at most once
  int working_ = 0;
  int limit_;

  std::vector<std::jthread> threads_;
};

}  // namespace shoal
