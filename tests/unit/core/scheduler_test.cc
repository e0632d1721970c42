// Facts in, actions out. Segments here have 16 pieces of 256 KiB unless a test says otherwise.
#include "node/core/scheduler.h"

#include "tests/unit/core/scheduler_fixture.h"

#include <set>

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

constexpr std::uint64_t kSize = 4 * kMiB;  // one segment of 16 pieces
constexpr PieceMask kAll = 0xffff;
const NodeId kA = node_id(1);    // lower than the node under test
const NodeId kB = node_id(200);  // higher
const BlobId kBlob = blob_of_size(kSize);
const SegmentKey kKey{kBlob, SegmentIndex{0}};

Scheduler::Limits with_slices(int slices) {
  Scheduler::Limits limits;
  limits.slices = slices;
  return limits;
}

// A neighbour that wants the blob, too, and has nothing of it.
void joins(SchedulerUnderTest& t, NodeId node) {
  t.up(node);
  t.tell(node, msg::LackBlobs{{kBlob}});
  t.tell(node, msg::Want{{kBlob}});
}

// --- alone ---

TEST(Alone, FetchesSlicesInOrderUpToTheLimit) {
  SchedulerUnderTest t(node_id(100), with_slices(3));
  t.want(kBlob);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(3));
  int next = 0;
  for (const auto& slice : slices) {
    EXPECT_EQ(slice.key, kKey);
    EXPECT_EQ(to_int(slice.first), next);
    next += slice.count;
  }
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), IsEmpty());
}

TEST(Alone, FinishesTheBlobOnceAllPiecesLanded) {
  SchedulerUnderTest t;
  t.want(kBlob);
  PieceMask seen = 0;
  std::vector<act::FinishBlob> finished;
  for (int turn = 0; turn < 40 && finished.empty(); ++turn) {
    const auto actions = t.turn_after(10ms);
    finished = all_of<act::FinishBlob>(actions);
    for (const auto& slice : all_of<act::FetchSlice>(actions)) {
      const PieceMask pieces = mask_of_run(to_int(slice.first), slice.count);
      EXPECT_EQ(seen & pieces, 0U) << "fetched twice";
      seen |= pieces;
      t.deliver(slice);
    }
  }
  EXPECT_EQ(seen, kAll);
  EXPECT_THAT(finished, ElementsAre(act::FinishBlob{kBlob}));
  t.scheduler.on_held(kBlob);
  EXPECT_FALSE(t.scheduler.wants(kBlob));
}

TEST(Alone, PiecesReportedAfterTheFetchEndedAreNotFetchedTwice) {
  SchedulerUnderTest t(node_id(100), with_slices(1));
  t.want(kBlob);
  const auto first = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(first, SizeIs(1));
  t.scheduler.on_fetch_done(first[0].id, {}, t.now);
  const auto second = all_of<act::FetchSlice>(t.turn_after(10ms));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(pieces_of(first, kKey) & pieces_of(second, kKey), 0U);
  t.deliver(first[0]);
}

TEST(Alone, ResumesWithWhatIsOnTheDisk) {
  SchedulerUnderTest t;
  Scheduler::Request request;
  request.blob = kBlob;
  request.local = {{0x7fff, hashes_of(15)}};
  t.scheduler.on_want(std::move(request), t.now);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  EXPECT_EQ(pieces_of(slices, kKey), 0x8000U);
}

TEST(Alone, ABlobThatIsWholeOnTheDiskIsFinishedWithoutAFetch) {
  SchedulerUnderTest t;
  Scheduler::Request request;
  request.blob = kBlob;
  request.local = {{kAll, hashes_of(16)}};
  t.scheduler.on_want(std::move(request), t.now);
  const auto actions = t.turn();
  EXPECT_THAT(all_of<act::FetchSlice>(actions), IsEmpty());
  EXPECT_THAT(all_of<act::FinishBlob>(actions), SizeIs(1));
}

