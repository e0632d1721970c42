#include "storage/store_threads.h"

#include <algorithm>

#include <pthread.h>

namespace shoal {
namespace {

// Then another file has its turn.
constexpr std::uint64_t kTurnBytes = 64 * kMiB;

}  // namespace

HashWorkers::HashWorkers(int threads, Callbacks callbacks)
    : callbacks_(std::move(callbacks)), limit_(std::max(threads, 1)) {
  for (int i = 0; i < std::max(threads, 1); ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) {
      pthread_setname_np(pthread_self(), "hash");
      loop(stop);
    });
  }
}

HashWorkers::~HashWorkers() {
  stop();
}

void HashWorkers::stop() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();  // joins
}

void HashWorkers::offer(const PartialPtr& file) {
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(queue_, file) != queue_.end()) return;
  queue_.push_back(file);
  wake_.notify_one();
}

void HashWorkers::limit(int threads) {
  const std::lock_guard lock(mutex_);
  limit_ = std::max(threads, 1);
  wake_.notify_all();
}

void HashWorkers::loop(const std::stop_token& stop) {
  while (true) {
    PartialPtr file;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [&] { return !queue_.empty() && working_ < limit_; };
      if (!wake_.wait(lock, stop, ready) || stop.stop_requested()) return;
      file = std::move(queue_.front());
      queue_.pop_front();
      ++working_;
    }
    const auto moved = file->hash_some(kTurnBytes, stop);
    {
      // Nobody needs to be woken: this thread comes back to the queue itself.
      const std::lock_guard lock(mutex_);
      --working_;
    }
    if (!moved) {
      // finish() meets the same error and tells its caller.
      callbacks_.on_trouble(moved.error());
      continue;
    }
    if (!*moved) continue;
    callbacks_.on_moved(file);
    if (file->can_hash()) offer(file);
    if (file->bytes_hashed() == file->id().size) callbacks_.on_hashed(file);
  }
}

}  // namespace shoal
