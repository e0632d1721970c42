// The SliceSink of a partial: hashes and writes in one pass, with one bounded buffer. Inside storage/ only.
#pragma once

#include "node/core/ports.h"
#include "storage/hasher.h"
#include "storage/partial_file.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace shoal {

class SliceWriter final : public SliceSink {
 public:
  // Called on the writing thread when a piece is whole and in the file.
  using OnPiece = std::function<void(const std::shared_ptr<PartialFile>&, SegmentKey, PieceIndex, Hash256)>;

  SliceWriter(std::shared_ptr<PartialFile> file, SegmentIndex segment, PieceIndex first, int count,
              OnPiece on_piece);
  ~SliceWriter() override;
  SliceWriter(const SliceWriter&) = delete;
  SliceWriter& operator=(const SliceWriter&) = delete;

  Result<void> write(std::span<const std::byte> bytes) override;

 private:
  // Large enough that a system call's cost vanishes, small enough that 64 slices in flight cost 16 MiB.
  static constexpr std::size_t kBufferSize = 256 * kKiB;

  void start_piece();
  Result<void> take(std::span<const std::byte> part);
  Result<void> put(std::span<const std::byte> bytes);
  Result<void> flush();
  Result<void> end_piece();

  const std::shared_ptr<PartialFile> file_;
  const SegmentIndex segment_;
  const OnPiece on_piece_;
  const PartialFile::WriterId id_;
  int piece_;      // the one in progress
  const int end_;  // one past the last
  bool failed_ = false;

  // Of the piece in progress.
  std::optional<PieceHasher> hasher_;  // empty: no piece is in progress
  PartialFile::PieceStart start_;
  std::uint32_t taken_ = 0;    // bytes of it that came
  std::uint64_t written_ = 0;  // offset in the blob up to which it is written
  std::vector<std::byte> buffer_;
};

}  // namespace shoal
