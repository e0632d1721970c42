// Memory for 16 KiB blocks on their way between the network and the disk.
//
// Chunks of 63 blocks come straight from the system and go back to it when they are empty, so that a burst
// does not stay resident for ever: malloc keeps arenas that were touched by several threads. How many blocks
// may be out is the caller's accounting.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <mutex>

namespace shoal {

class BlockPool {
 public:
  BlockPool() = default;
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // 16 KiB. Throws std::bad_alloc when the system gives nothing.
  [[nodiscard]] char* allocate();
  void free(char* block);

  // Chunks held from the system now, in bytes.
  [[nodiscard]] std::size_t resident_bytes() const;

 private:
  struct Chunk;
  void link(Chunk* chunk);
  void unlink(Chunk* chunk);

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Chunk* with_room_ = nullptr;  // chunks that have a free block, doubly linked
  int empty_ = 0;               // of those, how many are all free
  int chunks_ = 0;
};

}  // namespace shoal
