// Several nodes: cold, when they share the origin, and warm, when somebody has the blob. Segments have 16
// pieces.
#include "node/core/slice_choice.h"
#include "tests/unit/core/scheduler_fixture.h"

#include <set>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

// --- together, cold ---

TEST(Cold, WaitsForTheAnswersOfNeighboursButNotForEver) {
  SchedulerUnderTest t;
  t.up(kA);
  t.up(kB);
  t.want(kBlob);
  const auto actions = t.turn();
  EXPECT_THAT(told<msg::Want>(actions),
              ElementsAre(Pair(kA, msg::Want{{kBlob}}), Pair(kB, msg::Want{{kBlob}})));
  EXPECT_THAT(all_of<act::FetchSlice>(actions), IsEmpty());
  EXPECT_EQ(t.scheduler.wake_at(), t.now + 500ms);
  t.tell(kA, msg::LackBlobs{{kBlob}});
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(499ms)), IsEmpty());
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(1ms)), Not(IsEmpty()));
}

TEST(Cold, StartsAtOnceWhenAllHaveAnswered) {
  SchedulerUnderTest t;
  t.up(kA);
  t.want(kBlob);
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), IsEmpty());
  t.tell(kA, msg::LackBlobs{{kBlob}});
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), Not(IsEmpty()));
}

TEST(Cold, TellsItsClaimsToThoseThatWantTheBlob) {
  SchedulerUnderTest t;
  t.want(kBlob);
  joins(t, kA);
  t.up(kB);  // wants nothing
  t.tell(kB, msg::LackBlobs{{kBlob}});
  const auto actions = t.turn();
  const PieceMask mine = pieces_of(all_of<act::FetchSlice>(actions), kKey);
  EXPECT_THAT(told<msg::Claim>(actions), ElementsAre(Pair(kA, msg::Claim{kBlob, SegmentIndex{0}, mine})));
}

TEST(Cold, DoesNotFetchWhatANeighbourClaimed) {
  SchedulerUnderTest t;
  t.want(kBlob);
  joins(t, kA);
  t.tell(kA, msg::Claim{kBlob, SegmentIndex{0}, 0xfffe});
  t.turn();
  EXPECT_EQ(pieces_of(all_of<act::FetchSlice>(t.turn_after(300ms)), kKey), 0x0001U);
}

TEST(Cold, NodesThatStartTogetherClaimDifferentPieces) {
  PieceMask all = 0;
  for (const int self : {1, 100, 200}) {
    SchedulerUnderTest t(node_id(self));
    t.want(kBlob);
    for (const int other : {1, 100, 200}) {
      if (other != self) joins(t, node_id(other));
    }
    const PieceMask mine = pieces_of(all_of<act::FetchSlice>(t.turn()), kKey);
    EXPECT_EQ(all & mine, 0U);
    all |= mine;
  }
}

TEST(Cold, WhatOthersLeaveIsTakenAfterTheTimeInWhichClaimsCross) {
  SchedulerUnderTest t;
  t.want(kBlob);
  joins(t, kA);
  const PieceMask own = 0xff00;  // the second of two nodes
  PieceMask mine = 0;
  Time end = t.now + 249ms;
  while (t.now < end) {
    for (const auto& slice : all_of<act::FetchSlice>(t.turn_after(1ms))) {
      mine |= mask_of_run(to_int(slice.first), slice.count);
      t.deliver(slice);
    }
  }
  EXPECT_EQ(mine, own);
  EXPECT_NE(pieces_of(all_of<act::FetchSlice>(t.turn_after(2ms)), kKey) & 0x00ff, 0U);
}

TEST(Cold, CrossingClaimsSettleTheSameWayOnBothSides) {
  // Many keys, so that both outcomes occur.
  std::set<bool> outcomes;
  for (int number = 1; number <= 8; ++number) {
    const BlobId blob = blob_of_size(kSize, number);
    const auto keeps = [&](NodeId self, NodeId other) {
      SchedulerUnderTest t(self);
      t.want(blob);
      t.up(other);
      t.tell(other, msg::LackBlobs{{blob}});
      t.tell(other, msg::Want{{blob}});
      const auto slices = all_of<act::FetchSlice>(t.turn());
      t.now += 2ms;
      t.tell(other, msg::Claim{blob, SegmentIndex{0}, kAll});
      const auto cancelled = all_of<act::CancelFetch>(t.turn());
      EXPECT_THAT(cancelled.size(), AnyOf(0U, slices.size()));
      return cancelled.empty();
    };
    const bool a_keeps = keeps(kA, kB);
    EXPECT_NE(a_keeps, keeps(kB, kA));
    outcomes.insert(a_keeps);
  }
  EXPECT_THAT(outcomes, SizeIs(2));
}

