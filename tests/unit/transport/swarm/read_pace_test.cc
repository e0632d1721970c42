#include "transport/swarm/read_pace.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ReadPace, WithoutALimitAsMuchAsOneLikes) {
  ReadPace pace;
  EXPECT_GT(pace.allowed(Time{seconds(1)}), std::size_t{1} << 40U);
  pace.took(1 << 30);
  EXPECT_GT(pace.allowed(Time{seconds(1)}), std::size_t{1} << 40U);
}

TEST(ReadPace, OverASecondTheRateIsRead) {
  ReadPace pace;
  Time now{seconds(10)};
  pace.set_rate(5'000'000, now);
  std::size_t read = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::size_t blocks = pace.allowed(now) / 16384;
    pace.took(blocks * 16384);
    read += blocks * 16384;
    now += milliseconds(1);
  }
  EXPECT_NEAR(static_cast<double>(read), 5e6, 0.15e6);
}

TEST(ReadPace, IdleTimeIsNotSavedUp) {
  ReadPace pace;
  pace.set_rate(10'000'000, Time{seconds(10)});
  EXPECT_EQ(pace.allowed(Time{seconds(60)}), 200'000U);
}

TEST(ReadPace, SaysWhenItIsWorthLookingAgain) {
  ReadPace pace;
  Time now{seconds(10)};
  pace.set_rate(1'000'000, now);
  now += seconds(1);
  pace.took(pace.allowed(now));
  EXPECT_EQ(pace.allowed(now), 0U);
  const Time at = pace.full_at();
  EXPECT_GT(at, now + milliseconds(50));
  EXPECT_LT(at, now + milliseconds(80));
  EXPECT_GE(pace.allowed(at), 65'000U);
}

TEST(ReadPace, TheLimitCanBeLifted) {
  ReadPace pace;
  pace.set_rate(1'000'000, Time{seconds(10)});
  pace.set_rate(0, Time{seconds(11)});
  EXPECT_FALSE(pace.limited());
  EXPECT_GT(pace.allowed(Time{seconds(11)}), std::size_t{1} << 40U);
}

}  // namespace
}  // namespace shoal
