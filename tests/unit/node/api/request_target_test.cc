#include "node/api/request_target.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(RequestTarget, PathAndQueryAreDecoded) {
  const auto target = parse_request_target("/a%20b/c%2Fd?x=1+2&y=%26&flag&&z=");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a b/c/d");
  EXPECT_EQ(target->raw_path, "/a%20b/c%2Fd");
  const std::vector<std::pair<std::string, std::string>> query{
      {"x", "1 2"}, {"y", "&"}, {"flag", ""}, {"z", ""}};
  EXPECT_EQ(target->query, query);
}

TEST(RequestTarget, WhatIsNotAPathIsRefused) {
  std::string many = "/?";
  for (int i = 0; i < 100; ++i) many += "a=1&";
  for (const std::string& text :
       {std::string(""), std::string("*"), std::string("http://x/"), std::string("/%"), std::string("/%zz"),
        std::string("/a%00b"), std::string("/?a=%1"), many}) {
    EXPECT_FALSE(parse_request_target(text)) << text;
  }
}

TEST(RequestTarget, EncodingAndDecodingAreInverse) {
  const std::string text = "a b/ä%?&=+~";
  EXPECT_EQ(percent_decode(percent_encode(text, false), true), text);
  EXPECT_EQ(percent_encode("a/b", true), "a/b");
  EXPECT_EQ(percent_encode("a/b", false), "a%2Fb");
}

}  // namespace
}  // namespace shoal
