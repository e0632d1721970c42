#include "node/core/slice_choice.h"

#include "tests/unit/core/scheduler_fixture.h"

#include <map>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::SizeIs;

// One character per piece: '*' is free.
PieceMask mask(const std::string& picture) {
  PieceMask pieces = 0;
  for (std::size_t i = 0; i < picture.size(); ++i) {
    if (picture[i] == '*') pieces |= mask_of(static_cast<PieceIndex>(i));
  }
  return pieces;
}

TEST(FirstRun, IsTheFirstOfConsecutiveFreePieces) {
  EXPECT_EQ(first_run(mask("  ***   "), 8), (PieceRun{2, 3}));
  EXPECT_EQ(first_run(mask("** *** *"), 8), (PieceRun{0, 2}));
}

TEST(FirstRun, IsAsLongAsWantedAtMost) {
  EXPECT_EQ(first_run(mask("********"), 3), (PieceRun{0, 3}));
  EXPECT_EQ(first_run(mask("********"), 0), std::nullopt);
  EXPECT_EQ(first_run(~PieceMask{0}, 64), (PieceRun{0, 64}));
}

TEST(FirstRun, IsNothingWhenNothingIsFree) {
  EXPECT_EQ(first_run(0, 8), std::nullopt);
}

const std::vector<NodeId> kFour = {node_id(1), node_id(2), node_id(3), node_id(4)};

TEST(RunOfOthers, ComesFromTheEndOfTheNextNodesPart) {
  // Parts of two pieces each.
  EXPECT_EQ(run_of_others(mask("  ******"), node_id(1), kFour, 8, 8), (PieceRun{3, 1}));
  EXPECT_EQ(run_of_others(mask("****  **"), node_id(3), kFour, 8, 8), (PieceRun{7, 1}));
  EXPECT_EQ(run_of_others(mask("******  "), node_id(4), kFour, 8, 8), (PieceRun{1, 1}));
}

TEST(RunOfOthers, SkipsPartsThatAreDone) {
  EXPECT_EQ(run_of_others(mask("      **"), node_id(1), kFour, 8, 8), (PieceRun{7, 1}));
  EXPECT_EQ(run_of_others(mask("*       "), node_id(2), kFour, 8, 8), (PieceRun{0, 1}));
  EXPECT_EQ(run_of_others(0, node_id(2), kFour, 8, 8), std::nullopt);
}

TEST(RunOfOthers, IsHalfOfWhatIsLeftThere) {
  const PieceMask free = mask_of_run(16, 16);  // all of the second node's part
  EXPECT_EQ(run_of_others(free, node_id(1), kFour, 64, 64), (PieceRun{24, 8}));
  EXPECT_EQ(run_of_others(free, node_id(1), kFour, 64, 3), (PieceRun{29, 3}));
}

TEST(RunOfOthers, NodesThatAreDoneAtOnceBeginAtDifferentPlaces) {
  const PieceMask free = ~mask_of_run(0, 16) & ~mask_of_run(32, 16);  // the first and the third are done
  const auto first = run_of_others(free, node_id(1), kFour, 64, 64);
  const auto third = run_of_others(free, node_id(3), kFour, 64, 64);
  ASSERT_TRUE(first && third);
  EXPECT_NE(first->first, third->first);
}

TEST(ClaimPart, CoversTheSegmentWithoutOverlap) {
  for (const int pieces : {1, 3, 16, 64}) {
    PieceMask covered = 0;
    const std::vector<NodeId> all = {node_id(1), node_id(2), node_id(3), node_id(4), node_id(5)};
    for (const NodeId node : all) {
      const PieceMask part = claim_part(node, all, pieces);
      EXPECT_EQ(covered & part, 0U);
      covered |= part;
    }
    EXPECT_EQ(covered, mask_of_run(0, pieces));
  }
  EXPECT_EQ(claim_part(node_id(1), {}, 64), ~PieceMask{0});
}

TEST(ClaimBeats, IsATotalOrderThatDiffersBetweenSegments) {
  std::map<NodeId, int> won;
  for (std::uint32_t s = 0; s < 60; ++s) {
    const SegmentKey key{blob_of_size(kGiB), SegmentIndex{s}};
    for (int a = 1; a <= 3; ++a) {
      for (int b = 1; b <= 3; ++b) {
        if (a == b) continue;
        EXPECT_NE(claim_beats(node_id(a), node_id(b), key), claim_beats(node_id(b), node_id(a), key));
        if (claim_beats(node_id(a), node_id(b), key)) ++won[node_id(a)];
      }
    }
  }
  for (int a = 1; a <= 3; ++a) EXPECT_GT(won[node_id(a)], 30) << a;  // 60 on average
}

TEST(ChooseHolders, AreThoseOfTheListOfTheNumberAsked) {
  const std::vector<NodeId> holders = {node_id(1), node_id(2), node_id(3)};
  const SegmentKey key{blob_of_size(kGiB), SegmentIndex{0}};
  const auto idle = [](NodeId) { return 1.0; };
  EXPECT_THAT(choose_holders(holders, key, 2, idle), SizeIs(2));
  EXPECT_THAT(choose_holders(holders, key, 5, idle), testing::UnorderedElementsAreArray(holders));
  EXPECT_THAT(choose_holders({}, key, 5, idle), SizeIs(0));
}

TEST(ChooseHolders, ABusyOneComesFirstFarLessOften) {
  const std::vector<NodeId> holders = {node_id(1), node_id(2), node_id(3)};
  std::map<NodeId, int> first;
  for (std::uint32_t s = 0; s < 600; ++s) {
    const SegmentKey key{blob_of_size(kGiB), SegmentIndex{s}};
    ++first[choose_holders(holders, key, 1, [](NodeId n) { return n == node_id(2) ? 0.1 : 1.0; }).at(0)];
  }
  EXPECT_LT(first[node_id(2)], 60);  // 29 on average
  EXPECT_GT(first[node_id(1)], 200);
  EXPECT_GT(first[node_id(3)], 200);
}

TEST(ChooseHolders, ABusyOneIsAskedLessAlsoWhereThereIsRoomForAll) {
  const std::vector<NodeId> holders = {node_id(1), node_id(2), node_id(3)};
  std::map<NodeId, int> asked;
  for (std::uint32_t s = 0; s < 600; ++s) {
    const SegmentKey key{blob_of_size(kGiB), SegmentIndex{s}};
    const auto capacity = [](NodeId n) { return n == node_id(2) ? 0.1 : 1.0; };
    for (const NodeId node : choose_holders(holders, key, 4, capacity)) ++asked[node];
  }
  EXPECT_EQ(asked[node_id(1)], 600);
  EXPECT_EQ(asked[node_id(3)], 600);
  EXPECT_LT(asked[node_id(2)], 90);  // 60 on average
  EXPECT_GT(asked[node_id(2)], 30);
}

TEST(ChooseHolders, ABusyOneIsAskedWhereThereIsNobodyElse) {
  const std::vector<NodeId> holders = {node_id(2)};
  for (std::uint32_t s = 0; s < 50; ++s) {
    const SegmentKey key{blob_of_size(kGiB), SegmentIndex{s}};
    EXPECT_THAT(choose_holders(holders, key, 4, [](NodeId) { return 0.1; }), SizeIs(1));
  }
}

}  // namespace
}  // namespace shoal
