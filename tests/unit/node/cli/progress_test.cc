#include "node/cli/progress.h"

#include "node/cli/pull_follower.h"
#include "node/cli/text.h"
#include "node/core/geometry.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace shoal::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

FileView file(const std::string& path, const std::string& state, double percent, std::uint64_t rate) {
  FileView out;
  out.path = path;
  out.state = state;
  out.percent = percent;
  out.size = kGiB;
  out.bytes_per_s = rate;
  return out;
}

PullView running() {
  PullView pull;
  pull.id = 7;
  pull.repo = "org/name";
  pull.revision = "main";
  pull.state = "running";
  pull.files = 9;
  pull.files_done = 3;
  pull.size = 4 * kGiB;
  pull.bytes_done = 1'771'674'009;
  pull.percent = 41.2;
  pull.bytes_lan = kGiB;
  pull.bytes_origin = 697'932'185;
  pull.bytes_per_s = 241'172'480;
  pull.eta_s = 12;
  return pull;
}

TEST(Progress, ABarFillsFromLeftToRight) {
  EXPECT_EQ(progress_bar(0, 10), "[        ]");
  EXPECT_EQ(progress_bar(50, 10), "[====>   ]");
  EXPECT_EQ(progress_bar(99.9, 10), "[=======>]");
  EXPECT_EQ(progress_bar(100, 10), "[========]");
  EXPECT_EQ(progress_bar(-5, 10), "[        ]");
  EXPECT_EQ(progress_bar(500, 10), "[========]");
  EXPECT_EQ(progress_bar(50, 2), "  ");
}

TEST(Progress, PercentIsCutSoThatAHundredMeansDone) {
  EXPECT_EQ(format_percent(41.2), "41.2%");
  EXPECT_EQ(format_percent(99.99), "99.9%");
  EXPECT_EQ(format_percent(100), "100.0%");
}

TEST(Progress, TheLiveDisplayShowsMovingFilesAndTheTotal) {
  PullView pull = running();
  pull.file_rows = {
      file("config.json", "held", 100, 0), file("model-1.safetensors", "fetching", 63.2, 117'860'000),
      file("model-2.safetensors", "queued", 0, 0), file("model-3.safetensors", "checking", 100, 0)};
  EXPECT_THAT(live_lines(pull, 100, 24),
              ElementsAre("model-1.safetensors   63.2%  [============>       ]   112.4 MiB/s",
                          "model-3.safetensors  100.0%  [====================]      checking",
                          "total 41.2%  1.6 GiB of 4.0 GiB  230.0 MiB/s  ETA 12s  3/9 files",
                          "1.0 GiB from neighbours, 665.5 MiB from the origin, 0 B from this disk"));
}

TEST(Progress, TheLiveDisplayFitsAnyTerminal) {
  PullView pull = running();
  pull.waiting_for = "gpu8, which is busy, and a few more words";
  for (int i = 0; i < 40; ++i) {
    pull.file_rows.push_back(
        file("模型-a-rather-long-directory/model-" + std::to_string(i), "fetching", 1, 1));
  }
  for (std::size_t width = 1; width < 130; ++width) {
    for (std::size_t height = 1; height < 40; ++height) {
      const auto lines = live_lines(pull, width, height);
      EXPECT_LT(lines.size(), std::max<std::size_t>(height, 2));
      for (const auto& line : lines) EXPECT_LT(display_width(line), std::max<std::size_t>(width, 12));
    }
  }
  EXPECT_THAT(live_lines(pull, 46, 24), testing::Contains("total 41.2%  230.0 MiB/s  ETA 12s"));
  EXPECT_THAT(live_lines(pull, 46, 24), testing::Contains("lan 1.0 GiB, origin 665.5 MiB, disk 0 B"));
  EXPECT_THAT(live_lines(pull, 100, 24), testing::Contains("... and 32 more files"));
}

TEST(Progress, APullThatIsNotResolvedSaysSo) {
  PullView pull = running();
  pull.state = "resolving";
  EXPECT_THAT(live_lines(pull, 80, 24), ElementsAre("asking the Hub what org/name holds"));
  pull.waiting_for = "the Hub, which limits requests";
  EXPECT_EQ(plain_line(pull), "org/name: waiting for the Hub, which limits requests");
}

TEST(Progress, PlainLinesSayEverything) {
  EXPECT_EQ(
      plain_line(running()),
      "org/name: 41.2%, 1.6 GiB of 4.0 GiB, 3 of 9 files, 230.0 MiB/s, 12s left (1.0 GiB from neighbours, "
      "665.5 MiB from the origin, 0 B from this disk)");
  EXPECT_EQ(summary_line(running(), 65),
            "org/name@main: 9 files, 4.0 GiB in 1m05s: 1.0 GiB from neighbours, 665.5 MiB from the origin, 0 "
            "B from "
            "this disk");
}

TEST(Progress, AnswersOfOtherVersionsAreReadAsFarAsTheyGo) {
  const auto empty = read_pull(Json::array());
  EXPECT_EQ(empty.state, "");
  EXPECT_FALSE(empty.ended());
  const auto odd =
      read_pull(Json::parse(R"({"id":"x","state":7,"percent":"a","status":[5,{"path":"a\u001b"}]})"));
  EXPECT_EQ(odd.id, 0);
  ASSERT_EQ(odd.file_rows.size(), 2U);
  EXPECT_EQ(odd.file_rows[1].path, "a?");
}

TEST(Progress, FinishedFilesAreToldOnce) {
  FinishedFiles finished;
  PullView pull = running();
  FileView here = file("here", "held", 100, 0);
  here.bytes_local = here.size;
  pull.file_rows = {here, file("quick", "held", 100, 0), file("slow", "fetching", 1, 0)};
  auto told = finished.take_new(pull);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].path, "quick");
  EXPECT_TRUE(finished.take_new(pull).empty());
  pull.file_rows[2].state = "held";
  told = finished.take_new(pull);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].path, "slow");
}

}  // namespace
}  // namespace shoal::cli