TEST(Alone, LoadReducesTheSlices) {
  SchedulerUnderTest t;
  DeviceLoad load;
  load.busy = true;
  t.scheduler.on_own_load(load);
  t.want(kBlob);
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), SizeIs(1));
  t.scheduler.on_own_load({});
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), SizeIs(3));
}

TEST(Alone, UnwantCancelsFetches) {
  SchedulerUnderTest t;
  t.want(kBlob);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  t.scheduler.on_unwant(kBlob, t.now);
  EXPECT_THAT(all_of<act::CancelFetch>(t.turn()), SizeIs(slices.size()));
  EXPECT_EQ(t.scheduler.live_slices(), 0U);
}

TEST(Alone, AFailingOriginIsLeftAloneForAWhileThenTheBlobFails) {
  SchedulerUnderTest t(node_id(100), with_slices(1));
  t.want(kBlob);
  const auto unavailable = [] { return Result<void>(fail(Code::unavailable, "503", 503)); };
  for (const auto wait : {2s, 4s, 8s}) {
    const auto slices = all_of<act::FetchSlice>(t.turn());
    ASSERT_THAT(slices, SizeIs(1));
    t.scheduler.on_fetch_done(slices[0].id, unavailable(), t.now);
    EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), IsEmpty());
    EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(wait - 1ms)), IsEmpty());
    EXPECT_EQ(t.scheduler.wake_at(), t.now + 1ms);
    t.now += 1ms;
  }
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(1));
  t.scheduler.on_fetch_done(slices[0].id, unavailable(), t.now);
  const auto failed = all_of<act::FailBlob>(t.turn());
  ASSERT_THAT(failed, SizeIs(1));
  EXPECT_EQ(failed[0].error.code, Code::unavailable);
}

TEST(Alone, AnErrorThatDoesNotPassFailsTheBlobAtOnce) {
  SchedulerUnderTest t;
  t.want(kBlob);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  t.scheduler.on_fetch_done(slices[0].id, fail(Code::no_space, "the disk is full"), t.now);
  const auto actions = t.turn();
  ASSERT_THAT(all_of<act::FailBlob>(actions), SizeIs(1));
  EXPECT_THAT(all_of<act::CancelFetch>(actions), SizeIs(slices.size() - 1));
}

TEST(Alone, ASlowSliceIsHelpedWhenNothingElseIsLeft) {
  SchedulerUnderTest t(node_id(100), with_slices(2));
  t.want(kBlob);
  std::vector<act::FetchSlice> live = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(live, SizeIs(2));
  const act::FetchSlice slow = live[0];  // never delivers a byte
  live.erase(live.begin());
  PieceMask twice = 0;
  for (int turn = 0; turn < 100 && twice == 0; ++turn) {
    t.now += 100ms;
    for (const auto& slice : std::exchange(live, {})) {
      t.scheduler.on_fetch_progress(slice.id, static_cast<std::uint64_t>(slice.count) * 256 * kKiB, t.now);
      t.deliver(slice);
    }
    for (const auto& slice : all_of<act::FetchSlice>(t.turn())) {
      live.push_back(slice);
      twice |= mask_of_run(to_int(slice.first), slice.count) & mask_of_run(to_int(slow.first), slow.count);
    }
  }
  EXPECT_EQ(twice, mask_of_run(to_int(slow.first) + slow.count / 2, (slow.count + 1) / 2));
}

// --- the origin's connections ---

