#include "node/daemon/load_sampler.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::seconds;

TEST(LoadSampler, TheBusyMarkExpires) {
  LoadSampler sampler;
  const Time now{seconds(100)};
  EXPECT_FALSE(sampler.busy(now));
  sampler.set_busy(true, seconds(10), now);
  EXPECT_TRUE(sampler.busy(now + seconds(9)));
  EXPECT_FALSE(sampler.busy(now + seconds(10)));
}

TEST(LoadSampler, TheBusyMarkWithoutADurationHoldsUntilItIsTakenBack) {
  LoadSampler sampler;
  const Time now{seconds(100)};
  sampler.set_busy(true, std::nullopt, now);
  EXPECT_TRUE(sampler.busy(now + seconds(100'000)));
  sampler.set_busy(false, std::nullopt, now);
  EXPECT_FALSE(sampler.busy(now));
}

TEST(LoadSampler, SamplesStayWithinTheirScale) {
  LoadSampler sampler;
  Time now{seconds(100)};
  for (int i = 0; i < 3; ++i) {
    const DeviceLoad load = sampler.sample(now);
    EXPECT_LE(load.cpu_permille, 1000);
    EXPECT_LE(load.memory_permille, 1000);
    now += seconds(1);
  }
}

}  // namespace
}  // namespace shoal
