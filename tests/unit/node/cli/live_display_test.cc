#include "node/cli/live_display.h"

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

TEST(LiveDisplay, TheFirstDrawingMovesNothing) {
  EXPECT_EQ(redraw({}, {"a", "b"}, 80), "\r\x1b[Ja\nb\n");
}

TEST(LiveDisplay, ARedrawGoesUpOverTheOldLines) {
  EXPECT_EQ(redraw({1, 0, 3}, {"x"}, 80), "\x1b[3A\r\x1b[Jx\n");
}

TEST(LiveDisplay, OldLinesThatWrapOnANarrowerTerminalCountAsSeveral) {
  EXPECT_EQ(redraw({79, 40, 41}, {}, 40), "\x1b[5A\r\x1b[J");
}

}  // namespace
}  // namespace shoal::cli