TEST(SlowConnection, EndsWithThePieceInProgressWhenTheOthersAreTwiceAsFast) {
  Scheduler::Limits limits = with_slices(3);
  limits.slice_bytes_first = 2 * kMiB;  // eight pieces
  SchedulerUnderTest t(node_id(100), limits);
  const BlobId blob = blob_of_size(64 * kMiB);
  t.want(blob);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(3));
  t.now += 1s;
  t.scheduler.on_fetch_progress(slices[0].id, 300 * kKiB, t.now);
  t.scheduler.on_fetch_progress(slices[1].id, 1024 * kKiB, t.now);
  t.scheduler.on_fetch_progress(slices[2].id, 1024 * kKiB, t.now);
  EXPECT_THAT(all_of<act::TrimFetch>(t.turn()), IsEmpty()) << "too early to say";
  t.now += 2s;
  const auto actions = t.turn();
  // 300 KiB are here: the second piece is in progress.
  EXPECT_THAT(all_of<act::TrimFetch>(actions),
              ElementsAre(act::TrimFetch{slices[0].id, slices[0].key, slices[0].first, 2}));
  EXPECT_THAT(all_of<act::TrimFetch>(t.turn_after(1s)), IsEmpty()) << "once is enough";
}

TEST(SlowConnection, WhatItLeavesIsClaimedByTheNextSlice) {
  Scheduler::Limits limits = with_slices(3);
  limits.slice_bytes_first = 2 * kMiB;
  SchedulerUnderTest t(node_id(100), limits);
  const BlobId blob = blob_of_size(64 * kMiB);
  t.want(blob);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(3));
  t.now += 3s;
  for (int i = 1; i < 3; ++i) {
    t.scheduler.on_fetch_progress(slices[static_cast<std::size_t>(i)].id, 1900 * kKiB, t.now);
  }
  ASSERT_THAT(all_of<act::TrimFetch>(t.turn()), SizeIs(1));
  t.deliver(slices[1]);
  const auto next = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(next, SizeIs(1));
  EXPECT_EQ(next[0].key, slices[0].key);
  EXPECT_EQ(to_int(next[0].first), to_int(slices[0].first) + 1);
  // The slow one delivers the piece it was left with and is done.
  t.fetched(slices[0].key, to_int(slices[0].first));
  t.scheduler.on_fetch_done(slices[0].id, {}, t.now);
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), SizeIs(1)) << "its place is free";
}

TEST(SlowConnection, IsKeptWhenAllAreSlow) {
  SchedulerUnderTest t(node_id(100), with_slices(3));
  t.want(blob_of_size(64 * kMiB));
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(3));
  for (int second = 0; second < 4; ++second) {
    t.now += 1s;
    for (const auto& slice : slices) t.scheduler.on_fetch_progress(slice.id, 20 * kKiB, t.now);
    EXPECT_THAT(all_of<act::TrimFetch>(t.turn()), IsEmpty());
  }
}

// --- several pulls ---

// The blobs whose pieces the slices ask for, in order.
std::vector<BlobId> blobs_of(const std::vector<act::FetchSlice>& slices) {
  std::vector<BlobId> blobs;
  for (const auto& slice : slices) blobs.push_back(slice.key.blob);
  return blobs;
}

TEST(Fairness, BlobsWhosePlacesOverlapTakeTurnsSegmentBySegment) {
  Scheduler::Limits limits = with_slices(1);
  limits.slice_bytes_first = 16 * kMiB;  // a whole segment
  SchedulerUnderTest t(node_id(100), limits);
  const BlobId first = blob_of_size(64 * kMiB, 1);
  const BlobId second = blob_of_size(64 * kMiB, 2);
  t.want(first);
  t.want(second);
  std::map<BlobId, int> pieces;
  for (int turn = 0; turn < 200; ++turn) {
    for (const auto& slice : all_of<act::FetchSlice>(t.turn_after(10ms))) {
      pieces[slice.key.blob] += slice.count;
      t.deliver(slice);
    }
    EXPECT_LE(std::abs(pieces[first] - pieces[second]), 64) << "more than a segment apart";
  }
  EXPECT_EQ(pieces[first], 256);
  EXPECT_EQ(pieces[second], 256);
}

