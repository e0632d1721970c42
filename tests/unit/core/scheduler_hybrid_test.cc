// Segments that move between neighbours and the origin. A segment has 64 pieces of 256 KiB here.
#include "node/core/scheduler.h"
#include "tests/unit/core/scheduler_fixture.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::IsEmpty;
using testing::Not;

constexpr int kSegments = 32;
const BlobId kShared = blob_of_size(kSegments * 16 * kMiB);
const NodeId kSeed = node_id(1);
constexpr PieceMask kWhole = ~PieceMask{0};

// A node that fetches a blob from a seed that has all of it.
class Hybrid : public testing::Test {
 protected:
  explicit Hybrid(SourcePolicy policy = SourcePolicy::automatic) : t(node_id(100)) {
    t.up(kSeed);
    t.want(kShared, policy);
    run();
    t.tell(kSeed, msg::HaveBlobs{{kShared}});
    run();
  }

  // One turn; the seed answers, slices are noted.
  void run() {
    for (const Action& action : t.turn()) {
      if (const auto* tell = std::get_if<act::Tell>(&action)) {
        if (const auto* ask = std::get_if<msg::AskSegment>(&tell->message)) answers.push_back(ask->segment);
      } else if (const auto* load = std::get_if<act::LoadSegment>(&action)) {
        loaded.insert(to_int(load->key.index));
      } else if (const auto* unload = std::get_if<act::UnloadSegment>(&action)) {
        loaded.erase(to_int(unload->key.index));
      } else if (const auto* slice = std::get_if<act::FetchSlice>(&action)) {
        slices[slice->id] = *slice;
      }
    }
    for (const SegmentIndex segment : std::exchange(answers, {})) {
      t.tell(kSeed, msg::Pieces{kShared, segment, kWhole, hashes_of(64)});
    }
  }
  // A second in which the seed brings so much and the origin so much to each slice.
  void second(double swarm, double origin) {
    for (int i = 0; i < 10; ++i) {
      t.now += 100ms;
      t.scheduler.on_swarm_bytes(static_cast<std::uint64_t>(swarm / 10), t.now);
      for (const auto& [id, slice] : slices) {
        t.scheduler.on_fetch_progress(id, static_cast<std::uint64_t>(origin / 10), t.now);
      }
      run();
    }
  }
  // All slices end well.
  void deliver() {
    for (const auto& [id, slice] : std::exchange(slices, {})) {
      fetched.insert(to_int(slice.key.index));
      t.deliver(slice);
    }
    run();
  }

  SchedulerUnderTest t;
  std::set<std::uint32_t> loaded;
  std::map<FetchId, act::FetchSlice> slices;
  std::set<std::uint32_t> fetched;
  std::vector<SegmentIndex> answers;
};

TEST_F(Hybrid, AFastSeedIsTheOnlySource) {
  for (int i = 0; i < 20; ++i) second(50e6, 0);
  EXPECT_THAT(loaded, Not(IsEmpty()));
  EXPECT_THAT(slices, IsEmpty());
}

TEST_F(Hybrid, ASlowSeedIsHelpedByTheOriginFromTheEnd) {
  for (int i = 0; i < 6 && slices.empty(); ++i) second(1e6, 0);
  ASSERT_THAT(slices, Not(IsEmpty()));
  for (const auto& [id, slice] : slices) EXPECT_EQ(to_int(slice.key.index), kSegments - 1U);
  for (int i = 0; i < 8; ++i) {
    second(1e6, 2e6);
    deliver();
  }
  EXPECT_TRUE(fetched.contains(kSegments - 2U)) << "it goes on with the next segment";
  EXPECT_FALSE(fetched.contains(0)) << "the seed's first segments stay with it";
  EXPECT_THAT(loaded, Not(IsEmpty()));
}

TEST_F(Hybrid, ALineThatIsNoBetterIsLeftAfterTheAttempt) {
  for (int i = 0; i < 6 && slices.empty(); ++i) second(4e6, 0);
  ASSERT_THAT(slices, Not(IsEmpty()));
  for (int i = 0; i < 4; ++i) second(4e6, 1e5);
  deliver();
  EXPECT_THAT(slices, IsEmpty());
  for (int i = 0; i < 30; ++i) second(4e6, 0);
  EXPECT_THAT(slices, IsEmpty());
}

TEST_F(Hybrid, WhatWasMovedGoesBackWhenNeighboursBecomeFast) {
  for (int i = 0; i < 6 && slices.empty(); ++i) second(1e6, 0);
  for (int i = 0; i < 4; ++i) second(1e6, 4e6);
  ASSERT_THAT(slices, Not(IsEmpty()));
  for (int i = 0; i < 8; ++i) second(90e6, 1e6);
  deliver();
  for (int i = 0; i < 4; ++i) second(90e6, 0);
  EXPECT_THAT(slices, IsEmpty());
}

TEST_F(Hybrid, APieceThatAnotherNodeFetchedIsNotFetchedAgain) {
  const NodeId other = node_id(200);
  t.up(other);
  t.tell(other, msg::LackBlobs{{kShared}});
  t.tell(other, msg::Want{{kShared}});
  const SegmentIndex last{kSegments - 1};
  t.tell(other, msg::Claim{kShared, last, 0xff});
  t.tell(other, msg::Pieces{kShared, last, 0xff, hashes_of(8)});
  for (int i = 0; i < 6 && slices.empty(); ++i) second(1e6, 0);
  ASSERT_THAT(slices, Not(IsEmpty()));
  for (const auto& [id, slice] : slices) {
    EXPECT_EQ(mask_of_run(to_int(slice.first), slice.count) & 0xff, 0U);
  }
}

class LanOnly : public Hybrid {
 protected:
  LanOnly() : Hybrid(SourcePolicy::lan_only) {}
};

TEST_F(LanOnly, TheOriginIsNotAskedHoweverSlowNeighboursAre) {
  for (int i = 0; i < 20; ++i) second(1e4, 0);
  EXPECT_THAT(slices, IsEmpty());
}

}  // namespace
}  // namespace shoal
