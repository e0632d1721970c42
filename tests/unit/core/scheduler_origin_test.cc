// One node and the origin: slices, slow connections, several pulls. Segments have 16 pieces unless a test
// says otherwise.
#include "tests/unit/core/scheduler_fixture.h"

#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

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

class SlowConnection : public testing::Test {
 protected:
  SlowConnection() : t(node_id(100), limits()) {
    t.want(blob_of_size(64 * kMiB));
    slices = all_of<act::FetchSlice>(t.turn());
  }
  void SetUp() override { ASSERT_THAT(slices, SizeIs(3)); }
  static Scheduler::Limits limits() {
    Scheduler::Limits limits = with_slices(3);
    limits.slice_bytes_first = 2 * kMiB;  // eight pieces
    return limits;
  }
  void progress(std::size_t slice, std::uint64_t bytes) {
    t.scheduler.on_fetch_progress(slices[slice].id, bytes, t.now);
  }

  SchedulerUnderTest t;
  std::vector<act::FetchSlice> slices;
};

TEST_F(SlowConnection, EndsWithThePieceInProgressWhenTheOthersAreTwiceAsFast) {
  t.now += 1s;
  progress(0, 300 * kKiB);
  progress(1, 1024 * kKiB);
  progress(2, 1024 * kKiB);
  EXPECT_THAT(all_of<act::TrimFetch>(t.turn()), IsEmpty()) << "too early to say";
  // 300 KiB are here: the second piece is in progress.
  EXPECT_THAT(all_of<act::TrimFetch>(t.turn_after(2s)),
              ElementsAre(act::TrimFetch{slices[0].id, slices[0].key, slices[0].first, 2}));
  EXPECT_THAT(all_of<act::TrimFetch>(t.turn_after(1s)), IsEmpty()) << "once is enough";
}

TEST_F(SlowConnection, WhatItLeavesIsClaimedByTheNextSlice) {
  t.now += 3s;
  progress(1, 1900 * kKiB);
  progress(2, 1900 * kKiB);
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

TEST_F(SlowConnection, IsKeptWhenAllAreSlow) {
  for (std::uint64_t second = 1; second <= 4; ++second) {
    t.now += 1s;
    for (std::size_t slice = 0; slice < 3; ++slice) progress(slice, second * 20 * kKiB);
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

}  // namespace
}  // namespace shoal
