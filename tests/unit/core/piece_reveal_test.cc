// Who is shown which piece of a segment of eight, and when more.
#include "node/core/piece_reveal.h"

#include <bit>
#include <memory>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = RevealWindow::kPatience;
constexpr int kRoom = 4;

std::shared_ptr<RevealWindow> window_of_four() {
  auto window = std::make_shared<RevealWindow>();
  for (int i = RevealWindow::kLeast; i < kRoom; ++i) {
    window->on_shown(1);
    window->on_got(1ms);
  }
  return window;
}

class Revealing : public testing::Test {
 protected:
  void SetUp() override {
    reveal.on_peer(&a, window_a, now);
    reveal.on_peer(&b, window_b, now);
  }

  Time now = Time{} + std::chrono::hours(1);
  std::shared_ptr<RevealWindow> window_a = window_of_four();
  std::shared_ptr<RevealWindow> window_b = window_of_four();
  PieceReveal reveal{0xff};
  char a = 0;
  char b = 0;
};

TEST_F(Revealing, PeersAreShownDifferentPieces) {
  const PieceMask first = reveal.show(&a, now);
  const PieceMask second = reveal.show(&b, now);
  EXPECT_EQ(std::popcount(first), kRoom);
  EXPECT_EQ(std::popcount(second), kRoom);
  EXPECT_EQ(first & second, 0U);
  EXPECT_EQ(reveal.shown(&a), first);
}

TEST_F(Revealing, APieceThatArrivedMakesRoomForTheNext) {
  const PieceMask first = reveal.show(&a, now);
  EXPECT_EQ(reveal.show(&a, now), 0U) << "its window is full";
  now += RevealWindow::kSoon;
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
  now += kPatience;
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
  now += kPatience;
  EXPECT_EQ(reveal.show(&b, now) | shown, 0xffU);
}

TEST_F(Revealing, PiecesThatDoNotExistCountForNothing) {
  (void)reveal.show(&a, now);
  now += kPatience;
  reveal.on_has(&a, ~PieceMask{0xff}, now);
  EXPECT_EQ(std::popcount(reveal.show(&a, now)), 8 - kRoom) << "it counts as stuck";
  EXPECT_EQ(reveal.show(&a, now), 0U);
}

// One segment's pieces fill the neighbour's window for all.
TEST_F(Revealing, ANeighboursSegmentsShareItsWindow) {
  PieceReveal other{0xff};
  char connection = 0;
  other.on_peer(&connection, window_a, now);
  const PieceMask first = reveal.show(&a, now);
  EXPECT_EQ(other.show(&connection, now), 0U);
  now += RevealWindow::kSoon;
  reveal.on_has(&a, first & (~first + 1), now);
  EXPECT_EQ(std::popcount(other.show(&connection, now)), 1);
}

TEST_F(Revealing, OnlyWhatItWasShownMakesRoom) {
  const PieceMask first = reveal.show(&a, now);
  EXPECT_FALSE(reveal.on_has(&a, 0xff & ~first, now));
  EXPECT_EQ(window_a->room(), 0);
  EXPECT_TRUE(reveal.on_has(&a, first & (~first + 1), now));
  EXPECT_GE(window_a->room(), 1);
}

TEST_F(Revealing, WaitingForRoomIsNotBeingStuck) {
  PieceReveal other{0xff};
  char connection = 0;
  other.on_peer(&connection, window_a, now);
  const PieceMask first = reveal.show(&a, now);
  now += kPatience - 1ms;
  EXPECT_EQ(other.show(&connection, now), 0U);
  reveal.on_has(&a, first, now);
  now += 2ms;
  EXPECT_LT(std::popcount(other.show(&connection, now)), 8);
}

// Each piece takes longer than the patience: the window learns it from those that came after all.
TEST_F(Revealing, WhatComesLateTeachesPatience) {
  for (int i = 0; i < 8; ++i) {
    const PieceMask shown = reveal.show(&a, now);
    now += 3s;
    (void)reveal.show(&b, now);  // gives up what a was shown
    reveal.on_has(&a, shown, now);
  }
  EXPECT_GT(window_a->patience(), kPatience);
  EXPECT_LE(window_a->patience(), RevealWindow::kPatienceMost);
}

TEST_F(Revealing, WhatIsUnloadedMakesRoom) {
  auto other = std::make_unique<PieceReveal>(PieceMask{0xff});
  char connection = 0;
  other->on_peer(&connection, window_a, now);
  (void)other->show(&connection, now);
  EXPECT_EQ(reveal.show(&a, now), 0U);
  other.reset();
  EXPECT_EQ(std::popcount(reveal.show(&a, now)), kRoom);
}

TEST_F(Revealing, AStrangerIsShownNothingBeforeItHasAWindow) {
  char c = 0;
  reveal.on_has(&c, 0x0f, now);
  EXPECT_EQ(reveal.show(&c, now), 0U);
  reveal.on_peer(&c, window_of_four(), now);
  EXPECT_EQ(reveal.show(&c, now), 0xf0U) << "what it said before counts";
}

TEST(RevealWindow, GrowsWhilePiecesComeSoonUpToItsBound) {
  RevealWindow window;
  for (int i = 0; i < 2 * RevealWindow::kMost; ++i) {
    window.on_shown(1);
    window.on_got(RevealWindow::kSoon - 1ms);
  }
  EXPECT_EQ(window.room(), RevealWindow::kMost);
}

TEST(RevealWindow, ShrinksWhilePiecesComeLateDownToItsBound) {
  RevealWindow window;
  for (int i = 0; i < 10; ++i) {
    window.on_shown(1);
    window.on_got(RevealWindow::kLate + 1ms);
  }
  EXPECT_EQ(window.room(), RevealWindow::kLeast);
  window.on_shown(RevealWindow::kLeast + 1);
  EXPECT_EQ(window.room(), 0);
}

// A line on which two pieces a neighbour take 3 s is slow, not broken.
TEST(RevealWindow, WaitsLongerWherePiecesTakeLong) {
  RevealWindow window;
  EXPECT_EQ(window.patience(), RevealWindow::kPatience);
  for (int i = 0; i < 50; ++i) {
    window.on_shown(1);
    window.on_got(3s);
  }
  EXPECT_GT(window.patience(), 6s);
  EXPECT_EQ(window.patience(), RevealWindow::kPatienceMost);
}

}  // namespace
}  // namespace shoal
