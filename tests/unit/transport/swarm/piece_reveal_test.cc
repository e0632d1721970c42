// Who is shown which piece of a segment of eight, and when more.
#include "transport/swarm/piece_reveal.h"

#include <bit>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using namespace std::chrono_literals;

class Revealing : public testing::Test {
 protected:
  void SetUp() override {
    reveal.on_peer(&a, now);
    reveal.on_peer(&b, now);
  }

  Time now = Time{} + std::chrono::hours(1);
  PieceReveal reveal{0xff};
  char a = 0;
  char b = 0;
};

TEST_F(Revealing, PeersAreShownDifferentPieces) {
  const PieceMask first = reveal.show(&a, now);
  const PieceMask second = reveal.show(&b, now);
  EXPECT_EQ(std::popcount(first), PieceReveal::kWindow);
  EXPECT_EQ(std::popcount(second), PieceReveal::kWindow);
  EXPECT_EQ(first & second, 0U);
}

TEST_F(Revealing, APieceThatArrivedMakesRoomForTheNext) {
  const PieceMask first = reveal.show(&a, now);
  EXPECT_EQ(reveal.show(&a, now), 0U) << "its window is full";
  reveal.on_has(&a, first & (~first + 1), now);
  EXPECT_EQ(std::popcount(reveal.show(&a, now)), 1);
}

TEST_F(Revealing, WhatAPeerHasOfOthersIsNotShown) {
  reveal.on_has(&a, 0xf0, now);
  EXPECT_EQ(reveal.show(&a, now), 0x0fU);
  EXPECT_EQ(reveal.show(&b, now), 0U) << "a has the one half and will have the other";
}

TEST_F(Revealing, WhatASlowPeerDoesNotTakeIsShownToAnother) {
  (void)reveal.show(&a, now);
  (void)reveal.show(&b, now);
  reveal.on_has(&b, 0xf0, now);
  EXPECT_EQ(reveal.show(&b, now), 0U);
  now += PieceReveal::kPatience;
  reveal.on_has(&b, 0xf0, now);
  EXPECT_EQ(reveal.show(&b, now), 0x0fU);
}

TEST_F(Revealing, WhatAPeerTookWithItIsShownToAnotherAtOnce) {
  (void)reveal.show(&a, now);
  (void)reveal.show(&b, now);
  reveal.on_has(&b, 0xf0, now);
  reveal.on_gone(&a);
  EXPECT_EQ(reveal.show(&b, now), 0x0fU);
}

TEST_F(Revealing, APeerThatGetsNothingIsShownAll) {
  const PieceMask shown = reveal.show(&b, now);
  reveal.on_has(&a, 0xff, now);
  now += PieceReveal::kPatience;
  EXPECT_EQ(reveal.show(&b, now) | shown, 0xffU);
}

TEST_F(Revealing, PiecesThatDoNotExistCountForNothing) {
  (void)reveal.show(&a, now);
  now += PieceReveal::kPatience;
  reveal.on_has(&a, ~PieceMask{0xff}, now);
  EXPECT_EQ(std::popcount(reveal.show(&a, now)), 8 - PieceReveal::kWindow) << "it counts as stuck";
  EXPECT_EQ(reveal.show(&a, now), 0U);
}

}  // namespace
}  // namespace shoal
