#include "node/core/geometry.h"

#include <algorithm>
#include <bit>

namespace shoal {

std::uint64_t segment_size(std::uint64_t blob_size) {
  // size/128 rounded up, so that "the smallest power of two >= size/128" holds for sizes that do not divide.
  const std::uint64_t share = blob_size / 128 + (blob_size % 128 != 0 ? 1 : 0);
  if (share >= kGiB) return kGiB;
  return std::bit_ceil(std::max(16 * kMiB, share));
}

std::uint32_t piece_size(std::uint64_t blob_size) {
  return static_cast<std::uint32_t>(std::max(256 * kKiB, segment_size(blob_size) / kMaxPiecesPerSegment));
}

Geometry::Geometry(std::uint64_t blob_size)
    : blob_size_(blob_size),
      segment_size_(shoal::segment_size(blob_size)),
      piece_size_(shoal::piece_size(blob_size)) {}

std::uint32_t Geometry::segment_count() const {
  return static_cast<std::uint32_t>((blob_size_ + segment_size_ - 1) / segment_size_);
}

std::uint64_t Geometry::segment_offset(SegmentIndex s) const {
  return to_int(s) * segment_size_;
}

std::uint64_t Geometry::segment_length(SegmentIndex s) const {
  return std::min(segment_size_, blob_size_ - segment_offset(s));
}

int Geometry::piece_count(SegmentIndex s) const {
  return static_cast<int>((segment_length(s) + piece_size_ - 1) / piece_size_);
}

PieceMask Geometry::all_pieces(SegmentIndex s) const {
  return mask_of_run(0, piece_count(s));
}

std::uint64_t Geometry::piece_offset(SegmentIndex s, PieceIndex p) const {
  return segment_offset(s) + static_cast<std::uint64_t>(to_int(p)) * piece_size_;
}

std::uint32_t Geometry::piece_length(SegmentIndex s, PieceIndex p) const {
  const std::uint64_t begin = static_cast<std::uint64_t>(to_int(p)) * piece_size_;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_size_, segment_length(s) - begin));
}

std::uint64_t Geometry::bytes_in(SegmentIndex s, PieceMask pieces) const {
  pieces &= all_pieces(s);
  const auto last = static_cast<PieceIndex>(piece_count(s) - 1);
  std::uint64_t bytes = static_cast<std::uint64_t>(std::popcount(pieces)) * piece_size_;
  if ((pieces & mask_of(last)) != 0) bytes -= piece_size_ - piece_length(s, last);
  return bytes;
}

PieceMask mask_of_run(int first, int count) {
  if (count <= 0) return 0;
  const PieceMask run =
      count >= kMaxPiecesPerSegment ? ~PieceMask{0} : (PieceMask{1} << static_cast<unsigned>(count)) - 1;
  return run << static_cast<unsigned>(first);
}

}  // namespace shoal
