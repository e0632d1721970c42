#include "node/core/json_depth.h"

#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(JsonDepth, CountsObjectsAndArraysThatAreOpenAtOnce) {
  EXPECT_FALSE(nests_deeper_than("", 0));
  EXPECT_FALSE(nests_deeper_than("1", 0));
  EXPECT_TRUE(nests_deeper_than("[]", 0));
  EXPECT_FALSE(nests_deeper_than("[[],[],{}]", 2));
  EXPECT_TRUE(nests_deeper_than(R"([[],{"a":[]}])", 2));
}

TEST(JsonDepth, BracketsInTextsDoNotCount) {
  EXPECT_FALSE(nests_deeper_than(R"(["[[[[", "\"[[[[", "\\"])", 1));
  EXPECT_TRUE(nests_deeper_than(R"(["\\", [1]])", 1));
}

TEST(JsonDepth, WhatIsNoJsonIsReadToItsEndAndNotBeyond) {
  EXPECT_FALSE(nests_deeper_than("]]]]", 0));
  EXPECT_FALSE(nests_deeper_than("\"\\", 0));
  EXPECT_TRUE(nests_deeper_than(std::string(1'000'000, '['), 999'999));
}

}  // namespace
}  // namespace shoal
