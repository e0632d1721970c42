// What a loaded node leaves to others. Segments have 16 pieces, the node under test is 100.
#include "tests/unit/core/scheduler_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

DeviceLoad busy() {
  DeviceLoad load;
  load.busy = true;
  return load;
}

void says_it_is_busy(SchedulerUnderTest& t, NodeId node) {
  msg::Heartbeat heartbeat;
  heartbeat.load = busy();
  t.tell(node, heartbeat);
}

class Loaded : public testing::Test {
 protected:
  Loaded() {
    t.want(kBlob);
    joins(t, kA);
    joins(t, kB);
  }
  PieceMask claimed(const std::vector<Action>& actions) const {
    return pieces_of(all_of<act::FetchSlice>(actions), kKey);
  }
  // The one slice that a busy node has, 250 ms after it began, when it takes what others left.
  act::FetchSlice first_slice() {
    t.turn();
    const auto slices = all_of<act::FetchSlice>(t.turn_after(300ms));
    EXPECT_THAT(slices, SizeIs(1));
    return slices.at(0);
  }

  SchedulerUnderTest t;
};

TEST_F(Loaded, ABusyNodeHasNoPartWhileOthersAreFree) {
  t.scheduler.on_own_load(busy());
  EXPECT_EQ(claimed(t.turn()), 0U);
  EXPECT_EQ(claimed(t.turn_after(200ms)), 0U);
  EXPECT_NE(claimed(t.turn_after(100ms)), 0U) << "what others have not claimed by then is for anybody";
}

TEST_F(Loaded, TheFreeOnesShareThePartOfABusyOne) {
  says_it_is_busy(t, kA);
  PieceMask mine = 0;
  for (const Time end = t.now + 240ms; t.now < end; t.now += 1ms) {
    for (const auto& slice : all_of<act::FetchSlice>(t.turn())) {
      mine |= mask_of_run(to_int(slice.first), slice.count);
      t.deliver(slice);
    }
  }
  EXPECT_EQ(mine, 0x00ffU) << "the first of two, not the second of three";
}

TEST_F(Loaded, WhereAllAreBusyEachHasItsPart) {
  t.scheduler.on_own_load(busy());
  says_it_is_busy(t, kA);
  says_it_is_busy(t, kB);
  const PieceMask mine = claimed(t.turn());
  EXPECT_NE(mine, 0U);
  EXPECT_EQ(mine & ~0x03e0U, 0U) << "the second third of 16 pieces";
}

TEST_F(Loaded, ABusyNodeRestsBetweenSlicesInProportion) {
  t.scheduler.on_own_load(busy());
  const auto slice = first_slice();
  t.now += 200ms;
  t.deliver(slice);
  // Three nodes begin with three connections each; a tenth of the capacity is three tenths of a connection.
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), IsEmpty());
  ASSERT_TRUE(t.scheduler.wake_at());
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(460ms)), IsEmpty());
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn_after(20ms)), SizeIs(1));
}

TEST_F(Loaded, TheRestEndsWithTheLoad) {
  t.scheduler.on_own_load(busy());
  const auto slice = first_slice();
  t.now += 200ms;
  t.deliver(slice);
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), IsEmpty());
  t.scheduler.on_own_load({});
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), SizeIs(3));
}

TEST_F(Loaded, WhereNobodyIsFreerThereIsNoRest) {
  t.scheduler.on_own_load(busy());
  says_it_is_busy(t, kA);
  says_it_is_busy(t, kB);
  const auto slices = all_of<act::FetchSlice>(t.turn());
  ASSERT_THAT(slices, SizeIs(1));
  t.now += 200ms;
  t.deliver(slices[0]);
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), SizeIs(1));
}

TEST_F(Loaded, WhatAProgramReadsIsFetchedWithoutRests) {
  t.scheduler.on_own_load(busy());
  t.scheduler.on_readers(kBlob, {0}, t.now);
  const auto slice = first_slice();
  t.now += 200ms;
  t.deliver(slice);
  EXPECT_THAT(all_of<act::FetchSlice>(t.turn()), SizeIs(1));
}

}  // namespace
}  // namespace shoal
