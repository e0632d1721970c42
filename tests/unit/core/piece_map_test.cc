#include "node/core/piece_map.h"

#include "node/core/rate_history.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

BlobId blob_of(std::uint64_t size) {
  return *BlobId::parse("sha256:" + std::string(64, 'b'), size);
}

TEST(PieceMap, RunsCrossSegmentsAndEndWithTheFile) {
  // Two segments of 64 pieces, the second one with 3 of them.
  PieceMap map{blob_of(16 * kMiB + 3 * 256 * kKiB), std::vector<SegmentPieces>(2)};
  EXPECT_EQ(run_lengths(map), "-67");
  map.segments[0].lan = mask_of_run(0, 60);
  map.segments[0].origin = mask_of_run(60, 4);
  map.segments[1].origin = mask_of_run(0, 1);
  map.segments[1].fetching = mask_of_run(1, 1);
  EXPECT_EQ(run_lengths(map), "l60o5f1-1");
}

TEST(PieceMap, WhatIsHereBeatsWhatIsUnderWay) {
  PieceMap map{blob_of(6 * 256 * kKiB), std::vector<SegmentPieces>(1)};
  SegmentPieces& s = map.segments[0];
  s.local = 0b000001;
  s.fetching = 0b000011;
  s.asked = 0b000111;
  s.claimed = 0b001111;
  EXPECT_EQ(run_lengths(map), "m1f1n1c1-2");
}

TEST(RateHistory, KeepsTenMinutesOfSecondsAndAMeanPerMinute) {
  RateHistory history;
  for (int s = 0; s < 700; ++s) history.add({{s * 1000}, static_cast<std::uint64_t>(s / 60), 10, 20});
  EXPECT_EQ(history.seconds().size(), RateHistory::kSeconds);
  EXPECT_EQ(history.seconds().front().at.ms, 100'000);
  ASSERT_EQ(history.minutes().size(), 11U);  // the twelfth is not over
  EXPECT_EQ(history.minutes()[3], (RateSample{{180'000}, 3, 10, 20}));
}

TEST(RateHistory, AMissingMinuteIsAGapAndNotAZero) {
  RateHistory history;
  history.add({{59'000}, 5, 0, 0});
  history.add({{300'000}, 7, 0, 0});
  ASSERT_EQ(history.minutes().size(), 1U);
  EXPECT_EQ(history.minutes()[0], (RateSample{{0}, 5, 0, 0}));
}

}  // namespace
}  // namespace shoal
