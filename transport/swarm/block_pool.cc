#include "transport/swarm/block_pool.h"

#include "node/core/geometry.h"

#include <cassert>
#include <cstdint>
#include <new>

#include <sys/mman.h>

namespace shoal {
namespace {

constexpr std::size_t kChunkBytes = kMiB;
// Spare chunks kept, so that steady traffic does not map and unmap: 4 MiB.
constexpr int kEmptyChunksKept = 4;

char* map(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

// Aligned to its size, so that a block's address leads to its chunk.
char* map_chunk() {
  char* wide = map(2 * kChunkBytes);
  const auto misaligned = reinterpret_cast<std::uintptr_t>(wide) % kChunkBytes;
  const std::size_t before = misaligned == 0 ? 0 : kChunkBytes - misaligned;
  if (before != 0) munmap(wide, before);
  munmap(wide + before + kChunkBytes, kChunkBytes - before);
  return wide + before;
}

}  // namespace

// Lives in the first of its 64 block places.
struct BlockPool::Chunk {
  static constexpr int kBlocks = kChunkBytes / kBlockSize - 1;
  struct FreeBlock {
    FreeBlock* next;
  };

  Chunk* previous = nullptr;
  Chunk* next = nullptr;
  FreeBlock* free = nullptr;  // blocks given back
  int used = 0;
  // Blocks ever given out; the rest is not on the free list, so that it stays untouched memory.
  int touched = 0;

  [[nodiscard]] bool full() const { return used == kBlocks; }

  static Chunk* of(char* block) {
    const auto address = reinterpret_cast<std::uintptr_t>(block);
    return reinterpret_cast<Chunk*>(block - address % kChunkBytes);
  }
};

BlockPool::~BlockPool() {
  assert(empty_ == chunks_ && "a block outlives its pool");
  while (with_room_ != nullptr) {
    Chunk* chunk = with_room_;
    unlink(chunk);
    munmap(chunk, kChunkBytes);
  }
}

void BlockPool::link(Chunk* chunk) {
  chunk->previous = nullptr;
  chunk->next = with_room_;
  if (with_room_ != nullptr) with_room_->previous = chunk;
  with_room_ = chunk;
}

void BlockPool::unlink(Chunk* chunk) {
  if (chunk->previous != nullptr) chunk->previous->next = chunk->next;
  if (chunk->next != nullptr) chunk->next->previous = chunk->previous;
  if (with_room_ == chunk) with_room_ = chunk->next;
}

char* BlockPool::allocate() {
  const std::lock_guard lock(mutex_);
  if (with_room_ == nullptr) {
    link(new (map_chunk()) Chunk);
    ++chunks_;
    ++empty_;
  }
  Chunk* chunk = with_room_;
  if (chunk->used++ == 0) --empty_;
  char* block = nullptr;
  if (chunk->free != nullptr) {
    block = reinterpret_cast<char*>(chunk->free);
    chunk->free = chunk->free->next;
  } else {
    block = reinterpret_cast<char*>(chunk) + static_cast<std::size_t>(++chunk->touched) * kBlockSize;
  }
  if (chunk->full()) unlink(chunk);
  return block;
}

void BlockPool::free(char* block) {
  const std::lock_guard lock(mutex_);
  Chunk* chunk = Chunk::of(block);
  if (chunk->full()) link(chunk);
  chunk->free = new (block) Chunk::FreeBlock{chunk->free};
  if (--chunk->used > 0) return;
  if (empty_ < kEmptyChunksKept) {
    ++empty_;
    return;
  }
  unlink(chunk);
  --chunks_;
  munmap(chunk, kChunkBytes);
}

std::size_t BlockPool::resident_bytes() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(chunks_) * kChunkBytes;
}

}  // namespace shoal
