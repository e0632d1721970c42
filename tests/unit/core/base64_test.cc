#include "node/core/base64.h"

#include <random>

#include <gtest/gtest.h>

namespace shoal {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// The examples of RFC 4648, section 10.
TEST(Base64, TheExamplesOfTheStandard) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{{"", ""},
                                                                         {"f", "Zg=="},
                                                                         {"fo", "Zm8="},
                                                                         {"foo", "Zm9v"},
                                                                         {"foob", "Zm9vYg=="},
                                                                         {"fooba", "Zm9vYmE="},
                                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : cases) {
    EXPECT_EQ(to_base64(bytes(plain)), coded);
    const auto back = from_base64(coded);
    ASSERT_TRUE(back) << coded;
    EXPECT_TRUE(std::ranges::equal(*back, bytes(plain)));
  }
}

TEST(Base64, AnyBytesComeBack) {
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 300; ++size) {
    std::vector<std::byte> in(size);
    for (auto& byte : in) byte = static_cast<std::byte>(random());
    EXPECT_EQ(from_base64(to_base64(in)), in);
  }
}

TEST(Base64, WhatIsNoneIsRefused) {
  for (const char* text : {"Zg=", "Z", "Zg==Zg==", "Z===", "====", "Zm9v\n", "Zm-_", "Zh==", "Zm9=", "=m9v"})
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
}

}  // namespace
}  // namespace shoal