TEST(Cold, AnOldClaimIsKeptAgainstALaterOne) {
  for (const NodeId other : {kA, kB}) {
    SchedulerUnderTest t;
    t.want(kBlob);
    joins(t, other);
    const auto slices = all_of<act::FetchSlice>(t.turn());
    t.now += 2s;
    for (const auto& slice : slices) t.scheduler.on_fetch_progress(slice.id, 1000, t.now);
    t.tell(other, msg::Claim{kBlob, SegmentIndex{0}, kAll});
    EXPECT_THAT(all_of<act::CancelFetch>(t.turn()), IsEmpty());
  }
}

TEST(Cold, AClaimLapsesWithoutRefresh) {
  SchedulerUnderTest t;
  t.want(kBlob);
  joins(t, kA);
  t.tell(kA, msg::Claim{kBlob, SegmentIndex{0}, kAll});
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), IsEmpty());
  t.now += 3s;
  t.tell(kA, msg::Claim{kBlob, SegmentIndex{0}, 0xff00});  // refreshed in part: the rest is free
  EXPECT_NE(pieces_of(all_of<act::FetchSlice>(t.turn()), kKey) & 0x00ff, 0U);
  EXPECT_EQ(pieces_of(all_of<act::FetchSlice>(t.turn_after(3999ms)), kKey) & 0xff00, 0U);
  t.now += 1ms;
  for (int i = 0; i < 8; ++i) t.fetched(kKey, i);
  EXPECT_NE(pieces_of(all_of<act::FetchSlice>(t.turn()), kKey) & 0xff00, 0U);
}

TEST(Cold, OwnClaimsAreRefreshedOnlyWhileBytesArrive) {
  SchedulerUnderTest t(node_id(100), with_slices(1));
  t.want(kBlob);
  joins(t, kA);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(1));
  for (int second = 1; second <= 3; ++second) {
    EXPECT_THAT(told<msg::Claim>(t.turn_after(1s)), SizeIs(1)) << second;
  }
  EXPECT_THAT(told<msg::Claim>(t.turn_after(1s)), IsEmpty());
  t.scheduler.on_fetch_progress(slices[0].id, 1000, t.now);
  EXPECT_THAT(told<msg::Claim>(t.turn_after(1s)), SizeIs(1));
}

TEST(Cold, ALandedPieceStaysClaimedUntilItsHashIsTold) {
  SchedulerUnderTest t(node_id(100), with_slices(2));
  t.want(kBlob);
  joins(t, kA);
  auto slices = all_of<act::FetchSlice>(t.turn());
  t.now += 1s;
  t.deliver(slices[0]);
  auto actions = t.turn();  // told at once: nothing was told just before
  EXPECT_THAT(told<msg::Pieces>(actions), SizeIs(1));
  t.now += 5ms;
  t.fetched(kKey, to_int(slices[1].first));
  actions = t.turn();
  EXPECT_THAT(told<msg::Pieces>(actions), IsEmpty());  // gathered
  for (const auto& [to, claim] : told<msg::Claim>(actions)) {
    EXPECT_NE(claim.pieces & mask_of(slices[1].first), 0U);
  }
  EXPECT_THAT(told<msg::Pieces>(t.turn_after(20ms)), SizeIs(1));
}

TEST(Cold, ADeadNeighboursPiecesGoBackToTheOrigin) {
  SchedulerUnderTest t;
  t.want(kBlob);
  joins(t, kA);
  t.tell(kA, msg::Claim{kBlob, SegmentIndex{0}, 0xffff});
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, 0x00ff, hashes_of(8)});
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), IsEmpty());
  t.scheduler.on_neighbour_down(kA, t.now);
  EXPECT_NE(pieces_of(all_of<act::FetchSlice>(t.turn()), kKey), 0U);
}

TEST(Cold, AnOldClaimOfANeighbourIsHelpedWithItsLastPiece) {
  SchedulerUnderTest t;
  t.want(kBlob);
  joins(t, kA);
  t.tell(kA, msg::Claim{kBlob, SegmentIndex{0}, 0xff00});
  std::vector<act::FetchSlice> helping;
  for (int turn = 0; turn < 60 && helping.empty(); ++turn) {
    for (const auto& slice : all_of<act::FetchSlice>(t.turn_after(100ms))) {
      if ((mask_of_run(to_int(slice.first), slice.count) & 0xff00) != 0) {
        helping.push_back(slice);
        continue;
      }
      t.now += 10ms;
      t.scheduler.on_fetch_progress(slice.id, static_cast<std::uint64_t>(slice.count) * 256 * kKiB, t.now);
      t.deliver(slice);
    }
    if (turn % 10 == 0) t.tell(kA, msg::Claim{kBlob, SegmentIndex{0}, 0xff00});
  }
  ASSERT_THAT(helping, SizeIs(1));
  EXPECT_EQ(to_int(helping[0].first), 15);
  EXPECT_EQ(helping[0].count, 1);
}

