// The piece hashes of one segment. Copies share one list until one of them is changed.
//
// Why: a node passes a segment's list on to a dozen others, and in the simulator a thousand nodes keep the
// same lists of a thousand segments.
//
// Threads: as a plain value; copies may be used on different threads.
#pragma once

#include "node/core/ids.h"

#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace shoal {

class PieceHashes {
 public:
  PieceHashes() = default;
  explicit PieceHashes(std::vector<Hash256> hashes)
      : list_(std::make_shared<std::vector<Hash256>>(std::move(hashes))) {}

  [[nodiscard]] std::size_t size() const { return list_ ? list_->size() : 0; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] const Hash256& operator[](std::size_t i) const { return (*list_)[i]; }
  [[nodiscard]] const std::vector<Hash256>& list() const {
    static const std::vector<Hash256> none;
    return list_ ? *list_ : none;
  }
  void set(std::size_t i, const Hash256& hash) {
    if (!alone()) list_ = std::make_shared<std::vector<Hash256>>(*list_);
    (*list_)[i] = hash;
  }
  bool operator==(const PieceHashes& other) const {
    static_assert(sizeof(Hash256) == 32);
    return list_ == other.list_ ||
           (size() == other.size() &&
            (empty() || std::memcmp(list_->data(), other.list_->data(), size() * sizeof(Hash256)) == 0));
  }

 private:
  // Whether no other copy has the list, so that it may be changed in place. Asked once: between two questions
  // another thread's copy may go.
  [[nodiscard]] bool alone() const {
#ifdef __SANITIZE_THREAD__
    return false;  // it knows no fences
#else
    if (list_.use_count() != 1) return false;
    // Who had another copy has read it for the last time.
    std::atomic_thread_fence(std::memory_order_acquire);
    return true;
#endif
  }

  std::shared_ptr<std::vector<Hash256>> list_;
};

}  // namespace shoal
