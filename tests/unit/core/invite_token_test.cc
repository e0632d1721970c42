#include "node/core/invite_token.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

InviteToken a_token() {
  InviteToken out;
  for (std::size_t i = 0; i < out.secret.size(); ++i) out.secret[i] = static_cast<std::uint8_t>(i * 7 + 1);
  out.authority.bytes.fill(0xab);
  out.expires_at = 1'800'000'000;
  return out;
}

TEST(InviteTokens, OneComesBackAsItWas) {
  const auto text = format_token(a_token());
  EXPECT_TRUE(text.starts_with("shoal1-"));
  const auto read = parse_token(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, a_token());
  EXPECT_TRUE(parse_token(text + "\n")) << "as a terminal or a file brings it";
}

TEST(InviteTokens, EverySlipIsNoticed) {
  const auto text = format_token(a_token());
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto slipped = text;
    slipped[i] = slipped[i] == '0' ? '1' : '0';
    EXPECT_FALSE(parse_token(slipped)) << i;
    EXPECT_FALSE(parse_token(text.substr(0, i))) << i;
    if (i + 1 < text.size() && text[i] != text[i + 1]) {
      slipped = text;
      std::swap(slipped[i], slipped[i + 1]);
      EXPECT_FALSE(parse_token(slipped)) << "swapped at " << i;
    }
  }
  EXPECT_FALSE(parse_token(text + "00"));
}

TEST(InviteTokens, WhatIsWrongIsSaid) {
  EXPECT_NE(parse_token("hf_abc").error().message.find("shoal cluster invite"), std::string::npos);
  EXPECT_NE(parse_token("shoal2-00").error().message.find("update"), std::string::npos);
  auto text = format_token(a_token());
  text[20] = text[20] == 'a' ? 'b' : 'a';
  EXPECT_NE(parse_token(text).error().message.find("mistyped"), std::string::npos);
}

}  // namespace
}  // namespace shoal