// A node that has fetched its own part and now claims some of what is left of the other's.
class Settling : public testing::Test {
 protected:
  void SetUp() override {
    t.want(kBlob);
    joins(t, kA);
    const Time end = t.now + 245ms;  // until then it keeps to its own part
    while (t.now < end) {
      for (const auto& slice : all_of<act::FetchSlice>(t.turn_after(5ms))) t.deliver(slice);
    }
    for (int wait = 0; wait < 20 && claimed == 0; ++wait) {
      const auto actions = t.turn_after(1ms);
      EXPECT_THAT(all_of<act::FetchSlice>(actions), IsEmpty());
      for (const auto& [to, claim] : told<msg::Claim>(actions)) claimed |= claim.pieces;
    }
    ASSERT_NE(claimed & 0x00ff, 0U);
  }

  static Scheduler::Limits one_slice() {
    Scheduler::Limits limits;
    limits.slices = 1;
    return limits;
  }

  SchedulerUnderTest t{node_id(100), one_slice()};
  PieceMask claimed = 0;
};

TEST_F(Settling, WhatNobodyElseClaimedIsFetched) {
  EXPECT_EQ(pieces_of(all_of<act::FetchSlice>(t.turn_after(one_slice().settling)), kKey), claimed);
}

TEST_F(Settling, WhatItsOwnerClaimedInTheSameMomentCostsNoRequest) {
  const bool gives_way = !claim_beats(node_id(100), kA, kKey);
  t.tell(kA, msg::Claim{kBlob, SegmentIndex{0}, 0x00ff});
  auto actions = t.turn();
  EXPECT_THAT(all_of<act::CancelFetch>(actions), IsEmpty());
  actions = t.turn_after(one_slice().settling);
  EXPECT_EQ(pieces_of(all_of<act::FetchSlice>(actions), kKey), gives_way ? 0U : claimed);
}

TEST_F(Settling, WhatTurnedUpElsewhereIsNotFetched) {
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, 0x00ff, hashes_of(8)});
  t.turn();
  EXPECT_EQ(pieces_of(all_of<act::FetchSlice>(t.turn_after(one_slice().settling)), kKey) & claimed, 0U);
}

TEST(Cold, AStuckClaimThatASegmentWaitsForIsHelpedWhileMoreIsThereToClaim) {
  SchedulerUnderTest t;
  const BlobId blob = blob_of_size(512 * kMiB);  // 32 segments of 64 pieces
  const SegmentKey first{blob, SegmentIndex{0}};
  t.want(blob);
  t.up(kA);
  t.tell(kA, msg::LackBlobs{{blob}});
  t.tell(kA, msg::Want{{blob}});
  t.tell(kA, msg::Claim{blob, first.index, 0x1});
  std::vector<act::FetchSlice> helping;
  const Time began = t.now;
  for (int turn = 0; turn < 100 && helping.empty(); ++turn) {
    for (const auto& slice : all_of<act::FetchSlice>(t.turn_after(50ms))) {
      if (slice.key == first && slice.first == PieceIndex{0}) {
        helping.push_back(slice);
        continue;
      }
      t.scheduler.on_fetch_progress(slice.id, static_cast<std::uint64_t>(slice.count) * 256 * kKiB, t.now);
      t.deliver(slice);
    }
    if (turn % 10 == 0) t.tell(kA, msg::Claim{blob, first.index, 0x1});
  }
  ASSERT_THAT(helping, SizeIs(1));
  EXPECT_EQ(helping[0].count, 1);
  EXPECT_GE(t.now - began, Scheduler::Limits{}.overdue_after);
  EXPECT_LT(t.now - began, Scheduler::Limits{}.overdue_after + 1s);
}

TEST(Cold, ASliceIsCancelledWhenItsPiecesTurnUpElsewhere) {
  SchedulerUnderTest t(node_id(100), with_slices(1));
  t.want(kBlob);
  joins(t, kA);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(1));
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
  EXPECT_THAT(all_of<act::CancelFetch>(t.turn()), ElementsAre(act::CancelFetch{slices[0].id}));
}

