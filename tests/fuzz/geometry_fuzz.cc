// Sizes that others tell, cut into segments and pieces (node/core/geometry.h). Eight bytes of size, then
// segments to look at.
#include "node/core/geometry.h"
#include "tests/fuzz/fuzz_target.h"

#include <bit>

using namespace shoal;

SHOAL_FUZZ_TARGET(geometry, 1) {
  fuzz::Input fields(input);
  const Geometry cut(fields.u64() % (kMaxBlobSize + 1));
  FUZZ_REQUIRE(std::has_single_bit(cut.segment_size()) && std::has_single_bit(cut.piece_size()));
  FUZZ_REQUIRE((cut.segment_count() == 0) == (cut.blob_size() == 0));
  if (cut.segment_count() == 0) return;
  const std::uint32_t last = cut.segment_count() - 1;
  FUZZ_REQUIRE(cut.segment_offset(SegmentIndex{last}) + cut.segment_length(SegmentIndex{last}) ==
               cut.blob_size());
  for (int i = 0; i < 8; ++i) {
    const SegmentIndex segment{i == 0 ? last
                                      : static_cast<std::uint32_t>(fields.u64() % cut.segment_count())};
    const int pieces = cut.piece_count(segment);
    FUZZ_REQUIRE(pieces >= 1 && pieces <= kMaxPiecesPerSegment);
    FUZZ_REQUIRE(std::popcount(cut.all_pieces(segment)) == pieces);
    // Pieces follow each other without a gap and fill the segment.
    std::uint64_t at = cut.segment_offset(segment);
    for (int p = 0; p < pieces; ++p) {
      const PieceIndex piece{static_cast<std::uint8_t>(p)};
      FUZZ_REQUIRE(cut.piece_offset(segment, piece) == at && cut.piece_length(segment, piece) > 0);
      at += cut.piece_length(segment, piece);
    }
    FUZZ_REQUIRE(at == cut.segment_offset(segment) + cut.segment_length(segment));
    FUZZ_REQUIRE(cut.bytes_in(segment, ~PieceMask{0}) == cut.segment_length(segment));
    FUZZ_REQUIRE(cut.bytes_in(segment, fields.u64()) <= cut.segment_length(segment));
  }
}
