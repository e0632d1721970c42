#include "node/core/backoff.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;

constexpr BackoffOptions kOptions{.first = milliseconds(100), .ceiling = milliseconds(1000)};

TEST(Backoff, DoublesUpToTheCeiling) {
  constexpr double kLongest = 1.0;
  EXPECT_EQ(backoff_pause(1, kLongest, kOptions), milliseconds(100));
  EXPECT_EQ(backoff_pause(2, kLongest, kOptions), milliseconds(200));
  EXPECT_EQ(backoff_pause(4, kLongest, kOptions), milliseconds(800));
  EXPECT_EQ(backoff_pause(5, kLongest, kOptions), milliseconds(1000));
  EXPECT_EQ(backoff_pause(1'000'000, kLongest, kOptions), milliseconds(1000));
}

TEST(Backoff, DrawsHalfOfThePause) {
  EXPECT_EQ(backoff_pause(1, 0.0, kOptions), milliseconds(50));
  EXPECT_EQ(backoff_pause(1, 0.5, kOptions), milliseconds(75));
}

TEST(Backoff, StandsOddOptions) {
  EXPECT_EQ(backoff_pause(0, 1.0, kOptions), milliseconds(100));
  EXPECT_EQ(backoff_pause(9, 1.0, {.first = milliseconds(0), .ceiling = milliseconds(5)}), milliseconds(0));
  EXPECT_EQ(backoff_pause(1, 1.0, {.first = milliseconds(50), .ceiling = milliseconds(5)}), milliseconds(5));
  EXPECT_EQ(backoff_pause(3, 7.0, {.first = milliseconds(-1), .ceiling = milliseconds(-5)}), milliseconds(0));
}

}  // namespace
}  // namespace shoal