// --- warm ---

TEST(Warm, AsksForTheHashesThenLoadsAndConnectsToWhoWasAsked) {
  for (const NodeId holder : {kA, kB}) {  // the asker connects, whatever the ids
    SchedulerUnderTest t;
    t.up(holder);
    t.want(kBlob);
    t.tell(holder, msg::HaveBlobs{{kBlob}});
    auto actions = t.turn();
    EXPECT_THAT(told<msg::AskSegment>(actions),
                ElementsAre(Pair(holder, msg::AskSegment{kBlob, SegmentIndex{0}})));
    EXPECT_THAT(all_of<act::FetchSlice>(actions), IsEmpty());
    t.tell(holder, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
    t.tell(holder, msg::SegmentOpen{kBlob, SegmentIndex{0}});
    actions = t.turn();
    EXPECT_THAT(all_of<act::LoadSegment>(actions),
                ElementsAre(act::LoadSegment{kKey, 0, hashes_of(16), {holder}}));
  }
}

TEST(Warm, FinishesWhenAllPiecesCameFromTheSwarm) {
  SchedulerUnderTest t;
  is_held_by(t, kA);
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
  t.turn();
  for (int i = 0; i < 16; ++i) t.scheduler.on_piece_received(kKey, static_cast<PieceIndex>(i), t.now);
  EXPECT_THAT(all_of<act::FinishBlob>(t.turn()), SizeIs(1));
}

TEST(Warm, OfTwoThatFetchTheLowerIdConnects) {
  for (const NodeId other : {kA, kB}) {
    SchedulerUnderTest t;
    t.want(kBlob);
    joins(t, other);
    t.tell(other, msg::Claim{kBlob, SegmentIndex{0}, 0xfffe});
    auto slices = all_of<act::FetchSlice>(t.turn());
    if (slices.empty()) slices = all_of<act::FetchSlice>(t.turn_after(300ms));  // not its own part
    ASSERT_THAT(slices, SizeIs(1));
    t.deliver(slices[0]);
    t.tell(other, msg::Pieces{kBlob, SegmentIndex{0}, 0xfffe, [] {
                                auto hashes = hashes_of(16);
                                hashes.erase(hashes.begin());
                                return hashes;
                              }()});
    t.tell(other, msg::SegmentOpen{kBlob, SegmentIndex{0}});
    const auto actions = t.turn();
    const auto loaded = all_of<act::LoadSegment>(actions);
    ASSERT_THAT(loaded, SizeIs(1));
    EXPECT_EQ(loaded[0].have, 1U);
    EXPECT_EQ(loaded[0].connect_to.size(), other == kB ? 1U : 0U);
    EXPECT_THAT(told<msg::SegmentOpen>(actions), SizeIs(1));
  }
}

TEST(Warm, AHolderThatRefusesIsAskedAgainThenTheOriginHelps) {
  SchedulerUnderTest t;
  is_held_by(t, kA);
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(told<msg::AskSegment>(t.turn()), SizeIs(1)) << i;
    t.tell(kA, msg::LackBlobs{{kBlob}});
    t.now += 300ms;
  }
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), Not(IsEmpty()));
}

TEST(Warm, AHolderThatDoesNotAnswerIsGivenUp) {
  SchedulerUnderTest t;
  is_held_by(t, kA);
  t.turn();
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(2999ms)), IsEmpty());
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(1ms)), Not(IsEmpty()));
}

TEST(Together, WhatOneClaimedThatWantsItNoMoreIsClaimedAtOnce) {
  for (const bool goes : {false, true}) {
    SchedulerUnderTest t;
    t.want(kBlob);
    joins(t, kA);
    t.tell(kA, msg::Claim{kBlob, SegmentIndex{0}, kAll});
    (void)t.turn();
    ASSERT_THAT(all_of<act::FetchSlice>(t.turn_after(1s)), IsEmpty());
    if (goes) {
      t.scheduler.on_neighbour_down(kA, t.now);
    } else {
      t.tell(kA, msg::Unwant{{kBlob}});
    }
    EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), testing::Not(IsEmpty()));
  }
}

TEST(Warm, UnwantUnloads) {
  SchedulerUnderTest t;
  is_held_by(t, kA);
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
  ASSERT_THAT(all_of<act::LoadSegment>(t.turn()), SizeIs(1));
  t.scheduler.on_unwant(kBlob, t.now);
  const auto actions = t.turn();
  EXPECT_THAT(all_of<act::UnloadSegment>(actions), ElementsAre(act::UnloadSegment{kKey}));
  EXPECT_THAT(told<msg::Unwant>(actions), SizeIs(1));
}

