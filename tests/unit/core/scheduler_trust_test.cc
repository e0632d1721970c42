// Policies, small blobs, and what happens when somebody lies. Segments have 16 pieces unless a test says
// otherwise.
#include "tests/unit/core/scheduler_fixture.h"

#include <chrono>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

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
  is_held_by(t, kA);
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
