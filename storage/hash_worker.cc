#include "storage/store_threads.h"

#include <algorithm>

namespace shoal {
namespace {

// Then another file has its turn.
constexpr std::uint64_t kTurnBytes = 64 * kMiB;

}  // namespace

HashWorkers::HashWorkers(int threads, Callbacks callbacks) : callbacks_(std::move(callbacks)) {
  for (int i = 0; i < std::max(threads, 1); ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { loop(stop); });
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

void HashWorkers::loop(const std::stop_token& stop) {
  while (true) {
    PartialPtr file;
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [&] { return !queue_.empty(); }) || stop.stop_requested()) return;
      file = std::move(queue_.front());
      queue_.pop_front();
    }
    const auto moved = file->hash_some(kTurnBytes, stop);
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
