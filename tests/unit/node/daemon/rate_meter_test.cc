#include "node/daemon/rate_meter.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RateMeter, ASteadyFlowShowsItsRate) {
  RateMeter meter;
  Time now{seconds(100)};
  for (int i = 0; i < 100; ++i) {
    meter.add(1000, now);
    now += milliseconds(100);
  }
  EXPECT_NEAR(static_cast<double>(meter.bytes_per_s(now)), 10'000.0, 1'500.0);
}

TEST(RateMeter, AStallShowsAsZeroWithinFourSeconds) {
  RateMeter meter;
  Time now{seconds(100)};
  for (int i = 0; i < 20; ++i) {
    meter.add(1000, now);
    now += milliseconds(100);
  }
  EXPECT_GT(meter.bytes_per_s(now), 0U);
  EXPECT_EQ(meter.bytes_per_s(now + seconds(4)), 0U);
}

TEST(RateMeter, TheFirstMomentsDoNotExaggerate) {
  RateMeter meter;
  const Time now{seconds(100)};
  meter.add(1'000'000, now);
  EXPECT_EQ(meter.bytes_per_s(now + milliseconds(10)), 0U);
}

}  // namespace
}  // namespace shoal
