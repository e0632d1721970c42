// How a blob is cut into segments and pieces. Pure functions of the blob's size; fixed for ever by protocol
// version 1, because two nodes that cut differently could not build the same torrent.
//
// - segment: the smallest power of two >= max(16 MiB, size / 128), at most 1 GiB. Why: few enough torrents
//   for a terabyte, small enough that the first segment is shared while the second still comes in.
// - piece: max(256 KiB, segment / 64). A segment therefore has at most 64 pieces, so a segment's bitfield
//   is one machine word everywhere in this program.
// - block: 16 KiB, BitTorrent's transfer unit and BEP 52's leaf.
#pragma once

#include "node/core/ids.h"

#include <cstdint>

namespace shoal {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

inline constexpr std::uint32_t kBlockSize = 16 * kKiB;
inline constexpr int kMaxPiecesPerSegment = 64;
// A blob of one piece travels inside a control message: a connection would cost more than the bytes.
inline constexpr std::uint64_t kSmallBlobMax = 256 * kKiB;
// The largest file accepted from a tree listing; a thousand times the largest shard seen on the Hub.
inline constexpr std::uint64_t kMaxBlobSize = std::uint64_t{1} << 46U;

// Bit i stands for piece i of a segment.
using PieceMask = std::uint64_t;

[[nodiscard]] std::uint64_t segment_size(std::uint64_t blob_size);
[[nodiscard]] std::uint32_t piece_size(std::uint64_t blob_size);

// The cut of one blob. All offsets and lengths are bytes.
class Geometry {
 public:
  explicit Geometry(std::uint64_t blob_size);

  [[nodiscard]] std::uint64_t blob_size() const { return blob_size_; }
  [[nodiscard]] std::uint64_t segment_size() const { return segment_size_; }
  [[nodiscard]] std::uint32_t piece_size() const { return piece_size_; }
  [[nodiscard]] std::uint32_t segment_count() const;  // 0 for the empty blob

  [[nodiscard]] std::uint64_t segment_offset(SegmentIndex s) const;
  [[nodiscard]] std::uint64_t segment_length(SegmentIndex s) const;
  [[nodiscard]] int piece_count(SegmentIndex s) const;  // 1 to 64
  [[nodiscard]] PieceMask all_pieces(SegmentIndex s) const;

  [[nodiscard]] std::uint64_t piece_offset(SegmentIndex s, PieceIndex p) const;  // in the blob
  [[nodiscard]] std::uint32_t piece_length(SegmentIndex s, PieceIndex p) const;
  // Sum of the lengths of the pieces in the mask.
  [[nodiscard]] std::uint64_t bytes_in(SegmentIndex s, PieceMask pieces) const;

 private:
  std::uint64_t blob_size_;
  std::uint64_t segment_size_;
  std::uint32_t piece_size_;
};

// The mask of `count` pieces from `first` on.
[[nodiscard]] PieceMask mask_of_run(int first, int count);
[[nodiscard]] constexpr PieceMask mask_of(PieceIndex p) {
  return PieceMask{1} << static_cast<unsigned>(p);
}

}  // namespace shoal
