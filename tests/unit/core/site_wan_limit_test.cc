#include "node/core/site_wan_limit.h"

#include "tests/unit/node_id.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kCap = 12'500'000;  // 100 Mbit/s

msg::Heartbeat taking(std::uint64_t bytes_per_s, bool hungry, std::uint64_t configured = 0) {
  msg::Heartbeat heartbeat;
  heartbeat.load.origin_bytes_per_s = bytes_per_s;
  heartbeat.wan_hungry = hungry;
  heartbeat.site_wan_limit = configured;
  return heartbeat;
}

TEST(SiteWanLimit, WithoutACapThereIsNoLimit) {
  SiteWanLimit limit(0);
  limit.on_heartbeat(node_id(1), taking(5'000'000, true));
  EXPECT_EQ(limit.site_limit(), 0U);
  EXPECT_EQ(limit.own_limit(), 0U);
}

TEST(SiteWanLimit, ANodeAloneHasAllOfIt) {
  EXPECT_EQ(SiteWanLimit(kCap).own_limit(), kCap);
}

TEST(SiteWanLimit, TheSmallestCapOfTheLivingHolds) {
  SiteWanLimit limit(kCap);
  limit.on_heartbeat(node_id(1), taking(0, false, kCap / 2));
  EXPECT_EQ(limit.site_limit(), kCap / 2);
  limit.on_heartbeat(node_id(2), taking(0, false, kCap * 2));
  EXPECT_EQ(limit.site_limit(), kCap / 2);
  limit.on_gone(node_id(1));
  EXPECT_EQ(limit.site_limit(), kCap);
}

TEST(SiteWanLimit, ACapToldByANeighbourHoldsForANodeWithout) {
  SiteWanLimit limit(0);
  limit.on_heartbeat(node_id(1), taking(0, false, kCap));
  EXPECT_EQ(limit.own_limit(), kCap);
}

TEST(SiteWanLimit, AnAbsurdCapOfANeighbourIsIgnored) {
  SiteWanLimit limit(0);
  limit.on_heartbeat(node_id(1), taking(0, false, 1));
  EXPECT_EQ(limit.site_limit(), 0U);
}

TEST(SiteWanLimit, TheHungryShareEvenly) {
  SiteWanLimit limit(kCap);
  for (int n = 1; n <= 3; ++n) limit.on_heartbeat(node_id(n), taking(kCap / 4, true));
  EXPECT_EQ(limit.own_limit(), kCap / 4);
}

TEST(SiteWanLimit, WhatOneDoesNotUseIsLeftToTheOthers) {
  SiteWanLimit limit(kCap);
  limit.on_heartbeat(node_id(1), taking(1'000'000, false));
  limit.on_heartbeat(node_id(2), taking(5'000'000, true));
  EXPECT_EQ(limit.own_limit(), (kCap - 1'100'000) / 2);
}

TEST(SiteWanLimit, AnIdleNodeTakesNothingAway) {
  SiteWanLimit limit(kCap);
  for (int n = 1; n <= 100; ++n) limit.on_heartbeat(node_id(n), taking(0, false));
  EXPECT_EQ(limit.own_limit(), kCap);
}

TEST(SiteWanLimit, ABusyNodeTakesLess) {
  SiteWanLimit limit(kCap);
  limit.on_heartbeat(node_id(1), taking(kCap / 2, true));
  limit.on_own_state(0.1, kCap / 2, true, Time{} + 1h);
  EXPECT_NEAR(static_cast<double>(limit.own_limit()), static_cast<double>(kCap) * 0.1 / 1.1, 2.0);
}

TEST(SiteWanLimit, ALiarCannotStarveTheOthers) {
  SiteWanLimit limit(kCap);
  limit.on_heartbeat(node_id(1), taking(UINT64_MAX / 2, false));
  EXPECT_GE(limit.own_limit(), kCap / 2);
  for (int n = 1; n <= 200; ++n) limit.on_heartbeat(node_id(n), taking(UINT64_MAX / 2, true));
  EXPECT_GE(limit.own_limit(), SiteWanLimit::kLeast);
}

TEST(SiteWanLimit, ANodeIsHungryWhileItUsesItsPartUp) {
  SiteWanLimit limit(kCap);
  const Time start = Time{} + 1h;
  limit.on_own_state(1, 0, false, start);
  EXPECT_FALSE(limit.hungry());
  limit.on_own_state(1, 0, true, start + 1s);
  EXPECT_TRUE(limit.hungry()) << "it has just begun";
  limit.on_own_state(1, kCap / 2, true, start + 4s);
  EXPECT_FALSE(limit.hungry());
  limit.on_own_state(1, kCap * 9 / 10, true, start + 5s);
  EXPECT_TRUE(limit.hungry());
  limit.on_own_state(1, kCap, false, start + 6s);
  EXPECT_FALSE(limit.hungry());
}

// Sites of nodes with different lines: each second all tell their rates, then take what they may and can.
// Whatever they can, the site keeps the cap, and uses it up if its nodes together can.
TEST(SiteWanLimit, ASiteKeepsTheCapAndUsesItUp) {
  const std::vector<std::vector<double>> sites{
      {kCap, kCap, kCap}, {kCap * 0.05, kCap, kCap}, {kCap * 0.1, kCap * 0.2, kCap * 0.3, kCap * 10.0}};
  for (const auto& able : sites) {
    std::vector<SiteWanLimit> nodes;
    for (std::size_t i = 0; i < able.size(); ++i) nodes.emplace_back(i == 0 ? kCap : 0);
    std::vector<std::uint64_t> rates(able.size(), 0);
    Time now = Time{} + 1h;
    for (int second = 0; second < 20; ++second, now += 1s) {
      for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i].on_own_state(1, rates[i], true, now);
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        for (std::size_t other = 0; other < nodes.size(); ++other) {
          if (other == i) continue;
          nodes[i].on_heartbeat(node_id(static_cast<int>(other)),
                                taking(rates[other], nodes[other].hungry(), nodes[other].configured()));
        }
      }
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        rates[i] = std::min(nodes[i].own_limit(), static_cast<std::uint64_t>(able[i]));
      }
      const auto sum = std::accumulate(rates.begin(), rates.end(), std::uint64_t{0});
      if (second < 4) continue;  // rates of the second before settle
      EXPECT_LE(static_cast<double>(sum), 1.01 * kCap) << "second " << second;
      EXPECT_GE(static_cast<double>(sum), 0.9 * kCap) << "second " << second;
    }
  }
}

}  // namespace
}  // namespace shoal
