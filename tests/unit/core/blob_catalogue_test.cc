#include "node/core/blob_catalogue.h"

#include "tests/unit/core/scheduler_fixture.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr SegmentIndex kFirst{0};
constexpr SegmentIndex kSecond{1};
constexpr SegmentIndex kBeyond{2};
const NodeId kNodeA = node_id(1);
const NodeId kNodeB = node_id(2);

class Catalogue : public testing::Test {
 protected:
  Geometry geometry{32 * kMiB};  // two segments of 64 pieces
  BlobCatalogue catalogue{geometry, 4s};
  Time now = Time{} + 1h;
  PieceMask all = geometry.all_pieces(kFirst);
};

TEST_F(Catalogue, PiecesBecomeAWholeSegment) {
  catalogue.on_has_pieces(kNodeA, kFirst, all & 0xffff);
  EXPECT_EQ(catalogue.available(kFirst), all & 0xffff);
  EXPECT_THAT(catalogue.holders(kFirst), IsEmpty());
  catalogue.on_has_pieces(kNodeA, kFirst, all & ~PieceMask{0xffff});
  EXPECT_THAT(catalogue.holders(kFirst), ElementsAre(kNodeA));
  EXPECT_TRUE(catalogue.any_holder(kFirst));
  EXPECT_FALSE(catalogue.any_holder(kSecond));
}

TEST_F(Catalogue, WhatGoesWithANodeIsNoLongerAvailable) {
  catalogue.on_has_all(kNodeA);
  catalogue.on_has_pieces(kNodeB, kFirst, 0x3);
  catalogue.on_gone(kNodeA);
  EXPECT_EQ(catalogue.available(kFirst), 0x3U);
  catalogue.on_lacks(kNodeB);
  EXPECT_EQ(catalogue.available(kFirst), 0U);
}

TEST_F(Catalogue, ARefusedSegmentOfAWholeBlobLeavesTheOthers) {
  catalogue.on_has_all(kNodeA);
  catalogue.on_segment_refused(kNodeA, kFirst);
  EXPECT_FALSE(catalogue.has_all(kNodeA));
  EXPECT_EQ(catalogue.available(kFirst), 0U);
  EXPECT_THAT(catalogue.holders(kSecond), ElementsAre(kNodeA));
}

TEST_F(Catalogue, AClaimLivesForItsTimeAfterTheLastRefresh) {
  catalogue.on_claim(kNodeA, kFirst, 0xf, now);
  EXPECT_EQ(catalogue.claimed(kFirst, now + 3999ms), 0xfU);
  EXPECT_EQ(catalogue.claimed(kFirst, now + 4s), 0U);
  catalogue.on_claim(kNodeA, kFirst, 0xf, now + 3s);
  EXPECT_EQ(catalogue.claimed(kFirst, now + 6s), 0xfU);
  EXPECT_EQ(catalogue.next_lapse(), now + 7s);
  EXPECT_THAT(catalogue.drop_lapsed(now + 6s), IsEmpty());
  EXPECT_THAT(catalogue.drop_lapsed(now + 7s), ElementsAre(kFirst));
  EXPECT_EQ(catalogue.next_lapse(), Time::max());
}

TEST_F(Catalogue, WhatANodeHasItNoLongerClaims) {
  catalogue.on_claim(kNodeA, kFirst, 0xf, now);
  catalogue.on_has_pieces(kNodeA, kFirst, 0x3);
  EXPECT_EQ(catalogue.claimed_by(kNodeA, kFirst, now), 0xcU);
  catalogue.on_has_segment(kNodeA, kFirst);
  EXPECT_EQ(catalogue.claimed(kFirst, now), 0U);
}

TEST_F(Catalogue, AClaimReplacesTheOneBefore) {
  catalogue.on_claim(kNodeA, kFirst, 0xf, now);
  catalogue.on_claim(kNodeA, kFirst, 0xf0, now);
  EXPECT_EQ(catalogue.claimed(kFirst, now), 0xf0U);
  catalogue.on_claim(kNodeA, kFirst, 0, now);
  EXPECT_EQ(catalogue.claimed(kFirst, now), 0U);
}

TEST_F(Catalogue, KnowsHowOldEachPartOfAClaimIs) {
  catalogue.on_claim(kNodeA, kFirst, 0x0f, now);
  catalogue.on_claim(kNodeA, kFirst, 0x3c, now + 1s);
  EXPECT_THAT(catalogue.claimed_since(kFirst, now + 2s, 2s), ElementsAre(Pair(kNodeA, 0x0cU)));
  EXPECT_THAT(catalogue.claimed_since(kFirst, now + 3s, 2s), ElementsAre(Pair(kNodeA, 0x3cU)));
  // A piece that two fetch needs no third.
  catalogue.on_claim(kNodeB, kFirst, 0x20, now + 3s);
  EXPECT_THAT(catalogue.claimed_since(kFirst, now + 3s, 2s), ElementsAre(Pair(kNodeA, 0x1cU)));
}

