#include "node/core/circle.h"

#include "tests/unit/core/scheduler_fixture.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

NodeId wide_id(int number) {
  NodeId id;
  id.bytes[0] = static_cast<std::uint8_t>(number >> 8);
  id.bytes[1] = static_cast<std::uint8_t>(number);
  id.bytes[2] = 1;
  return id;
}

// The circle as node `self` of `nodes` sees it.
Circle circle_of(int self, int nodes) {
  Circle circle(wide_id(self), blob_of_size(kGiB));
  for (int i = 0; i < nodes; ++i) circle.on_wants(wide_id(i), true);
  circle.settle();
  return circle;
}

TEST(Circle, IsOffUpTo32Nodes) {
  const Circle circle = circle_of(0, 32);
  EXPECT_FALSE(circle.on());
  EXPECT_TRUE(circle.claims());
  EXPECT_THAT(circle.claimants(), IsEmpty());
  EXPECT_THAT(circle.mates(), IsEmpty());
  EXPECT_TRUE(circle_of(0, 33).on());
}

TEST(Circle, AllNodesKnowTheSame32Claimants) {
  std::set<NodeId> claimants;
  for (int i = 0; i < 300; ++i) {
    if (circle_of(i, 300).claims()) claimants.insert(wide_id(i));
  }
  EXPECT_THAT(claimants, SizeIs(Circle::kClaimants));
  for (int i = 0; i < 300; ++i) {
    const Circle circle = circle_of(i, 300);
    std::set<NodeId> seen(circle.claimants().begin(), circle.claimants().end());
    if (claimants.contains(wide_id(i))) seen.insert(wide_id(i));
    EXPECT_EQ(seen, claimants);
  }
}

TEST(Circle, MatesAreMutualFewAndReachEverybody) {
  constexpr int kNodes = 1000;
  std::vector<Circle> circles;
  circles.reserve(kNodes);
  for (int i = 0; i < kNodes; ++i) circles.push_back(circle_of(i, kNodes));
  std::map<NodeId, int> index;
  for (int i = 0; i < kNodes; ++i) index[wide_id(i)] = i;
  std::map<int, int> steps{{0, 0}};
  std::vector<int> edge{0};
  while (!edge.empty()) {
    std::vector<int> next;
    for (const int i : edge) {
      for (const NodeId mate : circles[static_cast<std::size_t>(i)].mates()) {
        const int other = index.at(mate);
        EXPECT_TRUE(circles[static_cast<std::size_t>(other)].is_mate(wide_id(i)));
        if (steps.emplace(other, steps.at(i) + 1).second) next.push_back(other);
      }
    }
    edge = std::move(next);
  }
  EXPECT_THAT(steps, SizeIs(kNodes));
  int furthest = 0;
  for (const auto& [node, step] : steps) furthest = std::max(furthest, step);
  EXPECT_LE(furthest, 7);
  for (const Circle& circle : circles) EXPECT_LE(circle.mates().size(), 12U);
}

// The files of a model share one line, so one group fetches them all.
TEST(Circle, AllBlobsHaveTheSameClaimants) {
  std::set<std::vector<NodeId>> seen;
  for (int number = 1; number <= 8; ++number) {
    Circle circle(wide_id(0), blob_of_size(kGiB, number));
    for (int i = 1; i < 200; ++i) circle.on_wants(wide_id(i), true);
    circle.settle();
    seen.insert(circle.claimants());
  }
  EXPECT_THAT(seen, SizeIs(1));
}

TEST(Circle, OneThatGoesMovesNobodyElse) {
  Circle circle = circle_of(0, 200);
  const std::vector<NodeId> before = circle.claimants();
  circle.on_wants(before.front(), false);
  circle.settle();
  std::vector<NodeId> kept;
  std::ranges::set_intersection(before, circle.claimants(), std::back_inserter(kept));
  EXPECT_EQ(kept.size(), before.size() - 1);
}

TEST(Circle, ChangesCountWhenTheyAreSettled) {
  Circle circle = circle_of(0, 32);
  circle.on_wants(wide_id(32), true);
  EXPECT_TRUE(circle.stale());
  EXPECT_FALSE(circle.on());
  EXPECT_TRUE(circle.settle());
  EXPECT_TRUE(circle.on());
  EXPECT_FALSE(circle.settle());
  circle.on_wants(wide_id(32), false);
  circle.settle();
  EXPECT_FALSE(circle.on());
}

TEST(Circle, ABusyNodeIsSeldomAClaimant) {
  int idle = 0;
  int busy = 0;
  for (int number = 1; number <= 40; ++number) {
    const auto id = [&](int i) { return wide_id(1000 * number + i); };
    Circle circle(id(0), blob_of_size(kGiB));
    for (int i = 1; i < 200; ++i) circle.on_wants(id(i), true);
    circle.settle();
    if (circle.is_claimant(id(7))) ++idle;
    EXPECT_TRUE(circle.on_capacity(id(7), 0.1));
    EXPECT_FALSE(circle.on_capacity(id(8), 0.6));
    circle.settle();
    if (circle.is_claimant(id(7))) ++busy;
  }
  EXPECT_GE(idle, 3);
  EXPECT_LE(busy, 2);
}

// --- a scheduler in a circle ---

