#include "node/trust/invitations.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

InviteSecret secret(int n) {
  InviteSecret out{};
  out[0] = static_cast<std::uint8_t>(n);
  out[1] = static_cast<std::uint8_t>(n >> 8);
  return out;
}

TEST(Invitations, EachIsGoodOnce) {
  Invitations open;
  ASSERT_TRUE(open.add(secret(1), 100, 0));
  EXPECT_TRUE(open.check(secret(1), 50));
  EXPECT_TRUE(open.take(secret(1), 50));
  EXPECT_FALSE(open.check(secret(1), 50));
  EXPECT_FALSE(open.take(secret(1), 50));
}

TEST(Invitations, NoneIsGoodAfterItsEnd) {
  Invitations open;
  ASSERT_TRUE(open.add(secret(1), 100, 0));
  EXPECT_EQ(open.open(99), 1U);
  EXPECT_FALSE(open.take(secret(1), 100));
  EXPECT_EQ(open.open(100), 0U);
}

TEST(Invitations, AnUnknownSecretIsToldTheSameAsAUsedOne) {
  Invitations open;
  ASSERT_TRUE(open.add(secret(1), 100, 0));
  ASSERT_TRUE(open.take(secret(1), 1));
  EXPECT_EQ(open.check(secret(1), 1).error().message, open.check(secret(2), 1).error().message);
  EXPECT_EQ(open.check(secret(2), 1).error().code, Code::unauthorized);
}

TEST(Invitations, ThereIsALimitAndOldOnesMakeRoom) {
  Invitations open;
  for (std::size_t i = 0; i < Invitations::kOpenMax; ++i)
    ASSERT_TRUE(open.add(secret(static_cast<int>(i)), 100, 0));
  EXPECT_FALSE(open.add(secret(9999), 200, 0));
  EXPECT_TRUE(open.add(secret(9999), 200, 100));
}

}  // namespace
}  // namespace shoal
