#include "node/config/nearest_name.h"

#include <vector>

#include <gtest/gtest.h>

namespace shoal {
namespace {

const std::vector<std::string> kNames{"state_dir", "cache_dir", "peer",
                                      "cluster",   "log_level", "wan_rate_limit"};

TEST(NearestName, FindsTheNameThatWasMeant) {
  EXPECT_EQ(nearest_name("stat_dir", kNames), "state_dir");
  EXPECT_EQ(nearest_name("peers", kNames), "peer");
  EXPECT_EQ(nearest_name("culster", kNames), "cluster");
  EXPECT_EQ(nearest_name("wan_rate", kNames), "wan_rate_limit");
}

TEST(NearestName, SaysNothingWhenNothingIsNear) {
  EXPECT_EQ(nearest_name("zzzzzz", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("", kNames), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100'000, 'a'), kNames), std::nullopt);
}

}  // namespace
}  // namespace shoal