TEST(Fairness, ABlobWithAnEarlierPlaceGoesFirst) {
  SchedulerUnderTest t(node_id(100), with_slices(1));
  const BlobId late = blob_of_size(32 * kMiB, 1);
  const BlobId early = blob_of_size(32 * kMiB, 2);
  Scheduler::Request request;
  request.blob = late;
  request.order = 32 * kMiB;
  t.scheduler.on_want(request, t.now);
  request.blob = early;
  request.order = 0;
  t.scheduler.on_want(request, t.now);
  EXPECT_THAT(blobs_of(all_of<act::FetchSlice>(t.turn())), ElementsAre(early));
}

TEST(Fairness, ThePriorityComesBeforeThePlace) {
  SchedulerUnderTest t(node_id(100), with_slices(1));
  Scheduler::Request request;
  request.blob = blob_of_size(32 * kMiB, 1);
  t.scheduler.on_want(request, t.now);
  const BlobId urgent = blob_of_size(32 * kMiB, 2);
  request.blob = urgent;
  request.priority = Priority::high;
  request.order = kGiB;
  t.scheduler.on_want(request, t.now);
  EXPECT_THAT(blobs_of(all_of<act::FetchSlice>(t.turn())), ElementsAre(urgent));
}

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
  t.up(kA);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
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
  t.up(kA);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(told<msg::AskSegment>(t.turn()), SizeIs(1)) << i;
    t.tell(kA, msg::LackBlobs{{kBlob}});
    t.now += 300ms;
  }
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), Not(IsEmpty()));
}

TEST(Warm, AHolderThatDoesNotAnswerIsGivenUp) {
  SchedulerUnderTest t;
  t.up(kA);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
  t.turn();
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(2999ms)), IsEmpty());
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(1ms)), Not(IsEmpty()));
}

TEST(Warm, UnwantUnloads) {
  SchedulerUnderTest t;
  t.up(kA);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
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
  t.up(kA);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
  t.tell(kA, msg::SegmentOpen{kBlob, SegmentIndex{0}});
  t.turn();
  EXPECT_THAT(told<msg::AskSegment>(t.turn_after(999ms)), IsEmpty());
  EXPECT_THAT(told<msg::AskSegment>(t.turn_after(1ms)), SizeIs(1));
}

TEST(Warm, AStalledSegmentGoesToTheOrigin) {
  SchedulerUnderTest t;
  t.up(kA);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
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

// --- policies ---

TEST(Policy, LanOnlyNeverFetches) {
  SchedulerUnderTest t;
  t.want(kBlob, SourcePolicy::lan_only);
  joins(t, kA);
  for (int i = 0; i < 20; ++i) EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(1s)), IsEmpty());
  EXPECT_EQ(t.scheduler.waiting_for(kBlob, t.now), "a neighbour that has it (source is lan)");
}

TEST(Policy, OriginOnlyNeverAsksAndNeverWaits) {
  SchedulerUnderTest t;
  t.up(kA);
  t.want(kBlob, SourcePolicy::origin_only);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
  const auto actions = t.turn();
  EXPECT_THAT(told<msg::AskSegment>(actions), IsEmpty());
  EXPECT_THAT(all_of<act::FetchSlice>(actions), Not(IsEmpty()));
}

TEST(Policy, WhatIsNotSharedIsNotMentioned) {
  SchedulerUnderTest t;
  t.up(kA);
  t.tell(kA, msg::Want{{kBlob}});
  t.turn();
  Scheduler::Request request;
  request.blob = kBlob;
  request.shared = false;
  request.policy = SourcePolicy::origin_only;
  t.scheduler.on_want(std::move(request), t.now);
  auto actions = t.turn();
  const auto slices = all_of<act::FetchSlice>(actions);
  EXPECT_THAT(all_of<act::Tell>(actions), IsEmpty());
  t.now += 1s;
  for (const auto& slice : slices) t.deliver(slice);
  EXPECT_THAT(all_of<act::Tell>(t.turn_after(1s)), IsEmpty());
  t.scheduler.on_unwant(kBlob, t.now);
  EXPECT_THAT(all_of<act::Tell>(t.turn()), IsEmpty());
}

