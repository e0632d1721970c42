#include "node/cli/text.h"

#include <string>

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

TEST(Text, NothingCanMoveTheCursorOrTurnTheWriting) {
  EXPECT_EQ(printable_text("a\x1b[2Jb\r\n\x7f"), "a?[2Jb???");
  EXPECT_EQ(printable_text("\xc2\x9b"), "?");                    // a C1 control
  EXPECT_EQ(printable_text("gpj\xe2\x80\xae.exe"), "gpj?.exe");  // right-to-left override
  EXPECT_EQ(printable_text("\xff\xc3(\xed\xa0\x80"),
            "?"
            "?(???");
  EXPECT_EQ(printable_text("Grüße 模型"), "Grüße 模型");
}

TEST(Text, WidthIsWhatATerminalShows) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("Grüße"), 5U);
  EXPECT_EQ(display_width("模型"), 4U);
  EXPECT_EQ(display_width("e\xcc\x81"), 1U);
}

TEST(Text, ClippingKeepsWithinTheWidth) {
  EXPECT_EQ(clip_end("abcdef", 6), "abcdef");
  EXPECT_EQ(clip_end("abcdefg", 6), "abcd..");
  EXPECT_EQ(clip_end("abc", 2), "..");
  EXPECT_EQ(clip_middle("model-00001-of-00030.safetensors", 16), "model-0..tensors");
  for (std::size_t width = 0; width < 24; ++width) {
    EXPECT_LE(display_width(clip_end("模型-00001-模型-00001-模型", width)), width);
    EXPECT_LE(display_width(clip_middle("模型-00001-模型-00001-模型", width)), width);
  }
}

TEST(Text, TablesAreAligned) {
  Table table({{"NAME"}, {"SIZE", Align::right}, {"NOTE"}});
  table.add({"模型", "1.0 GiB", "x"});
  table.add({"longer-name", "12 B", ""});
  EXPECT_EQ(table.text(0),
            "NAME            SIZE  NOTE\n"
            "模型         1.0 GiB  x\n"
            "longer-name     12 B\n");
  EXPECT_EQ(table.text(10).substr(0, 11), "NAME    ..\n");
}

TEST(Text, CellsCannotBreakALine) {
  Table table({{"A"}, {"B"}});
  table.add({"x\ny", "\x1b[1m"});
  EXPECT_EQ(table.text(0), "A    B\nx?y  ?[1m\n");
}

}  // namespace
}  // namespace shoal::cli
