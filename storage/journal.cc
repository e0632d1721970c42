#include "storage/store_threads.h"

#include <pthread.h>

namespace shoal {
namespace {

// So that a disk in trouble is asked, and reported, once a second and not in a busy loop.
constexpr std::chrono::seconds kRetry{1};
// How often the database's log is looked at when nothing is being fetched.
constexpr std::chrono::seconds kIdleCheckpoint{10};

}  // namespace

Journal::Journal(StateDb& db, Options options) : db_(db), records_(db), options_(std::move(options)) {
  recorder_ = std::jthread([this](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "journal");
    record_loop(stop);
  });
  syncer_ = std::jthread([this](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "journal-sync");
    sync_loop(stop);
  });
}

Journal::~Journal() {
  stop();
}

void Journal::stop() {
  if (!recorder_.joinable()) return;
  recorder_.request_stop();
  syncer_.request_stop();
  recorder_.join();
  syncer_.join();
  // A stop is often followed by a reboot, after which only durable pieces count.
  sync_all();
}

void Journal::note(const PartialPtr& file, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  bool wake = dirty_.empty();
  dirty_.insert(file);
  wake = wake || (dirty_bytes_ < options_.record_bytes && dirty_bytes_ + bytes >= options_.record_bytes);
  dirty_bytes_ += bytes;
  if (bytes > 0) {
    if (unsynced_.empty()) {
      oldest_unsynced_ = std::chrono::steady_clock::now();
      wake = true;
    }
    unsynced_.insert(file);
    wake = wake || (unsynced_bytes_ < options_.sync_bytes && unsynced_bytes_ + bytes >= options_.sync_bytes);
    unsynced_bytes_ += bytes;
  }
  if (wake) wake_.notify_all();
}

void Journal::forget(const PartialPtr& file) {
  const std::lock_guard lock(mutex_);
  dirty_.erase(file);
  unsynced_.erase(file);
}

Result<void> Journal::record_now(bool flushed) {
  const std::lock_guard recording(record_mutex_);
  std::set<PartialPtr> files;
  {
    const std::lock_guard lock(mutex_);
    files.swap(dirty_);
    dirty_bytes_ = 0;
  }
  std::vector<PartialPtr> changed;
  std::vector<PartialChanges> changes;
  for (const auto& file : files) {
    if (auto one = file->take_changes()) {
      changed.push_back(file);
      changes.push_back(std::move(*one));
    }
  }
  // Flushed or not, the commit may be that of the recording thread, which was here a moment before; so it is
  // the log that is flushed, whoever wrote it.
  if (changes.empty()) return flushed ? db_.sync_log() : Result<void>{};
  auto done = records_.record(changes, false);
  for (std::size_t i = 0; i < changed.size(); ++i) {
    changed[i]->changes_recorded(changes[i], done.has_value());
  }
  if (!done) {
    const std::lock_guard lock(mutex_);
    dirty_.insert(changed.begin(), changed.end());
    return done;
  }
  return flushed ? db_.sync_log() : done;
}

void Journal::record_loop(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [&] { return !dirty_.empty(); })) break;
      // More pieces land meanwhile; one commit takes them all.
      wake_.wait_for(lock, stop, options_.record_delay,
                     [&] { return dirty_bytes_ >= options_.record_bytes; });
    }
    if (const auto done = record_now(false); !done) {
      options_.on_trouble(done.error());
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, kRetry, [] { return false; });
    }
  }
}

void Journal::sync_loop(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      const bool some = wake_.wait_for(lock, stop, kIdleCheckpoint, [&] { return !unsynced_.empty(); });
      if (stop.stop_requested()) break;
      if (some) {
        wake_.wait_until(lock, stop, oldest_unsynced_ + options_.sync_interval,
                         [&] { return unsynced_bytes_ >= options_.sync_bytes; });
      }
    }
    if (stop.stop_requested()) break;
    sync_all();
  }
}

void Journal::sync_all() {
  std::set<PartialPtr> files;
  {
    const std::lock_guard lock(mutex_);
    files.swap(unsynced_);
    unsynced_bytes_ = 0;
  }
  for (const auto& file : files) {
    if (file->bytes_undurable() == 0) continue;
    if (auto flushed = flush_now(file); !flushed) options_.on_flush_failed(file, flushed.error());
  }
  auto done = record_now(false);
  if (done && !files.empty()) done = db_.sync_log();
  if (done) done = db_.checkpoint();
  if (!done) options_.on_trouble(done.error());
}

Result<void> Journal::flush_now(const PartialPtr& file) {
  const auto flush = file->start_flush();
  if (const int rc = options_.files->sync(file->fd(), true); rc < 0) {
    return fail_errno(-rc, "flush", file->path());
  }
  file->flush_succeeded(flush);
  note(file, 0);
  return {};
}

}  // namespace shoal
