// Blobs that are read while they come in.
#include "tests/unit/core/scheduler_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::SizeIs;

// Eight segments of 64 pieces of 256 KiB.
const BlobId kLarge = blob_of_size(128 * kMiB);
constexpr std::uint64_t kSegment = 16 * kMiB;
constexpr std::uint64_t kPiece = 256 * kKiB;

SegmentKey segment(int index) {
  return {kLarge, static_cast<SegmentIndex>(index)};
}

Scheduler::Limits settling_with_slices(int slices) {
  Scheduler::Limits limits;
  limits.slices = slices;
  return limits;
}

TEST(Readers, ClaimsBeginWhereAProgramReads) {
  SchedulerUnderTest t(node_id(100), settling_with_slices(2));
  t.want(kLarge);
  t.scheduler.on_readers(kLarge, {3 * kSegment + 5 * kPiece + 17}, t.now);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(2));
  EXPECT_EQ(slices[0].key, segment(3));
  EXPECT_EQ(to_int(slices[0].first), 5);
  EXPECT_EQ(slices[1].key, segment(3));
  EXPECT_EQ(to_int(slices[1].first), 5 + slices[0].count);
}

TEST(Readers, SeveralAreServedOutOfOrder) {
  SchedulerUnderTest t(node_id(100), settling_with_slices(3));
  t.want(kLarge);
  // The last two pieces of segment 6, then the beginning of segment 1.
  t.scheduler.on_readers(kLarge, {7 * kSegment - kPiece, kSegment}, t.now);
  const auto first = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(first, SizeIs(3));
  EXPECT_EQ(first[0].key, segment(6));
  EXPECT_EQ(to_int(first[0].first), 63);
  // A run wraps round once: what is left of the reader's segment goes before the next reader's.
  for (const auto& slice : first) EXPECT_EQ(slice.key, segment(6));
}

TEST(Readers, TheSegmentAfterTheReaderComesNext) {
  SchedulerUnderTest t(node_id(100), settling_with_slices(1));
  t.want(kLarge);
  t.scheduler.on_readers(kLarge, {5 * kSegment}, t.now);
  std::vector<int> order;
  while (order.size() < 3) {
    const auto slices = all_of<act::FetchSlice>(t.turn_after(10ms));
    ASSERT_THAT(slices, SizeIs(1));
    const int index = static_cast<int>(to_int(slices[0].key.index));
    if (order.empty() || order.back() != index) order.push_back(index);
    t.deliver(slices[0]);
  }
  EXPECT_EQ(order, (std::vector<int>{5, 6, 0}));
}

TEST(Readers, RaiseTheBlobOverOthersAndLeaveItWhereItWas) {
  SchedulerUnderTest t(node_id(100), settling_with_slices(1));
  Scheduler::Request low;
  low.blob = kLarge;
  low.priority = Priority::low;
  t.scheduler.on_want(std::move(low), t.now);
  const BlobId other = blob_of_size(64 * kMiB, 2);
  t.want(other);
  t.scheduler.on_readers(kLarge, {0}, t.now);
  auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(1));
  EXPECT_EQ(slices[0].key.blob, kLarge);
  t.deliver(slices[0]);
  t.scheduler.on_readers(kLarge, {}, t.now);
  slices = all_of<act::FetchSlice>(t.turn_after(10ms));
  ASSERT_THAT(slices, SizeIs(1));
  EXPECT_EQ(slices[0].key.blob, other);
}

TEST(Readers, ASegmentThatIsReadIsAskedForAlthoughThereIsNoRoom) {
  Scheduler::Limits limits;
  limits.loaded_segments = 2;
  limits.ask_fanout = 1;
  SchedulerUnderTest t(node_id(100), limits);
  const NodeId seed = node_id(1);
  t.up(seed);
  t.want(kLarge);
  t.turn();
  t.tell(seed, msg::HaveBlobs{{kLarge}});
  for (int i = 0; i < 2; ++i) {
    t.tell(seed, msg::Pieces{kLarge, static_cast<SegmentIndex>(i), ~PieceMask{0}, hashes_of(64, i + 1)});
  }
  EXPECT_THAT(all_of<act::LoadSegment>(t.turn()), SizeIs(2));
  t.tell(seed, msg::Pieces{kLarge, SegmentIndex{7}, ~PieceMask{0}, hashes_of(64, 9)});
  EXPECT_THAT(all_of<act::LoadSegment>(t.turn()), IsEmpty());
  t.scheduler.on_readers(kLarge, {7 * kSegment + 3}, t.now);
  const auto loads = all_of<act::LoadSegment>(t.turn());
  EXPECT_THAT(loads, Contains(testing::Field(&act::LoadSegment::key, segment(7))));
}

TEST(Readers, OfABlobNobodyWantsOrPastItsEndAreIgnored) {
  SchedulerUnderTest t(node_id(100), settling_with_slices(1));
  t.scheduler.on_readers(kLarge, {0}, t.now);
  t.want(kLarge);
  t.scheduler.on_readers(kLarge, {kLarge.size}, t.now);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(1));
  EXPECT_EQ(slices[0].key, segment(0));
}

}  // namespace
}  // namespace shoal
