#include "node/core/geometry.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Geometry, SmallBlobsHaveSixteenMebibyteSegmentsAndQuarterMebibytePieces) {
  EXPECT_EQ(segment_size(1), 16 * kMiB);
  EXPECT_EQ(piece_size(1), 256 * kKiB);
  EXPECT_EQ(segment_size(2 * kGiB), 16 * kMiB);
}

TEST(Geometry, SegmentsGrowWithTheBlobAsPowersOfTwoUpToOneGibibyte) {
  EXPECT_EQ(segment_size(2 * kGiB + 1), 32 * kMiB);
  EXPECT_EQ(segment_size(4 * kGiB), 32 * kMiB);
  EXPECT_EQ(segment_size(128 * kGiB), kGiB);
  EXPECT_EQ(segment_size(1024 * kGiB), kGiB);
  EXPECT_EQ(piece_size(1024 * kGiB), 16 * kMiB);
}

TEST(Geometry, TheEmptyBlobHasNoSegments) {
  EXPECT_EQ(Geometry(0).segment_count(), 0U);
}

TEST(Geometry, TheLastSegmentAndPieceAreShorter) {
  const Geometry g(20 * kMiB + 100);
  ASSERT_EQ(g.segment_count(), 2U);
  const SegmentIndex last{1};
  EXPECT_EQ(g.segment_length(last), 4 * kMiB + 100);
  EXPECT_EQ(g.piece_count(last), 17);
  EXPECT_EQ(g.piece_length(last, PieceIndex{16}), 100U);
  EXPECT_EQ(g.piece_length(last, PieceIndex{15}), 256 * kKiB);
  EXPECT_EQ(g.piece_offset(last, PieceIndex{16}), 20 * kMiB);
}

TEST(Geometry, EveryByteIsInExactlyOnePiece) {
  for (const std::uint64_t size :
       {std::uint64_t{1}, 256 * kKiB, 16 * kMiB, 16 * kMiB + 1, 40 * kMiB - 7, 5 * kGiB + 3}) {
    const Geometry g(size);
    std::uint64_t next = 0;
    for (std::uint32_t s = 0; s < g.segment_count(); ++s) {
      const SegmentIndex segment{s};
      for (int p = 0; p < g.piece_count(segment); ++p) {
        const auto piece = static_cast<PieceIndex>(p);
        ASSERT_EQ(g.piece_offset(segment, piece), next);
        ASSERT_GT(g.piece_length(segment, piece), 0U);
        next += g.piece_length(segment, piece);
      }
      ASSERT_EQ(g.bytes_in(segment, g.all_pieces(segment)), g.segment_length(segment));
    }
    EXPECT_EQ(next, size);
  }
}

TEST(Geometry, MasksOfRuns) {
  EXPECT_EQ(mask_of_run(0, 0), 0U);
  EXPECT_EQ(mask_of_run(0, 64), ~PieceMask{0});
  EXPECT_EQ(mask_of_run(2, 3), 0b11100U);
  EXPECT_EQ(mask_of_run(63, 1), PieceMask{1} << 63U);
}

}  // namespace
}  // namespace shoal