TEST(Policy, HigherPriorityIsFetchedFirst) {
  SchedulerUnderTest t(node_id(100), with_slices(1));
  const BlobId late = blob_of_size(kSize, 2);
  t.want(kBlob);
  Scheduler::Request request;
  request.blob = late;
  request.priority = Priority::high;
  t.scheduler.on_want(std::move(request), t.now);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(1));
  EXPECT_EQ(slices[0].key.blob, late);
}

// --- small blobs ---

TEST(Small, OneDesignatedNodeFetchesTheOthersWaitThenHelpThemselves) {
  const BlobId small = blob_of_size(1000, 3);
  int designated = 0;
  for (const int self : {1, 100, 200}) {
    SchedulerUnderTest t(node_id(self));
    t.want(small);
    for (const int other : {1, 100, 200}) {
      if (other == self) continue;
      t.up(node_id(other));
      t.tell(node_id(other), msg::LackBlobs{{small}});
      t.tell(node_id(other), msg::Want{{small}});
    }
    if (!all_of<act::FetchSmall>(t.turn()).empty()) {
      ++designated;
      continue;
    }
    EXPECT_THAT(all_of<act::FetchSmall>(t.turn_after(2999ms)), IsEmpty());
    EXPECT_THAT(all_of<act::FetchSmall>(t.turn_after(1ms)), SizeIs(1));
  }
  EXPECT_EQ(designated, 1);
}

TEST(Small, IsAskedOfANeighbourThatHasIt) {
  const BlobId small = blob_of_size(1000, 3);
  SchedulerUnderTest t;
  t.up(kA);
  t.want(small);
  t.tell(kA, msg::HaveBlobs{{small}});
  const auto actions = t.turn();
  EXPECT_THAT(told<msg::AskBlob>(actions), ElementsAre(Pair(kA, msg::AskBlob{small})));
  EXPECT_THAT(all_of<act::FetchSmall>(actions), IsEmpty());
}

TEST(Small, WrongBytesBanTheSenderAndTheOriginHelps) {
  const BlobId small = blob_of_size(1000, 3);
  SchedulerUnderTest t;
  t.up(kA);
  t.want(small);
  t.tell(kA, msg::HaveBlobs{{small}});
  t.turn();
  t.scheduler.on_small_failed(small, kA, Error{Code::corrupt, "wrong", 0}, t.now);
  const auto actions = t.turn();
  ASSERT_THAT(all_of<act::BanNode>(actions), SizeIs(1));
  EXPECT_EQ(all_of<act::BanNode>(actions)[0].node, kA);
  EXPECT_THAT(all_of<act::FetchSmall>(actions), SizeIs(1));
}

TEST(Small, ThousandsAreFetchedAFewAtATime) {
  SchedulerUnderTest t;
  for (int i = 0; i < 2000; ++i) {
    BlobId blob = blob_of_size(1000, 3);
    blob.digest[1] = static_cast<std::uint8_t>(i % 256);
    blob.digest[2] = static_cast<std::uint8_t>(i / 256);
    t.want(blob);
  }
  EXPECT_THAT(all_of<act::FetchSmall>(t.turn()), SizeIs(8));
  EXPECT_THAT(all_of<act::FetchSmall>(t.turn()), IsEmpty());
}

// --- trust ---

