// The full-screen view is a function of answers and size: what it says, and that it never outgrows the
// terminal.
#include "node/cli/watch_view.h"

#include "node/cli/text.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string text_of_line(const Line& line) {
  std::string out;
  for (const Span& span : line) out += span.text;
  return out;
}

std::string text_of_screen(const std::vector<Line>& lines) {
  std::string out;
  for (const Line& line : lines) out += text_of_line(line) + "\n";
  return out;
}

WatchFacts busy_site() {
  WatchFacts facts;
  facts.node = Json{{"name", "gpu0"}, {"cluster", "lab"}};
  facts.progress = Json::parse(R"({
    "load": {"busy": false, "origin_bytes_per_s": 1048576, "download_bytes_per_s": 2097152, "upload_bytes_per_s": 0},
    "bytes_held": 1024, "disk_free": 1073741824,
    "pulls": [{"id": 7, "repo": "org/name", "revision": "main", "state": "running", "percent": 50.0, "size": 1000,
               "bytes_done": 500, "bytes_per_s": 10, "eta_s": 50, "waiting_for": "the line to the Hub", "error": null}],
    "peers": [{"name": "gpu1", "busy": true, "cpu_permille": 100, "bytes_held": 4096}]})");
  facts.pieces[7] = Json::parse(R"({"files": [
    {"size": 500, "runs": "l2o3", "piece_size": 100, "bytes_lan": 200, "bytes_origin": 300, "bytes_local": 0},
    {"size": 500, "runs": null, "piece_size": null, "bytes_lan": 0, "bytes_origin": 0, "bytes_local": 0}]})");
  facts.events =
      Json::parse(R"([{"at": "2026-11-21T04:00:01.123Z", "level": "warning", "kind": "rate_limited",
                                  "repo": null, "path": null, "text": "429"}])");
  return facts;
}

TEST(WatchView, SaysWhatRunsWhoIsThereAndWhatHappened) {
  const std::string screen = text_of_screen(watch_screen(busy_site(), {100, 30}));
  EXPECT_THAT(screen, HasSubstr("gpu0  cluster lab  1 neighbour up"));
  EXPECT_THAT(screen, HasSubstr("from neighbours 2.0 MiB/s   from the Hub 1.0 MiB/s"));
  EXPECT_THAT(screen, HasSubstr("org/name@main  50.0%"));
  EXPECT_THAT(screen, HasSubstr("limited by the line to the Hub"));
  EXPECT_THAT(screen, HasSubstr("gpu1"));
  EXPECT_THAT(screen, HasSubstr("04:00:01  rate_limited  429"));
  EXPECT_THAT(screen, HasSubstr("q quits"));
}

TEST(WatchView, ThePieceLineHasACellForEachEqualPart) {
  const Line line = piece_line(busy_site().pieces[7]["files"], 10);
  // 2 of 10 from neighbours, 3 from the origin, the second file not begun.
  ASSERT_EQ(line.size(), 3U);
  EXPECT_EQ(line[0].text, "██");
  EXPECT_EQ(line[1].text, "███");
  EXPECT_STRNE(line[0].sgr, line[1].sgr);
  EXPECT_EQ(line[2].text, "·····");
}

TEST(WatchView, NeverOutgrowsTheTerminal) {
  for (const TerminalSize size : {TerminalSize{80, 24}, {30, 8}, {10, 3}, {1, 1}}) {
    const auto lines = watch_screen(busy_site(), size);
    EXPECT_LE(lines.size(), size.rows);
    const std::string bytes = paint(lines, size, false);
    std::size_t begin = 3;  // after "\x1b[H"
    while (begin < bytes.size()) {
      const auto end = std::min(bytes.find("\x1b[K", begin), bytes.size());
      EXPECT_LE(display_width(bytes.substr(begin, end - begin)), size.columns);
      begin = bytes.find('\n', end);
      if (begin == std::string::npos) break;
      ++begin;
    }
  }
}

TEST(WatchView, NamesFromOutsideCannotMoveTheCursor) {
  WatchFacts facts = busy_site();
  facts.progress["pulls"][0]["repo"] = "org/\x1b[2Jname";
  facts.events[0]["text"] = "\x1b]0;owned\a";
  EXPECT_THAT(text_of_screen(watch_screen(facts, {100, 30})), Not(HasSubstr("\x1b")));
}

TEST(WatchView, ColoursCanBeSwitchedOff) {
  const auto lines = watch_screen(busy_site(), {80, 24});
  EXPECT_THAT(paint(lines, {80, 24}, true), HasSubstr("\x1b[36m"));
  EXPECT_THAT(paint(lines, {80, 24}, false), Not(HasSubstr("\x1b[36m")));
}

}  // namespace
}  // namespace shoal::cli