TEST(Warm, NothingMovingForASecondMeansHoldersAreAskedAnew) {
  SchedulerUnderTest t;
  is_held_by(t, kA);
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
  t.tell(kA, msg::SegmentOpen{kBlob, SegmentIndex{0}});
  t.turn();
  EXPECT_THAT(told<msg::AskSegment>(t.turn_after(999ms)), IsEmpty());
  EXPECT_THAT(told<msg::AskSegment>(t.turn_after(1ms)), SizeIs(1));
}

// Two holders of the one segment, both asked, both with the torrent open.
void load_from_two_holders(SchedulerUnderTest& t) {
  t.up(kA);
  t.up(kB);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
  t.tell(kB, msg::HaveBlobs{{kBlob}});
  EXPECT_THAT(told<msg::AskSegment>(t.turn()), SizeIs(2));
  for (const NodeId holder : {kA, kB}) {
    t.tell(holder, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
    t.tell(holder, msg::SegmentOpen{kBlob, SegmentIndex{0}});
  }
}

TEST(Warm, ASegmentBeginsWithOneHolderAndGetsAnotherAfterAWhile) {
  SchedulerUnderTest t;
  load_from_two_holders(t);
  const auto loads = all_of<act::LoadSegment>(t.turn());
  ASSERT_THAT(loads, SizeIs(1));
  ASSERT_THAT(loads[0].connect_to, SizeIs(1));
  t.now += 499ms;
  t.scheduler.on_piece_received(kKey, PieceIndex{0}, t.now);
  EXPECT_THAT(all_of<act::ConnectSegment>(t.turn()), IsEmpty());
  t.now += 1ms;
  t.scheduler.on_piece_received(kKey, PieceIndex{1}, t.now);
  const auto more = all_of<act::ConnectSegment>(t.turn());
  ASSERT_THAT(more, SizeIs(1));
  EXPECT_THAT(more[0].to, ElementsAre(testing::Ne(loads[0].connect_to[0])));
  EXPECT_THAT(all_of<act::ConnectSegment>(t.turn_after(10ms)), IsEmpty());
}

TEST(Warm, AHolderThatSendsNothingIsNotTheOnlyOneForLong) {
  SchedulerUnderTest t;
  load_from_two_holders(t);
  t.turn();
  EXPECT_THAT(told<msg::AskSegment>(t.turn_after(1s)), SizeIs(2));
  PieceMask connected = 0;
  for (const NodeId holder : {kA, kB}) {
    t.tell(holder, msg::SegmentOpen{kBlob, SegmentIndex{0}});
    for (const auto& connect : all_of<act::ConnectSegment>(t.turn()))
      connected |= connect.to == std::vector{kA} ? 1U : 2U;
  }
  EXPECT_EQ(connected, 3U);
}

TEST(Warm, AStalledSegmentGoesToTheOrigin) {
  SchedulerUnderTest t;
  is_held_by(t, kA);
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
  t.turn();
  const auto actions = t.turn_after(15s);
  EXPECT_THAT(all_of<act::UnloadSegment>(actions), SizeIs(1));
  EXPECT_THAT(all_of<act::FetchSlice>(actions), Not(IsEmpty()));
}

TEST(Warm, ANewcomerIsToldWhatIsHere) {
  SchedulerUnderTest t;
  t.scheduler.on_held(blob_of_size(kSize, 9));
  t.up(kA);
  t.tell(kA, msg::Want{{blob_of_size(kSize, 9), kBlob}});
  const auto actions = t.turn();
  EXPECT_THAT(told<msg::HaveBlobs>(actions), ElementsAre(Pair(kA, msg::HaveBlobs{{blob_of_size(kSize, 9)}})));
  EXPECT_THAT(told<msg::LackBlobs>(actions), ElementsAre(Pair(kA, msg::LackBlobs{{kBlob}})));
}

TEST(Warm, WhoWaitsHearsOfAPartThatIsFoundOnTheDisk) {
  SchedulerUnderTest t;
  t.up(kA);
  t.tell(kA, msg::Want{{kBlob}});
  t.turn();
  Scheduler::Request request;
  request.blob = kBlob;
  request.local = {{0x3, hashes_of(2)}};
  t.scheduler.on_want(std::move(request), t.now);
  EXPECT_THAT(told<msg::Pieces>(t.turn()),
              ElementsAre(Pair(kA, msg::Pieces{kBlob, SegmentIndex{0}, 0x3, hashes_of(2)})));
}

}  // namespace
}  // namespace shoal