// A blob that came whole from one neighbour, with a lie in piece 5.
class Lied : public testing::Test {
 protected:
  void SetUp() override {
    t.up(kA);
    t.want(kBlob);
    t.tell(kA, msg::HaveBlobs{{kBlob}});
    t.turn();
    auto hashes = hashes_of(16);
    hashes[5] = some_hash(5, 66);
    t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes});
    t.turn();
    for (int i = 0; i < 16; ++i) t.scheduler.on_piece_received(kKey, static_cast<PieceIndex>(i), t.now);
    ASSERT_THAT(all_of<act::FinishBlob>(t.turn()), SizeIs(1));
  }
  // Fetches the truth until something else than a fetch comes out.
  std::vector<Action> fetch_until_finished() {
    std::vector<Action> seen;
    for (int i = 0; i < 200; ++i) {
      const auto actions = t.turn_after(50ms);
      for (const auto& slice : all_of<act::FetchSlice>(actions)) {
        fetched |= mask_of_run(to_int(slice.first), slice.count);
        t.deliver(slice);
      }
      seen.insert(seen.end(), actions.begin(), actions.end());
      for (const auto& ban : all_of<act::BanNode>(actions)) t.scheduler.on_neighbour_down(ban.node, t.now);
      if (!all_of<act::FinishBlob>(actions).empty() || !all_of<act::FailBlob>(actions).empty()) break;
    }
    return seen;
  }
  SchedulerUnderTest t;
  PieceMask fetched = 0;
};

TEST_F(Lied, TheWholeIsFetchedAgainAndTheLiarNamed) {
  t.scheduler.on_blob_corrupt(kBlob, t.now);
  const auto seen = fetch_until_finished();
  const auto bans = all_of<act::BanNode>(seen);
  ASSERT_THAT(bans, SizeIs(1));
  EXPECT_EQ(bans[0].node, kA);
  EXPECT_THAT(bans[0].reason, testing::HasSubstr("piece 5"));
  EXPECT_NE(fetched & mask_of(PieceIndex{5}), 0U);
  EXPECT_THAT(all_of<act::FinishBlob>(seen), SizeIs(1));
}

TEST_F(Lied, FirstOnePiecePerTellerIsHeldAgainstTheOrigin) {
  t.scheduler.on_blob_corrupt(kBlob, t.now);
  EXPECT_EQ(std::popcount(pieces_of(all_of<act::FetchSlice>(t.turn()), kKey)), 1);
}

TEST_F(Lied, WhatStaysCorruptFails) {
  t.scheduler.on_blob_corrupt(kBlob, t.now);
  std::vector<act::FailBlob> failed;
  for (int round = 0; round < 6 && failed.empty(); ++round) {
    failed = all_of<act::FailBlob>(fetch_until_finished());
    if (failed.empty()) t.scheduler.on_blob_corrupt(kBlob, t.now);
    if (failed.empty()) failed = all_of<act::FailBlob>(t.turn());
  }
  ASSERT_THAT(failed, SizeIs(1));
  EXPECT_EQ(failed[0].error.code, Code::corrupt);
}

TEST(Trust, BadBytesFromTwoSendersPutTheHashInDoubt) {
  SchedulerUnderTest t;
  t.up(kA);
  t.up(kB);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
  t.tell(kB, msg::HaveBlobs{{kBlob}});
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
  ASSERT_THAT(all_of<act::LoadSegment>(t.turn()), SizeIs(1));
  t.scheduler.on_bad_piece(kKey, PieceIndex{3}, {kA}, t.now);
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), IsEmpty());
  t.scheduler.on_bad_piece(kKey, PieceIndex{3}, {kB}, t.now);
  const auto actions = t.turn();
  EXPECT_THAT(all_of<act::UnloadSegment>(actions), SizeIs(1));
  EXPECT_EQ(pieces_of(all_of<act::FetchSlice>(actions), kKey), mask_of(PieceIndex{3}));
  EXPECT_THAT(all_of<act::BanNode>(actions), IsEmpty());
}

TEST(Trust, ThreeBadPiecesOfOneSenderBanIt) {
  SchedulerUnderTest t;
  t.up(kA);
  t.want(kBlob);
  t.tell(kA, msg::HaveBlobs{{kBlob}});
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16)});
  t.turn();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(all_of<act::BanNode>(t.turn()), IsEmpty());
    t.scheduler.on_bad_piece(kKey, static_cast<PieceIndex>(i), {kA}, t.now);
  }
  EXPECT_THAT(all_of<act::BanNode>(t.turn()), SizeIs(1));
}