class InACircle : public testing::Test {
 protected:
  explicit InACircle(bool claims = false) : self(one_that(claims)) {
    for (int i = 0; i < 100; ++i) {
      if (wide_id(i) != self) s.up(wide_id(i));
    }
    s.want(blob);
    for (int i = 0; i < 100; ++i) {
      if (wide_id(i) != self) s.tell(wide_id(i), msg::Want{{blob}});
    }
    for (int i = 0; i < 100; ++i) {
      if (wide_id(i) != self) s.tell(wide_id(i), msg::LackBlobs{{blob}});
    }
    for (int i = 0; i < 100; ++i) circle.on_wants(wide_id(i), true);
    circle.settle();
    begun = s.turn();
    const auto later = s.turn_after(300ms);
    begun.insert(begun.end(), later.begin(), later.end());
  }
  // Of 100 nodes one that does, or does not, claim this blob.
  static NodeId one_that(bool claims) {
    for (int i = 0; i < 100; ++i) {
      if (circle_of_blob(i).claims() == claims) return wide_id(i);
    }
    return {};
  }
  static Circle circle_of_blob(int self) {
    Circle circle(wide_id(self), blob_of_size(32 * kMiB));
    for (int i = 0; i < 100; ++i) circle.on_wants(wide_id(i), true);
    circle.settle();
    return circle;
  }
  msg::SegmentHashes list(int variant = 1, bool open = true) const {
    return {blob, SegmentIndex{0}, open, PieceHashes(hashes_of(64, variant))};
  }

  NodeId self;
  BlobId blob = blob_of_size(32 * kMiB);
  SegmentKey first{blob, SegmentIndex{0}};
  SchedulerUnderTest s{self};
  Circle circle{self, blob};
  std::vector<Action> begun;  // in the first turns
};

TEST_F(InACircle, OnlyClaimantsClaim) {
  EXPECT_THAT(all_of<act::FetchSlice>(s.turn_after(1s)), IsEmpty());
}

class Claiming : public InACircle {
 protected:
  Claiming() : InACircle(true) {}
};

TEST_F(Claiming, AClaimantTellsTheOtherClaimants) {
  const auto claims = told<msg::Claim>(begun);
  std::set<NodeId> to;
  for (const auto& [node, claim] : claims) to.insert(node);
  EXPECT_EQ(std::vector(to.begin(), to.end()), circle.claimants());
  EXPECT_THAT(all_of<act::FetchSlice>(begun), Not(IsEmpty()));
}

// Of 32 claimants each has two of a segment's 64 pieces under way, however long a piece takes.
TEST_F(Claiming, FewRequestsAtOnceWhileAPieceTakesLong) {
  std::set<FetchId> under_way;
  std::size_t most = 0;
  const auto follow = [&](const std::vector<Action>& actions) {
    for (const auto& slice : all_of<act::FetchSlice>(actions)) under_way.insert(slice.id);
    for (const auto& cancelled : all_of<act::CancelFetch>(actions)) under_way.erase(cancelled.id);
    most = std::max(most, under_way.size());
  };
  follow(begun);
  for (int second = 0; second < 20; ++second) {
    for (const FetchId id : std::set(under_way)) s.scheduler.on_fetch_progress(id, 20 * kKiB, s.now);
    follow(s.turn_after(1s));
  }
  EXPECT_EQ(most, 2U);
}

TEST_F(InACircle, AListThatTwoMatesToldIsLoadedAndPassedOn) {
  const std::vector<NodeId> mates = circle.mates();
  s.tell(mates[0], list());
  EXPECT_THAT(all_of<act::LoadSegment>(s.turn()), IsEmpty());
  s.tell(mates[1], list());
  const auto actions = s.turn();
  EXPECT_THAT(all_of<act::LoadSegment>(actions), SizeIs(1));
  std::set<NodeId> to;
  for (const auto& [node, passed] : told<msg::SegmentHashes>(actions)) to.insert(node);
  EXPECT_EQ(to.size(), mates.size() - 2);
  EXPECT_THAT(to, Not(Contains(mates[0])));
}

TEST_F(InACircle, AListOfOneMateAloneHasToWait) {
  s.tell(circle.mates()[0], list());
  EXPECT_THAT(all_of<act::LoadSegment>(s.turn_after(500ms)), IsEmpty());
  EXPECT_THAT(all_of<act::LoadSegment>(s.turn_after(600ms)), SizeIs(1));
}

TEST_F(InACircle, ALiarAmongTheMatesIsOutvoted) {
  const std::vector<NodeId> mates = circle.mates();
  s.tell(mates[0], list(2));
  s.tell(mates[1], list(1));
  (void)s.turn_after(1500ms);
  s.tell(mates[2], list(1));
  const auto loads = all_of<act::LoadSegment>(s.turn());
  ASSERT_THAT(loads, SizeIs(1));
  EXPECT_EQ(loads.front().hashes, hashes_of(64, 1));
}

TEST_F(InACircle, ANodeThatNobodyFeedsHelpsItself) {
  EXPECT_THAT(all_of<act::FetchSlice>(s.turn_after(10s)), IsEmpty());
  EXPECT_THAT(all_of<act::FetchSlice>(s.turn_after(15s)), Not(IsEmpty()));
}

TEST_F(InACircle, TellsOnlyMatesWhatItHas) {
  const std::vector<NodeId> mates = circle.mates();
  s.tell(mates[0], list());
  s.tell(mates[1], list());
  (void)s.turn();
  s.scheduler.on_pieces_received(first, Geometry(blob.size).all_pieces(first.index), s.now);
  std::set<NodeId> to;
  for (const auto& [node, have] : told<msg::HaveSegments>(s.turn_after(3s))) to.insert(node);
  EXPECT_EQ(std::vector(to.begin(), to.end()), mates);
}

}  // namespace
}  // namespace shoal
