#include "node/core/origin_pace.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using namespace std::chrono_literals;

// Keeps as many connections busy as the pace asks for, on a line of `line` bytes per second where one
// connection gets at most `each`; the number after so long.
int settle(OriginPace& pace, Time& now, double line, double each, int for_s) {
  for (int tick = 0; tick < for_s * 10; ++tick) {
    const int n = pace.connections();
    pace.on_active(n, now);
    now += 100ms;
    pace.on_bytes(static_cast<std::uint64_t>(std::min(each * n, line) / 10), now);
  }
  return pace.connections();
}

TEST(OriginPace, GrowsWhileEachConnectionIsCapped) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  EXPECT_EQ(settle(pace, now, 100e6, 1e6, 10), 16);
}

TEST(OriginPace, StaysSmallWhenTheLineIsFull) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  EXPECT_LE(settle(pace, now, 10e6, 10e6, 60), 9);
}

TEST(OriginPace, ShrinksWhenOthersTakeTheLine) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  const int before = settle(pace, now, 16e6, 1e6, 10);
  EXPECT_LT(settle(pace, now, 2e6, 1e6, 10), before);
  EXPECT_GE(settle(pace, now, 1e2, 1e6, 60), 2);
}

TEST(OriginPace, HalvesWhenTheOriginRefusesAndRests) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  ASSERT_EQ(settle(pace, now, 100e6, 1e6, 10), 16);
  pace.on_refused(now);
  EXPECT_EQ(pace.connections(), 8);
  EXPECT_EQ(settle(pace, now, 100e6, 1e6, 9), 8);
  EXPECT_GT(settle(pace, now, 100e6, 1e6, 5), 8);
}

TEST(OriginPace, MeasuresOneConnection) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  EXPECT_EQ(pace.bytes_per_s(), 0);
  settle(pace, now, 100e6, 2e6, 5);
  EXPECT_NEAR(pace.bytes_per_s(), 2e6, 0.1e6);
}

TEST(OriginPace, ATimeWithoutRequestsSaysNothing) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  const int before = settle(pace, now, 100e6, 1e6, 5);
  const double rate = pace.bytes_per_s();
  pace.on_active(0, now);
  now += 60s;
  pace.on_active(0, now);
  EXPECT_EQ(pace.connections(), before);
  EXPECT_NEAR(pace.bytes_per_s(), rate, 1);
}

TEST(OriginPace, NodesThatShareALineBeginWithFewConnectionsEach) {
  OriginPace pace({});
  pace.on_sharers(1);
  EXPECT_EQ(pace.connections(), 4);
  pace.on_sharers(2);
  EXPECT_EQ(pace.connections(), 4);
  pace.on_sharers(4);
  EXPECT_EQ(pace.connections(), 2);
  pace.on_sharers(200);
  EXPECT_EQ(pace.connections(), 2);
}

}  // namespace
}  // namespace shoal