TEST(Trust, ANodeThatOnlyPassesALieOnIsNotBanned) {
  SchedulerUnderTest t;
  t.want(kBlob);
  joins(t, kA);
  // It has the segment, but never claimed it and does not hold the blob: others told it these hashes.
  t.tell(kA, msg::HaveSegments{kBlob, {SegmentIndex{0}}});
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, kAll, hashes_of(16, 66)});
  t.turn();
  for (int i = 0; i < 16; ++i) t.scheduler.on_piece_received(kKey, static_cast<PieceIndex>(i), t.now);
  t.turn();
  t.scheduler.on_blob_corrupt(kBlob, t.now);
  for (int i = 0; i < 200; ++i) {
    const auto actions = t.turn_after(50ms);
    EXPECT_THAT(all_of<act::BanNode>(actions), IsEmpty());
    for (const auto& slice : all_of<act::FetchSlice>(actions)) t.deliver(slice);
    if (!all_of<act::FinishBlob>(actions).empty()) return;
  }
  FAIL() << "the blob was not finished";
}

TEST(Trust, MessagesWithImpossibleContentAreIgnored) {
  SchedulerUnderTest t;
  t.want(kBlob);
  joins(t, kA);
  t.turn();
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, ~PieceMask{0}, hashes_of(64)});
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{0}, 0x3, hashes_of(5)});
  t.tell(kA, msg::Pieces{kBlob, SegmentIndex{77}, 0x1, hashes_of(1)});
  t.tell(kA, msg::Claim{kBlob, SegmentIndex{77}, 0x1});
  t.tell(kA, msg::HaveSegments{kBlob, {SegmentIndex{77}}});
  t.tell(kA, msg::SegmentOpen{kBlob, SegmentIndex{77}});
  t.tell(kA, msg::AskSegment{kBlob, SegmentIndex{77}});
  t.tell(node_id(42), msg::HaveBlobs{{kBlob}});  // not a neighbour
  EXPECT_THAT(told<msg::AskSegment>(t.turn()), IsEmpty());
}

TEST(Trust, PiecesTheDiskTookBackAreFetchedAgain) {
  SchedulerUnderTest t;
  t.want(kBlob);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  t.deliver(slices[0]);
  t.deliver(slices[1]);
  t.scheduler.on_pieces_lost(kKey, mask_of(slices[0].first), t.now);
  EXPECT_NE(pieces_of(all_of<act::FetchSlice>(t.turn()), kKey) & mask_of(slices[0].first), 0U);
}

TEST(Cost, ATurnWithNothingNewIsCheapWhateverIsWanted) {
  SchedulerUnderTest t;
  for (int n = 1; n <= 16; ++n) t.up(node_id(n));
  for (int i = 0; i < 30; ++i) {
    const BlobId blob = blob_of_size(72 * 32 * kMiB, i + 1);  // 72 segments
    t.want(blob);
    for (int n = 1; n <= 16; ++n) {
      t.tell(node_id(n), msg::LackBlobs{{blob}});
      t.tell(node_id(n), msg::Want{{blob}});
      t.tell(node_id(n), msg::Claim{blob, SegmentIndex{static_cast<std::uint32_t>(n)}, 0xff});
    }
  }
  (void)t.turn();
  const auto began = std::chrono::steady_clock::now();
  constexpr int kTurns = 200;
  for (int i = 0; i < kTurns; ++i) {
    t.now += 1ms;
    (void)t.scheduler.decide(t.now);
  }
  const auto each = (std::chrono::steady_clock::now() - began) / kTurns;
  // Measured: some microseconds. The bound leaves room for sanitizers and a busy machine.
  EXPECT_LT(each, 1ms);
}

}  // namespace
}  // namespace shoal