TEST_F(Catalogue, KnowsWhoSaysNothingAboutItsClaim) {
  catalogue.on_claim(kNodeA, kFirst, 0x0f, now);
  EXPECT_THAT(catalogue.claimed_since(kFirst, now + 2s, 10s, 2500ms), IsEmpty());
  EXPECT_THAT(catalogue.claimed_since(kFirst, now + 2500ms, 10s, 2500ms), ElementsAre(Pair(kNodeA, 0x0fU)));
  catalogue.on_claim(kNodeA, kFirst, 0x0f, now + 2s);
  EXPECT_THAT(catalogue.claimed_since(kFirst, now + 4s, 10s, 2500ms), IsEmpty());
}

TEST_F(Catalogue, WaitsOnlyForThoseThatWereAskedAndHaveNotAnswered) {
  EXPECT_TRUE(catalogue.answered(now, 500ms));
  catalogue.on_asked(kNodeA, now);
  catalogue.on_asked(kNodeB, now + 100ms);
  EXPECT_EQ(catalogue.waits_until(now + 100ms, 500ms), now + 600ms);
  catalogue.on_lacks(kNodeB);
  EXPECT_EQ(catalogue.waits_until(now + 100ms, 500ms), now + 500ms);
  EXPECT_FALSE(catalogue.answered(now + 499ms, 500ms));
  EXPECT_TRUE(catalogue.answered(now + 500ms, 500ms));
}

TEST_F(Catalogue, WantersAreThoseThatWantAndDoNotHave) {
  catalogue.on_wants(kNodeA, true);
  catalogue.on_wants(kNodeB, true);
  EXPECT_THAT(catalogue.wanters(), ElementsAre(kNodeA, kNodeB));
  catalogue.on_has_all(kNodeA);
  EXPECT_THAT(catalogue.wanters(), ElementsAre(kNodeB));
  catalogue.on_lacks(kNodeB);
  EXPECT_THAT(catalogue.wanters(), ElementsAre(kNodeB));
  catalogue.on_wants(kNodeB, false);
  EXPECT_THAT(catalogue.wanters(), IsEmpty());
}

TEST_F(Catalogue, IgnoresWhatDoesNotExist) {
  catalogue.on_has_segment(kNodeA, kBeyond);
  catalogue.on_has_pieces(kNodeA, kBeyond, 1);
  catalogue.on_claim(kNodeA, kBeyond, 1, now);
  catalogue.on_open(kNodeA, kBeyond);
  catalogue.on_segment_refused(kNodeA, kBeyond);
  EXPECT_EQ(catalogue.available(kFirst), 0U);
  EXPECT_FALSE(catalogue.is_open_at(kNodeA, kBeyond));
}

// The kept masks against the obvious way: ask every neighbour.
TEST_F(Catalogue, WhatIsAvailableAgreesWithASlowRecount) {
  struct Node {
    bool has_all = false;
    PieceMask have[2] = {0, 0};
  };
  std::minstd_rand random(1);
  std::map<NodeId, Node> truth;
  for (int step = 0; step < 5000; ++step) {
    const NodeId node = node_id(static_cast<int>(random() % 5) + 1);
    const auto segment = static_cast<SegmentIndex>(random() % 2);
    Node& n = truth[node];
    switch (random() % 8) {
      case 0:
        catalogue.on_has_all(node);
        n = {true, {0, 0}};
        break;
      case 1:
        catalogue.on_lacks(node);
        n = {};
        break;
      case 2:
        catalogue.on_gone(node);
        n = {};
        break;
      case 3:
        catalogue.on_has_segment(node, segment);
        n.have[to_int(segment)] = all;
        break;
      case 4:
        catalogue.on_segment_refused(node, segment);
        if (n.has_all) n = {false, {all, all}};
        n.have[to_int(segment)] = 0;
        break;
      default: {
        const PieceMask pieces = PieceMask{0xff} << (8 * (random() % 8));
        catalogue.on_has_pieces(node, segment, pieces);
        n.have[to_int(segment)] |= pieces;
      }
    }
    for (const SegmentIndex s : {kFirst, kSecond}) {
      PieceMask expected = 0;
      bool whole = false;
      for (const auto& [id, other] : truth) {
        const PieceMask have = other.has_all ? all : other.have[to_int(s)];
        expected |= have;
        whole = whole || have == all;
      }
      ASSERT_EQ(catalogue.available(s), expected) << step;
      ASSERT_EQ(catalogue.any_holder(s), whole) << step;
    }
  }
}

}  // namespace
}  // namespace shoal
