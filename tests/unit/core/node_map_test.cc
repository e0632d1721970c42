#include "node/core/node_map.h"

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::ElementsAre;

NodeId id_of(std::uint64_t upper, std::uint64_t lower = 0) {
  NodeId id;
  std::memcpy(id.bytes.data(), &upper, sizeof upper);
  std::memcpy(id.bytes.data() + 8, &lower, sizeof lower);
  return id;
}

std::vector<int> walked(const NodeMap<int>& map) {
  std::vector<int> values;
  for (const auto& [id, value] : map) values.push_back(value);
  return values;
}

TEST(NodeMap, FindsWhatWasPut) {
  NodeMap<std::string> map;
  EXPECT_EQ(map.find(id_of(1)), nullptr);
  EXPECT_FALSE(map.erase(id_of(1)));
  map[id_of(1)] = "one";
  map[id_of(2)] = "two";
  map[id_of(1)] += "!";
  EXPECT_EQ(map.size(), 2U);
  EXPECT_EQ(*map.find(id_of(1)), "one!");
  EXPECT_TRUE(map.erase(id_of(1)));
  EXPECT_FALSE(map.contains(id_of(1)));
  EXPECT_TRUE(map.contains(id_of(2)));
}

TEST(NodeMap, WalksInTheOrderOfArrivalAndTheLastTakesAFreePlace) {
  NodeMap<int> map;
  for (int i = 0; i < 5; ++i) map[id_of(static_cast<std::uint64_t>(50 - i))] = i;
  EXPECT_THAT(walked(map), ElementsAre(0, 1, 2, 3, 4));
  map.erase(id_of(49));
  EXPECT_THAT(walked(map), ElementsAre(0, 4, 2, 3));
}

// Against a tree, with ids of few different hashes as well: those are pushed past each other's places.
class NodeMapAgainstATree : public testing::TestWithParam<std::uint64_t> {};

TEST_P(NodeMapAgainstATree, SaysTheSame) {
  NodeMap<std::uint64_t> map;
  std::map<NodeId, std::uint64_t> tree;
  std::uint64_t random = 12345;
  for (std::uint64_t step = 0; step < 20000; ++step) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t number = (random >> 33U) % 300;
    const NodeId id = id_of(number * GetParam(), number / 7);
    if ((random >> 60U) < 9) {
      map[id] = tree[id] = step;
    } else {
      EXPECT_EQ(map.erase(id), tree.erase(id) > 0);
    }
    ASSERT_EQ(map.size(), tree.size());
    if (step % 100 != 0) continue;
    for (std::uint64_t n = 0; n < 300; ++n) {
      const NodeId any = id_of(n * GetParam(), n / 7);
      const auto it = tree.find(any);
      const std::uint64_t* found = map.find(any);
      ASSERT_EQ(found != nullptr, it != tree.end());
      if (found != nullptr) {
        ASSERT_EQ(*found, it->second);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Spacing, NodeMapAgainstATree,
                         testing::Values(1U, 0x9e3779b97f4a7c15U, std::uint64_t{1} << 40U,
                                         std::uint64_t{1} << 63U));

}  // namespace
}  // namespace shoal
