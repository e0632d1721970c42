#include "node/core/source_balance.h"

#include <chrono>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using namespace std::chrono_literals;
using Advice = SourceBalance::Advice;

constexpr double kMB = 1e6;

// Seconds of a download, one after the other.
class Balance {
 public:
  // A second in which neighbours and the origin bring so many bytes.
  Advice second(double swarm, double origin, bool loading = true, double neighbours_origin = 0) {
    for (int i = 0; i < 10; ++i) {
      balance.on_turn(loading, origin > 0, neighbours_origin, now);
      now += 100ms;
      balance.on_swarm_bytes(static_cast<std::uint64_t>(swarm / 10), now);
      balance.on_origin_bytes(static_cast<std::uint64_t>(origin / 10), now);
    }
    balance.on_turn(loading, origin > 0, neighbours_origin, now);
    return balance.advice(now);
  }
  Advice seconds(int count, double swarm, double origin, bool loading = true, double neighbours_origin = 0) {
    for (int i = 1; i < count; ++i) second(swarm, origin, loading, neighbours_origin);
    return second(swarm, origin, loading, neighbours_origin);
  }
  // The line is known from an earlier download; nothing happens at the end of it.
  void knows_the_line(double rate) {
    seconds(4, 0, rate, false);
    seconds(3, 0, 0, false);
  }

  SourceBalance balance{{}};
  Time now = Time{} + 1h;
};

TEST(SourceBalance, SoundNeighboursAreLeftAlone) {
  Balance b;
  EXPECT_EQ(b.seconds(20, 45 * kMB, 0), Advice::neighbours);
}

TEST(SourceBalance, TwiceAsQuickALineIsUsedAfterThreeSeconds) {
  Balance b;
  b.knows_the_line(12 * kMB);
  EXPECT_EQ(b.second(5 * kMB, 0), Advice::neighbours);
  EXPECT_EQ(b.second(5 * kMB, 0), Advice::neighbours);
  EXPECT_EQ(b.seconds(3, 5 * kMB, 0), Advice::origin);
}

TEST(SourceBalance, LessThanTwiceAsQuickIsNotWorthTheBytes) {
  Balance b;
  b.knows_the_line(12 * kMB);
  EXPECT_EQ(b.seconds(20, 7 * kMB, 0), Advice::neighbours);
}

TEST(SourceBalance, OnceMovedItStaysUntilTheGainIsSmall) {
  Balance b;
  b.knows_the_line(12 * kMB);
  ASSERT_EQ(b.seconds(5, 4 * kMB, 0), Advice::origin);
  EXPECT_EQ(b.seconds(5, 7 * kMB, 12 * kMB), Advice::origin);
  EXPECT_EQ(b.seconds(5, 11 * kMB, 12 * kMB), Advice::neighbours);
}

TEST(SourceBalance, AnUnknownLineIsTriedOnlyWhenTheLanIsSlow) {
  Balance fast;
  EXPECT_EQ(fast.seconds(30, 20 * kMB, 0), Advice::neighbours);
  Balance slow;
  EXPECT_EQ(slow.seconds(5, 2 * kMB, 0), Advice::attempt);
}

TEST(SourceBalance, AnAttemptEndsWhenTheRateIsKnown) {
  Balance b;
  ASSERT_EQ(b.seconds(5, 2 * kMB, 0), Advice::attempt);
  b.balance.on_attempt(b.now);
  EXPECT_EQ(b.second(2 * kMB, 1 * kMB), Advice::attempt);
  EXPECT_EQ(b.seconds(2, 2 * kMB, 1 * kMB), Advice::neighbours);
  Balance good;
  ASSERT_EQ(good.seconds(5, 2 * kMB, 0), Advice::attempt);
  good.balance.on_attempt(good.now);
  EXPECT_EQ(good.seconds(3, 2 * kMB, 12 * kMB), Advice::origin);
}

TEST(SourceBalance, AnAttemptThatBringsNothingIsMadeOnceAMinute) {
  Balance b;
  ASSERT_EQ(b.seconds(5, 2 * kMB, 0), Advice::attempt);
  b.balance.on_attempt(b.now);
  EXPECT_EQ(b.seconds(6, 2 * kMB, 0), Advice::neighbours);
  EXPECT_EQ(b.seconds(50, 2 * kMB, 0), Advice::neighbours);
  EXPECT_EQ(b.seconds(6, 2 * kMB, 0), Advice::attempt);
}

TEST(SourceBalance, WhatNeighboursTakeFromTheOriginCounts) {
  Balance b;
  b.seconds(4, 0, 2 * kMB, false, 10 * kMB);
  b.seconds(2, 0, 0, false);
  EXPECT_EQ(b.seconds(5, 5 * kMB, 0), Advice::origin);
}

TEST(SourceBalance, AFullLinkOfTheNodeItselfIsNoReasonToUseTheLine) {
  Balance b;
  // Others use the line well; this node's link gives 5 MB/s, whatever the source.
  b.seconds(5, 4 * kMB, 1 * kMB, true, 11 * kMB);
  EXPECT_EQ(b.seconds(30, 5 * kMB, 0, true, 0), Advice::neighbours);
}

TEST(SourceBalance, AMoveThatBringsNoMoreInAllIsTakenBack) {
  Balance b;
  b.knows_the_line(12 * kMB);
  ASSERT_EQ(b.seconds(5, 5 * kMB, 0), Advice::origin);
  EXPECT_EQ(b.seconds(3, 2.5 * kMB, 2.5 * kMB, true, 9 * kMB), Advice::neighbours);
  EXPECT_EQ(b.seconds(30, 5 * kMB, 0), Advice::neighbours);
}

TEST(SourceBalance, AnOldRateIsForgotten) {
  Balance b;
  b.knows_the_line(12 * kMB);
  EXPECT_GT(b.balance.origin_bytes_per_s(), 0);
  b.now += 11min;
  b.second(0, 0, false);
  EXPECT_EQ(b.balance.origin_bytes_per_s(), 0);
}

}  // namespace
}  // namespace shoal
