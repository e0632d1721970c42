#include "node/core/segment_set.h"

#include <cstdint>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

std::vector<std::uint32_t> walked(const SegmentSet& segments) {
  std::vector<std::uint32_t> found;
  segments.for_each([&](std::uint32_t segment) { found.push_back(segment); });
  return found;
}

TEST(SegmentSet, IsEmptyAtFirstAndWhenCleared) {
  SegmentSet segments;
  EXPECT_TRUE(segments.empty());
  EXPECT_EQ(segments.first(), std::nullopt);
  segments.erase(1000);
  EXPECT_FALSE(segments.contains(1000));
  segments.insert(1000);
  EXPECT_FALSE(segments.empty());
  EXPECT_EQ(segments.first(), 1000U);
  segments.clear();
  EXPECT_TRUE(segments.empty());
}

TEST(SegmentSet, SaysTheSameAsATree) {
  SegmentSet segments;
  std::set<std::uint32_t> tree;
  std::uint64_t random = 12345;
  for (int step = 0; step < 5000; ++step) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const auto segment = static_cast<std::uint32_t>((random >> 33U) % 200);
    if ((random >> 60U) < 8) {
      segments.insert(segment);
      tree.insert(segment);
    } else {
      segments.erase(segment);
      tree.erase(segment);
    }
    ASSERT_EQ(segments.contains(segment), tree.contains(segment));
    ASSERT_EQ(segments.empty(), tree.empty());
    if (!tree.empty()) {
      ASSERT_EQ(segments.first(), *tree.begin());
    }
    ASSERT_THAT(walked(segments), testing::ElementsAreArray(tree));
  }
}

}  // namespace
}  // namespace shoal
