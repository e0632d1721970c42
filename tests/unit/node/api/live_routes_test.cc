// Progress, rates, repos, piece maps, metrics and the page, over a snapshot made by hand.
#include "fake_backend.h"
#include "node/api/api_server.h"
#include "node/api/live_rows.h"
#include "node/api/metrics.h"
#include "raw_client.h"

#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

// A pull of two small held files, a shard that comes in, and two that wait.
std::shared_ptr<StatusSnapshot> busy_snapshot() {
  auto s = std::make_shared<StatusSnapshot>();
  s->at = {1'700'000'000'123};
  s->node_name = "fake";
  PullDetail pull = fake_pull(7, PullState::running, 100, 10);
  pull.pull.bytes_per_s = 5;
  s->pulls = {pull.pull, fake_pull(3, PullState::done, 9, 9).pull,
              fake_pull(4, PullState::failed, 9, 2).pull};
  s->pulls[1].finished_at = {s->at.ms - 1'000};
  s->pulls[2].finished_at = {s->at.ms - 60'000};
  s->files = {fake_file("config.json", 10, 10, FileState::held),
              fake_file("vocab.json", 20, 20, FileState::held),
              fake_file("a.safetensors", 6 * 256 * kKiB, 256 * kKiB, FileState::fetching),
              fake_file("b.safetensors", 1000, 0, FileState::queued),
              fake_file("c.safetensors", 2000, 0, FileState::queued)};
  auto map = std::make_shared<PieceMap>(PieceMap{s->files[2].blob, std::vector<SegmentPieces>(1)});
  map->segments[0].lan = 1;
  map->segments[0].fetching = 2;
  s->pieces = {nullptr, nullptr, map, nullptr, nullptr};
  s->pull_files = {{PullId{7}, 0, 5}};
  PeerStatus up;
  up.name = "up";
  up.alive = true;
  PeerStatus away;
  away.name = "away";
  s->peers = {up, away};
  auto rates = std::make_shared<RateHistory>();
  rates->add({{1'000}, 1, 2, 3});
  rates->add({{61'000}, 4, 5, 6});
  s->rates = rates;
  return s;
}

class LiveRoutes : public testing::Test {
 protected:
  LiveRoutes() {
    backend_.set_snapshot(busy_snapshot());
    ApiServerOptions options;
    options.http.listen = {"127.0.0.1", 0};
    options.progress_clients_max = 1;
    server_ = std::move(*ApiServer::start(std::move(options), backend_));
  }
  std::string ask(const std::string& path, const std::string& header = "") {
    RawClient raw(server_->endpoint());
    raw.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + header + "\r\n");
    return raw.read_all();
  }
  Json get(const std::string& path) {
    const std::string all = ask(path);
    return Json::parse(all.substr(all.find("\r\n\r\n") + 4), nullptr, false);
  }
  FakeBackend backend_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(LiveRoutes, APieceMapMergesFilesWithoutAMapOfTheirOwn) {
  const Json files = get("/shoal/v1/pulls/7/pieces")["files"];
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(files[0]["files"], 2);
  EXPECT_EQ(files[0]["size"], 30);
  EXPECT_TRUE(files[0]["path"].is_null());
  EXPECT_TRUE(files[0]["runs"].is_null());
  EXPECT_EQ(files[1]["path"], "a.safetensors");
  EXPECT_EQ(files[1]["runs"], "l1f1-4");
  EXPECT_EQ(files[1]["piece_size"], 256 * kKiB);
  EXPECT_EQ(files[2]["state"], "queued");
  EXPECT_EQ(files[2]["size"], 3000);
}

TEST_F(LiveRoutes, AnEndedPullHasNoPiecesAndAnUnknownOneIsNotFound) {
  EXPECT_EQ(get("/shoal/v1/pulls/3/pieces")["files"].size(), 0U);
  EXPECT_THAT(ask("/shoal/v1/pulls/99/pieces"), HasSubstr("404"));
}

TEST_F(LiveRoutes, ProgressHasWhatRunsAndWhatEndedAMomentAgo) {
  const Json progress = get("/shoal/v1/progress");
  std::set<int> pulls;
  for (const Json& pull : progress["pulls"]) pulls.insert(pull["id"].get<int>());
  EXPECT_EQ(pulls, (std::set<int>{3, 7}));
  ASSERT_EQ(progress["peers"].size(), 1U);
  EXPECT_EQ(progress["peers"][0]["name"], "up");
}

TEST_F(LiveRoutes, ProgressIsStreamedFromTheFirstMomentOn) {
  RawClient raw(server_->endpoint());
  raw.send("GET /shoal/v1/progress HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
  EXPECT_THAT(raw.read_until("\"pulls\""), HasSubstr("event: progress"));
  EXPECT_THAT(ask("/shoal/v1/progress", "Accept: text/event-stream\r\n"), HasSubstr("503"));
  auto next = busy_snapshot();
  next->blobs_held = 4711;
  server_->publish(*next);
  EXPECT_THAT(raw.read_until("\"blobs_held\":4711"), HasSubstr("\"blobs_held\":4711"));
}

TEST_F(LiveRoutes, RatesComeBySecondOrByMinute) {
  EXPECT_EQ(get("/shoal/v1/rates")["rates"].size(), 2U);
  const Json minutes = get("/shoal/v1/rates?series=minutes")["rates"];
  ASSERT_EQ(minutes.size(), 1U);
  EXPECT_EQ(minutes[0]["origin_bytes_per_s"], 1);
  EXPECT_THAT(ask("/shoal/v1/rates?series=hours"), HasSubstr("400"));
}

TEST_F(LiveRoutes, ReposAreAddedUp) {
  RepoSummary sum;
  sum.repo.name = "org/name";
  sum.files = 4;
  sum.size = 100;
  sum.bytes_done = 50;
  backend_.repo_list = {sum};
  const Json repos = get("/shoal/v1/repos")["repos"];
  ASSERT_EQ(repos.size(), 1U);
  EXPECT_EQ(repos[0]["percent"], 50.0);
}

TEST_F(LiveRoutes, ThePageAllowsNothingFromElsewhere) {
  const std::string page = ask("/");
  EXPECT_THAT(page, HasSubstr("200 OK"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, Not(HasSubstr("unsafe")));
  EXPECT_THAT(page, HasSubstr("text/html"));
  EXPECT_THAT(ask("/page/main.js"), HasSubstr("text/javascript"));
  EXPECT_THAT(ask("/page/../shoal_routes.cc"), HasSubstr("404"));
}

TEST_F(LiveRoutes, AnUnchangedPartOfThePageIsNotSentAgain) {
  const std::string first = ask("/page/style.css");
  const auto at = first.find("ETag: ") + 6;
  const std::string etag = first.substr(at, first.find('\r', at) - at);
  const std::string again = ask("/page/style.css", "If-None-Match: " + etag + "\r\n");
  EXPECT_THAT(again, HasSubstr("304"));
  EXPECT_LT(again.size(), 800U);
}

TEST(Metrics, EveryNameHasItsUnitAndLabelsAreFew) {
  const std::string text = metrics_text(*busy_snapshot());
  EXPECT_THAT(text, HasSubstr("shoal_pulls{state=\"running\"} 1"));
  EXPECT_THAT(text, HasSubstr("shoal_neighbours{state=\"alive\"} 1"));
  // Counters say so, and no label has a name from outside.
  std::size_t series = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE") && line.ends_with("counter")) {
      EXPECT_THAT(line, HasSubstr("_total"));
    }
    if (!line.starts_with("#")) ++series;
  }
  EXPECT_THAT(text, Not(HasSubstr("org/name")));
  EXPECT_LT(series, 60U);
}

}  // namespace
}  // namespace shoal
